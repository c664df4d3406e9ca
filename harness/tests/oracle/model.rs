//! The small account: what a client is told, after the reference's groups D, F, G and H.
//!
//! It knows of one client task. Addresses that the kernel chooses are learned from the answers; that
//! they are free is checked.

use crate::dext;
use dextape::IoReturn;
use dextape::limits::PAGE_SIZE;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One memory of a dext: which run of the dext, and which of its objects.
type Object = (u32, u32);

/// A descriptor as a map sees it.
struct Descriptor {
    object: Object,
    length: u64,
    read_only: bool,
}

/// What the dext says to a memory type.
enum Said {
    Memory(Descriptor),
    Nothing,
    Refused,
}

pub(crate) struct Mapped {
    object: Object,
    length: u64,
    read_only: bool,
    cache: u8,
    pub(crate) address: u64,
    /// The connections that hold it; without one it is gone (F14).
    holders: BTreeSet<usize>,
}

impl Mapped {
    fn pages(&self) -> (u64, u64) {
        (self.address, self.address + self.length.next_multiple_of(PAGE_SIZE))
    }
}

#[derive(Default)]
struct Connection {
    rights: u32,
    ended: bool,
    ever_mapped: bool,
    /// It ended with its dext, which stops nothing any more.
    is_crashed: bool,
    run: u32,
}

