//! A published service and the process that it runs in.

use super::registry::ServiceDescription;
use crate::IoReturn;
use crate::boundary::{DeathWindow, Rules, dying, waits_for_queue, waits_for_super_stop};
use crate::call::ServiceId;
use crate::driverkit::bridge::{self, Phase, in_phase, run_on_queue, set_default_queue};
use crate::driverkit::{
    DextProcess, DispatchQueue, Leak, OsObject, Provider, QUEUE_DEFAULT, Service, UserClient,
};
use crate::schedule::{Monitor, Schedule};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A published service.
pub(super) struct Dext {
    id: ServiceId,
    description: ServiceDescription,
    process: DextProcess,
    provider: Provider,
    /// The queue that upcalls run on where the dext has set none (K3).
    queue: DispatchQueue,
    service: Mutex<Option<Arc<dyn Service>>>,
    terminated: AtomicBool,
    /// The process is dead, and the kernel has not noticed everywhere (H5).
    window: Mutex<Option<DeathWindow>>,
    /// User clients that have not stopped yet.
    clients: Monitor<u64>,
    /// The service is gone for the kernel, and the process still passes its stop on.
    lingers: Monitor<bool>,
    /// What was left when the process ended.
    left: Mutex<Vec<Leak>>,
}

/// How long a process may go on whose service the kernel is done with.
const LINGERS: Duration = Duration::from_secs(1);

impl Dext {
    pub(super) fn new(
        schedule: &Schedule,
        rules: Rules,
        id: ServiceId,
        description: ServiceDescription,
        provider: Provider,
        service: Arc<dyn Service>,
    ) -> Result<Self, IoReturn> {
        let name = description.bundle_id.as_deref().unwrap_or(&description.name);
        let process = DextProcess::with_rules(name, schedule, rules);
        process.describe(description.all_properties());
        let inside = process.enter();
        let queue = DispatchQueue::create(QUEUE_DEFAULT)?;
        set_default_queue(&process, None, &queue);
        drop(inside);
        Ok(Self {
            id,
            description,
            process,
            provider,
            queue,
            service: Mutex::new(Some(service)),
            terminated: AtomicBool::new(false),
            window: Mutex::new(None),
            clients: Monitor::new(schedule, "the user clients of a service to stop", 0),
            lingers: Monitor::new(schedule, "a dext to pass its Stop on", false),
            left: Mutex::new(Vec::new()),
        })
    }

    pub(super) fn id(&self) -> ServiceId {
        self.id
    }

    pub(super) fn description(&self) -> &ServiceDescription {
        &self.description
    }

    /// What it is called by: its bundle, or its class.
    pub(super) fn name(&self) -> &str {
        self.description.bundle_id.as_deref().unwrap_or(&self.description.class)
    }

    pub(super) fn process(&self) -> &DextProcess {
        &self.process
    }

    pub(super) fn queue(&self) -> &DispatchQueue {
        &self.queue
    }

