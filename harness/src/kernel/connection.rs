//! One open user client of the mock.

use super::dext::{Dext, upcall};
use super::gate::{Gate, Visit};
use super::registry::ServiceDescription;
use super::system::{Exercised, Kernel};
use crate::IoReturn;
use crate::boundary::entitlement::{USER_CLIENT_CREATOR, close_overtakes_stop};
use crate::boundary::{
    ConnectionState, Consequence, LockedOperation, Locking, Meanwhile, Rules, creator,
    waits_for_super_stop,
};
use crate::call::{ConnectionId, MapOptions};
use crate::connection::{
    AsyncWake, Connection, Mapping, MethodInput, MethodOutput, OtherCall, OtherReply,
};
use crate::driverkit::bridge::{self, Phase, forget_client, in_phase};
use crate::driverkit::{DispatchQueue, Provider, UserClient};
use crate::registry::Value;
use crate::schedule::Monitor;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The client's handle of a connection, with all the rights that the client has of it.
pub(super) struct MockConnection {
    pub(super) kernel: Arc<Kernel>,
    pub(super) link: Arc<Link>,
}

/// A connection as both sides know it.
pub(super) struct Link {
    pub(super) id: ConnectionId,
    pub(super) dext: Arc<Dext>,
    user_client: Mutex<Option<Arc<dyn UserClient>>>,
    /// Queue of the external methods, and that of everything else (K3).
    pub(super) method_queue: DispatchQueue,
    pub(super) default_queue: DispatchQueue,
    state: Mutex<ConnectionState>,
    /// What the kernel locks of itself (K1).
    pub(super) locking: Locking,
    pub(super) gate: Gate,
    stopped: Monitor<bool>,
    /// As the registry shows them (G9).
    pub(super) properties: BTreeMap<String, Value>,
}

