//! The dext of a plug-in as the mock sees it.

use crate::abi::{Object, PluginTable};
use crate::carry::into_plugin;
use crate::host::{code, descriptor_of};
use crate::{arguments, handles, stops};
use dextape::IoReturn;
use dextape::driverkit::{
    DispatchQueue, ExternalMethodArguments, MemoryDescriptor, Provider, Service, UserClient,
};
use std::ffi::CString;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An object of the plug-in's, with one reference that is ours.
struct Owned {
    table: PluginTable,
    object: Object,
    instance: u64,
    /// The dext itself, with which goes all that it has.
    is_service: bool,
}

// SAFETY: the plug-in promises in `plugin.h` that its objects may be called on any thread; the mock calls
// one at a time on the object's queue, as DriverKit does.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

impl Owned {
    fn call(&self, function: impl FnOnce(&PluginTable, Object) -> i32) -> IoReturn {
        let result = into_plugin(self.instance, || function(&self.table, self.object));
        IoReturn(result.cast_unsigned())
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        stops::forget(self.object);
        // SAFETY: our reference, given back once.
        into_plugin(self.instance, || unsafe { (self.table.object_release)(self.object) });
        handles::sweep();
        // Not before it has let go of what it holds.
        if self.is_service {
            handles::forget(self.instance);
        }
    }
}

/// The service of a plug-in.
pub(crate) struct PluginService {
    service: Arc<Owned>,
}

impl PluginService {
    /// Makes the plug-in's service; `None` where it makes none.
    pub(crate) fn new(table: PluginTable) -> Option<Self> {
        static INSTANCES: AtomicU64 = AtomicU64::new(0);
        let instance = INSTANCES.fetch_add(1, Ordering::Relaxed) + 1;
        // SAFETY: a function of a table that was checked.
        let object = into_plugin(instance, || unsafe { (table.service_new)() });
        let there = !object.is_null();
        there.then(|| Self {
            service: Arc::new(Owned { table, object, instance, is_service: true }),
        })
    }
}

impl Service for PluginService {
    fn start(&self, _provider: &Provider) -> IoReturn {
        // SAFETY: a function of a table that was checked, with an object of its own.
        self.service.call(|table, service| unsafe { (table.service_start)(service) })
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        stops::begin(self.service.object);
        // SAFETY: as above.
        self.service.call(|table, service| unsafe { (table.service_stop)(service) })
    }

    fn new_user_client(&self, open_type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let mut object: Object = null_mut();
        let result = self.service.call(|table, service| {
            // SAFETY: as above; there is room for one result.
            unsafe { (table.service_new_user_client)(service, open_type, &mut object) }
        });
        let class = stops::take_created();
        let (table, instance) = (self.service.table, self.service.instance);
        let client =
            (!object.is_null()).then(|| Owned { table, object, instance, is_service: false });
        result.ok()?;
        let made = |client| PluginUserClient { client, class, service: Arc::clone(&self.service) };
        Ok(client.map(|client| Arc::new(made(client)) as Arc<dyn UserClient>))
    }
}

/// A user client of a plug-in.
struct PluginUserClient {
    client: Owned,
    class: Option<String>,
    /// It outlives its user clients.
    service: Arc<Owned>,
}

impl UserClient for PluginUserClient {
    fn kernel_class(&self) -> &str {
        self.class.as_deref().unwrap_or("IOUserUserClient")
    }

    fn start(&self, _provider: &Provider) -> IoReturn {
        let service = self.service.object;
        // SAFETY: a function of a table that was checked, with objects of its own.
        self.client.call(|table, client| unsafe { (table.client_start)(client, service) })
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        stops::begin(self.client.object);
        let service = self.service.object;
        // SAFETY: as above.
        self.client.call(|table, client| unsafe { (table.client_stop)(client, service) })
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        handles::sweep();
        arguments::pass(arguments, |passed| {
            self.client.call(|table, client| {
                // SAFETY: as above; the arguments are there during the call.
                unsafe { (table.client_external_method)(client, selector, passed) }
            })
        })
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let mut handle = 0;
        let result = self.client.call(|table, client| {
            // SAFETY: as above; there is room for both results.
            unsafe { (table.client_copy_memory)(client, memory_type, options, &mut handle) }
        });
        *memory = descriptor_of(handle);
        // The system takes its reference away.
        if memory.is_some() {
            handles::hand_over(handle);
        }
        result
    }

    fn dispatch_queue(&self, name: &str) -> Option<DispatchQueue> {
        let name = CString::new(name).ok()?;
        let mut handle = 0;
        let _ = self.client.call(|table, client| {
            // SAFETY: as above; the name has an end.
            handle = unsafe { (table.client_queue)(client, name.as_ptr()) };
            code(IoReturn::SUCCESS)
        });
        match handles::get(handle)? {
            handles::Managed::Queue(queue) => Some(queue),
            _ => None,
        }
    }
}
