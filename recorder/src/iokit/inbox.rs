//! Where messages wait for their client, once a thread has received them.

use dextape::schedule::{Monitor, Schedule};
use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

/// A bounded queue between the thread that receives and the threads of the client. When it is full the
/// receiver waits, so that the port behind it fills and the kernel's own limit applies (D18).
#[derive(Debug)]
pub(super) struct Inbox<T> {
    state: Monitor<State<T>>,
    limit: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    wakers: Vec<Waker>,
    closed: bool,
}

impl<T> Inbox<T> {
    pub(super) fn new(schedule: &Schedule, what: &'static str, limit: usize) -> Self {
        let state = State { waiting: VecDeque::new(), wakers: Vec::new(), closed: false };
        Self { state: Monitor::new(schedule, what, state), limit }
    }

    /// Adds one, after waiting for room. It is dropped where the inbox has been closed.
    pub(super) fn push(&self, item: T) {
        let mut state = self.state.lock();
        while state.waiting.len() >= self.limit && !state.closed {
            state.wait_until(None);
        }
        if state.closed {
            return;
        }
        state.waiting.push_back(item);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.state.notify_all();
        for waker in wakers {
            waker.wake();
        }
    }

    /// Takes the oldest, waiting for it up to `timeout` or for ever.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Option<T> {
        // A deadline that no clock reaches is none.
        let deadline = timeout.and_then(|time| self.state.schedule().now().checked_add(time));
        let mut state = self.state.lock();
        loop {
            if let Some(item) = state.waiting.pop_front() {
                drop(state);
                self.state.notify_all();
                return Some(item);
            }
            if deadline.is_some_and(|deadline| self.state.schedule().now() >= deadline) {
                return None;
            }
            state.wait_until(deadline);
        }
    }

    /// Takes the oldest if there is one.
    pub(super) fn poll(&self) -> Option<T> {
        let item = self.state.lock().waiting.pop_front()?;
        self.state.notify_all();
        Some(item)
    }

    /// Has `waker` woken once when there is something to take; at once where there is.
    pub(super) fn wake_when_ready(&self, waker: &Waker) {
        let mut state = self.state.lock();
        if state.waiting.is_empty() {
            if !state.wakers.iter().any(|known| known.will_wake(waker)) {
                state.wakers.push(waker.clone());
            }
        } else {
            drop(state);
            waker.wake_by_ref();
        }
    }

    /// Lets go of a receiver that waits for room, and takes nothing any more.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.state.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[test]
    fn a_full_inbox_makes_the_receiver_wait_and_keeps_the_order() {
        Schedule::simulate(1, |schedule| {
            let inbox = Arc::new(Inbox::new(schedule, "inbox", 2));
            let (pushed, receiver) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&inbox));
            let counter = Arc::clone(&pushed);
            let task = schedule.spawn("receiver", move || {
                for item in 0..5 {
                    receiver.push(item);
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
            schedule.sleep(Duration::from_secs(1));
            assert_eq!(pushed.load(Ordering::Relaxed), 2, "the third waits for room");
            let taken: Vec<_> = (0..5).map(|_| inbox.wait(None)).collect();
            assert_eq!(taken, (0..5).map(Some).collect::<Vec<_>>());
            task.join();
            assert_eq!(inbox.poll(), None);
        });
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        Schedule::simulate(1, |schedule| {
            let inbox: Inbox<u8> = Inbox::new(schedule, "inbox", 1);
            assert_eq!(inbox.wait(Some(Duration::from_millis(5))), None);
            assert_eq!(schedule.now(), Duration::from_millis(5));
        });
    }

    #[test]
    fn closing_frees_a_receiver_that_waits() {
        Schedule::simulate(1, |schedule| {
            let inbox = Arc::new(Inbox::new(schedule, "inbox", 1));
            inbox.push(1);
            let receiver = Arc::clone(&inbox);
            let task = schedule.spawn("receiver", move || receiver.push(2));
            schedule.sleep(Duration::from_secs(1));
            inbox.close();
            task.join();
            assert_eq!((inbox.poll(), inbox.poll()), (Some(1), None));
        });
    }

    #[test]
    fn a_waker_is_woken_once_per_registration() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let inbox = Inbox::new(&Schedule::free(), "inbox", 8);
        inbox.wake_when_ready(&waker);
        inbox.wake_when_ready(&waker);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        inbox.push(1);
        inbox.push(2);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        inbox.wake_when_ready(&waker);
        assert_eq!(count.0.load(Ordering::Relaxed), 2, "there is one already");
    }
}
