//! `IODispatchQueue`: a serial queue of handlers.

mod sleep;

use super::object::{Object, Payload, handle};
use super::process::{Context, HandlerContext};
use crate::IoReturn;
use crate::schedule::{Monitor, MonitorGuard, Schedule};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

/// A serial queue: its handlers run one at a time, in order, in the dext's process.
///
/// They run on a daemon task of the schedule that is started with the first handler. The queue ends
/// when it is released and what was dispatched has run, or with its process. Whoever runs on a
/// [reentrant](QueueOptions::REENTRANT) queue can [`sleep`](Self::sleep) and leave it to others
/// meanwhile.
///
/// # Examples
///
/// ```
/// use dextape::driverkit::{DextProcess, DispatchQueue, OsObject, os_log};
/// use dextape::schedule::Schedule;
///
/// let log = Schedule::simulate(1, |schedule| {
///     let process = DextProcess::new("com.example.dext", schedule);
///     let _inside = process.enter();
///     let queue = DispatchQueue::create("work").unwrap();
///     queue.dispatch_async(|| os_log("second"));
///     os_log("first");
///     queue.dispatch_sync(|| os_log("third"));
///     queue.release();
///     process.log()
/// });
/// assert_eq!(log, ["first", "second", "third"]);
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "IODispatchQueue")]
pub struct DispatchQueue {
    pub(super) object: Arc<Object<QueuePayload>>,
}

/// What a queue is made for: bits of `IODispatchQueue::Create`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueOptions(pub u64);

impl QueueOptions {
    /// Nothing special: who runs on the queue has it until done.
    pub const NONE: Self = Self(0);
    /// `kIODispatchQueueReentrant`: who runs on the queue may release it with
    /// [`DispatchQueue::sleep`].
    pub const REENTRANT: Self = Self(1);

    /// True where every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

pub(crate) struct QueuePayload {
    core: Arc<QueueCore>,
    /// False for a copy of a queue that the system holds.
    owned: bool,
    canceled: AtomicBool,
}

impl QueuePayload {
    fn new(core: Arc<QueueCore>, owned: bool) -> Self {
        Self { core, owned, canceled: AtomicBool::new(false) }
    }
}

impl Payload for QueuePayload {
    const CLASS: &'static str = "IODispatchQueue";

    fn freed(&self) {
        if self.owned {
            self.core.release();
        }
    }

    fn killed(&self) {
        self.core.stop();
    }
}

handle!(DispatchQueue, QueuePayload);

impl DispatchQueue {
    /// A serial queue of that name, with one reference.
    ///
    /// # Errors
    ///
    /// None that this mock brings about; the real one may lack memory.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "Create")]
    pub fn create(name: &str) -> Result<Self, IoReturn> {
        Self::create_with_options(name, QueueOptions::NONE)
    }

    /// As [`create`](Self::create), with options.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Panics
    ///
    /// As [`create`](Self::create).
    #[track_caller]
    #[doc(alias = "Create")]
    pub fn create_with_options(name: &str, options: QueueOptions) -> Result<Self, IoReturn> {
        let Some((process, _)) = Context::process_and_client() else {
            panic!("failed to make queue {name}: the thread works for no dext process");
        };
        let core = QueueCore::with_options(name, process.schedule(), options);
        Ok(Self { object: Object::create(QueuePayload::new(core, true)) })
    }

    /// The queue that the service or user client is called on which the thread works for: handlers
    /// on it never run beside its methods. It has one reference of the caller's.
    ///
    /// # Errors
    ///
    /// `kIOReturnNotFound` where the system has made no such queue yet.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "CopyDispatchQueue")]
    pub fn copy_default() -> Result<Self, IoReturn> {
        let Some((process, client)) = Context::process_and_client() else {
            panic!("failed to copy the default queue: the thread works for no dext process");
        };
        let core = process.default_queue(client).ok_or(IoReturn::NOT_FOUND)?;
        Ok(Self { object: Object::create(QueuePayload::new(core, false)) })
    }

    /// The queue's name.
    #[must_use]
    #[doc(alias = "GetName")]
    pub fn name(&self) -> &str {
        &self.object.payload.core.name
    }

    /// Runs `handler` after those that were dispatched before.
    #[track_caller]
    #[doc(alias = "DispatchAsync")]
    pub fn dispatch_async(&self, handler: impl FnOnce() + Send + 'static) {
        if self.takes()
            && let Some(context) = Context::for_handler().or_else(|| self.own_context())
        {
            self.object.payload.core.dispatch(Job::of_dext(context, handler));
        }
    }

    /// Runs `handler` once `delay` of the schedule's time has passed and those due before have run.
    #[track_caller]
    pub fn dispatch_after(&self, delay: Duration, handler: impl FnOnce() + Send + 'static) {
        if self.takes()
            && let Some(context) = Context::for_handler().or_else(|| self.own_context())
        {
            let core = &self.object.payload.core;
            let due = core.monitor.schedule().now().saturating_add(delay);
            core.dispatch_at(due, Job::of_dext(context, handler));
        }
    }

