//! The mock system: services, clients' ways to them, and what the mock has to tell about the dexts.

use super::builder::MockBuilder;
use super::connection::{Link, MockConnection};
use super::dext::{Dext, upcall};
use super::faults::Faults;
use super::notice::MockNotices;
use super::queue::MockQueue;
use super::registry::{Registry, ServiceDescription};
use super::task::{Task, TaskOfClient};
use crate::IoReturn;
use crate::boundary::{
    Meanwhile, OpenReach, Operation, Rules, came_out, memory_outlives_dext, open as open_check,
    open_type as type_seen, opened,
};
use crate::call::{ConnectionId, QueueId, ServiceId};
use crate::connection::{
    CompletionQueue, Connection, Matching, Notice, NoticeKind, NoticeQueue, System, Value,
};
use crate::driverkit::bridge::{Phase, in_phase, set_client_task, set_default_queue};
use crate::driverkit::{
    DispatchQueue, Finding, Leak, Provider, QUEUE_DEFAULT, QUEUE_EXTERNAL_METHOD, Service,
    UserClient,
};
use crate::fault::{FaultPlan, OpenFault, Strike};
use crate::memory::SharedBuffer;
use crate::schedule::{Monitor, Schedule};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A system whose services are mock dexts: the kernel between a client and what implements
/// [`Service`] and [`UserClient`].
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
    pub(super) faults: Faults,
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

    /// As [`MockSystem::terminate`].
    pub(super) fn terminate(self: &Arc<Self>, service: ServiceId) {
        if let Some(dext) = self.withdraw(service) {
            for link in self.links_of(service) {
                link.terminate(self);
            }
            let pending = self.teardown_begins();
            let name = format!("stop of {service}");
            drop(self.schedule.spawn(&name, move || {
                let _pending = pending;
                dext.stop();
            }));
        }
    }

    /// As [`MockSystem::crash`].
    pub(super) fn crash(self: &Arc<Self>, service: ServiceId) {
        if let Some(dext) = self.withdraw(service) {
            dext.die();
            self.faults.wake_hanging();
            for link in self.links_of(service) {
                link.terminate(self);
                if !memory_outlives_dext(self.rules) {
                    self.task().end_connection(link.id.0);
                }
            }
        }
    }

    /// Takes a service out of the registry, once.
    fn withdraw(&self, service: ServiceId) -> Option<Arc<Dext>> {
        let mut registry = self.registry();
        let dext = registry.get(service).filter(|dext| dext.terminate())?;
        registry.tell(dext.description(), Notice { kind: NoticeKind::Terminated, service });
        Some(dext)
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

    pub(super) fn make(schedule: &Schedule, rules: Rules, faults: FaultPlan) -> Arc<Self> {
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
            faults: Faults::new(schedule, faults),
        };
        let kernel = Arc::new(kernel);
        kernel.plan_times();
        Arc::new(Self { kernel })
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
        let kernel = &self.kernel;
        let id = kernel.registry().next_id();
        let dext = Dext::new(&kernel.schedule, kernel.rules, id, description, provider, service)?;
        let dext = Arc::new(dext);
        dext.start().ok()?;
        kernel.registry().add(dext);
        Ok(id)
    }

    /// Removes a service: its provider is gone. Watchers get a notice, its connections are terminated
    /// (H1), and once what is inside the dext has come out (H3), user clients and service are
    /// stopped. It does not wait for that; [`settle`](Self::settle) does.
    ///
    /// Nothing happens to a service that is not there.
    pub fn terminate(&self, service: ServiceId) {
        self.kernel.terminate(service);
    }

    /// The dext's process dies: nobody is told, its connections are terminated, and what is on its way
    /// into the dext, or comes out of it later, gives a dead server (H4). A method that waits inside
    /// the dext cannot be taken out of it: its caller learns of the death when it returns.
    ///
    /// Nothing happens to a service that is not there.
    pub fn crash(&self, service: ServiceId) {
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
    /// teardown is over. What a dext made while it served nobody counts only when it has ended.
    #[must_use]
    pub fn leaks(&self) -> Vec<Leak> {
        self.settle();
        let open: Vec<_> = self.kernel.links().values().cloned().collect();
        let is_open = |client: u64| {
            open.iter().any(|link| link.id.0 == client && link.user_client().is_some())
        };
        let mut leaks = Vec::new();
        for dext in self.dexts() {
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

    /// Has the dext make and start a user client.
    fn new_user_client(
        &self,
        dext: &Dext,
        connection: ConnectionId,
        open_type: u32,
        strike: Strike<OpenFault>,
    ) -> Result<(Arc<dyn UserClient>, [DispatchQueue; 2]), IoReturn> {
        let rules = self.kernel.rules;
        let (process, client) = (dext.process(), Some(connection.0));
        let service = dext.service().ok_or(IoReturn::OFFLINE)?;
        let open_type = type_seen(rules, open_type);
        let make = || {
            let made = in_phase(process, client, Phase::NewUserClient, || {
                let own = || service.new_user_client(open_type);
                self.kernel.faulty_open((dext.id(), process), strike, own)
            });
            opened(rules, made.as_ref().map(Option::is_some).map_err(|code| *code))?;
            let Ok(Some(user_client)) = made else { return Err(IoReturn::ERROR) };
            in_phase(process, client, Phase::Start, || {
                let provider = Provider::new(&dext.description().class);
                user_client.start(&provider).ok()?;
                let queue = |name| user_client.dispatch_queue(name);
                let default = queue(QUEUE_DEFAULT).unwrap_or_else(|| dext.queue().clone());
                set_default_queue(process, client, &default);
                let methods = queue(QUEUE_EXTERNAL_METHOD).unwrap_or_else(|| default.clone());
                Ok((Arc::clone(&user_client), [methods, default]))
            })
        };
        let made = upcall(rules, dext.queue(), make);
        if matches!(made, Some(Ok(_))) {
            let task = TaskOfClient(Arc::downgrade(&self.kernel));
            set_client_task(process, connection.0, Arc::new(task));
        }
        let meanwhile = if process.is_dead() { Meanwhile::Died } else { Meanwhile::Nothing };
        came_out(rules, Operation::Open, meanwhile)?;
        made.unwrap_or(Err(IoReturn::MIG_SERVER_DIED))
    }
}

impl System for MockSystem {
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        Ok(self.kernel.registry().matching(matching))
    }

    fn property(&self, service: ServiceId, key: &str) -> Result<Option<Value>, IoReturn> {
        Ok(self.dext(service)?.description().all_properties().remove(key))
    }

    fn properties(&self, service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        Ok(self.dext(service)?.description().all_properties())
    }

    /// As on a Mac, a service that has ended is offline for an open (H5).
    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        let kernel = &self.kernel;
        let dext = kernel.registry().get(service);
        open_check(kernel.rules, dext.is_some())?;
        let dext = dext.filter(|dext| !dext.is_terminated()).ok_or(IoReturn::OFFLINE)?;
        let strike = kernel.faults.open();
        let refusal = match strike.what {
            Some(OpenFault::Refused(refusal)) => Some(refusal),
            _ => None,
        };
        if let Some(refusal) = refusal.filter(|refusal| refusal.reach() == OpenReach::NotAsked) {
            return Err(refusal.code());
        }
        let id = ConnectionId(kernel.connections.fetch_add(1, Ordering::Relaxed) + 1);
        kernel.schedule.yield_now();
        dext.client_came();
        let (user_client, queues) = match self.new_user_client(&dext, id, open_type, strike) {
            Ok(made) => made,
            Err(code) => {
                dext.client_left();
                return Err(code);
            }
        };
        let link = Link::new(kernel, id, Arc::clone(&dext), user_client, queues);
        kernel.links().insert(id, Arc::clone(&link));
        if dext.is_terminated() {
            // It ended while the user client was being made.
            link.terminate(kernel);
        }
        if let Some(refusal) = refusal {
            // Once it was made (G6).
            link.terminate(kernel);
            drop(MockConnection::new(Arc::clone(kernel), link));
            return Err(refusal.code());
        }
        Ok(Box::new(MockConnection::new(Arc::clone(kernel), link)))
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        let kernel = &self.kernel;
        let notices =
            Arc::new(MockNotices::new(&kernel.schedule, kernel.next_queue(), matching.clone()));
        kernel.registry().watch(&notices);
        Ok(notices)
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
