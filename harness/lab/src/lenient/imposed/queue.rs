//! A queue of the mock's completions and of those that a tape imposes.

use dextape::IoReturn;
use dextape::call::{Completion, QueueId, Scalars};
use dextape::connection::{CompletionQueue, PostObserver};
use dextape::limits::{ASYNC_REFERENCE_MAX, ASYNC_RESERVED_INDEX};
use dextape::schedule::{Monitor, Schedule};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// What is on its way beside the mock's.
#[derive(Default)]
struct Inbox {
    /// By when they come.
    imposed: BTreeMap<(Duration, u64), Completion>,
    count: u64,
    /// Completions that the mock has posted so far.
    posted: u64,
    wakers: Vec<Waker>,
}

pub(super) struct ImposedQueue {
    mock: Arc<dyn CompletionQueue>,
    schedule: Schedule,
    inbox: Arc<Monitor<Inbox>>,
    observers: Mutex<Vec<PostObserver>>,
}

impl ImposedQueue {
    pub(super) fn new(mock: Arc<dyn CompletionQueue>, schedule: &Schedule) -> Self {
        let inbox = Arc::new(Monitor::new(schedule, "a queue over a mock", Inbox::default()));
        let told = Arc::clone(&inbox);
        // A mock's queue can be observed.
        let _can = mock.observe_posts(Arc::new(move |_: &Completion| {
            told.lock().posted += 1;
            told.notify_all();
        }));
        Self { mock, schedule: schedule.clone(), inbox, observers: Mutex::default() }
    }

    /// The mock's own.
    pub(super) fn mock(&self) -> &Arc<dyn CompletionQueue> {
        &self.mock
    }

    /// A completion of the tape comes after that time.
    pub(super) fn post(&self, status: IoReturn, arguments: &[u64], given: &[u64], after: Duration) {
        let mut reference = [0; ASYNC_REFERENCE_MAX];
        reference.iter_mut().zip(given).for_each(|(entry, given)| *entry = *given);
        reference[ASYNC_RESERVED_INDEX] = 0;
        let completion = Completion { reference, status, arguments: Scalars::clamped(arguments) };
        let mut inbox = self.inbox.lock();
        inbox.count += 1;
        let at = (self.schedule.now().saturating_add(after), inbox.count);
        inbox.imposed.insert(at, completion);
        drop(inbox);
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if after.is_zero() {
            arrived(&self.inbox, &observers, &completion);
            return;
        }
        let (schedule, inbox) = (self.schedule.clone(), Arc::clone(&self.inbox));
        self.schedule.spawn_daemon("a queue over a mock", move || {
            schedule.sleep(after);
            arrived(&inbox, &observers, &completion);
        });
    }

    fn imposed(&self) -> Option<Completion> {
        let now = self.schedule.now();
        let mut inbox = self.inbox.lock();
        let first = inbox.imposed.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }
}

/// Tells of a completion whose time has come.
fn arrived(inbox: &Monitor<Inbox>, observers: &[PostObserver], completion: &Completion) {
    observers.iter().for_each(|observer| observer(completion));
    let wakers = std::mem::take(&mut inbox.lock().wakers);
    inbox.notify_all();
    wakers.into_iter().for_each(Waker::wake);
}

impl CompletionQueue for ImposedQueue {
    fn id(&self) -> QueueId {
        self.mock.id()
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Completion> {
        let deadline = timeout.map(|timeout| self.schedule.now().saturating_add(timeout));
        loop {
            // The mock is asked without the lock: it tells of a completion under its own.
            let posted = self.inbox.lock().posted;
            if let Some(came) = self.poll() {
                return Some(came);
            }
            if deadline.is_some_and(|deadline| self.schedule.now() >= deadline) {
                return None;
            }
            let mut inbox = self.inbox.lock();
            if inbox.posted == posted {
                let due = inbox.imposed.first_key_value().map(|((due, _), _)| *due);
                inbox.wait_until(due.into_iter().chain(deadline).min());
            }
        }
    }

    fn poll(&self) -> Option<Completion> {
        self.imposed().or_else(|| self.mock.poll())
    }

    fn wake_when_ready(&self, waker: &Waker) {
        let now = self.schedule.now();
        let mut inbox = self.inbox.lock();
        if inbox.imposed.first_key_value().is_some_and(|((due, _), _)| *due <= now) {
            waker.wake_by_ref();
            return;
        }
        inbox.wakers.push(waker.clone());
        drop(inbox);
        self.mock.wake_when_ready(waker);
    }

    fn observe_posts(&self, observer: PostObserver) -> bool {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&observer));
        self.mock.observe_posts(observer)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl fmt::Debug for ImposedQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImposedQueue").field("mock", &self.mock).finish_non_exhaustive()
    }
}
