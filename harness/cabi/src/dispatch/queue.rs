//! Queues.

use super::pool::{Task, submit};
use crate::cf::run_loop::wake_main;
use crate::cf::{Body, CfRef, DISPATCH_TYPE, Owned};
use crate::port::Signal;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) label: CString,
    kind: Kind,
    state: Mutex<State>,
    signal: Arc<Signal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Serial,
    Concurrent,
    Main,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// A thread is at the tasks of a serial queue.
    running: bool,
    suspended: u32,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

thread_local! {
    /// The queue whose work this thread is doing.
    static CURRENT: RefCell<Option<Arc<Queue>>> = const { RefCell::new(None) };
}

impl Queue {
    fn make(label: CString, kind: Kind) -> Arc<Self> {
        Arc::new(Self { label, kind, state: Mutex::default(), signal: Arc::default() })
    }

    /// The queue of a client's reference; it faults where that is something else.
    pub(super) fn of(reference: CfRef) -> Arc<Self> {
        if is_main(reference) {
            return Arc::clone(main_queue());
        }
        let found = reference.object().body.other::<Arc<Self>>();
        found.cloned().unwrap_or_else(|| crate::fault::fault())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it done some time.
    pub(super) fn push(self: &Arc<Self>, task: Task) {
        let mut state = self.state();
        if self.kind == Kind::Concurrent && state.suspended == 0 {
            drop(state);
            let queue = Arc::clone(self);
            submit(Box::new(move || queue.run(task)));
            return;
        }
        state.tasks.push_back(task);
        drop(state);
        self.go_on();
    }

    /// Begins with the tasks, if nobody is at them.
    fn go_on(self: &Arc<Self>) {
        if self.kind == Kind::Main {
            self.signal.notify();
            wake_main();
            return;
        }
        let mut state = self.state();
        if state.running || state.suspended > 0 || state.tasks.is_empty() {
            return;
        }
        if self.kind == Kind::Concurrent {
            let tasks = std::mem::take(&mut state.tasks);
            drop(state);
            for task in tasks {
                self.push(task);
            }
            return;
        }
        state.running = true;
        drop(state);
        let queue = Arc::clone(self);
        submit(Box::new(move || queue.drain()));
    }

    fn drain(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            let task = if state.suspended > 0 { None } else { state.tasks.pop_front() };
            let Some(task) = task else {
                state.running = false;
                return;
            };
            drop(state);
            self.run(task);
        }
    }

    fn run(self: &Arc<Self>, task: Task) {
        let before = CURRENT.with(|current| current.replace(Some(Arc::clone(self))));
        task();
        CURRENT.with(|current| *current.borrow_mut() = before);
    }

    /// Has it done, and waits for that.
    pub(super) fn push_and_wait(self: &Arc<Self>, task: Task) {
        let done = Arc::new(Signal::default());
        let other = Arc::clone(&done);
        self.push(Box::new(move || {
            task();
            other.notify();
        }));
        done.wait(None);
    }

    /// Does what waits on the main queue; true where there was something.
    pub(crate) fn serve_main(self: &Arc<Self>) -> bool {
        let mut served = false;
        loop {
            let task = self.state().tasks.pop_front();
            let Some(task) = task else { return served };
            served = true;
            self.run(task);
        }
    }

    /// Serves the main queue for ever.
    pub(super) fn serve_for_ever(self: &Arc<Self>) -> ! {
        loop {
            self.serve_main();
            self.signal.wait(None);
        }
    }

    pub(super) fn suspend(self: &Arc<Self>) {
        self.state().suspended += 1;
    }

    pub(super) fn resume(self: &Arc<Self>) {
        let mut state = self.state();
        state.suspended = state.suspended.saturating_sub(1);
        drop(state);
        self.go_on();
    }
}

/// The queue of the main thread.
pub(crate) fn main_queue() -> &'static Arc<Queue> {
    static MAIN: OnceLock<Arc<Queue>> = OnceLock::new();
    MAIN.get_or_init(|| Queue::make(c"com.apple.main-thread".to_owned(), Kind::Main))
}

/// What the client has as the main queue, and as the attribute of a concurrent one: addresses.
#[repr(C, align(8))]
#[derive(Debug)]
pub(crate) struct Place([u8; 64]);

impl Place {
    pub(super) const ZERO: Self = Self([0; 64]);
}

export_static! {
    static _dispatch_main_q: Place = Place::ZERO;
    static _dispatch_queue_attr_concurrent: Place = Place::ZERO;
}

pub(super) fn is_main(reference: CfRef) -> bool {
    reference.address() == (&raw const _dispatch_main_q).addr()
}

fn is_concurrent(attribute: CfRef) -> bool {
    attribute.address() == (&raw const _dispatch_queue_attr_concurrent).addr()
}

/// A new queue, for the client to release.
pub(super) fn create(label: CString, attribute: CfRef) -> CfRef {
    let kind = if is_concurrent(attribute) { Kind::Concurrent } else { Kind::Serial };
    Owned::make(Body::Other(DISPATCH_TYPE, Box::new(Queue::make(label, kind)))).give()
}

/// The queue that work goes to which is nobody's.
pub(super) fn global() -> CfRef {
    static GLOBAL: OnceLock<CfRef> = OnceLock::new();
    *GLOBAL.get_or_init(|| {
        let queue = Queue::make(c"com.apple.root.default-qos".to_owned(), Kind::Concurrent);
        Owned::immortal(Body::Other(DISPATCH_TYPE, Box::new(queue)))
    })
}

/// The label of the queue whose work this thread is doing.
pub(super) fn current_label() -> Option<Arc<Queue>> {
    CURRENT.with(|current| current.borrow().clone())
}
