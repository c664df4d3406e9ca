//! A notice queue that records what its client takes from it.

use super::context::Context;
use super::session::nanoseconds;
use super::system::number_service;
use crate::journal::{Record, Token};
use dextape::call::QueueId;
use dextape::connection::{Notice, NoticeKind, NoticeQueue, System};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct RecordingNotices {
    context: Arc<Context>,
    system: Arc<dyn System>,
    inner: Arc<dyn NoticeQueue>,
    number: u32,
    /// The event that asked for the notices.
    watch: Option<Token>,
}

impl RecordingNotices {
    pub(crate) fn new(
        context: Arc<Context>,
        system: Arc<dyn System>,
        inner: Arc<dyn NoticeQueue>,
        number: u32,
        watch: Option<Token>,
    ) -> Self {
        Self { context, system, inner, number, watch }
    }

    fn took(&self, notice: Notice) {
        let service = number_service(&self.context, &*self.system, notice.service);
        if notice.kind == NoticeKind::Terminated && self.context.ends_by_notice() {
            let record = Record::Terminated { service: Some(service) };
            self.context.append(None, None, &record);
        }
        let record = Record::Notice { queue: self.number, kind: notice.kind, service };
        self.context.leave(None, self.watch, &record);
    }
}

impl NoticeQueue for RecordingNotices {
    fn id(&self) -> QueueId {
        self.inner.id()
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Notice> {
        let record = Record::Wait { queue: self.number, timeout: timeout.map(nanoseconds) };
        let enter = self.context.append(None, None, &record);
        let notice = self.inner.wait(timeout);
        if let Some(notice) = notice {
            self.took(notice);
        }
        self.context.leave(None, enter, &Record::Woke { timed_out: notice.is_none() });
        notice
    }

    fn poll(&self) -> Option<Notice> {
        let notice = self.inner.poll();
        if let Some(notice) = notice {
            self.took(notice);
        }
        notice
    }

    fn wake_when_ready(&self, waker: &Waker) -> bool {
        self.inner.wake_when_ready(waker)
    }
}
