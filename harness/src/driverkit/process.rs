//! The process that a dext runs in: its objects, its log, what the mock found wrong.

use super::bridge::{ClientMemoryCall, ClientTask};
use super::finding::{Finding, Lint, Place};
use super::leak::{Leak, LeakReport};
use super::map::AddressSpace;
use super::object::Managed;
use super::queue::QueueCore;
use crate::boundary::Rules;
use crate::registry::Value;
use crate::schedule::{Life, Schedule};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Different findings that a process keeps; of further ones only the number is kept, because the
/// selectors that tell them apart come from the client.
const FINDINGS_MAX: usize = 256;

/// A user client of a process, by the number that the kernel gave it.
pub type UserClientNumber = u64;

/// The process that a dext runs in. Cheap to clone; clones are the same process.
///
/// Which process a thread works for is ambient, as it is on a Mac: the kernel enters it around each
/// upcall and a dispatch queue around each handler. A test of a dext without a kernel enters it
/// itself.
#[derive(Clone)]
pub struct DextProcess {
    inner: Arc<ProcessInner>,
}

pub(crate) struct ProcessInner {
    name: String,
    schedule: Schedule,
    rules: Rules,
    life: Life,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    dead: bool,
    objects_made: u64,
    objects: BTreeMap<u64, Arc<dyn Managed>>,
    findings: Vec<Finding>,
    findings_left_out: u64,
    log: Vec<String>,
    addresses: AddressSpace,
    /// Of the service.
    properties: BTreeMap<String, Value>,
    inactive: bool,
    /// The queues that the system calls on, by user client; `None` for the service's.
    default_queues: BTreeMap<Option<UserClientNumber>, Arc<QueueCore>>,
    /// The tasks of the clients, by user client, for as long as the kernel knows them.
    client_tasks: BTreeMap<UserClientNumber, Arc<dyn ClientTask>>,
    /// By user client and memory type: the root descriptor of the last map.
    mapped: BTreeMap<(UserClientNumber, u64), u64>,
}

impl DextProcess {
    /// A process of that name (a bundle identifier, usually) whose queues and timers run on
    /// `schedule`.
    #[must_use]
    pub fn new(name: &str, schedule: &Schedule) -> Self {
        Self::with_rules(name, schedule, crate::coverage::rules())
    }

    /// As [`DextProcess::new`], with some rules of the boundary switched off.
    #[must_use]
    #[doc(hidden)]
    pub fn with_rules(name: &str, schedule: &Schedule, rules: Rules) -> Self {
        let state = Mutex::new(State::default());
        let inner = ProcessInner {
            name: name.to_owned(),
            schedule: schedule.clone(),
            rules,
            life: Life::new(schedule),
            state,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The process that the calling thread works for.
    #[must_use]
    pub fn current() -> Option<Self> {
        Context::process_and_client().map(|(process, _)| process)
    }

    /// Makes the calling thread work for this process until the guard is dropped.
    pub fn enter(&self) -> Entered {
        self.enter_at(None, Place::Elsewhere)
    }

    pub(crate) fn enter_at(&self, client: Option<UserClientNumber>, place: Place) -> Entered {
        let context = Context { process: self.clone(), client, place };
        let outer = CURRENT.with_borrow_mut(|current| current.replace(context));
        Entered { outer }
    }

    /// The process's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What the process's queues and timers run on.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.inner.schedule
    }

    /// What the mock found wrong, in the order in which it was first found.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.state().findings.clone()
    }

    /// How many findings were left out because there were too many different ones.
    #[must_use]
    pub fn findings_left_out(&self) -> u64 {
        self.state().findings_left_out
    }

    /// What the dext logged with [`os_log`](super::os_log), in order.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// The objects that are still there.
    #[must_use]
    pub fn leaks(&self) -> LeakReport {
        self.leaks_where(|_| true)
    }

    /// The objects that are still there and were made while `client` was served.
    #[must_use]
    pub fn leaks_of(&self, client: UserClientNumber) -> LeakReport {
        self.leaks_where(|owner| owner == Some(client))
    }

    fn leaks_where(&self, wanted: impl Fn(Option<UserClientNumber>) -> bool) -> LeakReport {
        let state = self.state();
        let headers = state.objects.values().map(|object| object.header());
        LeakReport::new(headers.filter(|header| wanted(header.owner())).map(Leak::of).collect())
    }

    /// True once the process has ended.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Ends the process, by a crash or because it is no longer needed: its actions are aborted (D20),
    /// its queues stop and what they still held is dropped, and methods and handlers that wait for
    /// something, or come to it, go no further: they unwind (H4). Memory that somebody has mapped lives on
    /// (F22), and so do findings and log.
    pub fn kill(&self) {
        self.inner.end();
    }

    /// What ends the waits of those who work for the process.
    pub(crate) fn life(&self) -> &Life {
        &self.inner.life
    }

