//! How the file of a ring is divided.

use super::RingOptions;
use super::keeper::Limits;
use super::options::SIZE_MIN;

/// Places of a ring, at least: those ahead, those that late writers may still be in, and some to keep.
const PLACES_MIN: u64 = 12;

/// Segments that a ring makes ahead, at most.
pub(in crate::journal) const AHEAD_IN_RING: u64 = 3;

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
    /// Divides what the options allow, on a machine with pages of this size.
    pub(in crate::journal) fn of(options: &RingOptions, page_size: u32) -> Self {
        let size = options.size.max(SIZE_MIN);
        let page = u64::from(page_size);
        let most = |asked: Option<u64>| asked.unwrap_or(size / 16).min(size / 8);
        let lists = size / 64;
        let state = most(options.prologue) + most(options.shadows) + lists;
        let state_size = state.next_multiple_of(page);
        let for_places = size - 2 * state_size;
        let wished = (size / 64).clamp(u64::from(super::super::layout::SEGMENT_SIZE_MIN), 1 << 20);
        let largest = (for_places / PLACES_MIN).max(page);
        // Powers of two, so that a place in a segment is a matter of bits.
        let segment = 1 << wished.min(largest).max(page).ilog2();
        Self {
            segment_size: segment as u32,
            places: (for_places / segment).min(u64::from(u32::MAX >> 8)) as u32,
            state_size,
        }
    }

    /// What may be kept beside the segments.
    pub(in crate::journal) fn limits(options: &RingOptions) -> Limits {
        let size = options.size.max(SIZE_MIN);
        let most = |asked: Option<u64>| asked.unwrap_or(size / 16).min(size / 8);
        Limits {
            prologue: most(options.prologue),
            shadows: most(options.shadows),
            first_calls: options.first_calls,
            sticky: options.sticky.iter().copied().take(256).collect(),
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
        (u64::from(self.places) / 8).max(1)
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
                }
            }
        }
    }
}
