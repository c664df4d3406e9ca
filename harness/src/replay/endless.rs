//! Waits of a client without a timeout that are not on the tape: for whatever may come.

use super::diagnose;
use super::session::{Clock, Session};
use std::time::Duration;

impl Session {
    /// A thread has waited for `waited` without a timeout. Where nobody has gone on for as long as the
    /// replay's patience, nobody ever will.
    ///
    /// # Panics
    ///
    /// With the divergence then; also where a code answers divergences, since a wait that gives nothing
    /// would begin anew.
    pub(super) fn check_wait(&self, clock: &Clock, waited: Duration) {
        let Some(mut state) = self.check(self.state()) else { return };
        let now = clock.schedule.now();
        let lenient = state.crossing.as_ref().map_or(0, |crossing| crossing.lenient());
        let used = self.progress.used(&self.program) + lenient;
        let since = match state.at_rest {
            Some((before, since)) if before == used => since,
            _ => {
                state.at_rest = Some((used, now));
                return;
            }
        };
        if waited < self.patience() || now.saturating_sub(since) < self.patience() {
            return;
        }
        let report = diagnose::endless(self, &state);
        state.poison(&report);
        drop(state);
        self.tell();
        let _unwinding = self.poisoned(&report);
    }
}
