//! Notices of services that come and go.

use crate::call::QueueId;
use crate::connection::{Matching, Notice, NoticeQueue};
use crate::schedule::{Monitor, Schedule};
use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

/// The notices that one client asked for.
#[derive(Debug)]
pub(super) struct MockNotices {
    id: QueueId,
    matching: Matching,
    waiting: Monitor<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    notices: VecDeque<Notice>,
    wakers: Vec<Waker>,
}

impl MockNotices {
    pub(super) fn new(schedule: &Schedule, id: QueueId, matching: Matching) -> Self {
        Self { id, matching, waiting: Monitor::new(schedule, "a notice", Waiting::default()) }
    }

    pub(super) fn matching(&self) -> &Matching {
        &self.matching
    }

    pub(super) fn post(&self, notice: Notice) {
        let mut waiting = self.waiting.lock();
        waiting.notices.push_back(notice);
        let wakers = std::mem::take(&mut waiting.wakers);
        drop(waiting);
        self.waiting.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl NoticeQueue for MockNotices {
    fn id(&self) -> QueueId {
        self.id
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Notice> {
        let now = || self.waiting.schedule().now();
        let deadline = timeout.map(|timeout| now().saturating_add(timeout));
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(notice) = waiting.notices.pop_front() {
                return Some(notice);
            }
            if deadline.is_some_and(|deadline| now() >= deadline) {
                return None;
            }
            waiting.wait_until(deadline);
        }
    }

    fn poll(&self) -> Option<Notice> {
        self.waiting.lock().notices.pop_front()
    }

    fn wake_when_ready(&self, waker: &Waker) -> bool {
        let mut waiting = self.waiting.lock();
        if !waiting.notices.is_empty() {
            drop(waiting);
            waker.wake_by_ref();
        } else if !waiting.wakers.iter().any(|known| known.will_wake(waker)) {
            waiting.wakers.push(waker.clone());
        }
        true
    }
}
