//! Queues of completions and notices that are served from the tape.

use super::crossing::Taken;
use super::program::{Kind, Outcome, Program, StepIndex};
use super::request::Request;
use super::session::{Clock, Session};
use crate::call::{Completion, QueueId, ServiceId};
use crate::connection::{CompletionQueue, Notice, NoticeQueue, PostObserver};
use crate::limits::ASYNC_RESERVED_INDEX;
use std::any::Any;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// What a wait or poll gave.
enum Given {
    Step(StepIndex),
    /// To a client that crosses a gap: a completion of the tape, with the reference that the client gave.
    InGap(u32, Option<Vec<u64>>),
}

/// What completions and notices have in common.
struct Source {
    session: Arc<Session>,
    clock: Arc<Clock>,
    number: u32,
    /// Its stream under `ordered`.
    stream: u32,
    /// Polls since the last one that found something.
    spins: AtomicU64,
}

impl Source {
    fn new(session: &Arc<Session>, clock: &Arc<Clock>, number: u32) -> Self {
        let stream = Program::stream_of(&session.program.queue_streams, number);
        let (session, clock) = (Arc::clone(session), Arc::clone(clock));
        Self { session, clock, number, stream, spins: AtomicU64::new(0) }
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Given> {
        let nanoseconds = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let request = Request::Wait { queue: self.number, timeout: timeout.map(nanoseconds) };
        match self.session.wait_across(&self.clock, self.number, timeout, &request) {
            Taken::AsHeld => {}
            Taken::Nothing => return None,
            Taken::Completion(post, reference) => return Some(Given::InGap(post, reference)),
        }
        // An invented answer of a wait is that nothing came.
        let step = self.session.perform(&self.clock, self.stream, &request).ok()?;
        self.session.leave_wait(&self.clock, step, &request).ok().map(Given::Step)
    }

    fn poll(&self, request: &Request<'_>) -> Option<Given> {
        match self.session.poll_across(&self.clock, self.number, request) {
            Taken::AsHeld => {}
            Taken::Nothing => return None,
            Taken::Completion(post, reference) => return Some(Given::InGap(post, reference)),
        }
        self.session.poll(&self.clock, self.stream, request, &self.spins).map(Given::Step)
    }

    fn wake_when_ready(&self, kind: Kind, waker: &Waker) {
        let session = &self.session;
        let mut state = session.state();
        // Counted before the look, so that a call which is made meanwhile tells.
        session.progress.attend();
        if state.divergence.is_some() || session.is_ready(&state, kind, self.number) {
            session.progress.dismiss(1);
            drop(state);
            waker.wake_by_ref();
        } else {
            state.wakers.push((kind, self.number, waker.clone()));
        }
    }

    fn outcome(&self, step: StepIndex) -> Outcome {
        let program = &self.session.program;
        let outcome = program.outcomes.get(program.step(step).outcome as usize);
        outcome.copied().unwrap_or(Outcome::Unknown)
    }

    fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name).field("number", &self.number).finish_non_exhaustive()
    }
}

/// A completion queue of a tape.
pub(super) struct ReplayQueue {
    source: Source,
    observers: Mutex<Vec<PostObserver>>,
}

impl ReplayQueue {
    pub(super) fn new(session: &Arc<Session>, clock: &Arc<Clock>, number: u32) -> Self {
        Self { source: Source::new(session, clock, number), observers: Mutex::default() }
    }

    /// Its number, if it is one of this session.
    pub(super) fn number_in(&self, session: &Arc<Session>) -> Option<u32> {
        Arc::ptr_eq(&self.source.session, session).then_some(self.source.number)
    }

    fn completion(&self, given: Given) -> Option<Completion> {
        let (post, in_gap) = match given {
            Given::InGap(post, reference) => (post, reference),
            Given::Step(step) => match self.source.outcome(step) {
                Outcome::Completion(post) => (post, None),
                _ => return None,
            },
        };
        let session = &self.source.session;
        let post = &session.program.posts[post as usize];
        let mut reference = post.reference;
        let mut state = session.state();
        let given = in_gap.or_else(|| state.references.get(&post.call).cloned());
        let given =
            given.or_else(|| session.pending_reference(&mut state, post, self.source.number));
        drop(state);
        if let Some(given) = &given {
            // Entries come back as the client gave them (D8), also where a rule lets them differ.
            for (entry, given) in reference.iter_mut().zip(given) {
                *entry = *given;
            }
            reference[ASYNC_RESERVED_INDEX] = 0;
        }
        let completion = Completion { reference, status: post.status, arguments: post.arguments };
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        observers.iter().for_each(|observer| observer(&completion));
        Some(completion)
    }
}

impl CompletionQueue for ReplayQueue {
    fn id(&self) -> QueueId {
        QueueId(u64::from(self.source.number))
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Completion> {
        let step = self.source.wait(timeout)?;
        self.completion(step)
    }

    fn poll(&self) -> Option<Completion> {
        let step = self.source.poll(&Request::Take { queue: self.source.number })?;
        self.completion(step)
    }

    fn wake_when_ready(&self, waker: &Waker) {
        self.source.wake_when_ready(Kind::Take, waker);
    }

    /// A replayed completion reaches the queue at the moment at which it is taken.
    fn observe_posts(&self, observer: PostObserver) -> bool {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner).push(observer);
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl fmt::Debug for ReplayQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.debug(f, "ReplayQueue")
    }
}

/// A queue of notices of a tape.
pub(super) struct ReplayNotices(Source);

impl ReplayNotices {
    pub(super) fn new(session: &Arc<Session>, clock: &Arc<Clock>, number: u32) -> Self {
        Self(Source::new(session, clock, number))
    }

    fn notice(&self, given: Given) -> Option<Notice> {
        let Given::Step(step) = given else { return None };
        match self.0.outcome(step) {
            Outcome::Notice(kind, service) => {
                Some(Notice { kind, service: ServiceId(u64::from(service)) })
            }
            _ => None,
        }
    }
}

impl NoticeQueue for ReplayNotices {
    fn id(&self) -> QueueId {
        QueueId(u64::from(self.0.number))
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Notice> {
        let step = self.0.wait(timeout)?;
        self.notice(step)
    }

    fn poll(&self) -> Option<Notice> {
        let step = self.0.poll(&Request::TakeNotice { queue: self.0.number })?;
        self.notice(step)
    }

    fn wake_when_ready(&self, waker: &Waker) -> bool {
        self.0.wake_when_ready(Kind::TakeNotice, waker);
        true
    }
}

impl fmt::Debug for ReplayNotices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug(f, "ReplayNotices")
    }
}
