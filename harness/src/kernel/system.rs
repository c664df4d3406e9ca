//! The mock system: services, clients' ways to them, and what the mock has to tell about the dexts.

use super::builder::MockBuilder;
use super::client_process::ClientProcess;
use super::connection::Link;
use super::dext::Dext;
use super::faults::Faults;
use super::notice::MockNotices;
use super::queue::MockQueue;
use super::registry::{Registry, ServiceDescription};
use super::task::Task;
use crate::IoReturn;
use crate::boundary::{DeathWindow, Rules, memory_outlives_dext};
use crate::call::{ConnectionId, QueueId, ServiceId};
use crate::connection::{
    CompletionQueue, Connection, EndObserver, Ended, Matching, Notice, NoticeKind, NoticeQueue,
    System, Value,
};
use crate::coverage::{COMPLETIONS_MAX, Fact, Notes};
use crate::driverkit::{Finding, Leak, Provider, Service};
use crate::fault::FaultPlan;
use crate::memory::{ClientSpace, SharedBuffer};
use crate::schedule::{Monitor, Schedule};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A system whose services are mock dexts: the kernel between a client and what implements
/// [`Service`] and [`UserClient`](crate::driverkit::UserClient).
///
/// All clients of one mock system are one task: they share an address space (F14). Upcalls run on the
/// caller's thread when it is its turn on the dext's queue (K3). Connections number their user clients
/// in the order of the opens.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::connection::{ConnectionExt, Matching, System};
/// use dextape::driverkit::{ExternalMethodArguments, Service, UserClient};
/// use dextape::kernel::{MockSystem, ServiceDescription};
/// use dextape::schedule::Schedule;
/// use std::sync::Arc;
///
/// struct Doubler;
///
/// impl UserClient for Doubler {
///     fn external_method(&self, _: u64, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
///         arguments.scalar_output[0] = arguments.scalar_input[0] * 2;
///         IoReturn::SUCCESS
///     }
/// }
///
/// impl Service for Doubler {
///     fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
///         Ok(Some(Arc::new(Doubler)))
///     }
/// }
///
/// Schedule::simulate(1, |schedule| {
///     let mock = MockSystem::new(schedule);
///     mock.publish(ServiceDescription::dext("Doubler", "com.example.doubler"), Arc::new(Doubler))?;
///
///     let system: &dyn System = &*mock;
///     let service = system.first_service(&Matching::user_class("Doubler"))?;
///     let connection = system.open(service, 0)?;
///     let reply = connection.call(0).scalars(&[21]).want_scalars(1).send().unwrap();
///     assert_eq!(&reply.scalars[..], &[42]);
///     Ok::<(), IoReturn>(())
/// }).unwrap();
/// ```
pub struct MockSystem {
    kernel: Arc<Kernel>,
}

/// What the connections share.
pub(super) struct Kernel {
    pub(super) schedule: Schedule,
    pub(super) rules: Rules,
    /// Tells this system from others of the same process (D5); it is never shown.
    pub(super) number: u64,
    registry: Mutex<Registry>,
    task: Mutex<Task>,
    links: Mutex<BTreeMap<ConnectionId, Arc<Link>>>,
    connections: AtomicU64,
    queues: AtomicU64,
    teardowns: Arc<Monitor<u64>>,
    /// The client's own memory, where it can be reached.
    pub(super) space: OnceLock<Arc<dyn ClientSpace>>,
    /// Whose clients it serves.
    pub(super) client: ClientProcess,
    pub(super) faults: Faults,
    /// Who wants to know of ends.
    end_observers: Mutex<Vec<EndObserver>>,
    /// Where the process notes what is exercised.
    notes: Option<&'static Notes>,
}

/// What a client has done.
pub(super) enum Exercised {
    Method(u32),
    Map(u32),
}

impl Exercised {
    #[cold]
    fn note(self, notes: &Notes, driver: &str) {
        let driver = driver.to_owned();
        notes.exercised(match self {
            Self::Method(selector) => Fact::Selector { driver, selector },
            Self::Map(memory_type) => Fact::Memory { driver, memory_type },
        });
    }
}

/// The completions of one call.
pub(super) struct Completions {
    notes: &'static Notes,
    driver: String,
    selector: u32,
    count: AtomicU64,
}

impl Completions {
    /// There is one more.
    pub(super) fn more(&self) {
        let count = (self.count.fetch_add(1, Ordering::Relaxed) + 1).min(COMPLETIONS_MAX);
        let (driver, selector) = (self.driver.clone(), self.selector);
        self.notes.exercised(Fact::Completions { driver, selector, count });
    }
}

/// A teardown that has begun and is over when this is dropped.
pub(super) struct Teardown(Arc<Monitor<u64>>);

