//! The rings as both sides use them: a header with two indices, then entries of 144 bytes.
//!
//! Who puts in moves the tail, who takes out moves the head, and one entry stays empty, so that equal
//! indices mean an empty ring. An index is moved by a swap: what it held before shows whether somebody
//! else moved it meanwhile. Single loads and stores are not ordered, so a fence stands between what
//! says that an entry is there and the entry.

use super::abi::{Completion, Submission};
use dextape::memory::{AccessError, Memory};
use std::sync::atomic::{Ordering, fence};

/// Where things are in a ring.
pub(super) mod layout {
    use super::super::abi::Submission;

    /// Entries, 64 bits.
    pub(in super::super) const DEPTH: u64 = 0;
    /// Index of the next entry to be filled, 64 bits.
    pub(in super::super) const TAIL: u64 = 8;
    /// Index of the next entry to be taken, 64 bits.
    pub(in super::super) const HEAD: u64 = 16;
    /// Bytes of the whole ring, 64 bits.
    pub(in super::super) const SIZE: u64 = 24;
    /// The first entry.
    pub(in super::super) const ENTRIES: u64 = 32;
    /// Bytes of an entry.
    pub(in super::super) const ENTRY: u64 = size_of::<Submission>() as u64;
    /// The completion in an entry.
    pub(in super::super) const COMPLETION: u64 = 64;
    /// The status, with the phase, in an entry.
    pub(in super::super) const STATUS: u64 = COMPLETION + 14;
}

/// Bytes of a ring of that depth.
pub(super) const fn size(depth: u64) -> u64 {
    layout::ENTRIES + depth * layout::ENTRY
}

/// Where entry `index` begins.
pub(super) const fn entry(index: u64) -> u64 {
    layout::ENTRIES + index * layout::ENTRY
}

/// A ring and its depth, which is not read from shared memory after the beginning: the other side
/// could change it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring<'a> {
    pub(super) memory: &'a dyn Memory,
    pub(super) depth: u64,
}

/// The end of a command as the client takes it from a completion ring.
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Ended {
    pub(super) completion: Completion,
    pub(super) opaque: u64,
}

impl Ring<'_> {
    /// Writes the header of an empty ring.
    pub(super) fn format(&self) -> Result<(), AccessError> {
        self.memory.store::<u64>(layout::DEPTH, self.depth)?;
        self.memory.store::<u64>(layout::SIZE, size(self.depth))
    }

    pub(super) fn tail(&self) -> Result<u64, AccessError> {
        self.ordered(layout::TAIL)
    }

    pub(super) fn head(&self) -> Result<u64, AccessError> {
        self.ordered(layout::HEAD)
    }

    /// An index, read before what is accessed afterwards.
    fn ordered(&self, index: u64) -> Result<u64, AccessError> {
        let index = self.memory.load(index)?;
        fence(Ordering::Acquire);
        Ok(index)
    }

    pub(super) const fn after(&self, index: u64) -> u64 {
        (index + 1) % self.depth
    }

    /// Moves an index on. False where it was not `from`: somebody else moved it.
    pub(super) fn advance(&self, index: u64, from: u64) -> Result<bool, AccessError> {
        Ok(self.memory.swap::<u64>(index, self.after(from))? == from)
    }

    pub(super) fn read(&self, index: u64) -> Result<Submission, AccessError> {
        self.memory.read_struct(entry(index))
    }

    pub(super) fn write(&self, index: u64, submission: &Submission) -> Result<(), AccessError> {
        self.memory.write_struct(entry(index), submission)
    }

    /// Writes an ended command, its status last: whoever looks at the phase must not see it before
    /// the rest.
    pub(super) fn publish(&self, index: u64, ended: &Submission) -> Result<(), AccessError> {
        let bytes = bytemuck::bytes_of(ended);
        let (before, from_status) = bytes.split_at(layout::STATUS as usize);
        let (_, behind) = from_status.split_at(size_of::<u16>());
        let start = entry(index);
        self.memory.copy_in(start, before)?;
        self.memory.copy_in(start + layout::STATUS + 2, behind)?;
        fence(Ordering::Release);
        self.memory.store::<u16>(start + layout::STATUS, ended.completion.status)
    }

    /// The phase of entry `index`.
    pub(super) fn phase(&self, index: u64) -> Result<u16, AccessError> {
        let status = self.memory.load::<u16>(entry(index) + layout::STATUS)?;
        fence(Ordering::Acquire);
        Ok(status & 1)
    }

    pub(super) fn ended(&self, index: u64) -> Result<Ended, AccessError> {
        self.memory.read_struct(entry(index) + layout::COMPLETION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dextape::memory::Backing;

    #[test]
    fn a_ring_goes_round_and_tells_of_a_second_hand() {
        let backing = Backing::new(size(3));
        let ring = Ring { memory: &*backing, depth: 3 };
        ring.format().unwrap();
        for index in [0, 1, 2, 0] {
            assert_eq!(ring.tail(), Ok(index));
            assert_eq!(ring.advance(layout::TAIL, index), Ok(true));
        }
        assert_eq!(ring.advance(layout::TAIL, 0), Ok(false), "it is 1 by now");
        assert_eq!((ring.head(), ring.memory.load(layout::SIZE)), (Ok(0), Ok(32 + 3 * 144)));
    }

    #[test]
    fn what_is_published_is_the_whole_entry() {
        let backing = Backing::new(size(2));
        let ring = Ring { memory: &*backing, depth: 2 };
        let completion = Completion { command_id: 7, status: 0x101, ..Completion::default() };
        let ended = Submission { completion, opaque: 9, data_token: 3, ..Submission::default() };
        ring.publish(1, &ended).unwrap();
        assert_eq!(ring.read(1), Ok(ended));
        let Ended { completion: seen, opaque } = ring.ended(1).unwrap();
        assert_eq!((seen, opaque, ring.phase(1), ring.phase(0)), (completion, 9, Ok(1), Ok(0)));
    }
}