    pub(super) fn service(&self) -> Option<Arc<dyn Service>> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::Acquire)
    }

    /// True where this is the moment of termination.
    pub(super) fn terminate(&self) -> bool {
        !self.terminated.swap(true, Ordering::AcqRel)
    }

    pub(super) fn provider(&self) -> &Provider {
        &self.provider
    }

    pub(super) fn start(&self) -> IoReturn {
        let Some(service) = self.service() else { return IoReturn::OFFLINE };
        let start =
            || in_phase(&self.process, None, Phase::Start, || service.start(&self.provider));
        let started = run_on_queue(&self.queue, || self.process.life().work(start));
        started.flatten().unwrap_or(IoReturn::OFFLINE)
    }

    /// The process dies, and the kernel stays in this window for now.
    pub(super) fn die_in(&self, window: DeathWindow) {
        *self.window.lock().unwrap_or_else(PoisonError::into_inner) = Some(window);
        self.process.kill();
    }

    /// What an upcall gives that finds the process dead, while the kernel is in such a window (H5).
    ///
    /// # Errors
    ///
    /// The code.
    pub(super) fn reachable(&self, rules: Rules) -> Result<(), IoReturn> {
        let window = *self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.map_or(Ok(()), |window| Err(dying(rules, window)))
    }

    pub(super) fn client_came(&self) {
        *self.clients.lock() += 1;
    }

    pub(super) fn client_left(&self) {
        *self.clients.lock() -= 1;
        self.clients.notify_all();
    }

    /// Stops the service once its user clients have stopped, and ends the process. Where the provider
    /// is still there, that takes until the dext has passed the stop to its base (H9). Where it is gone
    /// the kernel is done with the service at once, and the process goes on for as long as that takes.
    pub(super) fn stop(self: &Arc<Self>, rules: Rules, provider_inactive: bool) {
        let mut clients = self.clients.lock();
        while *clients > 0 {
            clients.wait_until(None);
        }
        drop(clients);
        let Some(service) = self.take_service() else { return self.end() };
        let provider = &self.provider;
        let stopped = upcall(rules, &self.process, &self.queue, || {
            // The result of a Stop is nobody's concern.
            bridge::stop(&self.process, None, || {
                let _ = service.stop(provider);
            })
        });
        let deferred = stopped.filter(|stopped| stopped.is_deferred());
        match deferred {
            Some(stopped) if !waits_for_super_stop(rules, provider_inactive) => {
                *self.lingers.lock() = true;
                let this = Arc::clone(self);
                self.clients.schedule().spawn_daemon("the end of a dext", move || {
                    let deadline = this.clients.schedule().now().saturating_add(LINGERS);
                    stopped.wait(this.process.life(), Some(deadline));
                    this.release(rules, service);
                    *this.lingers.lock() = false;
                    this.lingers.notify_all();
                });
            }
            deferred => {
                if let Some(stopped) = deferred {
                    stopped.wait(self.process.life(), None);
                }
                self.release(rules, service);
            }
        }
    }

    /// Lets go of a service that has stopped, and ends its process.
    fn release(&self, rules: Rules, service: Arc<dyn Service>) {
        upcall(rules, &self.process, &self.queue, || {
            in_phase(&self.process, None, Phase::Stop, || drop(service));
        });
        self.end();
    }

    fn end(&self) {
        let inside = self.process.enter();
        self.queue.release();
        drop(inside);
        let left = self.process.leaks().leaks().to_vec();
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = left;
        self.process.kill();
    }

    /// Waits until a process has ended that went on after its service was stopped.
    pub(super) fn wait_for_end(&self) {
        let mut lingers = self.lingers.lock();
        while *lingers {
            lingers.wait_until(None);
        }
    }

    /// The process dies: nobody is told.
    pub(super) fn die(&self) {
        self.process.kill();
        drop(self.take_service());
    }

    /// What was left when the process ended.
    pub(super) fn left(&self) -> Vec<Leak> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_service(&self) -> Option<Arc<dyn Service>> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Runs an upcall on the calling thread when it is its turn on `queue` (K3). `None` where the dext died
/// before, or while the upcall waited for something (H4).
pub(super) fn upcall<R>(
    rules: Rules,
    process: &DextProcess,
    queue: &DispatchQueue,
    call: impl FnOnce() -> R,
) -> Option<R> {
    if waits_for_queue(rules) {
        run_on_queue(queue, || process.life().work(call)).flatten()
    } else {
        process.life().work(call)
    }
}

/// As [`upcall`], of a user client: a kext's waits for no queue.
pub(super) fn upcall_client<R>(
    rules: Rules,
    process: &DextProcess,
    (user_client, queue): (&dyn UserClient, &DispatchQueue),
    call: impl FnOnce() -> R,
) -> Option<R> {
    if user_client.is_in_kernel() {
        process.life().work(call)
    } else {
        upcall(rules, process, queue, call)
    }
}

impl fmt::Debug for Dext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dext")
            .field("id", &self.id)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}
