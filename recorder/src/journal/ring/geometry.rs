//! How the file of a ring is divided.

use super::RingOptions;
use super::keeper::Limits;
use super::options::SIZE_MIN;

/// Places of a ring, at least: those ahead, those that late writers may still be in, and some to keep.
const PLACES_MIN: u64 = 12;

/// Segments that a ring makes ahead, at most.
pub(in crate::journal) const AHEAD_IN_RING: u64 = 3;

/// Segments and states are whole numbers of this, the largest page of the machines that there are.
const GRAIN: u64 = 16 << 10;

/// What a budget is at least, where it was not set, and at most, so that saving a state stays a small matter.
const BUDGET_MIN: u64 = 64 << 10;
const BUDGET_MAX: u64 = 64 << 20;

/// Selectors that can be sticky.
const STICKY_MAX: usize = 256;

/// Bytes of a state that each lane, connection, queue, call, completion and memory may take together, beside
/// what budgets count; those of its fixed part; and things of each kind that are followed.
const ENTRY: u64 = 512;
const FIXED: u64 = 4096;
const ENTRIES_MAX: u64 = 1024;

/// Bytes of a state for what is counted by number.
fn lists(size: u64) -> u64 {
    (size / 32).min(FIXED + ENTRIES_MAX * ENTRY)
}

/// A ring's file: places for segments, and behind them two states, of which one is always whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) struct Geometry {
    /// Bytes of a segment.
    pub(in crate::journal) segment_size: u32,
    /// Segments that the file has room for.
    pub(in crate::journal) places: u32,
    /// Bytes of each state.
    pub(in crate::journal) state_size: u64,
}

impl Geometry {
    /// Divides what the options allow. It is the same on every machine whose pages are no larger than
    /// [`GRAIN`], since the tape depends on it.
    pub(in crate::journal) fn of(options: &RingOptions, page_size: u32) -> Self {
        let size = options.size.max(SIZE_MIN);
        let grain = u64::from(page_size).max(GRAIN);
        let limits = Self::limits(options);
        let state = limits.prologue + limits.shadows + limits.transit + lists(size);
        let state_size = state.next_multiple_of(grain);
        let for_places = size - 2 * state_size;
        let wished = (size / 128).min(1 << 20);
        let largest = (for_places / PLACES_MIN).max(grain);
        // Powers of two, so that a place in a segment is a matter of bits.
        let segment = 1 << wished.min(largest).max(grain).ilog2();
        Self {
            segment_size: segment as u32,
            places: (for_places / segment).min(u64::from(u32::MAX >> 8)) as u32,
            state_size,
        }
    }

    /// What may be kept beside the segments.
    pub(in crate::journal) fn limits(options: &RingOptions) -> Limits {
        let size = options.size.max(SIZE_MIN);
        let most = |asked: Option<u64>, part: u64| {
            let usual = (size / part).max(BUDGET_MIN);
            asked.unwrap_or(usual).min(size / 8).min(BUDGET_MAX)
        };
        Limits {
            prologue: most(options.prologue, 32),
            shadows: most(options.shadows, 16),
            transit: (size / 32).min(BUDGET_MAX),
            entries: ((lists(size) - FIXED) / ENTRY) as u32,
            first_calls: options.first_calls,
            sticky: options.sticky.iter().copied().take(STICKY_MAX).collect(),
        }
    }

    /// Where in the file the states begin.
    pub(in crate::journal) fn states(&self) -> u64 {
        u64::from(self.places) * u64::from(self.segment_size)
    }

    /// Bytes of the file.
    pub(in crate::journal) fn file_size(&self) -> u64 {
        self.states() + 2 * self.state_size
    }

    /// Segments that are certain to be left, up to the one in use, where so many are made ahead.
    pub(in crate::journal) fn certain(&self, ahead: u64) -> u32 {
        let ahead = ahead.min(AHEAD_IN_RING);
        // The helper gives up one batch before it has to, and a second one when it begins late.
        u64::from(self.places).saturating_sub(2 * self.batch() + ahead).max(1) as u32
    }

    /// Segments that are recycled at once, so that saving the state is worth it.
    pub(in crate::journal) fn batch(&self) -> u64 {
        (u64::from(self.places) / 12).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_never_longer_than_asked_for() {
        for page in [4096, 16_384] {
            for size in [1 << 20, (1 << 20) + 77, 3 << 20, 64 << 20, 1 << 30, 16 << 30] {
                let large = RingOptions { shadows: Some(u64::MAX), ..RingOptions::of_size(size) };
                for options in [RingOptions::of_size(size), large] {
                    let geometry = Geometry::of(&options, page);
                    assert!(geometry.file_size() <= size, "{size}: {geometry:?}");
                    assert!(u64::from(geometry.places) >= PLACES_MIN, "{size}: {geometry:?}");
                    assert!(geometry.segment_size.is_multiple_of(page), "{size}: {geometry:?}");
                    assert!(geometry.states() * 10 > size * 4, "{size}: {geometry:?}");
                    assert_eq!(geometry, Geometry::of(&options, 4096), "{size}");
                }
            }
        }
    }
}
