//! One replay: how an operation of the client finds its step, waits for its turn, or diverges.

use super::diagnose::Reason;
use super::matching::matches;
use super::patches::NotKept;
use super::plain::Route;
use super::program::{Flags, Kind, LaneIndex, NONE, Outcome, Program, StepIndex};
use super::progress::Progress;
use super::request::Request;
use super::state::State;
use super::{Divergence, OnDivergence, PatchTiming, Policy, ReplayOptions};
use crate::IoReturn;
use crate::schedule::{Monitor, Schedule, TimeMode};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

thread_local! {
    /// A number of the thread's own, since a thread's identity has no cheap form.
    static THREAD: u64 = {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
    /// The session that the thread last had a lane in, and the lane.
    static LANE: Cell<(u64, LaneIndex)> = const { Cell::new((0, NONE)) };
}

/// A replay, shared by its systems, connections, queues and memories.
#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    pub(super) program: Program,
    pub(super) policy: Policy,
    on_divergence: OnDivergence,
    patience: Duration,
    /// How plain calls go.
    pub(super) route: Route,
    /// Threads are told apart: the policy needs lanes, and the tape has several.
    by_thread: bool,
    pub(super) progress: Arc<Progress>,
    state: Mutex<State>,
    /// One of each system: its waits belong to its schedule.
    signals: Mutex<Vec<Arc<Monitor<()>>>>,
}

/// What a system adds to the session: where it waits and what time it is.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) schedule: Schedule,
    signal: Arc<Monitor<()>>,
    /// Time of the schedule at which the recording began again; `None` where time does not follow the
    /// tape, since one of the two is not simulated.
    base: Option<Duration>,
}

/// A step that the client has entered, or the code that it is answered with instead.
pub(super) type Entered = Result<StepIndex, IoReturn>;

enum Attempt {
    Entered(StepIndex),
    /// It is on the tape, and something else comes first.
    Blocked(StepIndex),
    /// The step that stands in its place, if there is one.
    Missed(StepIndex),
}

/// What a thread waits for, as the report of a deadlock names it.
const TURN: &str = "its turn on the tape, or a call whose completion it waits for";