    /// Runs `handler` on the calling thread when it is its turn, and waits for that. Nothing is run
    /// where the queue or its process has ended.
    ///
    /// # Panics
    ///
    /// Where the caller runs on this queue already: it would wait for itself for ever.
    #[track_caller]
    #[doc(alias = "DispatchSync")]
    pub fn dispatch_sync(&self, handler: impl FnOnce()) {
        if self.takes() {
            self.object.payload.core.run(handler);
        }
    }

    /// Takes no more handlers; `done` is called on the queue once those that were dispatched before
    /// have run. The queue can only be released then.
    #[track_caller]
    #[doc(alias = "Cancel")]
    pub fn cancel(&self, done: impl FnOnce() + Send + 'static) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        self.dispatch_async(done);
        self.object.payload.canceled.store(true, Ordering::Release);
        IoReturn::SUCCESS
    }

    /// Whether it is there and takes handlers.
    #[track_caller]
    fn takes(&self) -> bool {
        self.object.alive() && !self.object.payload.canceled.load(Ordering::Acquire)
    }

    /// True where the calling thread runs on this queue.
    #[must_use]
    #[doc(alias = "OnQueue")]
    pub fn on_queue(&self) -> bool {
        self.object.payload.core.is_mine()
    }

    pub(crate) fn core(&self) -> Arc<QueueCore> {
        Arc::clone(&self.object.payload.core)
    }

    fn own_context(&self) -> Option<HandlerContext> {
        let header = self.object.header();
        Some(HandlerContext::of(&header.process()?, header.owner()))
    }
}

/// The queue itself, which outlives its object as long as handlers are left.
pub(crate) struct QueueCore {
    name: String,
    options: QueueOptions,
    monitor: Monitor<State>,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    /// By the time when they are due and the order in which they were asked for.
    timed: BTreeMap<TimedKey, Job>,
    sequence: u64,
    /// Who runs on the queue now.
    busy: Option<ThreadId>,
    /// There is a daemon, or one is on its way.
    serving: bool,
    /// The daemon; another one takes over from one whose handler sleeps.
    server: Option<ThreadId>,
    /// Who has left the queue to others until it is woken.
    sleepers: Vec<sleep::Sleeper>,
    /// The object is gone: the queue ends when nothing is left.
    released: bool,
    /// The process is gone: the queue ends now.
    stopped: bool,
}

/// When a job is due, and its number.
pub(crate) type TimedKey = (Duration, u64);

enum Item {
    Job(Job),
    /// A thread that waits for its turn.
    Turn(u64),
}

pub(crate) struct Job {
    /// What it runs as; `None` is outside any process.
    context: Option<HandlerContext>,
    body: Box<dyn FnOnce() + Send>,
}

impl Job {
    /// A handler of a dext.
    pub(crate) fn of_dext(context: HandlerContext, body: impl FnOnce() + Send + 'static) -> Self {
        Self { context: Some(context), body: Box::new(body) }
    }

    /// Work of the system or of a device.
    pub(crate) fn outside(body: impl FnOnce() + Send + 'static) -> Self {
        Self { context: None, body: Box::new(body) }
    }

    fn run(self, queue: &str) {
        match self.context {
            None => (self.body)(),
            Some(context) => {
                // A handler that waits when the process dies goes no further.
                if let Some(_inside) = context.enter(queue)
                    && let Some(life) = context.life()
                {
                    let _ended = life.work(self.body);
                }
            }
        }
    }
}

impl QueueCore {
    pub(crate) fn new(name: &str, schedule: &Schedule) -> Arc<Self> {
        Self::with_options(name, schedule, QueueOptions::NONE)
    }

    fn with_options(name: &str, schedule: &Schedule, options: QueueOptions) -> Arc<Self> {
        let monitor = Monitor::new(schedule, "a handler of a dispatch queue", State::default());
        Arc::new(Self { name: name.to_owned(), options, monitor })
    }

    pub(crate) fn now(&self) -> Duration {
        self.monitor.schedule().now()
    }

    /// Has `job` run after what is there already; false where the queue has ended.
    pub(crate) fn dispatch(self: &Arc<Self>, job: Job) -> bool {
        let mut state = self.monitor.lock();
        if state.stopped {
            drop(state);
            return false;
        }
        state.items.push_back(Item::Job(job));
        self.serve(state);
        true
    }

    /// Has `job` run at `due`; the key takes it back.
    pub(crate) fn dispatch_at(self: &Arc<Self>, due: Duration, job: Job) -> TimedKey {
        let mut state = self.monitor.lock();
        state.sequence += 1;
        let key = (due, state.sequence);
        if state.stopped {
            drop(state);
            return key;
        }
        state.timed.insert(key, job);
        self.serve(state);
        key
    }

