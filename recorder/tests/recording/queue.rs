//! Queues of the test device.

use dextape::call::{Completion, QueueId};
use dextape::connection::{CompletionQueue, Notice, NoticeQueue, PostObserver};
use dextape::schedule::{Monitor, Schedule};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

/// A queue of anything, with a wait.
#[derive(Debug)]
pub(crate) struct Fifo<T> {
    items: Monitor<VecDeque<T>>,
}

impl<T> Fifo<T> {
    pub(crate) fn new(schedule: &Schedule) -> Self {
        Self { items: Monitor::new(schedule, "the test queue", VecDeque::new()) }
    }

    pub(crate) fn push(&self, item: T) {
        self.items.lock().push_back(item);
        self.items.notify_all();
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<T> {
        let schedule = self.items.schedule();
        let deadline = timeout.map(|timeout| schedule.now().saturating_add(timeout));
        let mut items = self.items.lock();
        loop {
            if let Some(item) = items.pop_front() {
                return Some(item);
            }
            if deadline.is_some_and(|deadline| schedule.now() >= deadline) {
                return None;
            }
            items.wait_until(deadline);
        }
    }

    fn poll(&self) -> Option<T> {
        self.items.lock().pop_front()
    }
}

/// A port of the test device, as the device holds it.
pub(crate) struct Port {
    pub(crate) id: QueueId,
    /// Address of the device that it belongs to, compared and never followed.
    pub(crate) device: usize,
    pub(crate) fifo: Fifo<Completion>,
    pub(crate) observers: Mutex<Vec<PostObserver>>,
    pub(crate) wakers: Mutex<Vec<Waker>>,
    pub(crate) shows_posts: bool,
}

impl Port {
    pub(crate) fn post(&self, completion: Completion) {
        for observer in &*self.observers.lock().unwrap() {
            observer(&completion);
        }
        self.fifo.push(completion);
        self.wakers.lock().unwrap().drain(..).for_each(Waker::wake);
    }
}

/// A port of the test device, as the client holds it.
#[derive(Debug)]
pub(crate) struct TestQueue(pub(crate) Arc<Port>);

impl CompletionQueue for TestQueue {
    fn id(&self) -> QueueId {
        self.0.id
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Completion> {
        self.0.fifo.wait(timeout)
    }

    fn poll(&self) -> Option<Completion> {
        self.0.fifo.poll()
    }

    fn wake_when_ready(&self, waker: &Waker) {
        self.0.wakers.lock().unwrap().push(waker.clone());
    }

    fn observe_posts(&self, observer: PostObserver) -> bool {
        if self.0.shows_posts {
            self.0.observers.lock().unwrap().push(observer);
        }
        self.0.shows_posts
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct TestNotices {
    pub(crate) id: QueueId,
    pub(crate) fifo: Arc<Fifo<Notice>>,
}

impl NoticeQueue for TestNotices {
    fn id(&self) -> QueueId {
        self.id
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Notice> {
        self.fifo.wait(timeout)
    }

    fn poll(&self) -> Option<Notice> {
        self.fifo.poll()
    }
}