impl Drop for Teardown {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.notify_all();
    }
}

impl Kernel {
    pub(super) fn task(&self) -> MutexGuard<'_, Task> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn teardown_begins(&self) -> Teardown {
        *self.teardowns.lock() += 1;
        Teardown(Arc::clone(&self.teardowns))
    }

    /// The connection, where the client has a right of it.
    pub(super) fn link(&self, connection: ConnectionId) -> Option<Arc<Link>> {
        self.links().get(&connection).cloned()
    }

    /// The connections of a service that somebody still has a right of.
    fn links_of(&self, service: ServiceId) -> Vec<Arc<Link>> {
        self.links().values().filter(|link| link.dext.id() == service).cloned().collect()
    }

    /// The services that are there.
    pub(super) fn services(&self) -> Vec<ServiceId> {
        let all = self.registry().all();
        all.iter().filter(|dext| !dext.is_terminated()).map(|dext| dext.id()).collect()
    }

    /// A service that was ever there.
    pub(super) fn service(&self, service: ServiceId) -> Option<Arc<Dext>> {
        self.registry().get(service)
    }

    pub(super) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A connection was opened.
    pub(super) fn came(&self, link: &Arc<Link>) {
        self.links().insert(link.id, Arc::clone(link));
    }

    /// As [`MockSystem::terminate`].
    pub(super) fn terminate(self: &Arc<Self>, service: ServiceId) {
        if let Some(dext) = self.withdraw(service) {
            self.tear_down(&dext, true);
        }
    }

    /// Terminates the connections of a service that was withdrawn and stops it, on a task of its own.
    fn tear_down(self: &Arc<Self>, dext: &Arc<Dext>, provider_inactive: bool) {
        dext.process().become_inactive();
        for link in self.links_of(dext.id()) {
            link.terminate(self);
        }
        self.tell_of_end(dext, Ended::Service(dext.id()));
        let pending = self.teardown_begins();
        let name = format!("stop of {}", dext.id());
        let (dext, rules) = (Arc::clone(dext), self.rules);
        drop(self.schedule.spawn(&name, move || {
            let _pending = pending;
            dext.stop(rules, provider_inactive);
        }));
    }

    fn publish(
        &self,
        description: ServiceDescription,
        provider: Provider,
        service: Arc<dyn Service>,
    ) -> Result<ServiceId, IoReturn> {
        let id = self.registry().next_id();
        let dext = Dext::new(&self.schedule, self.rules, id, description, provider, service)?;
        let dext = Arc::new(dext);
        dext.start().ok()?;
        self.registry().add(dext);
        Ok(id)
    }

    /// As [`MockSystem::crash`].
    pub(super) fn crash(self: &Arc<Self>, service: ServiceId) {
        if let Some(dext) = self.withdraw(service) {
            dext.die();
            self.faults.wake_hanging();
            for link in self.links_of(service) {
                link.terminate(self);
                let mut task = self.task();
                if task.table.is_held_by(link.id.0) && !memory_outlives_dext(self.rules) {
                    task.end_connection(link.id.0);
                }
            }
            self.tell_of_end(&dext, Ended::Service(service));
        }
    }

    /// As [`MockSystem::terminate_client`].
    fn terminate_client(self: &Arc<Self>, connection: ConnectionId) {
        let link = self.link(connection).filter(|link| !link.state().is_terminated());
        if let Some(link) = link {
            link.terminate(self);
            self.tell_of_end(&link.dext, Ended::Connection(connection));
        }
    }

    /// Takes a service out of the registry, once.
    fn withdraw(&self, service: ServiceId) -> Option<Arc<Dext>> {
        self.registry().get(service).filter(|dext| dext.terminate())
    }

    /// Tells observers, and of a service those who watch such ones.
    fn tell_of_end(&self, dext: &Dext, ended: Ended) {
        let observers = self.end_observers().clone();
        observers.iter().for_each(|observer| observer(ended));
        if let Ended::Service(service) = ended {
            let notice = Notice { kind: NoticeKind::Terminated, service };
            self.registry().tell(dext.description(), notice);
        }
    }

    fn end_observers(&self) -> MutexGuard<'_, Vec<EndObserver>> {
        self.end_observers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a connection of which nobody has a right any more.
    pub(super) fn forget_unheld(&self, connection: ConnectionId) {
        let mut links = self.links();
        let unheld = links.get(&connection).is_some_and(|link| link.state().rights() == 0);
        let forgotten = if unheld { links.remove(&connection) } else { None };
        drop(links);
        // Dropped after the lock: a user client may go with it.
        drop(forgotten);
    }

    /// Notes what a client has called or mapped, and what it was told, where somebody wants to know.
    #[inline]
    pub(super) fn exercised(&self, dext: &Dext, what: Exercised, result: IoReturn) {
        if let Some(notes) = self.notes {
            what.note(notes, dext.name());
            notes.exercised(Fact::Result { driver: dext.name().to_owned(), result: result.0 });
        }
    }

    /// Counts the completions of a call, where somebody wants to know.
    pub(super) fn completions(&self, dext: &Dext, selector: u32) -> Option<Completions> {
        self.notes.map(|notes| {
            let driver = dext.name().to_owned();
            Completions { notes, driver, selector, count: AtomicU64::new(0) }
        })
    }

    fn next_queue(&self) -> QueueId {
        QueueId(self.queues.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl MockSystem {
    /// A system without services, on `schedule`.
    #[must_use]
    pub fn new(schedule: &Schedule) -> Arc<Self> {
        Self::with_rules(schedule, Rules::all())
    }

    /// A system that keeps these rules only; for the tests of the rules.
    #[doc(hidden)]
    #[must_use]
    pub fn with_rules(schedule: &Schedule, rules: Rules) -> Arc<Self> {
        Self::builder(schedule).rules(rules).build()
    }

    /// A system on `schedule` that is set up further, with a plan of faults for instance.
    pub fn builder(schedule: &Schedule) -> MockBuilder {
        MockBuilder::new(schedule)
    }

    pub(super) fn make(
        schedule: &Schedule,
        rules: Rules,
        client: ClientProcess,
        faults: FaultPlan,
    ) -> Arc<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let kernel = Kernel {
            schedule: schedule.clone(),
            rules,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            registry: Mutex::default(),
            task: Mutex::new(Task::new(rules)),
            links: Mutex::default(),
            connections: AtomicU64::new(0),
            queues: AtomicU64::new(0),
            teardowns: Arc::new(Monitor::new(schedule, "teardowns", 0)),
            space: OnceLock::new(),
            client,
            faults: Faults::new(schedule, faults),
            end_observers: Mutex::default(),
            notes: Notes::of_process(),
        };
        let kernel = Arc::new(kernel);
        kernel.plan_times();
        Arc::new(Self { kernel })
    }

    /// Has dexts reach the client's own memory.
    pub(super) fn reach_client(&self, space: Arc<dyn ClientSpace>) {
        // The builder does it once.
        let _ = self.kernel.space.set(space);
    }

    /// Starts a service and publishes it.
    ///
    /// # Errors
    ///
    /// What its `Start` returned; it is not published then.
    pub fn publish(
        &self,
        description: ServiceDescription,
        service: Arc<dyn Service>,
    ) -> Result<ServiceId, IoReturn> {
        self.publish_on(description, Provider::new("IOUserResources"), service)
    }

    /// As [`publish`](Self::publish), with a provider that the driver can use.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_on(
        &self,
        description: ServiceDescription,
        provider: Provider,
        service: Arc<dyn Service>,
    ) -> Result<ServiceId, IoReturn> {
        self.kernel.publish(description, provider, service)
    }

    /// Ends a service whose provider stays, and starts and publishes another driver on that provider, as
    /// when another personality matches it: an updated dext, for one. Watchers get a notice of the
    /// one and of the other. Stopping the old one is as in [`terminate`](Self::terminate), but that its
    /// teardown waits until it has passed `Stop` to its base (H9); the new one does not wait for that
    /// (G14).
    ///
    /// # Errors
    ///
    /// What the new driver's `Start` returned, or `kIOReturnNoDevice` where there is no such service any
    /// more.
    pub fn rematch(
        &self,
        service: ServiceId,
        description: ServiceDescription,
        driver: Arc<dyn Service>,
    ) -> Result<ServiceId, IoReturn> {
        let dext = self.kernel.withdraw(service).ok_or(IoReturn::NO_DEVICE)?;
        let provider = dext.provider().clone();
        self.kernel.tear_down(&dext, false);
        self.kernel.publish(description, provider, driver)
    }

    /// Removes a service: its provider is gone. Watchers get a notice, its connections are terminated
    /// (H1), and once what is inside the dext has come out (H3), user clients and service are
    /// stopped. It does not wait for that; [`settle`](Self::settle) does.
    ///
    /// Nothing happens to a service that is not there.
    pub fn terminate(&self, service: ServiceId) {
        self.kernel.terminate(service);
    }

    /// The dext terminates one of its user clients, as by `Terminate`: the connection is dead (H1), and
    /// once what is inside the dext has come out (H3), the user client is stopped.
    ///
    /// Nothing happens where the client has no right of the connection, or it is terminated already.
    pub fn terminate_client(&self, connection: ConnectionId) {
        self.kernel.terminate_client(connection);
    }

    /// The dext's process dies: nobody is told, its connections are terminated, and what is on its way
    /// into the dext, or inside it, gives a dead server (H4). A method that waits for something goes no
    /// further: it unwinds. One that runs is cut short where it comes to wait, or returns.
    ///
    /// Nothing happens to a service that is not there.
    pub fn crash(&self, service: ServiceId) {
        self.kernel.crash(service);
    }

    /// As [`crash`](Self::crash), but the kernel stays in a window in which it has not torn down the
    /// user clients yet: until [`end_crash`](Self::end_crash), calls of its connections have the codes of
    /// the window, opens of the service too, and a close still succeeds (H5).
    pub fn begin_crash(&self, service: ServiceId, window: DeathWindow) {
        if let Some(dext) = self.kernel.service(service).filter(|dext| !dext.is_terminated()) {
            dext.die_in(window);
            self.kernel.faults.wake_hanging();
        }
    }

    /// Ends the window that [`begin_crash`](Self::begin_crash) has opened.
    pub fn end_crash(&self, service: ServiceId) {
        self.kernel.crash(service);
    }

    /// Waits until every teardown that has begun is over.
    pub fn settle(&self) {
        let mut teardowns = self.kernel.teardowns.lock();
        while *teardowns > 0 {
            teardowns.wait_until(None);
        }
    }

    /// What the mock found wrong with the dexts, service by service.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.dexts().iter().flat_map(|dext| dext.process().findings()).collect()
    }

    /// What is left of connections that were torn down, and of services that ended, once every
    /// teardown is over and each dext has passed its stop on, or had a second for it. What a dext made while it served nobody counts only when it has ended.
    #[must_use]
    pub fn leaks(&self) -> Vec<Leak> {
        self.settle();
        let open: Vec<_> = self.kernel.links().values().cloned().collect();
        let is_open = |client: u64| {
            open.iter().any(|link| link.id.0 == client && link.user_client().is_some())
        };
        let mut leaks = Vec::new();
        for dext in self.dexts() {
            dext.wait_for_end();
            leaks.extend(dext.left());
            let alive = dext.process().leaks();
            let closed = alive
                .leaks()
                .iter()
                .filter(|leak| leak.user_client.is_some_and(|client| !is_open(client)));
            leaks.extend(closed.cloned());
        }
        leaks
    }

    /// What the dexts logged, service by service, each in order.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.dexts().iter().flat_map(|dext| dext.process().log()).collect()
    }

    /// Properties of a connection's user client, as the registry shows them: those of the personality,
    /// and who opened it (G9). `None` where the client has no right of it.
    #[must_use]
    pub fn user_client_properties(
        &self,
        connection: ConnectionId,
    ) -> Option<BTreeMap<String, Value>> {
        self.kernel.link(connection).map(|link| link.properties.clone())
    }

    /// Rights of a connection that the client has.
    #[must_use]
    pub fn rights(&self, connection: ConnectionId) -> u32 {
        self.kernel.links().get(&connection).map_or(0, |link| link.state().rights())
    }

    fn dexts(&self) -> Vec<Arc<Dext>> {
        self.kernel.registry().all()
    }

    fn dext(&self, service: ServiceId) -> Result<Arc<Dext>, IoReturn> {
        self.kernel.registry().get(service).ok_or(IoReturn::NO_DEVICE)
    }
}

