//! How an operation finds its step under each policy, and a thread its lane.

use super::Policy;
use super::matching::matches;
use super::program::{Kind, LaneIndex, NONE, Outcome, StepIndex};
use super::request::Request;
use super::session::{Attempt, Clock, Session};
use super::state::State;
use crate::schedule::{Schedule, TimeMode};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// A number of the thread's own, since a thread's identity has no cheap form.
    static THREAD: u64 = {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
    /// The session that the thread last had a lane in, and the lane.
    static LANE: Cell<(u64, LaneIndex)> = const { Cell::new((0, NONE)) };
}

impl Session {
    #[inline]
    pub(super) fn attempt(
        &self,
        state: &mut State,
        clock: &Clock,
        stream: u32,
        request: &Request<'_>,
    ) -> Attempt {
        loop {
            // A plain call may have taken the step in between; then another one is in its place.
            match self.attempt_once(state, clock, stream, request) {
                Some(attempt) => return attempt,
                None => std::hint::spin_loop(),
            }
        }
    }

    /// `None` where a plain call came in between.
    fn attempt_once(
        &self,
        state: &mut State,
        clock: &Clock,
        stream: u32,
        request: &Request<'_>,
    ) -> Option<Attempt> {
        let program = &self.program;
        match self.policy {
            Policy::Ordered => {
                let head = state.head(stream);
                if head == NONE || !matches(program, state, head, request) {
                    return Some(Attempt::Missed(head));
                }
                self.enter_if_open(state, head, request)
            }
            Policy::AnyOrder | Policy::Nearest => self.attempt_keyed(state, request),
            Policy::Lanes | Policy::Exact | Policy::AcrossGaps => {
                let Some(lane) = self.lane(state, clock, request) else {
                    let first =
                        (0..program.lanes.len() as u32).find(|lane| !state.bound[*lane as usize]);
                    return Some(Attempt::Missed(first.map_or(NONE, |lane| state.head(lane))));
                };
                let head = state.head(lane);
                if head == NONE || !matches(program, state, head, request) {
                    return Some(Attempt::Missed(head));
                }
                self.bind(state, lane);
                // Where there is one lane only, its next step is always the one whose turn it is.
                if self.policy == Policy::Exact && self.by_thread && head != state.turn {
                    return Some(Attempt::Blocked(state.turn));
                }
                self.enter_if_open(state, head, request)
            }
        }
    }

    #[inline]
    fn enter_if_open(
        &self,
        state: &mut State,
        step: StepIndex,
        request: &Request<'_>,
    ) -> Option<Attempt> {
        if !state.gate_is_open(&self.program, step) {
            return Some(Attempt::Blocked(self.program.step(step).gate));
        }
        state.enter(&self.program, step, request).then_some(Attempt::Entered(step))
    }

    #[inline]
    pub(super) fn attempt_keyed(
        &self,
        state: &mut State,
        request: &Request<'_>,
    ) -> Option<Attempt> {
        let program = &self.program;
        let Some(keys) = &program.keys else { return Some(Attempt::Missed(NONE)) };
        let mut blocked = NONE;
        let mut fits = |step| {
            if !matches(program, state, step, request) {
                return false;
            }
            let open = state.gate_is_open(program, step) && self.is_due(state, step);
            if !open && blocked == NONE {
                blocked = step;
            }
            open
        };
        let found = match &program.courses {
            None => keys.find(&program.rules, &self.progress, request, fits),
            Some(courses) => {
                let free = |step| !self.progress.has_entered(step);
                let mut search = courses.search(&state.positions, |step| free(step) && fits(step));
                keys.find(&program.rules, &self.progress, request, |step| search.is_over(step));
                search.found
            }
        };
        match found {
            Some(step) => state.enter(program, step, request).then_some(Attempt::Entered(step)),
            None if blocked != NONE => Some(Attempt::Blocked(blocked)),
            None => Some(Attempt::Missed(NONE)),
        }
    }

    /// True where what a wait or take gives may be given: its call has been entered.
    pub(super) fn is_due(&self, state: &State, step: StepIndex) -> bool {
        let step = self.program.step(step);
        if !matches!(step.kind, Kind::Wait | Kind::Take) {
            return true;
        }
        match self.program.outcomes.get(step.outcome as usize) {
            Some(Outcome::Completion(post)) => {
                let call = self.program.posts[*post as usize].call;
                call == NONE || state.has_entered(call)
            }
            // A take is entered, and found out then.
            Some(Outcome::Unknown) => step.kind == Kind::Take,
            _ => true,
        }
    }

    /// The lane of the calling thread: the one it has; or where recording and replay are both
    /// simulated, the one of the same task; or else the first free one whose next step is this.
    pub(super) fn lane(
        &self,
        state: &State,
        clock: &Clock,
        request: &Request<'_>,
    ) -> Option<LaneIndex> {
        if let Some(lane) = self.known_lane(state) {
            return Some(lane);
        }
        let program = &self.program;
        self.free_lane(state, clock, |lane| {
            let head = state.head(lane);
            head != NONE && matches(program, state, head, request)
        })
    }

    /// The lane of a thread that has none: where recording and replay are both simulated, the one of
    /// the same task; or else the first that no thread has and that `fits`.
    pub(super) fn free_lane(
        &self,
        state: &State,
        clock: &Clock,
        fits: impl Fn(LaneIndex) -> bool,
    ) -> Option<LaneIndex> {
        let lanes = &self.program.lanes;
        let free = |lane: &LaneIndex| !state.bound[*lane as usize];
        if self.program.time == TimeMode::Simulated
            && clock.schedule.mode() == TimeMode::Simulated
            && let Some(number) = Schedule::lane_of_thread()
        {
            let own = lanes.iter().position(|lane| lane.number == number);
            if let Some(own) = own.map(|lane| lane as LaneIndex).filter(free) {
                return Some(own);
            }
        }
        (0..lanes.len() as u32).filter(free).find(|lane| fits(*lane))
    }

    /// The lane that the calling thread has, if it has one.
    pub(super) fn known_lane(&self, state: &State) -> Option<LaneIndex> {
        if !self.by_thread {
            return match self.program.lanes.len() {
                1 => Some(0),
                _ => None,
            };
        }
        let (session, lane) = LANE.get();
        if session == self.number {
            return Some(lane);
        }
        let lane = *state.threads.get(&THREAD.with(|thread| *thread))?;
        LANE.set((self.number, lane));
        Some(lane)
    }

    /// The lane that the calling thread has, if it was this session's last.
    #[inline]
    pub(super) fn cached_lane(&self) -> Option<LaneIndex> {
        let (session, lane) = LANE.get();
        (session == self.number).then_some(lane)
    }

    pub(super) fn bind(&self, state: &mut State, lane: LaneIndex) {
        if self.by_thread && LANE.get() != (self.number, lane) {
            state.bound[lane as usize] = true;
            state.threads.insert(THREAD.with(|thread| *thread), lane);
            LANE.set((self.number, lane));
        }
    }
}
