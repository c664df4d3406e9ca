//! The order and the times of the tape.

use dextape::schedule::{Monitor, Schedule};
use dextape::tape::Sequence;
use std::collections::BTreeSet;
use std::time::Duration;

/// What of the tape is still to come. An operation begins once everything that stands before it has: what
/// the client knew then may be why it made it.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Duration,
    patience: Duration,
    pending: Monitor<BTreeSet<Sequence>>,
}

impl Pace {
    pub(super) fn new(
        schedule: &Schedule,
        patience: Duration,
        events: impl Iterator<Item = Sequence>,
    ) -> Self {
        let pending = Monitor::new(schedule, "its turn on the tape", events.collect());
        Self { begun: schedule.now(), patience, pending }
    }

    /// Waits until all before `sequence` is done, and until `time` of the tape. False where that takes
    /// too long: another operation has not come back, which it had on the tape.
    pub(super) fn turn(&self, sequence: Sequence, time: u64) -> bool {
        let schedule = self.pending.schedule().clone();
        let mut pending = self.pending.lock();
        let mut deadline = None;
        let mut in_turn = true;
        while pending.first().is_some_and(|first| *first < sequence) {
            let patience = || schedule.now().saturating_add(self.patience);
            let until = *deadline.get_or_insert_with(patience);
            if schedule.now() >= until {
                in_turn = false;
                break;
            }
            pending.wait_until(Some(until));
        }
        drop(pending);
        let due = self.begun.saturating_add(Duration::from_nanos(time));
        let left = due.saturating_sub(schedule.now());
        if !left.is_zero() {
            schedule.sleep(left);
        }
        in_turn
    }

    /// True where `time` of the tape is not before that much from now.
    pub(super) fn is_ahead(&self, time: u64, by: Duration) -> bool {
        let now = self.pending.schedule().now().saturating_add(by);
        self.begun.saturating_add(Duration::from_nanos(time)) >= now
    }

    pub(super) fn done(&self, sequence: Sequence) {
        self.pending.lock().remove(&sequence);
        self.pending.notify_all();
    }

    /// The first that is still to come.
    pub(super) fn first(&self) -> Option<Sequence> {
        self.pending.lock().first().copied()
    }

    /// Waits until nothing is left, at most until `time` of the tape and the patience have passed. True
    /// where nothing is left.
    pub(super) fn all_done(&self, time: u64) -> bool {
        let schedule = self.pending.schedule().clone();
        let due = self.begun.saturating_add(Duration::from_nanos(time));
        let mut deadline = due.max(schedule.now()).saturating_add(self.patience * 2);
        let mut pending = self.pending.lock();
        let mut left = pending.len();
        while !pending.is_empty() && schedule.now() < deadline {
            pending.wait_until(Some(deadline));
            if pending.len() < left {
                // It goes on, if slowly.
                left = pending.len();
                deadline = due.max(schedule.now()).saturating_add(self.patience * 2);
            }
        }
        pending.is_empty()
    }
}