    /// The service's properties, those that the dext has set among them.
    pub(crate) fn properties(&self) -> BTreeMap<String, Value> {
        self.state().properties.clone()
    }

    pub(super) fn change_properties<R>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Value>) -> R,
    ) -> R {
        change(&mut self.state().properties)
    }

    /// What the service is made of, for those who make objects of it (G11).
    pub(crate) fn describe(&self, properties: BTreeMap<String, Value>) {
        self.state().properties = properties;
    }

    /// The service's provider has gone, and so has the service as one.
    pub(crate) fn become_inactive(&self) {
        self.state().inactive = true;
    }

    /// A property of the service, and whether the service is inactive.
    pub(crate) fn property(&self, key: &str) -> (Option<Value>, bool) {
        let state = self.state();
        (state.properties.get(key).cloned(), state.inactive)
    }

    pub(crate) fn rules(&self) -> Rules {
        self.inner.rules
    }

    pub(crate) fn log_line(&self, line: String) {
        self.state().log.push(line);
    }

    /// Tells of something wrong; once a place, then counted.
    pub(crate) fn report(
        &self,
        lint: Lint,
        place: Place,
        message: String,
        at: Option<&'static Location<'static>>,
    ) {
        let mut state = self.state();
        if state.dead {
            return;
        }
        let same = |finding: &&mut Finding| {
            finding.lint() == lint && *finding.place() == place && finding.at() == at
        };
        if let Some(finding) = state.findings.iter_mut().find(same) {
            finding.seen_again();
        } else if state.findings.len() < FINDINGS_MAX {
            state.findings.push(Finding::new(lint, place, message, at));
        } else {
            state.findings_left_out = state.findings_left_out.saturating_add(1);
        }
    }

    /// Numbers the object that `make` makes, and keeps it until its last reference is gone.
    pub(crate) fn remember<M: Managed + 'static>(
        &self,
        make: impl FnOnce(u64) -> Arc<M>,
    ) -> Arc<M> {
        let mut state = self.state();
        state.objects_made += 1;
        let object = make(state.objects_made);
        if !state.dead {
            state.objects.insert(object.header().number(), Arc::clone(&object) as Arc<dyn Managed>);
        }
        object
    }

    pub(crate) fn forget(&self, number: u64) {
        // Dropped after the lock: what an object holds may come back here.
        let object = self.state().objects.remove(&number);
        drop(object);
    }

    /// Whether the object of that number is still there.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.state().objects.contains_key(&number)
    }

    /// A number of an object that no object has: it stands for one of the kernel's.
    pub(crate) fn reserve_number(&self) -> u64 {
        let mut state = self.state();
        state.objects_made += 1;
        state.objects_made
    }

    /// Objects made so far: those made later have higher numbers.
    pub(crate) fn objects_made(&self) -> u64 {
        self.state().objects_made
    }

    pub(crate) fn with_addresses<R>(&self, use_them: impl FnOnce(&mut AddressSpace) -> R) -> R {
        use_them(&mut self.state().addresses)
    }

    pub(super) fn default_queue(&self, client: Option<UserClientNumber>) -> Option<Arc<QueueCore>> {
        let state = self.state();
        let queues = &state.default_queues;
        queues.get(&client).or_else(|| queues.get(&None)).cloned()
    }

    pub(super) fn set_default_queue(
        &self,
        client: Option<UserClientNumber>,
        queue: Arc<QueueCore>,
    ) {
        let mut state = self.state();
        if !state.dead {
            state.default_queues.insert(client, queue);
        }
    }

    pub(super) fn client_task(&self, client: UserClientNumber) -> Option<Arc<dyn ClientTask>> {
        self.state().client_tasks.get(&client).cloned()
    }

    pub(super) fn set_client_task(&self, client: UserClientNumber, task: Arc<dyn ClientTask>) {
        let mut state = self.state();
        if !state.dead {
            state.client_tasks.insert(client, task);
        }
    }

    /// Forgets what was remembered of a user client that is gone.
    pub(super) fn forget_client(&self, client: UserClientNumber) {
        let mut state = self.state();
        state.mapped.retain(|(owner, _), _| *owner != client);
        state.default_queues.remove(&Some(client));
        let task = state.client_tasks.remove(&client);
        drop(state);
        // Dropped after the lock: it is the kernel's.
        drop(task);
    }

    /// Remembers what a map was answered with. True where an unmap is answered with something else
    /// than the map before it.
    pub(super) fn note_client_memory(
        &self,
        client: UserClientNumber,
        memory_type: u64,
        root: u64,
        purpose: ClientMemoryCall,
    ) -> bool {
        let mut state = self.state();
        match purpose {
            ClientMemoryCall::Map => {
                state.mapped.insert((client, memory_type), root);
                false
            }
            ClientMemoryCall::Unmap => {
                state.mapped.get(&(client, memory_type)).is_some_and(|mapped| *mapped != root)
            }
        }
    }

    pub(crate) fn downgrade(&self) -> Weak<ProcessInner> {
        Arc::downgrade(&self.inner)
    }

    pub(crate) fn from_inner(inner: Arc<ProcessInner>) -> Self {
        Self { inner }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state()
    }
}

