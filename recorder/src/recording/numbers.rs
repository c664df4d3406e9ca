//! Numbers of the tape, given out in order of first use.

use crate::journal::Token;
use dextape::call::{ConnectionId, MemoryId, QueueId, ServiceId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts up from 1.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU32);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(1))
    }

    pub(crate) fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Numbers that a session gives out to the handles of all its systems.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub(crate) systems: Counter,
    pub(crate) connections: Counter,
    pub(crate) memories: Counter,
    /// Completion queues and notice queues together: a wait names either.
    pub(crate) queues: Counter,
    services: Counter,
}

impl Numbers {
    pub(crate) const fn new() -> Self {
        Self {
            systems: Counter::new(),
            connections: Counter::new(),
            memories: Counter::new(),
            queues: Counter::new(),
            services: Counter::new(),
        }
    }
}

/// Handles of one system and their numbers on the tape.
#[derive(Debug)]
pub(crate) struct Handles<M> {
    connections: HashMap<ConnectionId, u32>,
    services: HashMap<ServiceId, u32>,
    memories: HashMap<MemoryId, M>,
    /// Number of the memory that was last mapped at an address, and the event that mapped it.
    addresses: HashMap<u64, (u32, Option<Token>)>,
    /// Queues that the client named and that are none of this system.
    foreign_queues: HashMap<QueueId, u32>,
}

impl<M: Clone> Handles<M> {
    pub(crate) fn new() -> Self {
        Self {
            connections: HashMap::new(),
            services: HashMap::new(),
            memories: HashMap::new(),
            addresses: HashMap::new(),
            foreign_queues: HashMap::new(),
        }
    }

    /// A connection was opened and has this number.
    pub(crate) fn opened(&mut self, connection: ConnectionId, number: u32) {
        self.connections.insert(connection, number);
    }

    /// Number of a connection; `None` for what is none of this system.
    pub(crate) fn connection(&self, connection: ConnectionId) -> Option<u32> {
        self.connections.get(&connection).copied()
    }

    /// Number of a service, and whether it was given out just now.
    pub(crate) fn service(&mut self, service: ServiceId, numbers: &Numbers) -> (u32, bool) {
        if let Some(number) = self.services.get(&service) {
            return (*number, false);
        }
        let number = numbers.services.next();
        self.services.insert(service, number);
        (number, true)
    }

    /// Number of a service that the client has seen.
    pub(crate) fn known_service(&self, service: ServiceId) -> Option<u32> {
        self.services.get(&service).copied()
    }

    /// What is kept of a memory: aliases of it share that.
    pub(crate) fn memory(&mut self, memory: MemoryId, first: impl FnOnce() -> M) -> M {
        self.memories.entry(memory).or_insert_with(first).clone()
    }

    /// Event `mapped` has mapped the memory with this number at `address`.
    pub(crate) fn mapped_at(&mut self, address: u64, memory: u32, mapped: Option<Token>) {
        self.addresses.insert(address, (memory, mapped));
    }

    /// Which memory was last mapped at `address`, and by which event.
    pub(crate) fn at(&self, address: u64) -> Option<(u32, Option<Token>)> {
        self.addresses.get(&address).copied()
    }

    /// Number of a queue that is none of this system.
    pub(crate) fn foreign_queue(&mut self, queue: QueueId, numbers: &Numbers) -> u32 {
        *self.foreign_queues.entry(queue).or_insert_with(|| numbers.queues.next())
    }
}
