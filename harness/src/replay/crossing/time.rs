//! Time of a client that has crossed a gap: it is there earlier or later than the tape.

use crate::replay::program::{EventIndex, Segments, StepIndex};
use crate::replay::session::{Clock, Session};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// No client has come to what stands behind a gap.
pub(in crate::replay) const NO_SHIFT: i64 = i64::MIN;

impl Session {
    /// True where the step answered something else, and has not been entered itself.
    pub(in crate::replay) fn is_lenient(&self, step: StepIndex) -> bool {
        self.program.segments.is_some() && !self.progress.has_entered(step)
    }

    /// As [`due`](Self::due), on a tape with gaps.
    pub(in crate::replay) fn due_across(
        &self,
        segments: &Segments,
        base: Duration,
        event: EventIndex,
        time: u64,
    ) -> Option<Duration> {
        let due = base.saturating_add(Duration::from_nanos(time));
        if event < segments.first_gap {
            return Some(due);
        }
        match self.shift.load(Ordering::Acquire) {
            NO_SHIFT => None,
            shift if shift < 0 => {
                Some(due.saturating_sub(Duration::from_nanos(shift.unsigned_abs())))
            }
            shift => Some(due.saturating_add(Duration::from_nanos(shift.unsigned_abs()))),
        }
    }

    /// The client has come to an event behind a gap now.
    pub(super) fn set_shift(&self, clock: &Clock, event: EventIndex) {
        let Some(base) = clock.base else { return };
        let time = u128::from(self.program.event(event).time);
        let now = clock.schedule.now().saturating_sub(base).as_nanos();
        let shift = i128::try_from(now).unwrap_or(0) - i128::try_from(time).unwrap_or(0);
        self.shift.store(i64::try_from(shift).unwrap_or(0), Ordering::Release);
    }

    /// Lets the virtual time of a lenient answer pass: as long as what it was taken from took.
    pub(in crate::replay) fn pass_lenient_time(&self, clock: &Clock, step: StepIndex) {
        if clock.base.is_none() {
            return;
        }
        let step = self.program.step(step);
        let (enter, leave) = (self.program.event(step.enter), self.program.event(step.leave));
        let took = Duration::from_nanos(leave.time.saturating_sub(enter.time));
        if !took.is_zero() {
            clock.schedule.sleep(took);
        }
    }
}
