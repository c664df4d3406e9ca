//! How often a lane has read which range since its last event.

use std::ops::Range;

/// Distinct ranges that a lane remembers between two of its events. A poll loop reads a few.
const RANGES: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Entry {
    memory: u32,
    offset: u64,
    length: u64,
    count: u64,
}

/// The reads of one lane that were no events, counted since the lane's last event, so that a patch can
/// say which overlapping read saw it. Of fixed size: a read costs no allocation.
///
/// Exact for up to 32 distinct ranges between two events. Reads of further ranges are not
/// counted, so that a patch after them names an earlier read than the one that saw it, and a replay
/// that applies patches as recorded applies it no later than it was seen.
#[derive(Debug)]
pub(crate) struct ReadLog {
    entries: [Entry; RANGES],
    used: usize,
    /// Where the last read was found: a poll loop is there again.
    hint: usize,
}

impl ReadLog {
    /// No reads yet.
    pub(crate) const fn new() -> Self {
        let none = Entry { memory: 0, offset: 0, length: 0, count: 0 };
        Self { entries: [none; RANGES], used: 0, hint: 0 }
    }

    /// The lane has a new event: counting begins anew.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.hint = 0;
    }

    /// Counts one read.
    pub(crate) fn count(&mut self, memory: u32, offset: u64, length: u64) {
        let same = |entry: &Entry| {
            entry.memory == memory && entry.offset == offset && entry.length == length
        };
        let used = &mut self.entries[..self.used];
        if let Some(entry) = used.get_mut(self.hint).filter(|entry| same(entry)) {
            entry.count = entry.count.saturating_add(1);
        } else if let Some(index) = used.iter().position(same) {
            used[index].count = used[index].count.saturating_add(1);
            self.hint = index;
        } else if self.used < RANGES {
            self.entries[self.used] = Entry { memory, offset, length, count: 1 };
            self.hint = self.used;
            self.used += 1;
        }
    }

    /// How many of the counted reads overlap `range` of `memory`.
    pub(crate) fn overlapping(&self, memory: u32, range: &Range<u64>) -> u64 {
        let overlaps = |entry: &&Entry| {
            let end = entry.offset.saturating_add(entry.length);
            entry.memory == memory && entry.offset < range.end && range.start < end
        };
        let counts = self.entries[..self.used].iter().filter(overlaps).map(|entry| entry.count);
        counts.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_reads_are_counted_by_memory_and_range() {
        let mut log = ReadLog::new();
        for _ in 0..3 {
            log.count(1, 8, 4);
            log.count(1, 12, 4);
            log.count(2, 8, 4);
        }
        assert_eq!(log.overlapping(1, &(8..12)), 3);
        assert_eq!(log.overlapping(1, &(11..13)), 6);
        assert_eq!(log.overlapping(1, &(12..13)), 3, "a range that ends there does not overlap");
        assert_eq!(log.overlapping(2, &(0..100)), 3);
        log.clear();
        assert_eq!(log.overlapping(1, &(0..100)), 0);
    }

    #[test]
    fn more_ranges_than_are_remembered_are_counted_low() {
        let mut log = ReadLog::new();
        for offset in 0..RANGES as u64 + 8 {
            log.count(1, offset * 8, 8);
        }
        assert_eq!(log.overlapping(1, &(0..u64::MAX)), RANGES as u64);
        assert_eq!(log.overlapping(1, &(RANGES as u64 * 8..u64::MAX)), 0);
        log.count(1, 0, 8);
        assert_eq!(log.overlapping(1, &(0..8)), 2, "known ranges go on counting");
    }
}
