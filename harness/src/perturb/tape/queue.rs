//! Queues of completions and notices of a script.

use super::stage::{Stage, State};
use crate::call::{Completion, QueueId};
use crate::connection::{CompletionQueue, Notice, NoticeQueue, PostObserver};
use crate::perturb::operation::Operation;
use crate::tape::{Body, Sequence};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// What completions and notices have in common.
#[derive(Debug)]
struct Source {
    stage: Arc<Stage>,
    number: u32,
}

impl Source {
    /// Waits until `pop` finds something, or until the timeout.
    fn wait<T>(
        &self,
        timeout: Option<Duration>,
        mut pop: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let stage = &*self.stage;
        let deadline = timeout.map(|timeout| stage.schedule.now().saturating_add(timeout));
        let mut state = stage.now();
        loop {
            if let Some(found) = pop(&mut state) {
                return Some(found);
            }
            if deadline.is_some_and(|deadline| stage.schedule.now() >= deadline)
                || std::thread::panicking()
            {
                return None;
            }
            let next = state.next_due(stage);
            let until = match (next, deadline) {
                (Some(next), Some(deadline)) => Some(next.min(deadline)),
                (next, deadline) => next.or(deadline),
            };
            state.wait_until(until);
            drop(state);
            state = stage.now();
        }
    }

    fn enter(&self, timeout: Option<Duration>) -> Option<Sequence> {
        let stage = &*self.stage;
        let mut state = stage.now();
        let timeout = timeout.map(|it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX));
        let body = Body::Wait { queue: self.number, timeout };
        let log = state.log.as_mut()?;
        Some(log.append(stage.lane(), None, None, stage.schedule.now(), body))
    }

    fn leave(&self, enter: Option<Sequence>, timed_out: bool) {
        let stage = &*self.stage;
        let mut state = stage.now();
        if let Some(log) = &mut state.log {
            log.append(stage.lane(), None, enter, stage.schedule.now(), Body::Woke { timed_out });
        }
    }
}

/// A completion queue.
pub(super) struct PlayedQueue(Source);

impl PlayedQueue {
    pub(super) fn new(stage: &Arc<Stage>, number: u32) -> Self {
        Self(Source { stage: Arc::clone(stage), number })
    }

    pub(super) fn number(&self) -> u32 {
        self.0.number
    }

    fn pop(&self, state: &mut State, polls: bool) -> Option<Completion> {
        let Source { stage, number } = &self.0;
        let (completion, posted) = state.queues.get_mut(number)?.pop_front()?;
        if let Some(log) = &mut state.log {
            let lane = stage.lane();
            let polls = if polls { log.polls(lane, *number) } else { 0 };
            let connection = log.connection_of(posted);
            let body = Body::Delivered { queue: *number, polls };
            log.append(lane, connection, Some(posted), stage.schedule.now(), body);
        }
        Some(completion)
    }
}

impl CompletionQueue for PlayedQueue {
    fn id(&self) -> QueueId {
        QueueId(u64::from(self.0.number))
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Completion> {
        let stage = &self.0.stage;
        let passage = stage.gate.enter(Operation::Wait);
        let enter = self.0.enter(timeout);
        let wakes = passage.wakes;
        let came = match wakes {
            true => None,
            false => self.0.wait(timeout, |state| self.pop(state, false)),
        };
        stage.gate.leave(passage);
        if came.is_none() && !wakes && stage.state().may_have_come(stage, self.0.number) {
            stage.leave_tape("whether a completion comes when threads exchange what they do");
        }
        self.0.leave(enter, came.is_none());
        came
    }

    fn poll(&self) -> Option<Completion> {
        let stage = &self.0.stage;
        let passage = stage.gate.enter(Operation::Poll);
        let mut state = stage.now();
        let came = self.pop(&mut state, true);
        if came.is_none()
            && let Some(log) = &mut state.log
        {
            log.polled(stage.lane(), self.0.number);
        }
        drop(state);
        stage.gate.leave(passage);
        came
    }

    fn wake_when_ready(&self, waker: &Waker) {
        // Whoever polls is polled again: what comes is a matter of time, and time passes in waits.
        let (stage, waker) = (Arc::clone(&self.0.stage), waker.clone());
        let number = self.0.number;
        let schedule = stage.schedule.clone();
        schedule.spawn_daemon("a completion to wake for", move || {
            let source = Source { stage, number };
            let ready = |state: &mut State| {
                state.queues.get(&number).filter(|queue| !queue.is_empty()).map(|_| ())
            };
            if source.wait(None, ready).is_some() {
                waker.wake();
            }
        });
    }

    fn observe_posts(&self, _observer: PostObserver) -> bool {
        false
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl fmt::Debug for PlayedQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlayedQueue").field("number", &self.0.number).finish_non_exhaustive()
    }
}

/// A queue of notices.
pub(super) struct PlayedNotices(Source);

impl PlayedNotices {
    pub(super) fn new(stage: &Arc<Stage>, number: u32) -> Self {
        Self(Source { stage: Arc::clone(stage), number })
    }

    fn pop(&self, state: &mut State) -> Option<Notice> {
        let Source { stage, number } = &self.0;
        let notice = state.notices.get_mut(number)?.pop_front()?;
        if let Some(log) = &mut state.log {
            let service = u32::try_from(notice.service.0).unwrap_or(u32::MAX);
            let body = Body::Notice { queue: *number, kind: notice.kind, service };
            log.append(stage.lane(), None, None, stage.schedule.now(), body);
        }
        Some(notice)
    }
}

impl NoticeQueue for PlayedNotices {
    fn id(&self) -> QueueId {
        QueueId(u64::from(self.0.number))
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Notice> {
        let stage = &self.0.stage;
        let passage = stage.gate.enter(Operation::WaitForNotice);
        let enter = self.0.enter(timeout);
        let came = match passage.wakes {
            true => None,
            false => self.0.wait(timeout, |state| self.pop(state)),
        };
        stage.gate.leave(passage);
        self.0.leave(enter, came.is_none());
        came
    }

    fn poll(&self) -> Option<Notice> {
        let stage = &self.0.stage;
        let passage = stage.gate.enter(Operation::Poll);
        let came = self.pop(&mut stage.now());
        stage.gate.leave(passage);
        came
    }
}

impl fmt::Debug for PlayedNotices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlayedNotices").field("number", &self.0.number).finish_non_exhaustive()
    }
}
