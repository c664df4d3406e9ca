//! Completions of asynchronous calls.

use super::super::inbox::Inbox;
use super::super::message;
use super::port::{Port, Receiver, discard};
use dextape::call::{Completion, QueueId};
use dextape::connection::{CompletionQueue, PostObserver};
use dextape::limits::WAKE_PORT_QUEUE_MAX;
use dextape::schedule::Schedule;
use mach2::port::mach_port_t;
use std::any::Any;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// The completions that arrive at one notification port.
#[derive(Debug)]
pub(super) struct IoKitQueue {
    id: QueueId,
    inbox: Arc<Inbox<Completion>>,
    receiver: Receiver,
}

impl IoKitQueue {
    pub(super) fn new(id: QueueId, schedule: &Schedule) -> Self {
        let inbox = Arc::new(Inbox::new(schedule, "completion", WAKE_PORT_QUEUE_MAX));
        let into = Arc::clone(&inbox);
        let receiver = Receiver::start(Port::new().map(Arc::new), move |message| {
            match message::completion(message.bytes()) {
                Ok(completion) => into.push(completion),
                Err(_) => discard(message),
            }
        });
        Self { id, inbox, receiver }
    }

    /// The wake port of a call.
    pub(super) fn wake_port(&self) -> mach_port_t {
        self.receiver.name()
    }
}

impl CompletionQueue for IoKitQueue {
    fn id(&self) -> QueueId {
        self.id
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Completion> {
        self.inbox.wait(timeout)
    }

    fn poll(&self) -> Option<Completion> {
        self.inbox.poll()
    }

    fn wake_when_ready(&self, waker: &Waker) {
        self.inbox.wake_when_ready(waker);
    }

    fn observe_posts(&self, _: PostObserver) -> bool {
        // The kernel posts; this process sees the message when it has received it.
        false
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for IoKitQueue {
    fn drop(&mut self) {
        // The receiver may be waiting for room, and is joined right after this.
        self.inbox.close();
    }
}
