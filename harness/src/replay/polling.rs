//! Polls: what is there to be taken, and when.

use super::matching::matches;
use super::program::{Kind, LaneIndex, NONE, Outcome, StepIndex};
use super::request::Request;
use super::session::{Attempt, Clock, Refused, Session};
use super::state::State;
use super::{PatchTiming, Policy};
use std::sync::atomic::{AtomicU64, Ordering};

impl Session {
    /// Enters the step of a poll if one is due now; `None` where there is nothing to take.
    pub(super) fn poll(
        &self,
        clock: &Clock,
        stream: u32,
        request: &Request<'_>,
        spins: &AtomicU64,
    ) -> Option<StepIndex> {
        let mut state = self.state();
        if let Some(Refused::Poisoned(report)) = self.refuse(&state) {
            drop(state);
            let _unwinding = self.poisoned(&report);
            return None;
        }
        if let Some(lane) = self.as_recorded(&state, clock, request) {
            let anchor = self.progress.anchor(lane);
            let take = self.program.takes.get(&(lane, anchor)).copied();
            let take = take.filter(|(take, _)| matches(&self.program, &state, *take, request));
            let found = take.is_some_and(|(_, polls)| state.count_empty_poll(lane) >= polls);
            drop(state);
            if found {
                // It was there when it was recorded: its turn comes.
                return self.perform(clock, stream, request).ok();
            }
            clock.schedule.yield_now();
            return None;
        }
        let due = self.pollable(&state, clock, stream, request);
        let due = due.filter(|step| self.is_time(clock, *step, spins));
        let entered = due.and_then(|step| match self.policy {
            Policy::AnyOrder | Policy::Nearest => match self.attempt_keyed(&mut state, request) {
                Some(Attempt::Entered(step)) => Some(step),
                _ => None,
            },
            Policy::Ordered | Policy::Lanes | Policy::Exact | Policy::AcrossGaps => {
                self.bind(&mut state, self.program.step(step).lane);
                state.enter(&self.program, step, request).then_some(step)
            }
        });
        let Some(step) = entered else {
            drop(state);
            // A loop of polls must let the others go on.
            clock.schedule.yield_now();
            return None;
        };
        spins.store(0, Ordering::Relaxed);
        self.entered(state, step, request, Ok(())).ok()
    }

    /// The calling thread's lane, where polls are to find what they found when they were recorded.
    fn as_recorded(
        &self,
        state: &State,
        clock: &Clock,
        request: &Request<'_>,
    ) -> Option<LaneIndex> {
        let takes = matches!(request, Request::Take { .. });
        if state.timing != PatchTiming::AsRecorded || !takes {
            return None;
        }
        if self.by_thread { self.lane(state, clock, request) } else { self.known_lane(state) }
    }

    /// The step that a poll would enter, but for the time.
    fn pollable(
        &self,
        state: &State,
        clock: &Clock,
        stream: u32,
        request: &Request<'_>,
    ) -> Option<StepIndex> {
        let program = &self.program;
        let fits = |step: StepIndex| {
            step != NONE
                && matches(program, state, step, request)
                && state.gate_is_open(program, step)
        };
        match self.policy {
            Policy::Ordered => Some(state.head(stream)).filter(|step| fits(*step)),
            Policy::AnyOrder | Policy::Nearest => {
                let keys = program.keys.as_ref()?;
                keys.find(&program.rules, &self.progress, request, fits)
            }
            Policy::Lanes | Policy::Exact | Policy::AcrossGaps => {
                let fits = |lane: u32| {
                    let step = state.head(lane);
                    let turn =
                        self.policy != Policy::Exact || !self.by_thread || step == state.turn;
                    (turn && fits(step)).then_some(step)
                };
                match self.known_lane(state) {
                    Some(lane) => fits(lane),
                    None => {
                        self.free_lane(state, clock, |lane| fits(lane).is_some()).and_then(fits)
                    }
                }
            }
        }
    }

    /// True where the tape's time for a completion has come. A client that never lets time pass gets
    /// it all the same after a while.
    fn is_time(&self, clock: &Clock, step: StepIndex, spins: &AtomicU64) -> bool {
        const SPINS: u64 = 1000;
        let event = match self.program.outcomes.get(self.program.step(step).outcome as usize) {
            Some(Outcome::Completion(post)) => self.program.posts[*post as usize].event,
            _ => self.program.step(step).enter,
        };
        self.due(clock, event).is_none_or(|due| clock.schedule.now() >= due)
            || spins.fetch_add(1, Ordering::Relaxed) >= SPINS
    }

    /// True where a poll of `queue` by somebody would find something: a completion ([`Kind::Take`]) or a
    /// notice ([`Kind::TakeNotice`]).
    pub(super) fn is_ready(&self, state: &State, kind: Kind, queue: u32) -> bool {
        let program = &self.program;
        if self.is_ready_across(state, kind, queue) {
            return true;
        }
        let fits = |step: StepIndex| {
            step != NONE
                && program.step(step).kind == kind
                && program.step(step).selector == queue
                && state.gate_is_open(program, step)
        };
        match self.policy {
            Policy::AnyOrder | Policy::Nearest => program.keys.as_ref().is_some_and(|keys| {
                let request = match kind {
                    Kind::TakeNotice => Request::TakeNotice { queue },
                    _ => Request::Take { queue },
                };
                keys.find(&program.rules, &self.progress, &request, fits).is_some()
            }),
            _ => (0..self.progress.streams()).any(|stream| fits(state.head(stream))),
        }
    }
}
