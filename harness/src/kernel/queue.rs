//! The client's completion queues: on a Mac the port of an `IONotificationPort`.

use crate::boundary::Rules;
use crate::boundary::completion::{Enqueue, enqueue};
use crate::boundary::message::may_receive;
use crate::call::{Completion, QueueId};
use crate::connection::{CompletionQueue, PostObserver};
use crate::schedule::{Monitor, Schedule, TaskId};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// A client's handle of a port. With the last handle the port is gone (D19): actions hold it weakly.
#[derive(Debug)]
pub(super) struct MockQueue {
    port: Arc<Port>,
}

impl MockQueue {
    pub(super) fn new(schedule: &Schedule, rules: Rules, system: u64, id: QueueId) -> Self {
        let state = Monitor::new(schedule, "a completion", State::default());
        let maker = schedule.current();
        Self { port: Arc::new(Port { id, system, rules, maker, state }) }
    }

    pub(super) fn port(&self) -> &Arc<Port> {
        &self.port
    }
}

/// The port itself.
pub(super) struct Port {
    id: QueueId,
    /// The system that it belongs to: in others it is no receive right (D5).
    system: u64,
    rules: Rules,
    /// Who made it, which is of no matter (D22).
    maker: Option<TaskId>,
    state: Monitor<State>,
}

#[derive(Default)]
struct State {
    completions: VecDeque<Completion>,
    wakers: Vec<Waker>,
    observers: Vec<PostObserver>,
}

impl Port {
    pub(super) fn system(&self) -> u64 {
        self.system
    }

    /// The oldest completion, for whoever asks (D22).
    fn take(&self, state: &mut State) -> Option<Completion> {
        let is_maker = self.state.schedule().current() == self.maker;
        if may_receive(self.rules, is_maker) { state.completions.pop_front() } else { None }
    }

    /// A completion reaches the port (D17, D18).
    pub(super) fn post(&self, completion: Completion) {
        let mut state = self.state.lock();
        match enqueue(self.rules, state.completions.len()) {
            Enqueue::Drop => return,
            Enqueue::Last => state.completions.push_back(completion),
            Enqueue::First => state.completions.push_front(completion),
        }
        // Still under the lock, so that no waiter has it before its observers have seen it.
        for observer in &state.observers {
            observer(&completion);
        }
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.state.notify_all();
        for waker in wakers {
            waker.wake();
        }
    }
}

impl CompletionQueue for MockQueue {
    fn id(&self) -> QueueId {
        self.port.id
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Completion> {
        let monitor = &self.port.state;
        let deadline = timeout.map(|timeout| monitor.schedule().now().saturating_add(timeout));
        let mut state = monitor.lock();
        loop {
            if let Some(completion) = self.port.take(&mut state) {
                return Some(completion);
            }
            if deadline.is_some_and(|deadline| monitor.schedule().now() >= deadline) {
                return None;
            }
            state.wait_until(deadline);
        }
    }

    fn poll(&self) -> Option<Completion> {
        self.port.take(&mut self.port.state.lock())
    }

    fn wake_when_ready(&self, waker: &Waker) {
        let mut state = self.port.state.lock();
        if !state.completions.is_empty() {
            drop(state);
            waker.wake_by_ref();
        } else if !state.wakers.iter().any(|known| known.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
    }

    fn observe_posts(&self, observer: PostObserver) -> bool {
        self.port.state.lock().observers.push(observer);
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IoReturn;
    use crate::call::Scalars;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    fn completion(argument: u64) -> Completion {
        let arguments = Scalars::clamped(&[argument]);
        Completion { reference: [0; 8], status: IoReturn::SUCCESS, arguments }
    }

    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_waker_is_woken_once_for_a_completion_and_at_once_where_one_is_there() {
        let queue = MockQueue::new(&Schedule::free(), Rules::all(), 1, QueueId(1));
        let counting = Arc::new(Counting(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&counting));
        queue.wake_when_ready(&waker);
        queue.wake_when_ready(&waker);
        assert_eq!(counting.0.load(Ordering::SeqCst), 0);
        queue.port().post(completion(1));
        queue.port().post(completion(2));
        assert_eq!(counting.0.load(Ordering::SeqCst), 1);
        queue.wake_when_ready(&waker);
        assert_eq!(counting.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn an_observer_sees_a_completion_before_a_waiter_has_it() {
        let order = Schedule::simulate(1, |schedule| {
            let queue = MockQueue::new(schedule, Rules::all(), 1, QueueId(1));
            let order = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&order);
            queue.observe_posts(Arc::new(move |completion| {
                seen.lock().unwrap().push(("posted", completion.arguments[0]));
            }));
            let port = Arc::clone(queue.port());
            drop(schedule.spawn("device", move || port.post(completion(7))));
            let taken = queue.wait(None).unwrap();
            order.lock().unwrap().push(("taken", taken.arguments[0]));
            assert_eq!(queue.wait(Some(Duration::from_millis(3))), None);
            assert_eq!(schedule.now(), Duration::from_millis(3));
            order.lock().unwrap().clone()
        });
        assert_eq!(order, [("posted", 7), ("taken", 7)]);
    }
}