impl Session {
    pub(super) fn new(program: Program, options: &ReplayOptions) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let route = Route::new(&program);
        let progress = Arc::new(Progress::new(&program));
        let state = State::new(&program, &progress, options.patches);
        let policy = program.policy;
        let by_thread = matches!(policy, Policy::Exact | Policy::Lanes) && program.lanes.len() > 1;
        Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            program,
            policy,
            route,
            on_divergence: options.on_divergence,
            patience: options.patience,
            by_thread,
            progress,
            state: Mutex::new(state),
            signals: Mutex::default(),
        }
    }

    pub(super) fn clock(&self, schedule: &Schedule) -> Clock {
        let signal = Arc::new(Monitor::new(schedule, TURN, ()));
        self.signals().push(Arc::clone(&signal));
        let simulated =
            schedule.mode() == TimeMode::Simulated && self.program.time == TimeMode::Simulated;
        let base = simulated.then(|| schedule.now());
        Clock { schedule: schedule.clone(), signal, base }
    }

    #[inline]
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signals(&self) -> MutexGuard<'_, Vec<Arc<Monitor<()>>>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an operation: finds its step, waits for its turn, enters it.
    #[inline]
    pub(super) fn perform(&self, clock: &Clock, stream: u32, request: &Request<'_>) -> Entered {
        self.perform_with(clock, stream, request, |_, _| Ok(()))
    }

    /// As [`perform`](Self::perform), with `during` run as the step is entered, before anybody else
    /// can look.
    #[inline]
    pub(super) fn perform_with(
        &self,
        clock: &Clock,
        stream: u32,
        request: &Request<'_>,
        mut during: impl FnMut(&mut State, StepIndex) -> Result<(), NotKept>,
    ) -> Entered {
        let mut state = self.state();
        if state.divergence.is_none()
            && let Attempt::Entered(step) = self.attempt(&mut state, clock, stream, request)
        {
            let kept = during(&mut state, step);
            let ends = self.program.step(step).flags.has(Flags::IN_FLIGHT);
            if kept.is_ok() && !ends && self.progress.is_quiet() {
                return Ok(step);
            }
            return self.entered(state, step, request, kept);
        }
        drop(state);
        self.perform_slowly(clock, stream, request, &mut during)
    }

    /// The rest of an operation that is not the plain case.
    #[cold]
    fn entered(
        &self,
        state: MutexGuard<'_, State>,
        step: StepIndex,
        request: &Request<'_>,
        kept: Result<(), NotKept>,
    ) -> Entered {
        let held = self.program.step(step);
        if let Err(NotKept(patch)) = kept {
            return Err(self.diverge(state, request, Reason::PatchNotKept(patch)));
        }
        if held.flags.has(Flags::IN_FLIGHT) && held.kind != Kind::Wait {
            return Err(self.diverge(state, request, Reason::TapeEnds(step)));
        }
        drop(state);
        self.tell();
        Ok(step)
    }

    #[cold]
    fn perform_slowly(
        &self,
        clock: &Clock,
        stream: u32,
        request: &Request<'_>,
        during: &mut dyn FnMut(&mut State, StepIndex) -> Result<(), NotKept>,
    ) -> Entered {
        let mut found = None;
        let came = self.wait_for(clock, |state| {
            if let Some(invented) = self.refuse(state) {
                found = Some(Err(invented));
                return true;
            }
            match self.attempt(state, clock, stream, request) {
                Attempt::Entered(step) => found = Some(Ok((step, during(state, step)))),
                Attempt::Missed(expected) => found = Some(Err(Refused::Missed(expected))),
                Attempt::Blocked(step) => found = Some(Err(Refused::Blocked(step))),
            }
            !matches!(found, Some(Err(Refused::Blocked(_))))
        });
        debug_assert!(came || matches!(found, Some(Err(Refused::Blocked(_)))));
        match found {
            Some(Ok((step, kept))) => self.entered(self.state(), step, request, kept),
            Some(Err(Refused::Poisoned(report))) => Err(self.poisoned(&report)),
            Some(Err(Refused::Missed(expected))) => {
                Err(self.diverge(self.state(), request, Reason::Missed(expected)))
            }
            Some(Err(Refused::Blocked(step))) => {
                Err(self.diverge(self.state(), request, Reason::NeverItsTurn(step)))
            }
            // The wait always asks at least once.
            None => Err(IoReturn::ABORTED),
        }
    }

    /// Why nothing more is served, if so.
    fn refuse(&self, state: &State) -> Option<Refused> {
        match (&state.divergence, self.on_divergence) {
            (Some(report), OnDivergence::Panic) => Some(Refused::Poisoned(report.clone())),
            _ => None,
        }
    }

    #[inline]
    fn attempt(
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
            Policy::AnyOrder => self.attempt_keyed(state, request),
            Policy::Lanes | Policy::Exact => {
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
    fn attempt_keyed(&self, state: &mut State, request: &Request<'_>) -> Option<Attempt> {
        let program = &self.program;
        let Some(keys) = &program.keys else { return Some(Attempt::Missed(NONE)) };
        let mut blocked = NONE;
        let found = keys.find(&program.rules, &self.progress, request, |step| {
            if !matches(program, state, step, request) {
                return false;
            }
            let open = state.gate_is_open(program, step) && self.is_due(state, step);
            if !open && blocked == NONE {
                blocked = step;
            }
            open
        });
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
    fn lane(&self, state: &State, clock: &Clock, request: &Request<'_>) -> Option<LaneIndex> {
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
    fn free_lane(
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

    fn bind(&self, state: &mut State, lane: LaneIndex) {
        if self.by_thread && LANE.get() != (self.number, lane) {
            state.bound[lane as usize] = true;
            state.threads.insert(THREAD.with(|thread| *thread), lane);
            LANE.set((self.number, lane));
        }
    }

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
            Policy::AnyOrder => match self.attempt_keyed(&mut state, request) {
                Some(Attempt::Entered(step)) => Some(step),
                _ => None,
            },
            Policy::Ordered | Policy::Lanes | Policy::Exact => {
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
            Policy::AnyOrder => {
                let keys = program.keys.as_ref()?;
                keys.find(&program.rules, &self.progress, request, fits)
            }
            Policy::Lanes | Policy::Exact => {
                let fits = |lane: u32| {
                    let step = state.head(lane);
                    let turn =
                        self.policy == Policy::Lanes || !self.by_thread || step == state.turn;
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
        let Some(base) = clock.base else { return true };
        let time = match self.program.outcomes.get(self.program.step(step).outcome as usize) {
            Some(Outcome::Completion(post)) => self.program.posts[*post as usize].time,
            _ => self.program.event(self.program.step(step).enter).time,
        };
        clock.schedule.now() >= base.saturating_add(Duration::from_nanos(time))
            || spins.fetch_add(1, Ordering::Relaxed) >= SPINS
    }

    /// True where a poll of `queue` by somebody would find something.
    pub(super) fn is_ready(&self, state: &State, queue: u32) -> bool {
        let program = &self.program;
        let fits = |step: StepIndex| {
            step != NONE
                && program.step(step).kind == Kind::Take
                && program.step(step).selector == queue
                && state.gate_is_open(program, step)
        };
        match self.policy {
            Policy::AnyOrder => program.keys.as_ref().is_some_and(|keys| {
                let request = Request::Take { queue };
                keys.find(&program.rules, &self.progress, &request, fits).is_some()
            }),
            _ => (0..self.progress.streams()).any(|stream| fits(state.head(stream))),
        }
    }

    /// Tells those who wait that something has changed.
    #[cold]
    pub(super) fn tell(&self) {
        let wakers = self.ready_wakers(&mut self.state());
        self.signal();
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    fn ready_wakers(&self, state: &mut State) -> Vec<std::task::Waker> {
        let wakers = std::mem::take(&mut state.wakers);
        let (ready, waiting) = wakers
            .into_iter()
            .partition(|(queue, _)| state.divergence.is_some() || self.is_ready(state, *queue));
        state.wakers = waiting;
        let ready: Vec<_> = ready;
        self.progress.dismiss(ready.len() as u32);
        ready.into_iter().map(|(_, waker)| waker).collect()
    }

    /// Tells everybody who waits that something has changed.
    fn signal(&self) {
        let signals: Vec<_> = self.signals().clone();
        for signal in signals {
            // Held, so that nobody is between looking and waiting.
            let guard = signal.lock();
            signal.notify_all();
            drop(guard);
        }
    }

    /// Waits until the step's outcome is due, and until its time on the tape.
    pub(super) fn leave_wait(
        &self,
        clock: &Clock,
        step: StepIndex,
        request: &Request<'_>,
    ) -> Entered {
        let mut refused = None;
        let came = self.wait_for(clock, |state| {
            refused = self.refuse(state);
            refused.is_some() || self.is_due(state, step)
        });
        if let Some(Refused::Poisoned(report)) = refused {
            return Err(self.poisoned(&report));
        }
        if !came {
            return Err(self.diverge(self.state(), request, Reason::NeverCame(step)));
        }
        let held = self.program.step(step);
        if held.flags.has(Flags::PATCHES) {
            self.state().arm(&self.program, held.patches);
        }
        self.pass_time(clock, step);
        Ok(step)
    }

    /// Lets virtual time pass up to the step's leave.
    #[inline]
    pub(super) fn pass_time(&self, clock: &Clock, step: StepIndex) {
        let step = self.program.step(step);
        if step.flags.has(Flags::TIME)
            && let Some(base) = clock.base
        {
            let time = Duration::from_nanos(self.program.event(step.leave).time);
            let left = base.saturating_add(time).saturating_sub(clock.schedule.now());
            if !left.is_zero() {
                clock.schedule.sleep(left);
            }
        }
    }

    /// Waits until `ready`; false where patience ends before. A simulated schedule in which nothing
    /// can go on unwinds instead, and leaves the divergence behind.
    fn wait_for(&self, clock: &Clock, mut ready: impl FnMut(&mut State) -> bool) -> bool {
        let deadline = match clock.schedule.mode() {
            TimeMode::Simulated => None,
            TimeMode::Free => Some(clock.schedule.now().saturating_add(self.patience)),
        };
        let mut guard = clock.signal.lock();
        // Counted before the look, so that a call which is made meanwhile tells.
        self.progress.attend();
        let came = loop {
            let mut state = self.state();
            if ready(&mut state) {
                break true;
            }
            if deadline.is_some_and(|deadline| clock.schedule.now() >= deadline) {
                break false;
            }
            drop(state);
            let waited = catch_unwind(AssertUnwindSafe(|| guard.wait_until(deadline)));
            if let Err(panic) = waited {
                drop(guard);
                self.progress.dismiss(1);
                // The report of a stuck run is text; the end of a run that is over is not.
                if panic.is::<String>() {
                    let mut state = self.state();
                    if state.divergence.is_none() {
                        let report = super::diagnose::stuck(self, &state);
                        state.poison(&report);
                    }
                }
                resume_unwind(panic);
            }
        };
        self.progress.dismiss(1);
        came
    }

    /// Keeps the report if it is the first, and gives the client what it is to get: a panic, or the
    /// code to answer with.
    #[cold]
    pub(super) fn diverge(
        &self,
        mut state: MutexGuard<'_, State>,
        request: &Request<'_>,
        reason: Reason,
    ) -> IoReturn {
        let report = match &state.divergence {
            Some(first) => first.clone(),
            None => {
                let report = super::diagnose::diagnose(self, &state, request, reason);
                state.poison(&report);
                report
            }
        };
        if let OnDivergence::Answer(code) = self.on_divergence {
            state.invented += 1;
            return code;
        }
        drop(state);
        self.tell();
        self.poisoned(&report)
    }

    /// Panics with the report. A thread that unwinds already would abort by a second panic: it gets
    /// `kIOReturnAborted`, which nobody takes for an answer of the tape any more.
    #[cold]
    fn poisoned(&self, report: &Divergence) -> IoReturn {
        if std::thread::panicking() {
            return IoReturn::ABORTED;
        }
        panic!("{report}");
    }

    /// Fails where a replay that diverged must serve nothing more.
    #[inline]
    pub(super) fn check<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
    ) -> Option<MutexGuard<'a, State>> {
        match self.refuse(&state) {
            None => Some(state),
            Some(Refused::Poisoned(report)) => {
                drop(state);
                let _unwinding = self.poisoned(&report);
                None
            }
            Some(Refused::Missed(_) | Refused::Blocked(_)) => Some(state),
        }
    }
}

enum Refused {
    Poisoned(Divergence),
    Missed(StepIndex),
    Blocked(StepIndex),
}
