//! The registry of this Mac.

use super::super::LiveError;
use super::super::matching::table;
use super::completion::IoKitQueue;
use super::connection::{IoKitConnection, Rights};
use super::foundation::CfValue;
use super::mapping::MappedMemory;
use super::notice::IoKitNotices;
use super::object::{IoIterator, IoObject, next};
use super::service::{self, Services};
use super::{check, host};
use dextape::IoReturn;
use dextape::call::{ConnectionId, MemoryId, QueueId, ServiceId};
use dextape::connection::{CompletionQueue, Connection, Matching, NoticeQueue, System, Value};
use dextape::schedule::Schedule;
use dextape::tape::Host;
use io_kit_sys::{IOServiceGetMatchingServices, IOServiceOpen, kIOMasterPortDefault};
use mach2::traps::mach_task_self;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The services of this Mac, in the free mode of time.
#[derive(Debug)]
pub struct IoKitSystem {
    shared: Arc<Shared>,
}

/// What the connections of a system have in common.
#[derive(Debug)]
pub(super) struct Shared {
    schedule: Schedule,
    services: Arc<Services>,
    connections: AtomicU64,
    queues: AtomicU64,
    memories: Mutex<Memories>,
    /// The rights of the connections that the client still has.
    rights: Mutex<BTreeMap<ConnectionId, Weak<Rights>>>,
}

#[derive(Debug, Default)]
struct Memories {
    count: u64,
    known: Vec<Weak<MappedMemory>>,
}

impl Shared {
    /// Remembers a connection that was opened.
    pub(super) fn opened(&self, connection: ConnectionId, rights: &Arc<Rights>) {
        let mut all = self.rights.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, rights| rights.strong_count() > 0);
        all.insert(connection, Arc::downgrade(rights));
    }

    /// The rights of a connection that the client still has.
    pub(super) fn rights_of(&self, connection: ConnectionId) -> Option<Arc<Rights>> {
        let all = self.rights.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&connection).and_then(Weak::upgrade)
    }

    /// The number of a service.
    pub(super) fn number(&self, service: IoObject) -> Result<ServiceId, IoReturn> {
        self.services.number(service)
    }

    /// Takes in what a map gave. Two connections of one task that map the same descriptor get the
    /// same address (F14), and so the same number.
    ///
    /// # Safety
    ///
    /// As for [`MappedMemory::new`].
    pub(super) unsafe fn adopt(&self, address: u64, length: u64) -> Option<Arc<MappedMemory>> {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.known.retain(|known| known.strong_count() > 0);
        let known: Vec<_> = memories.known.iter().filter_map(Weak::upgrade).collect();
        let alias = known.iter().find(|known| known.address() == address && known.is_mapped());
        let id = alias.map_or(MemoryId(memories.count + 1), |alias| alias.id());
        // SAFETY: the caller's own promise.
        let memory = Arc::new(unsafe { MappedMemory::new(id, address, length) }?);
        memories.count = memories.count.max(id.0);
        memories.known.push(Arc::downgrade(&memory));
        Some(memory)
    }
}

impl IoKitSystem {
    /// Opens the real system.
    ///
    /// # Errors
    ///
    /// None in this build; in others what is missing.
    pub fn open() -> Result<Arc<Self>, LiveError> {
        let shared = Shared {
            schedule: Schedule::free(),
            services: Arc::default(),
            connections: AtomicU64::new(0),
            queues: AtomicU64::new(0),
            memories: Mutex::default(),
            rights: Mutex::default(),
        };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// The Mac: model and version of the system.
    #[must_use]
    pub fn host(&self) -> Host {
        host::host()
    }

    /// Bytes of a page of memory.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        host::page_size()
    }

    fn queue_id(&self) -> QueueId {
        QueueId(self.shared.queues.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl System for IoKitSystem {
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        let dictionary = CfValue::dictionary(&table(matching)).ok_or(IoReturn::NO_MEMORY)?;
        let mut iterator = 0;
        // SAFETY: a constant of the library.
        let main_port = unsafe { kIOMasterPortDefault };
        // SAFETY: the function consumes the dictionary and writes one handle.
        let result = unsafe {
            IOServiceGetMatchingServices(main_port, dictionary.into_raw().cast(), &raw mut iterator)
        };
        check(result)?;
        // SAFETY: on success the function hands over the iterator, or null where nothing matches.
        let Some(iterator) = (unsafe { IoIterator::owned(iterator) }) else {
            return Ok(Vec::new());
        };
        let mut services = Vec::new();
        // SAFETY: the iterator lives.
        while let Some(service) = unsafe { next(iterator.raw()) } {
            services.push(self.shared.services.number(service)?);
        }
        Ok(services)
    }

    fn property(&self, service: ServiceId, key: &str) -> Result<Option<Value>, IoReturn> {
        service::property(&*self.shared.services.get(service)?, key)
    }

    fn properties(&self, service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        service::properties(&*self.shared.services.get(service)?)
    }

    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        let service = self.shared.services.get(service)?;
        let mut connect = 0;
        // SAFETY: the name of this task.
        let task = unsafe { mach_task_self() };
        // SAFETY: the service lives, and the library writes one handle.
        check(unsafe { IOServiceOpen(service.raw(), task, open_type, &raw mut connect) })?;
        let id = ConnectionId(self.shared.connections.fetch_add(1, Ordering::Relaxed) + 1);
        // SAFETY: on success the function hands over the right.
        let connection = unsafe { IoKitConnection::owned(id, connect, Arc::clone(&self.shared)) };
        Ok(Box::new(connection))
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        let shared = &self.shared;
        let (id, table) = (self.queue_id(), table(matching));
        Ok(Arc::new(IoKitNotices::new(id, &shared.schedule, &table, &shared.services)?))
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        Arc::new(IoKitQueue::new(self.queue_id(), &self.shared.schedule))
    }

    fn schedule(&self) -> &Schedule {
        &self.shared.schedule
    }
}
