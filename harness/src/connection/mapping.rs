//! Memory of the dext, mapped into the client.

use crate::call::MemoryId;
use crate::memory::{DataQueueMemory, Memory};
use std::ops::Deref;
use std::sync::Arc;

/// A mapping that `IOConnectMapMemory64` made. Access is through [`Memory`], to which it
/// dereferences. Dropping it does not unmap: as on a Mac only an unmap or the end of the connection
/// does.
#[derive(Clone, Debug)]
pub struct Mapping {
    id: MemoryId,
    memory_type: u32,
    address: u64,
    length: u64,
    memory: Arc<dyn Memory>,
}

impl Mapping {
    /// A mapping of `length` bytes over `memory`, as a [`Connection`](super::Connection) makes it.
    #[must_use]
    pub fn new(
        id: MemoryId,
        memory_type: u32,
        address: u64,
        length: u64,
        memory: Arc<dyn Memory>,
    ) -> Self {
        Self { id, memory_type, address, length, memory }
    }

    /// Number of the mapping; aliases (the same descriptor mapped again, F11) share it.
    #[must_use]
    pub fn id(&self) -> MemoryId {
        self.id
    }

    /// The memory type that the client asked for.
    #[must_use]
    pub fn memory_type(&self) -> u32 {
        self.memory_type
    }

    /// `*atAddress`: address of the first byte in the client. Not reproducible on a Mac; virtual in a
    /// mock and in a replay.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// `*ofSize`: the descriptor's length, not rounded to pages (F10).
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The queue of entries in it, where the dext answered the map with the memory of a
    /// [`DataQueueDispatchSource`](crate::driverkit::DataQueueDispatchSource). Whoever takes from it
    /// an entry that somebody waits for tells the dext in their own way, by a call usually.
    #[must_use]
    #[doc(alias = "IODataQueueDequeue")]
    pub fn data_queue(&self) -> DataQueueMemory<'_> {
        DataQueueMemory::over(&*self.memory, self.length)
    }

    /// The memory behind, for whoever wraps it.
    #[must_use]
    pub fn memory(&self) -> &Arc<dyn Memory> {
        &self.memory
    }
}

impl Deref for Mapping {
    type Target = dyn Memory;

    fn deref(&self) -> &Self::Target {
        &*self.memory
    }
}
