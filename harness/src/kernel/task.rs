//! The client's task: what is mapped where.

use super::client_memory::ClientMemory;
use crate::IoReturn;
use crate::boundary::{MapRequest, MappedRange, MappingTable, Rules};
use crate::call::MemoryId;
use crate::connection::Mapping;
use crate::memory::{Backing, Memory};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The mappings of the one task whose clients a mock system serves.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) table: MappingTable,
    memories: BTreeMap<u64, Arc<ClientMemory>>,
}

impl Task {
    pub(super) fn new(rules: Rules) -> Self {
        Self { table: MappingTable::new(rules), memories: BTreeMap::new() }
    }

    /// Maps what the dext answered. Aliases of one mapping share its memory and its number.
    pub(super) fn map(
        &mut self,
        request: &MapRequest,
        store: &Arc<Backing>,
    ) -> Result<Mapping, IoReturn> {
        let MappedRange { number, address, length, accessible, offset, read_only } =
            self.table.map(request)?;
        let memory = self.memories.entry(number).or_insert_with(|| {
            Arc::new(ClientMemory::new(Arc::clone(store), offset, accessible, read_only))
        });
        let memory = Arc::clone(memory) as Arc<dyn Memory>;
        Ok(Mapping::new(MemoryId(number), request.memory_type, address, length, memory))
    }

    /// Ends what the table says is gone.
    pub(super) fn end(&mut self, gone: &[u64]) {
        for number in gone {
            if let Some(memory) = self.memories.remove(number) {
                memory.end();
            }
        }
    }

    pub(super) fn end_connection(&mut self, connection: u64) {
        let gone = self.table.end_connection(connection);
        self.end(&gone);
    }
}
