//! Notices of services that come and go.

use crate::call::{QueueId, ServiceId};
use crate::registry::NoticeKind;
use std::fmt;
use std::task::Waker;
use std::time::Duration;

/// One notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What happened.
    pub kind: NoticeKind,
    /// To which service.
    pub service: ServiceId,
}

/// Notices of the services that match what the client asked to watch, in order. As with
/// `IOServiceAddMatchingNotification`, services that are there already count as arrived.
pub trait NoticeQueue: Send + Sync + fmt::Debug {
    /// The queue's number within its system.
    fn id(&self) -> QueueId;

    /// Takes the oldest notice, waiting for it up to `timeout` of the system's time, or for ever.
    fn wait(&self, timeout: Option<Duration>) -> Option<Notice>;

    /// Takes the oldest notice if there is one.
    fn poll(&self) -> Option<Notice>;

    /// Wakes `waker` once when a notice is there to be polled; at once where one is already. False where
    /// this system cannot tell: whoever waits polls now and then.
    fn wake_when_ready(&self, waker: &Waker) -> bool {
        let _ = waker;
        false
    }
}