/// What a map should give.
#[derive(Debug, PartialEq)]
pub(crate) enum Expected {
    Fails(IoReturn),
    /// At that address where one is told, else anywhere that is free.
    At {
        mapping: usize,
        address: Option<u64>,
        length: u64,
        read_only: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Delivery {
    pub(crate) reference: [u64; 8],
    pub(crate) status: u32,
    pub(crate) arguments: Vec<u64>,
}

struct Kept {
    queue: u32,
    reference: [u64; 8],
}

#[derive(Default)]
pub(crate) struct Model {
    connections: Vec<Connection>,
    /// In order of making, gone ones too.
    pub(crate) mappings: Vec<Mapped>,
    /// Whether the first mapping that an object ever had was read-only (F3).
    first_read_only: BTreeMap<Object, bool>,
    /// Which run of the dext; it is there or not.
    run: u32,
    pub(crate) is_published: bool,
    slots: [Option<Kept>; 2],
    grown: u64,
    fresh: u32,
    queue: u32,
    delivered: VecDeque<Delivery>,
}

impl Model {
    pub(crate) fn publish(&mut self) {
        self.run += 1;
        self.is_published = true;
        self.slots = Default::default();
        self.grown = dext::GROWN_AT_FIRST;
    }

    pub(crate) fn open(&mut self) {
        let run = self.run;
        self.connections.push(Connection { rights: 1, run, ..Connection::default() });
    }

    /// What stands before every call: a name without a right (A15), or a dead connection (H1).
    pub(crate) fn refusal(&self, connection: usize) -> Option<IoReturn> {
        let connection = &self.connections[connection];
        match connection {
            Connection { rights: 0, .. } => Some(IoReturn::MACH_SEND_INVALID_DEST),
            Connection { ended: true, ever_mapped: true, .. } => Some(IoReturn::BAD_ARGUMENT),
            Connection { ended: true, .. } => Some(IoReturn::MACH_SEND_INVALID_DEST),
            _ => None,
        }
    }

    /// G12, G13, H2.
    pub(crate) fn close(&mut self, index: usize) -> IoReturn {
        let connection = &mut self.connections[index];
        if connection.rights == 0 {
            return IoReturn::MACH_SEND_INVALID_DEST;
        }
        let was_open = !connection.ended;
        let result = if was_open || connection.ever_mapped {
            IoReturn::SUCCESS
        } else {
            IoReturn::MACH_SEND_INVALID_DEST
        };
        connection.ended = true;
        self.drop_right(index);
        result
    }

    /// Whether the reference tells what another right does: not for a dead name.
    pub(crate) fn has_a_live_port(&self, index: usize) -> bool {
        let connection = &self.connections[index];
        connection.rights > 0 && (!connection.ended || connection.ever_mapped)
    }

    pub(crate) fn add_right(&mut self, index: usize) {
        self.connections[index].rights += 1;
    }

    /// G15, F23, F24.
    pub(crate) fn drop_right(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.rights -= 1;
        if connection.rights == 0 {
            connection.ended = true;
            for mapping in &mut self.mappings {
                mapping.holders.remove(&index);
            }
        }
    }

    pub(crate) fn end_client(&mut self, index: usize) {
        self.connections[index].ended = true;
    }

    /// The dext ends, with all its clients; mappings stay (F25), actions do not (D20).
    pub(crate) fn end(&mut self, is_crash: bool) {
        let run = self.run;
        for one in self.connections.iter_mut().filter(|one| one.run == run && !one.ended) {
            one.ended = true;
            one.is_crashed = is_crash;
        }
        self.is_published = false;
        self.slots = Default::default();
    }

    pub(crate) fn trap(&self, index: usize) -> IoReturn {
        match self.refusal(index) {
            Some(_) => IoReturn::BAD_ARGUMENT,
            None => IoReturn::SUCCESS,
        }
    }

    fn asks(&mut self, memory_type: u8) -> Said {
        let run = self.run;
        let memory = |object, length, read_only| {
            Said::Memory(Descriptor { object: (run, object), length, read_only })
        };
        match memory_type {
            0 => memory(0, dext::WHOLE, false),
            1 => memory(0, dext::WHOLE, true),
            2 => memory(1, dext::ODD, false),
            3 => {
                self.fresh += 1;
                memory(100 + self.fresh, dext::FRESH, false)
            }
            4 => Said::Refused,
            5 => Said::Nothing,
            6 => memory(2, dext::PART, false),
            _ => memory(3, self.grown, false),
        }
    }

    /// The oldest mapping that such a request finds again (F11 to F13, F20).
    fn compatible(&self, wanted: &Descriptor, cache: u8, at: Option<u64>) -> Option<usize> {
        self.mappings.iter().position(|one| {
            !one.holders.is_empty()
                && one.object == wanted.object
                && one.read_only == wanted.read_only
                && wanted.length <= one.length
                && (cache == 0 || cache == one.cache)
                && at.is_none_or(|at| at == one.address)
        })
    }

    pub(crate) fn is_free(&self, start: u64, length: u64) -> bool {
        let end = start + length.next_multiple_of(PAGE_SIZE);
        self.mappings.iter().filter(|one| !one.holders.is_empty()).all(|one| {
            let (from, to) = one.pages();
            end <= from || to <= start
        })
    }

    /// `at` is a whole page.
    pub(crate) fn map(
        &mut self,
        index: usize,
        memory_type: u8,
        cache: u8,
        at: Option<u64>,
    ) -> Expected {
        if let Some(code) = self.refusal(index) {
            return Expected::Fails(code);
        }
        // F5: whatever is wrong.
        let Said::Memory(wanted) = self.asks(memory_type) else {
            return Expected::Fails(IoReturn::BAD_ARGUMENT);
        };
        let found = self.compatible(&wanted, cache, at);
        if found.is_none() && at.is_some_and(|at| !self.is_free(at, wanted.length)) {
            return Expected::Fails(IoReturn::BAD_ARGUMENT);
        }
        let first = *self.first_read_only.entry(wanted.object).or_insert(wanted.read_only);
        let (length, read_only) = (wanted.length, wanted.read_only || first);
        let address = found.map(|found| self.mappings[found].address).or(at);
        let mapping = found.unwrap_or_else(|| {
            self.mappings.push(Mapped {
                object: wanted.object,
                length: wanted.length,
                read_only: wanted.read_only,
                cache,
                address: at.unwrap_or(0),
                holders: BTreeSet::new(),
            });
            self.mappings.len() - 1
        });
        self.mappings[mapping].holders.insert(index);
        self.connections[index].ever_mapped = true;
        Expected::At { mapping, address, length, read_only }
    }

    /// F15 to F20.
    pub(crate) fn unmap(&mut self, index: usize, memory_type: u8) -> IoReturn {
        if let Some(code) = self.refusal(index) {
            return code;
        }
        let wanted = match self.asks(memory_type) {
            Said::Memory(wanted) => wanted,
            Said::Nothing => return IoReturn::SUCCESS,
            Said::Refused => return dext::REFUSED,
        };
        let Some(found) = self.compatible(&wanted, 0, None) else {
            return IoReturn::BAD_ARGUMENT;
        };
        self.mappings[found].holders.remove(&index);
        IoReturn::SUCCESS
    }

    pub(crate) fn rights(&self, index: usize) -> u32 {
        self.connections[index].rights
    }

    /// How many user clients a dext that was alive has stopped, once all is quiet (G13, G15).
    pub(crate) fn ends(&self) -> usize {
        self.connections.iter().filter(|one| one.ended && !one.is_crashed).count()
    }

    pub(crate) fn is_there(&self, mapping: usize) -> bool {
        !self.mappings[mapping].holders.is_empty()
    }

    pub(crate) fn grow(&mut self) {
        // More than the capacity is ignored (I5).
        self.grown = (self.grown + PAGE_SIZE).min(dext::GROWN_AT_MOST);
    }

    /// D7, D8.
    pub(crate) fn keep(&mut self, slot: usize, given: &[u64]) {
        let mut reference = [0; 8];
        reference[1..given.len()].copy_from_slice(&given[1..]);
        self.slots[slot] = Some(Kept { queue: self.queue, reference });
    }

    pub(crate) fn forget(&mut self, slot: usize) {
        self.slots[slot] = None;
    }

    /// D11, D13, D14, D19.
    pub(crate) fn fire(&mut self, slot: usize, status: u32, arguments: u8) -> IoReturn {
        let Some(kept) = &self.slots[slot] else { return dext::EMPTY_SLOT };
        if kept.queue == self.queue && arguments <= 16 {
            let arguments = (0..u64::from(arguments)).map(|value| value + 100).collect();
            self.delivered.push_back(Delivery { reference: kept.reference, status, arguments });
        }
        IoReturn::SUCCESS
    }

    pub(crate) fn new_queue(&mut self) {
        self.queue += 1;
        self.delivered.clear();
    }

    pub(crate) fn collect(&mut self) -> Vec<Delivery> {
        self.delivered.drain(..).collect()
    }
}
