//! A published service and the process that it runs in.

use super::registry::ServiceDescription;
use crate::IoReturn;
use crate::boundary::{Rules, waits_for_queue};
use crate::call::ServiceId;
use crate::driverkit::bridge::{Phase, in_phase, run_on_queue, set_default_queue};
use crate::driverkit::{
    DextProcess, DispatchQueue, Leak, OsObject, Provider, QUEUE_DEFAULT, Service,
};
use crate::schedule::{Monitor, Schedule};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// User clients that have not stopped yet.
    clients: Monitor<u64>,
    /// What was left when the process ended.
    left: Mutex<Vec<Leak>>,
}

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
            clients: Monitor::new(schedule, "the user clients of a service to stop", 0),
            left: Mutex::new(Vec::new()),
        })
    }

    pub(super) fn id(&self) -> ServiceId {
        self.id
    }

    pub(super) fn description(&self) -> &ServiceDescription {
        &self.description
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

    pub(super) fn start(&self) -> IoReturn {
        let Some(service) = self.service() else { return IoReturn::OFFLINE };
        let start = || service.start(&self.provider);
        let started =
            run_on_queue(&self.queue, || in_phase(&self.process, None, Phase::Start, start));
        started.unwrap_or(IoReturn::OFFLINE)
    }

    pub(super) fn client_came(&self) {
        *self.clients.lock() += 1;
    }

    pub(super) fn client_left(&self) {
        *self.clients.lock() -= 1;
        self.clients.notify_all();
    }

    /// Stops the service once its user clients have stopped, and ends the process.
    pub(super) fn stop(&self) {
        let mut clients = self.clients.lock();
        while *clients > 0 {
            clients.wait_until(None);
        }
        drop(clients);
        if let Some(service) = self.take_service() {
            run_on_queue(&self.queue, || {
                in_phase(&self.process, None, Phase::Stop, || {
                    // The result of a Stop is nobody's concern.
                    let _ = service.stop(&self.provider);
                    drop(service);
                });
            });
        }
        let inside = self.process.enter();
        self.queue.release();
        drop(inside);
        let left = self.process.leaks().leaks().to_vec();
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = left;
        self.process.kill();
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
/// before.
pub(super) fn upcall<R>(
    rules: Rules,
    queue: &DispatchQueue,
    call: impl FnOnce() -> R,
) -> Option<R> {
    if waits_for_queue(rules) { run_on_queue(queue, call) } else { Some(call()) }
}

impl fmt::Debug for Dext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dext")
            .field("id", &self.id)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}
