//! The addresses of one task: virtual, and the same in every run.

use crate::limits::PAGE_SIZE;
use std::collections::BTreeMap;

/// First address that a mapping can have: the 4 GiB below are `__PAGEZERO` in every 64-bit program.
const START: u64 = 0x1_0000_0000;

/// End of a program's addresses.
const END: u64 = 0x7fff_ffff_c000;

/// Which addresses of a task are taken. Chosen ones only ever rise, so that the address of a mapping
/// that is gone does not come back by itself.
#[derive(Clone, Debug)]
pub(super) struct AddressSpace {
    next: u64,
    /// Length by start, in bytes; whole pages, without overlap.
    taken: BTreeMap<u64, u64>,
}

impl AddressSpace {
    pub(super) fn new() -> Self {
        Self { next: START, taken: BTreeMap::new() }
    }

    /// Takes `size` bytes where there is room, or gives `None` where there is none.
    pub(super) fn take(&mut self, size: u64) -> Option<u64> {
        let mut start = self.next;
        while let Some(end) = self.overlap(start, size) {
            start = end;
        }
        let start = self.take_at(start, size)?;
        self.next = start + size;
        Some(start)
    }

    /// Takes `size` bytes at `start`, a multiple of the page size, if they are free.
    pub(super) fn take_at(&mut self, start: u64, size: u64) -> Option<u64> {
        let end = start.checked_add(size)?;
        let fits = start.is_multiple_of(PAGE_SIZE) && start >= START && end <= END;
        if !fits || self.overlap(start, size).is_some() {
            return None;
        }
        self.taken.insert(start, size);
        Some(start)
    }

    pub(super) fn give_back(&mut self, start: u64) {
        self.taken.remove(&start);
    }

    /// End of the range in the way of `size` bytes at `start`, if one is.
    fn overlap(&self, start: u64, size: u64) -> Option<u64> {
        let before = self.taken.range(..start.saturating_add(size)).next_back()?;
        let end = before.0 + before.1;
        (end > start).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_range_must_be_free_and_the_next_choice_goes_around_it() {
        let mut space = AddressSpace::new();
        assert_eq!(space.take_at(START + PAGE_SIZE, PAGE_SIZE), Some(START + PAGE_SIZE));
        assert_eq!(space.take_at(START, 2 * PAGE_SIZE), None);
        assert_eq!(space.take(PAGE_SIZE), Some(START));
        assert_eq!(space.take(PAGE_SIZE), Some(START + 2 * PAGE_SIZE));
        space.give_back(START + PAGE_SIZE);
        assert_eq!(space.take_at(START + PAGE_SIZE, PAGE_SIZE), Some(START + PAGE_SIZE));
    }

    #[test]
    fn page_zero_and_the_end_are_not_for_mappings() {
        let mut space = AddressSpace::new();
        assert_eq!(space.take_at(0, PAGE_SIZE), None);
        assert_eq!(space.take_at(START - PAGE_SIZE, PAGE_SIZE), None);
        assert_eq!(space.take_at(u64::MAX - PAGE_SIZE + 1, PAGE_SIZE), None);
        assert_eq!(space.take(END), None);
        assert_eq!(space.take(PAGE_SIZE), Some(START));
    }
}
