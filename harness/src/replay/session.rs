//! One replay: how an operation of the client finds its step, waits for its turn, or diverges.

use super::crossing::{Come, NO_SHIFT};
use super::diagnose::Reason;
use super::patches::NotKept;
use super::plain::Route;
use super::program::{EventIndex, Flags, Kind, LaneIndex, Program, StepIndex};
use super::progress::Progress;
use super::request::Request;
use super::state::State;
use super::{Divergence, OnDivergence, Policy, ReplayOptions};
use crate::IoReturn;
use crate::protocol::Protocol;
use crate::schedule::{Monitor, Schedule, TimeMode};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A replay, shared by its systems, connections, queues and memories.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) program: Program,
    pub(super) policy: Policy,
    /// Whose names reports have.
    pub(super) protocol: Option<Arc<Protocol>>,
    on_divergence: OnDivergence,
    patience: Duration,
    /// How plain calls go.
    pub(super) route: Route,
    /// Threads are told apart: the policy needs lanes, and the tape has several.
    pub(super) by_thread: bool,
    pub(super) progress: Arc<Progress>,
    state: Mutex<State>,
    /// By how much the client is later where it has come to behind a gap than the tape, in nanoseconds.
    pub(super) shift: AtomicI64,
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
    pub(super) base: Option<Duration>,
}

/// A step that the client has entered, or the code that it is answered with instead.
pub(super) type Entered = Result<StepIndex, IoReturn>;

/// What came of a look for a step.
pub(super) enum Attempt {
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
        let by_thread = matches!(policy, Policy::Exact | Policy::Lanes | Policy::AcrossGaps)
            && program.lanes.len() > 1;
        Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            program,
            policy,
            route,
            protocol: options.protocol.clone(),
            on_divergence: options.on_divergence,
            patience: options.patience,
            by_thread,
            progress,
            state: Mutex::new(state),
            shift: AtomicI64::new(NO_SHIFT),
            signals: Mutex::default(),
        }
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
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
    pub(super) fn entered(
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
            found = Some(loop {
                break match self.attempt(state, clock, stream, request) {
                    Attempt::Entered(step) => Ok((step, during(state, step))),
                    Attempt::Blocked(step) => Err(Refused::Blocked(step)),
                    Attempt::Missed(expected) => match self.come(state, clock, request) {
                        Come::NotAtGap => Err(Refused::Missed(expected)),
                        Come::LinedUp => continue,
                        Come::Lenient(lane) => {
                            let answer = self.answer_leniently(state, clock, lane, request);
                            if let Ok(Some(step)) = answer
                                && is_state(request)
                            {
                                let _kept = during(state, step);
                            }
                            Err(answer.map_or_else(Refused::Endless, Refused::Lenient))
                        }
                    },
                };
            });
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
            Some(Err(Refused::Lenient(step))) => {
                step.into_iter().for_each(|step| self.pass_lenient_time(clock, step));
                self.tell();
                step.ok_or(IoReturn::SUCCESS)
            }
            Some(Err(Refused::Endless(lane))) => {
                Err(self.diverge(self.state(), request, Reason::NeverAcross(lane)))
            }
            // The wait always asks at least once.
            None => Err(IoReturn::ABORTED),
        }
    }

    /// Why nothing more is served, if so.
    pub(super) fn refuse(&self, state: &State) -> Option<Refused> {
        match (&state.divergence, self.on_divergence) {
            (Some(report), OnDivergence::Panic) => Some(Refused::Poisoned(report.clone())),
            _ => None,
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
        let (ready, waiting) = wakers.into_iter().partition(|(kind, queue, _)| {
            state.divergence.is_some() || self.is_ready(state, *kind, *queue)
        });
        state.wakers = waiting;
        let ready: Vec<_> = ready;
        self.progress.dismiss(ready.len() as u32);
        ready.into_iter().map(|(_, _, waker)| waker).collect()
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
    pub(super) fn pass_time(&self, clock: &Clock, index: StepIndex) {
        let step = self.program.step(index);
        if step.flags.has(Flags::TIME)
            && !self.is_lenient(index)
            && let Some(due) = self.due(clock, step.leave)
        {
            let left = due.saturating_sub(clock.schedule.now());
            if !left.is_zero() {
                clock.schedule.sleep(left);
            }
        }
    }

    /// When an event is due, in the time of the client's schedule; `None` where that does not follow the
    /// tape.
    pub(super) fn due(&self, clock: &Clock, event: EventIndex) -> Option<Duration> {
        let base = clock.base?;
        let time = self.program.event(event).time;
        match &self.program.segments {
            None => Some(base.saturating_add(Duration::from_nanos(time))),
            Some(segments) => self.due_across(segments, base, event, time),
        }
    }

    /// Lets the virtual time of a read of registers pass: up to when it was recorded, or a little where
    /// it was not, so that a client which reads until some time comes to its end.
    #[cold]
    pub(super) fn pass_read_time(&self, clock: &Clock, recorded: Option<EventIndex>) {
        const READ_TIME: Duration = Duration::from_micros(1);
        if clock.base.is_none() {
            return;
        }
        let left = recorded.map_or(READ_TIME, |event| {
            let due = self.due(clock, event).unwrap_or_default();
            due.saturating_sub(clock.schedule.now())
        });
        if !left.is_zero() {
            clock.schedule.sleep(left);
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
    pub(super) fn poisoned(&self, report: &Divergence) -> IoReturn {
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
            Some(_) => Some(state),
        }
    }
}

/// Why nothing is served.
pub(super) enum Refused {
    Poisoned(Divergence),
    Missed(StepIndex),
    Blocked(StepIndex),
    /// Served from something like it, or from nothing.
    Lenient(Option<StepIndex>),
    /// The crossing of a gap has no end.
    Endless(Option<LaneIndex>),
}

/// True for what changes what the client holds: a lenient answer changes it, too.
const fn is_state(request: &Request<'_>) -> bool {
    matches!(request, Request::Map { .. } | Request::Unmap { .. } | Request::Other { .. })
}