impl ProcessInner {
    fn end(&self) {
        let (objects, queues) = {
            let mut state = self.state();
            state.dead = true;
            (std::mem::take(&mut state.objects), std::mem::take(&mut state.default_queues))
        };
        for queue in queues.values() {
            queue.stop();
        }
        for object in objects.values() {
            object.killed();
        }
        self.life.end();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ProcessInner {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for DextProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = self.state().objects.len();
        f.debug_struct("DextProcess")
            .field("name", &self.inner.name)
            .field("objects", &objects)
            .finish_non_exhaustive()
    }
}

thread_local! {
    /// What the thread is doing for which process.
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// What a thread is doing, and for whom.
#[derive(Clone)]
pub(crate) struct Context {
    process: DextProcess,
    client: Option<UserClientNumber>,
    place: Place,
}

impl Context {
    pub(crate) fn process_and_client() -> Option<(DextProcess, Option<UserClientNumber>)> {
        CURRENT.with_borrow(|current| {
            current.as_ref().map(|context| (context.process.clone(), context.client))
        })
    }

    pub(crate) fn place() -> Place {
        CURRENT.with_borrow(|current| {
            current.as_ref().map_or(Place::Elsewhere, |context| context.place.clone())
        })
    }

    /// What a handler that is dispatched now will run as.
    pub(crate) fn for_handler() -> Option<HandlerContext> {
        let (process, client) = Self::process_and_client()?;
        Some(HandlerContext { process: process.downgrade(), client })
    }
}

/// What a handler runs as. It does not keep its process alive.
#[derive(Clone)]
pub(crate) struct HandlerContext {
    process: Weak<ProcessInner>,
    client: Option<UserClientNumber>,
}

impl HandlerContext {
    /// A handler of `process`, on behalf of `client` if there is one.
    pub(crate) fn of(process: &DextProcess, client: Option<UserClientNumber>) -> Self {
        Self { process: process.downgrade(), client }
    }

    /// Enters the process, if there still is one.
    pub(crate) fn enter(&self, queue: &str) -> Option<Entered> {
        let process = DextProcess::from_inner(self.process.upgrade()?);
        if process.is_dead() {
            return None;
        }
        Some(process.enter_at(self.client, Place::Handler { queue: queue.to_owned() }))
    }

    /// The life of the process, if there still is one.
    pub(crate) fn life(&self) -> Option<Life> {
        self.process.upgrade().map(|process| process.life.clone())
    }
}

/// Makes a thread work for a process as long as it lives.
#[must_use = "the thread leaves the process when this is dropped"]
pub struct Entered {
    outer: Option<Context>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let inner = CURRENT.with_borrow_mut(|current| std::mem::replace(current, outer));
        // Dropped after the cell is free again: it may be the last that held the process.
        drop(inner);
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entered")
    }
}

/// Logs a line, as `os_log` does. It is captured, in order, by the process that the thread works for;
/// on a thread that works for none it is lost.
///
/// # Examples
///
/// ```
/// use dextape::driverkit::{DextProcess, os_log};
/// use dextape::schedule::Schedule;
///
/// let process = DextProcess::new("com.example.dext", &Schedule::free());
/// let inside = process.enter();
/// os_log("started");
/// drop(inside);
/// assert_eq!(process.log(), ["started"]);
/// ```
pub fn os_log(line: impl Into<String>) {
    if let Some(process) = DextProcess::current() {
        process.log_line(line.into());
    }
}

/// Holds up the calling thread of the dext, in the schedule's time, and with it the queue that it is
/// on. Nothing happens on a thread that works for no process.
///
/// # Examples
///
/// ```
/// use dextape::driverkit::{self, DextProcess};
/// use dextape::schedule::Schedule;
/// use std::time::Duration;
///
/// let time = Schedule::simulate(1, |schedule| {
///     let process = DextProcess::new("com.example.dext", schedule);
///     let _inside = process.enter();
///     driverkit::sleep(Duration::from_millis(20));
///     driverkit::uptime()
/// });
/// assert_eq!(time, Duration::from_millis(20));
/// ```
#[doc(alias = "IOSleep")]
#[doc(alias = "IODelay")]
pub fn sleep(duration: Duration) {
    if let Some(process) = DextProcess::current() {
        process.schedule().sleep(duration);
    }
}

/// Time of the schedule that the dext's process runs on, since the schedule began; zero on a thread
/// that works for no process. It is what timers are armed with.
#[must_use]
#[doc(alias = "mach_absolute_time")]
#[doc(alias = "clock_gettime_nsec_np")]
pub fn uptime() -> Duration {
    DextProcess::current().map_or(Duration::ZERO, |process| process.schedule().now())
}
