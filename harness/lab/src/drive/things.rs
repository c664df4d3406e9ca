//! What the numbers of the tape stand for here.

use super::symbols::Symbols;
use dextape::call::ServiceId;
use dextape::connection::{CompletionQueue, Connection, Mapping, NoticeQueue};
use dextape::memory::{FrontMemory, Memory, SharedBuffer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A memory of the tape.
#[derive(Clone, Debug)]
pub(super) enum Held {
    Mapping(Mapping),
    Buffer(Arc<SharedBuffer>),
}

impl Held {
    /// Does something with the memory.
    pub(super) fn with<R>(&self, work: impl FnOnce(&dyn Memory) -> R) -> R {
        match self {
            Self::Mapping(mapping) => work(&**mapping),
            Self::Buffer(buffer) => {
                let memory: FrontMemory = buffer.memory();
                work(&*memory)
            }
        }
    }
}

/// What the numbers of the tape stand for.
#[derive(Debug, Default)]
pub(super) struct Things {
    pub(super) services: BTreeMap<u32, ServiceId>,
    pub(super) connections: BTreeMap<u32, Arc<dyn Connection>>,
    pub(super) memories: BTreeMap<u32, Held>,
    pub(super) completions: BTreeMap<u32, Arc<dyn CompletionQueue>>,
    pub(super) notices: BTreeMap<u32, Arc<dyn NoticeQueue>>,
    pub(super) symbols: Symbols,
}

impl Things {
    /// Binds a service to a number of the tape. False where either is bound to another one.
    pub(super) fn bind_service(&mut self, number: u32, service: ServiceId) -> bool {
        let taken = self.services.iter().any(|(other, it)| *it == service && *other != number);
        !taken && *self.services.entry(number).or_insert(service) == service
    }
}