impl System for MockSystem {
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        Ok(self.kernel.registry().matching(matching))
    }

    fn property(&self, service: ServiceId, key: &str) -> Result<Option<Value>, IoReturn> {
        Ok(self.dext(service)?.process().properties().remove(key))
    }

    fn properties(&self, service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        Ok(self.dext(service)?.process().properties())
    }

    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        self.kernel.open(service, open_type)
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        let kernel = &self.kernel;
        let notices =
            Arc::new(MockNotices::new(&kernel.schedule, kernel.next_queue(), matching.clone()));
        kernel.registry().watch(&notices);
        Ok(notices)
    }

    fn observe_ends(&self, observer: EndObserver) -> bool {
        self.kernel.end_observers().push(observer);
        true
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        let kernel = &self.kernel;
        let id = kernel.next_queue();
        Arc::new(MockQueue::new(&kernel.schedule, kernel.rules, kernel.number, id))
    }

    fn address_of(&self, buffer: &SharedBuffer) -> u64 {
        self.kernel.task().own.address_of(buffer)
    }

    fn schedule(&self) -> &Schedule {
        &self.kernel.schedule
    }
}

impl fmt::Debug for MockSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockSystem")
            .field("services", &self.dexts())
            .field("connections", &self.kernel.links().keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
