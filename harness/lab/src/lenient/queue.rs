//! Queues of completions and of notices.

use super::key::Simple;
use super::state::Shared;
use dextape::IoReturn;
use dextape::call::{Completion, QueueId, Scalars};
use dextape::connection::{CompletionQueue, Notice, NoticeQueue, PostObserver};
use dextape::limits::{ASYNC_REFERENCE_MAX, ASYNC_RESERVED_INDEX};
use dextape::schedule::Monitor;
use dextape::tape::Body;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// What is on its way, by when it comes.
struct Inbox<T> {
    things: BTreeMap<(Duration, u64), T>,
    count: u64,
    wakers: Vec<Waker>,
}

/// Where things arrive at their time.
pub(super) struct Arrivals<T> {
    shared: Arc<Shared>,
    number: u32,
    inbox: Arc<Monitor<Inbox<T>>>,
}

impl<T: Copy + Send + 'static> Arrivals<T> {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let inbox = Inbox { things: BTreeMap::new(), count: 0, wakers: Vec::new() };
        let number = {
            let mut state = shared.state();
            state.queues += 1;
            state.queues
        };
        let inbox = Arc::new(Monitor::new(&shared.schedule, "a lenient queue", inbox));
        Self { shared: Arc::clone(shared), number, inbox }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn send(&self, thing: T, after: Duration) {
        let mut inbox = self.inbox.lock();
        inbox.count += 1;
        let at = (self.shared.schedule.now().saturating_add(after), inbox.count);
        inbox.things.insert(at, thing);
        let wakers = if after.is_zero() { std::mem::take(&mut inbox.wakers) } else { Vec::new() };
        drop(inbox);
        self.inbox.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        if !after.is_zero() {
            self.wake_at(after);
        }
    }

    /// Wakes those who do not wait but want to be told.
    fn wake_at(&self, after: Duration) {
        let (schedule, inbox) = (self.shared.schedule.clone(), Arc::clone(&self.inbox));
        if inbox.lock().wakers.is_empty() {
            return;
        }
        self.shared.schedule.spawn_daemon("a lenient queue", move || {
            schedule.sleep(after);
            let wakers = std::mem::take(&mut inbox.lock().wakers);
            wakers.into_iter().for_each(Waker::wake);
        });
    }

    pub(super) fn poll(&self) -> Option<T> {
        self.shared.count();
        let now = self.shared.schedule.now();
        let mut inbox = self.inbox.lock();
        let first = inbox.things.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    pub(super) fn wait(&self, timeout: Option<Duration>) -> Option<T> {
        let held = self.shared.enter(&[Simple::Wait { queue: self.number }.key()]);
        if let Some(operation) = held
            && self.ends_early(operation.enter, operation.leave)
        {
            self.shared.leave(operation);
            return None;
        }
        let came = self.wait_for(timeout);
        held.into_iter().for_each(|operation| self.shared.over(operation));
        came
    }

    fn wait_for(&self, timeout: Option<Duration>) -> Option<T> {
        let schedule = &self.shared.schedule;
        let deadline = timeout.map(|timeout| schedule.now().saturating_add(timeout));
        let mut inbox = self.inbox.lock();
        loop {
            let now = schedule.now();
            let first = inbox.things.first_entry();
            let due = first.as_ref().map(|first| first.key().0);
            match first {
                Some(first) if first.key().0 <= now => return Some(first.remove()),
                _ if deadline.is_some_and(|deadline| deadline <= now) => return None,
                _ => {}
            }
            let until = due.into_iter().chain(deadline).min();
            inbox.wait_until(until);
        }
    }

    /// A wait that ended on the tape with nothing and before its time.
    fn ends_early(&self, enter: usize, leave: Option<usize>) -> bool {
        let events = self.shared.tape.events();
        let Some(leave) = leave else { return false };
        let took = events[leave].time.saturating_sub(events[enter].time);
        match (&events[enter].body, &events[leave].body) {
            (Body::Wait { timeout, .. }, Body::Woke { timed_out: true }) => {
                timeout.is_none_or(|timeout| took < timeout)
            }
            _ => false,
        }
    }

    fn wake_when_ready(&self, waker: &Waker) {
        let now = self.shared.schedule.now();
        let mut inbox = self.inbox.lock();
        let first = inbox.things.first_key_value().map(|((due, _), _)| *due);
        match first {
            Some(due) if due <= now => waker.wake_by_ref(),
            _ => {
                inbox.wakers.push(waker.clone());
                drop(inbox);
                if let Some(due) = first {
                    self.wake_at(due.saturating_sub(now));
                }
            }
        }
    }
}

impl<T> fmt::Debug for Arrivals<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").field("number", &self.number).finish_non_exhaustive()
    }
}

/// A completion queue.
pub(super) struct LenientQueue {
    arrivals: Arrivals<Completion>,
    observers: Mutex<Vec<PostObserver>>,
}

impl LenientQueue {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { arrivals: Arrivals::new(shared), observers: Mutex::default() }
    }

    pub(super) fn post(&self, status: IoReturn, arguments: &[u64], given: &[u64], after: Duration) {
        let mut reference = [0; ASYNC_REFERENCE_MAX];
        reference.iter_mut().zip(given).for_each(|(entry, given)| *entry = *given);
        reference[ASYNC_RESERVED_INDEX] = 0;
        let completion = Completion { reference, status, arguments: Scalars::clamped(arguments) };
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        observers.iter().for_each(|observer| observer(&completion));
        self.arrivals.send(completion, after);
    }
}

/// The queue itself, for its own system.
pub(super) struct QueueHandle(pub(super) Arc<LenientQueue>);

impl fmt::Debug for QueueHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for LenientQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.arrivals, f)
    }
}

impl CompletionQueue for QueueHandle {
    fn id(&self) -> QueueId {
        QueueId(u64::from(self.0.arrivals.number()))
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Completion> {
        self.0.arrivals.wait(timeout)
    }

    fn poll(&self) -> Option<Completion> {
        self.0.arrivals.poll()
    }

    fn wake_when_ready(&self, waker: &Waker) {
        self.0.arrivals.wake_when_ready(waker);
    }

    fn observe_posts(&self, observer: PostObserver) -> bool {
        self.0.observers.lock().unwrap_or_else(PoisonError::into_inner).push(observer);
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A queue of notices.
#[derive(Debug)]
pub(super) struct LenientNotices(pub(super) Arrivals<Notice>);

impl NoticeQueue for LenientNotices {
    fn id(&self) -> QueueId {
        QueueId(u64::from(self.0.number()))
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Notice> {
        self.0.wait(timeout)
    }

    fn poll(&self) -> Option<Notice> {
        self.0.poll()
    }

    fn wake_when_ready(&self, waker: &Waker) -> bool {
        self.0.wake_when_ready(waker);
        true
    }
}
