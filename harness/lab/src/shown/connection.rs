//! What is known of a connection, as far as rules show by it.

use dextape::IoReturn;
use dextape::boundary::{ConnectionState, Rule, Rules};
use dextape::tape::MappedMemory;
use std::collections::{BTreeMap, BTreeSet};

/// A connection of a tape.
#[derive(Debug)]
pub(super) struct Connection {
    state: ConnectionState,
    /// It may have ended, or begun, without the tape telling just when.
    pub(super) vague: bool,
    pub(super) service: Option<u32>,
    pub(super) ever_mapped: bool,
    pub(super) closed: bool,
    /// How often each memory type was mapped since it was last unmapped.
    maps: BTreeMap<u32, u32>,
    /// Types of which one unmap has undone several maps, and nothing was mapped since.
    undone: BTreeSet<u32>,
    /// The memories that it has mapped, with the length that the client was told.
    memories: BTreeMap<u32, u64>,
}

impl Connection {
    pub(super) fn new(service: Option<u32>, vague: bool) -> Self {
        Self {
            state: ConnectionState::new(),
            vague,
            service,
            ever_mapped: vague,
            closed: false,
            maps: BTreeMap::new(),
            undone: BTreeSet::new(),
            memories: BTreeMap::new(),
        }
    }

    /// What it answers to calls, where it has certainly ended.
    pub(super) fn dead(&self) -> Option<IoReturn> {
        self.state.check(Rules::all()).err().filter(|_| !self.vague)
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.state.is_terminated()
    }

    pub(super) fn has_rights(&self) -> bool {
        self.state.rights() > 0
    }

    pub(super) fn terminate(&mut self) {
        let _ = self.state.terminate(Rules::all());
    }

    /// A close came back.
    pub(super) fn close(&mut self) -> Option<Rule> {
        let dead = self.dead().is_some() && !self.closed;
        let _ = self.state.close(Rules::all());
        self.closed = true;
        dead.then_some(Rule::H2)
    }

    /// A right was dropped, or another taken.
    pub(super) fn rights(&mut self, more: bool) {
        if more {
            let _ = self.state.add_ref();
        } else {
            let _ = self.state.release(Rules::all());
        }
    }

    /// Whether the connection has that memory mapped.
    pub(super) fn has(&self, memory: u32) -> bool {
        self.memories.contains_key(&memory)
    }

    /// A map gave the client a memory.
    pub(super) fn mapped(&mut self, memory_type: u32, mapped: &MappedMemory) -> Option<Rule> {
        self.state.mapped();
        self.ever_mapped = true;
        *self.maps.entry(memory_type).or_default() += 1;
        self.undone.remove(&memory_type);
        let before = self.memories.insert(mapped.memory, mapped.length);
        before.map(|length| if length == mapped.length { Rule::F11 } else { Rule::F13 })
    }

    /// An unmap came back.
    pub(super) fn unmapped(&mut self, memory_type: u32, result: IoReturn) -> Option<Rule> {
        if result == IoReturn::SUCCESS {
            if self.maps.remove(&memory_type).is_some_and(|maps| maps > 1) {
                self.undone.insert(memory_type);
            }
            return None;
        }
        let again = result == IoReturn::BAD_ARGUMENT && self.undone.contains(&memory_type);
        (again && self.dead().is_none()).then_some(Rule::F16)
    }

    /// Some memory was unmapped.
    pub(super) fn forget_all(&mut self) {
        self.memories.clear();
    }

    /// A memory was unmapped.
    pub(super) fn forget(&mut self, memory: u32) {
        self.memories.remove(&memory);
    }
}