    /// Takes a job back that is not due yet.
    pub(crate) fn take_back(&self, key: TimedKey) {
        let job = self.monitor.lock().timed.remove(&key);
        // So that the daemon does not wake at a time that means nothing any more.
        self.monitor.notify_all();
        drop(job);
    }

    /// Runs `body` on the calling thread when it is its turn; `None` where the queue has ended.
    #[track_caller]
    pub(crate) fn run<R>(&self, body: impl FnOnce() -> R) -> Option<R> {
        let me = std::thread::current().id();
        let mut state = self.monitor.lock();
        assert!(
            state.busy != Some(me),
            "failed to wait for queue {}: the caller runs on it and would wait for itself",
            self.name
        );
        if !state.take_turn(me) {
            return None;
        }
        drop(state);
        let _busy = Busy { core: self, me };
        Some(body())
    }

    pub(crate) fn is_mine(&self) -> bool {
        self.monitor.lock().busy == Some(std::thread::current().id())
    }

    /// Nothing more will be dispatched: the queue ends when nothing is left on it.
    pub(crate) fn release(&self) {
        self.monitor.lock().released = true;
        self.monitor.notify_all();
    }

    /// Ends the queue without running what is left.
    pub(crate) fn stop(&self) {
        let mut state = self.monitor.lock();
        state.stopped = true;
        let left = (std::mem::take(&mut state.items), std::mem::take(&mut state.timed));
        drop(state);
        self.monitor.notify_all();
        // Dropped after the lock: handlers own what may come back here.
        drop(left);
    }

    /// Sees to it that there is a daemon, and that it looks.
    fn serve(self: &Arc<Self>, mut state: MonitorGuard<'_, State>) {
        let start = !std::mem::replace(&mut state.serving, true);
        drop(state);
        if start {
            let core = Arc::clone(self);
            self.monitor.schedule().spawn_daemon(&self.name, move || core.daemon());
        } else {
            self.monitor.notify_all();
        }
    }

    fn daemon(&self) {
        let me = std::thread::current().id();
        let mut state = self.monitor.lock();
        state.server = Some(me);
        loop {
            state.move_due(self.now());
            if state.stopped || state.released && state.is_empty() {
                state.serving = false;
                state.server = None;
                return;
            }
            let Some(job) = state.take_job() else {
                let next = state.timed.first_key_value().map(|((due, _), _)| *due);
                state.wait_until(next);
                continue;
            };
            state.busy = Some(me);
            drop(state);
            {
                // Where the handler panics, the daemon ends and the next dispatch starts another.
                let _busy = Busy { core: self, me };
                let serving = Serving { core: self, me };
                job.run(&self.name);
                std::mem::forget(serving);
            }
            state = self.monitor.lock();
            if state.server != Some(me) {
                // Another one has taken over while the handler slept.
                return;
            }
        }
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.timed.is_empty() && self.busy.is_none()
    }

    fn is_turn_of(&self, ticket: u64) -> bool {
        matches!(self.items.front(), Some(Item::Turn(first)) if *first == ticket)
    }

    fn take_job(&mut self) -> Option<Job> {
        if self.busy.is_some() || !matches!(self.items.front(), Some(Item::Job(_))) {
            return None;
        }
        match self.items.pop_front() {
            Some(Item::Job(job)) => Some(job),
            _ => None,
        }
    }

    fn move_due(&mut self, now: Duration) {
        while let Some(first) = self.timed.first_entry()
            && first.key().0 <= now
        {
            let job = first.remove();
            self.items.push_back(Item::Job(job));
        }
    }
}

impl MonitorGuard<'_, State> {
    /// Waits until it is the turn of the calling thread, which is `me`, and has it run on the queue.
    /// False where the queue has ended.
    fn take_turn(&mut self, me: ThreadId) -> bool {
        if self.busy.is_some() || !self.items.is_empty() {
            self.sequence += 1;
            let ticket = self.sequence;
            self.items.push_back(Item::Turn(ticket));
            // The daemon may be idle in front of an item that is not due for it.
            while !(self.stopped || self.busy.is_none() && self.is_turn_of(ticket)) {
                self.wait_until(None);
            }
            if !self.stopped {
                self.items.pop_front();
            }
        }
        if !self.stopped {
            self.busy = Some(me);
        }
        !self.stopped
    }
}

/// Somebody runs on the queue; the next one may when this is dropped.
struct Busy<'a> {
    core: &'a QueueCore,
    me: ThreadId,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = self.core.monitor.lock();
        // One that slept until the queue ended has not come back to it.
        if state.busy == Some(self.me) {
            state.busy = None;
        }
        drop(state);
        self.core.monitor.notify_all();
    }
}

/// The daemon runs a handler; dropped only where that panics.
struct Serving<'a> {
    core: &'a QueueCore,
    me: ThreadId,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let mut state = self.core.monitor.lock();
        if state.server == Some(self.me) {
            state.serving = false;
            state.server = None;
        }
    }
}

impl fmt::Debug for QueueCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueCore").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
