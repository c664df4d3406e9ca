//! Notices of services that come and go.

use crate::call::QueueId;
use crate::connection::{Matching, Notice, NoticeQueue};
use crate::schedule::{Monitor, Schedule};
use std::collections::VecDeque;
use std::time::Duration;

/// The notices that one client asked for.
#[derive(Debug)]
pub(super) struct MockNotices {
    id: QueueId,
    matching: Matching,
    notices: Monitor<VecDeque<Notice>>,
}

impl MockNotices {
    pub(super) fn new(schedule: &Schedule, id: QueueId, matching: Matching) -> Self {
        Self { id, matching, notices: Monitor::new(schedule, "a notice", VecDeque::new()) }
    }

    pub(super) fn matching(&self) -> &Matching {
        &self.matching
    }

    pub(super) fn post(&self, notice: Notice) {
        self.notices.lock().push_back(notice);
        self.notices.notify_all();
    }
}

impl NoticeQueue for MockNotices {
    fn id(&self) -> QueueId {
        self.id
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Notice> {
        let now = || self.notices.schedule().now();
        let deadline = timeout.map(|timeout| now().saturating_add(timeout));
        let mut notices = self.notices.lock();
        loop {
            if let Some(notice) = notices.pop_front() {
                return Some(notice);
            }
            if deadline.is_some_and(|deadline| now() >= deadline) {
                return None;
            }
            notices.wait_until(deadline);
        }
    }

    fn poll(&self) -> Option<Notice> {
        self.notices.lock().pop_front()
    }
}