impl Link {
    pub(super) fn new(
        kernel: &Kernel,
        id: ConnectionId,
        dext: Arc<Dext>,
        user_client: Arc<dyn UserClient>,
        queues: [DispatchQueue; 2],
    ) -> Arc<Self> {
        let [method_queue, default_queue] = queues;
        let mut properties = dext.description().user_client_properties.clone();
        let by = creator(kernel.client.process, &kernel.client.name);
        properties.insert(USER_CLIENT_CREATOR.to_owned(), Value::String(by));
        Arc::new(Self {
            id,
            locking: locking(kernel.rules, dext.description(), user_client.is_in_kernel()),
            dext,
            user_client: Mutex::new(Some(user_client)),
            method_queue,
            default_queue,
            state: Mutex::new(ConnectionState::new()),
            gate: Gate::new(&kernel.schedule),
            stopped: Monitor::new(&kernel.schedule, "the stop of a user client (G14)", false),
            properties,
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, ConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operation comes inside, and holds the lock as it has to (K1).
    pub(super) fn come(&self, kernel: &Kernel, operation: LockedOperation) -> Visit<'_> {
        let hold = self.locking.hold(kernel.rules, operation);
        self.gate.come().lock(kernel.rules, hold)
    }

    /// The dext's object, until it was stopped.
    pub(super) fn user_client(&self) -> Option<Arc<dyn UserClient>> {
        self.user_client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What happened since an operation that is inside the dext came there.
    pub(super) fn meanwhile(&self) -> Meanwhile {
        if self.dext.process().is_dead() {
            Meanwhile::Died
        } else if self.state().is_terminated() {
            Meanwhile::Terminated
        } else {
            Meanwhile::Nothing
        }
    }

    /// Does what follows from a change of the state.
    pub(super) fn follow(self: &Arc<Self>, kernel: &Arc<Kernel>, consequence: Consequence) {
        if consequence.end_mappings {
            kernel.task().end_connection(self.id.0);
        }
        if consequence.stop {
            self.begin_teardown(kernel);
        }
    }

    /// Stops the user client once nobody is inside any more (H3), on a task of its own: the close
    /// does not wait for it (G14).
    fn begin_teardown(self: &Arc<Self>, kernel: &Arc<Kernel>) {
        let (link, kernel) = (Arc::clone(self), Arc::clone(kernel));
        let pending = kernel.teardown_begins();
        let name = format!("stop of {}", self.id);
        drop(kernel.schedule.clone().spawn(&name, move || {
            let _pending = pending;
            link.gate.wait_until_empty();
            link.stop(&kernel);
            *link.stopped.lock() = true;
            link.stopped.notify_all();
        }));
    }

    fn wait_until_stopped(&self) {
        let mut stopped = self.stopped.lock();
        while !*stopped {
            stopped.wait_until(None);
        }
    }

    fn stop(&self, kernel: &Kernel) {
        let user_client = self.user_client.lock().unwrap_or_else(PoisonError::into_inner).take();
        let process = self.dext.process();
        if let Some(user_client) = user_client
            && !process.is_dead()
        {
            kernel.schedule.yield_now();
            let (rules, queue, client) = (kernel.rules, &self.default_queue, Some(self.id.0));
            let provider = Provider::new(&self.dext.description().class);
            // The service is the provider.
            let waits = waits_for_super_stop(rules, self.dext.is_terminated());
            let stopped = upcall(rules, process, queue, || {
                // The result of a Stop is nobody's concern.
                bridge::stop(process, client, || {
                    let _ = user_client.stop(&provider);
                })
            });
            if waits && let Some(stopped) = stopped {
                stopped.wait(process.life(), None);
            }
            // With the object goes what it holds.
            upcall(rules, process, queue, || {
                in_phase(process, client, Phase::Stop, || drop(user_client));
            });
            forget_client(process, self.id.0);
            self.dext.client_left();
        }
    }

    /// The user client is terminated from the dext's side (H1).
    pub(super) fn terminate(self: &Arc<Self>, kernel: &Arc<Kernel>) {
        let consequence = self.state().terminate(kernel.rules);
        self.follow(kernel, consequence);
    }

    /// The client drops a right without closing (G15).
    pub(super) fn release(self: &Arc<Self>, kernel: &Arc<Kernel>) -> Result<(), IoReturn> {
        let consequence = self.state().release(kernel.rules)?;
        self.follow(kernel, consequence);
        Ok(())
    }
}

/// What the kernel locks of itself for the user clients of a service (K1).
fn locking(rules: Rules, description: &ServiceDescription, in_kernel: bool) -> Locking {
    let told = description.user_client_properties.keys().any(|name| Locking::is_property(name));
    if in_kernel && !told {
        return Locking::UNTOLD_IN_KERNEL;
    }
    Locking::of_properties(rules, |name| {
        let value = description.user_client_properties.get(name)?;
        // Anything but the false object is true.
        Some(*value != Value::Boolean(false))
    })
}

impl MockConnection {
    pub(super) fn new(kernel: Arc<Kernel>, link: Arc<Link>) -> Self {
        Self { kernel, link }
    }
}

impl Connection for MockConnection {
    fn id(&self) -> ConnectionId {
        self.link.id
    }

    fn check(&self) -> Result<(), IoReturn> {
        self.link.state().check(self.kernel.rules)
    }

    fn call_method(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let result = self.method(selector, None, input, output);
        self.kernel.exercised(&self.link.dext, Exercised::Method(selector), result);
        result
    }

    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let result = self.method(selector, Some(wake), input, output);
        self.kernel.exercised(&self.link.dext, Exercised::Method(selector), result);
        result
    }

    fn map_memory(
        &self,
        memory_type: u32,
        options: MapOptions,
        address: u64,
    ) -> Result<Mapping, IoReturn> {
        let mapped = self.map(memory_type, options, address);
        let result = mapped.as_ref().err().copied().unwrap_or(IoReturn::SUCCESS);
        self.kernel.exercised(&self.link.dext, Exercised::Map(memory_type), result);
        mapped
    }

    fn unmap_memory(&self, memory_type: u32, address: u64) -> IoReturn {
        self.unmap(memory_type, address)
    }

    fn close(&self) -> IoReturn {
        let reaches = self.link.state().check(self.kernel.rules).is_ok();
        // Only a close that reaches the user client takes its lock.
        let visit = reaches.then(|| {
            let visit = self.link.come(&self.kernel, LockedOperation::Close);
            self.kernel.schedule.yield_now();
            visit
        });
        let (result, consequence) = self.link.state().close(self.kernel.rules);
        drop(visit);
        let stops = consequence.stop;
        self.link.follow(&self.kernel, consequence);
        if stops && !close_overtakes_stop(self.kernel.rules) {
            self.link.wait_until_stopped();
        }
        result
    }

    fn other_call(&self, call: &OtherCall<'_>) -> OtherReply {
        self.other(call)
    }
}

impl Drop for MockConnection {
    fn drop(&mut self) {
        while self.link.release(&self.kernel).is_ok() {}
        self.kernel.forget_unheld(self.link.id);
    }
}

impl fmt::Debug for MockConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockConnection")
            .field("id", &self.link.id)
            .field("state", &*self.link.state())
            .finish_non_exhaustive()
    }
}
