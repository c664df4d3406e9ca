//! The client's task: what is mapped where.

use super::client_memory::ClientMemory;
use super::system::Kernel;
use crate::IoReturn;
use crate::boundary::{MapRequest, MappedRange, MappingTable, Rules};
use crate::call::MemoryId;
use crate::connection::Mapping;
use crate::driverkit::bridge::ClientTask;
use crate::memory::{ClientAddresses, Memory, Part, client_part};
use crate::registry::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// The mappings of the one task whose clients a mock system serves.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) table: MappingTable,
    memories: BTreeMap<u64, Arc<ClientMemory>>,
    /// The client's own memory that dexts were told of.
    pub(super) own: ClientAddresses,
    roots: Roots,
}

/// The memory of the root descriptors that were mapped, so that the table forgets those that are gone.
#[derive(Debug, Default)]
struct Roots {
    known: BTreeMap<u64, Weak<dyn Memory>>,
    /// Those that were there when the others were last forgotten.
    live: usize,
}

impl Roots {
    /// Known roots that are looked through at least.
    const FEW: usize = 16;

    /// A root is mapped. Gives those that are gone, now and then.
    fn mapped(&mut self, root: u64, store: &Arc<dyn Memory>) -> Vec<u64> {
        self.known.entry(root).or_insert_with(|| Arc::downgrade(store));
        if self.known.len() < Self::FEW.max(2 * self.live) {
            return Vec::new();
        }
        let gone =
            |(root, store): (&u64, &Weak<dyn Memory>)| (store.strong_count() == 0).then_some(*root);
        let gone: Vec<u64> = self.known.iter().filter_map(gone).collect();
        self.known.retain(|_, store| store.strong_count() > 0);
        self.live = self.known.len();
        gone
    }
}

impl Task {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            table: MappingTable::new(rules),
            memories: BTreeMap::new(),
            own: ClientAddresses::default(),
            roots: Roots::default(),
        }
    }

    /// Maps what the dext answered. Aliases of one mapping share its memory and its number.
    pub(super) fn map(
        &mut self,
        request: &MapRequest,
        store: &Arc<dyn Memory>,
    ) -> Result<Mapping, IoReturn> {
        let MappedRange { number, address, length, accessible, offset, read_only } =
            self.table.map(request)?;
        for root in self.roots.mapped(request.descriptor.root, store) {
            self.table.forget_descriptor(root);
        }
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

/// The task as a dext reaches it, through its user client (I14).
pub(super) struct TaskOfClient(pub(super) Weak<Kernel>);

impl ClientTask for TaskOfClient {
    fn memory_at(&self, address: u64, length: u64) -> Option<Part> {
        let kernel = self.0.upgrade()?;
        let own = kernel.task().own.memory_at(address, length);
        own.or_else(|| client_part(kernel.space.get()?, address, length))
    }

    fn is_entitled(&self, key: &str) -> bool {
        let kernel = self.0.upgrade();
        let value = kernel.and_then(|kernel| kernel.client.entitlements.get(key).cloned());
        value == Some(Value::Boolean(true))
    }
}
