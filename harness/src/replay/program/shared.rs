//! Memories and their patches, on the way from events to steps.

use super::LoadError;
use super::arena::Stored;
use super::compile::{Compiler, inconsistent};
use super::step::{EventIndex, Flags, Kind, MemoryIndex, MemoryInfo, NONE, Patch, Step, StepIndex};
use crate::IoReturn;
use crate::call::MapOptions;
use crate::tape::{Capture, Event, Keyframe, MappedMemory, Payload, Sequence};

/// Where the virtual addresses of a replay's mappings begin.
pub(super) const ADDRESS_BASE: u64 = 0x1_0000_0000;
/// Mappings begin on multiples of this, with as much left free between them.
const ADDRESS_STEP: u64 = 0x1_0000;

/// Lane of what no thread of the client did.
const DEVICE_LANE: u32 = 0;

/// Where the mapping behind one of `size` bytes lies. Addresses only tell mappings apart, so what does not
/// fit begins anew.
fn address_behind(address: u64, size: u64) -> u64 {
    let room = size.div_ceil(ADDRESS_STEP).saturating_add(1);
    let next = room.checked_mul(ADDRESS_STEP).and_then(|room| address.checked_add(room));
    next.unwrap_or(ADDRESS_BASE)
}

impl Compiler<'_> {
    pub(super) fn mapped(
        &mut self,
        index: EventIndex,
        event: &Event,
        outcome: &Result<MappedMemory, IoReturn>,
    ) -> Result<(), LoadError> {
        let Some(step) = self.leave(index, event, Kind::Map)? else { return Ok(()) };
        let enter = step.enter;
        match outcome {
            Err(result) => step.result = *result,
            Ok(mapped) => {
                let connection = step.connection;
                let number = self.steps[&event.sequence];
                let asked = self.maps.get(&number).copied();
                debug_assert!(asked.is_some(), "the enter at {enter} was a map");
                let (memory_type, options, address) = asked.unwrap_or_default();
                let fixed = !MapOptions(options).contains(MapOptions::ANYWHERE);
                let address = if fixed {
                    // Rounded down to a page (F9).
                    address - address % self.program.tape.header().page_size.max(1)
                } else {
                    self.address
                };
                let info = MemoryInfo {
                    number: mapped.memory,
                    connection,
                    memory_type: Some(memory_type),
                    size: mapped.size,
                    address,
                    capture: mapped.capture,
                    read_only: mapped.read_only,
                };
                let memory = self.memory(info);
                // Of aliases the larger one (F13).
                let known = &mut self.program.memories[memory as usize];
                known.size = known.size.max(mapped.size);
                if known.address == self.address {
                    self.address = address_behind(address, mapped.size);
                }
                self.program.steps[number as usize].outcome = memory;
            }
        }
        Ok(())
    }

    /// The last step that was entered up to an event.
    fn step_before(&self, sequence: Sequence) -> StepIndex {
        let entered = |step: &Step| self.program.event(step.enter).sequence <= sequence;
        let steps = self.program.steps.partition_point(entered);
        steps.checked_sub(1).map_or(NONE, |index| index as StepIndex)
    }

    pub(super) fn patch(
        &mut self,
        index: EventIndex,
        event: &Event,
        memory: u32,
        (offset, data): (u64, &Payload),
        (read, unattributed, last_equal): (u64, bool, Option<Sequence>),
    ) -> Result<(), LoadError> {
        let memory = self.known_memory(event, memory)?;
        let stored = self.program.arena.add(data, self.blobs)?;
        let number = u32::try_from(self.program.patches.len()).map_err(|_| LoadError::TooLarge)?;
        // What nobody's read saw was found beside the client's threads: it belongs behind what the
        // connection was asked for last.
        let asked = (event.process, event.connection);
        let beside = (event.lane == DEVICE_LANE).then(|| self.asked.get(&asked)).flatten();
        let lane = match beside.copied() {
            Some(lane) => self.lane_of(event.process, lane),
            None => self.lane(event),
        };
        let is_cut = lane.is_cut;
        let (lane, anchor, previous) =
            (lane.index, lane.anchor, std::mem::replace(&mut lane.patch, number));
        // What it came after is missing.
        let (anchor, previous) = if is_cut { (NONE, NONE) } else { (anchor, previous) };
        let (at, opaque) = match stored {
            Stored::At(at) => (at, false),
            Stored::Opaque => (0, true),
        };
        let mut loose = number;
        let first = match self.program.steps.get_mut(anchor as usize) {
            _ if is_cut => &mut loose,
            Some(step) => {
                step.flags.set(Flags::PATCHES);
                &mut step.patches
            }
            None => &mut self.program.initial_patches[lane as usize],
        };
        let mut previous = previous;
        if is_cut {
            // A client that crosses the gap comes to it.
        } else if *first == NONE {
            *first = number;
        } else if previous == NONE {
            // Patches stand behind the enter and behind the leave of one step.
            previous = *first;
            while let Some(Patch { next, .. }) = self.program.patches.get(previous as usize)
                && *next != NONE
            {
                previous = *next;
            }
        }
        if let Some(before) = self.program.patches.get_mut(previous as usize) {
            before.next = number;
        }
        self.program.patches.push(Patch {
            event: index,
            memory,
            lane,
            anchor,
            previous,
            next: NONE,
            offset,
            at,
            length: data.length(),
            read,
            opaque,
            unattributed,
            since: last_equal.map_or(NONE, |last| self.step_before(last)),
        });
        Ok(())
    }

    pub(super) fn known_memory(
        &self,
        event: &Event,
        number: u32,
    ) -> Result<MemoryIndex, LoadError> {
        self.program.memory(number).ok_or_else(|| {
            inconsistent(event, "a use of memory that no map or call has shown before")
        })
    }

    /// The index of a memory, new where its number is.
    fn memory(&mut self, info: MemoryInfo) -> MemoryIndex {
        let memories = &mut self.program.memories;
        *self.program.memory_indices.entry(info.number).or_insert_with(|| {
            memories.push(info);
            memories.len() as u32 - 1
        })
    }

    /// Memories that were mapped where events are missing.
    pub(super) fn keyframe(&mut self, keyframe: &Keyframe) {
        let page = self.program.tape.header().page_size.max(1);
        for held in &keyframe.memories {
            if self.program.memory(held.memory).is_some() {
                continue;
            }
            let size = held.length.checked_next_multiple_of(page).unwrap_or(u64::MAX);
            let mapped = held.connection.is_some();
            let address = if mapped { self.address } else { 0 };
            self.memory(MemoryInfo {
                number: held.memory,
                connection: held.connection.unwrap_or(NONE),
                memory_type: mapped.then_some(held.memory_type),
                size,
                address,
                capture: Capture::Accessor,
                read_only: false,
            });
            if mapped {
                self.address = address_behind(address, size);
            }
        }
    }

    pub(super) fn shared_memory(&mut self, event: &Event, number: u32, size: u64) {
        self.memory(MemoryInfo {
            number,
            connection: event.connection.unwrap_or(NONE),
            memory_type: None,
            size,
            address: 0,
            capture: Capture::Accessor,
            read_only: false,
        });
    }
}
