//! The client's memory for data.

use super::abi::{memory_type, selector};
use super::dext::DataBuffers;
use crate::ScenarioError;
use dextape::call::MapOptions;
use dextape::connection::{CallError, Connection, ConnectionExt, Mapping};
use dextape::memory::{FrontMemory, Memory, SharedBuffer};

/// Bytes of the client's own memory that go into the call that makes a buffer known: above what fits
/// into a message, so that it arrives as a descriptor.
const OWN_BUFFER: u64 = 16 * 1024;

/// Memory for data, known to the dext by a token.
#[derive(Debug)]
pub(super) struct HostBuffer {
    pub(super) token: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A buffer of the dext's, mapped.
    Mapped(Mapping),
    /// The client's own, of which the dext keeps a descriptor.
    Own(FrontMemory),
}

impl HostBuffer {
    /// Makes memory known to the dext.
    pub(super) fn new(
        connection: &dyn Connection,
        buffers: DataBuffers,
        length: u64,
    ) -> Result<Self, ScenarioError> {
        let alloc = connection.call(selector::ALLOC_BUFFER);
        if buffers == DataBuffers::Dext {
            let token: u64 = alloc.input(&length).output()?;
            let mapping = connection
                .map_memory(memory_type::data(token), MapOptions::ANYWHERE, 0)
                .map_err(ScenarioError::refused("map a buffer"))?;
            return Ok(Self { token, place: Place::Mapped(mapping) });
        }
        let own = SharedBuffer::new(OWN_BUFFER);
        // The size travels in the buffer itself, where data will be.
        let front = own.memory();
        front.store::<u64>(0, length)?;
        let mut token = [0; 8];
        alloc.input_shared(&own).output_bytes(&mut token)?;
        Ok(Self { token: u64::from_le_bytes(token), place: Place::Own(front) })
    }

    /// The memory as the client sees it.
    pub(super) fn memory(&self) -> &dyn Memory {
        match &self.place {
            Place::Mapped(mapping) => &**mapping,
            Place::Own(own) => &**own,
        }
    }

    /// Bytes that belong to it.
    pub(super) fn length(&self) -> u64 {
        match &self.place {
            Place::Mapped(mapping) => mapping.length(),
            Place::Own(_) => OWN_BUFFER,
        }
    }

    /// Has the dext forget the buffer, unmapped before.
    pub(super) fn free(&self, connection: &dyn Connection) -> Result<(), CallError> {
        if let Place::Mapped(mapping) = &self.place {
            // A second time it is not mapped any more; the call says so, too.
            let _ = connection.unmap_memory(mapping.memory_type(), mapping.address());
        }
        connection.call(selector::DEALLOC_BUFFER).input(&self.token).send().map(drop)
    }
}
