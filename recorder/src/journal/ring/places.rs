//! Which place of the file each segment of a ring has.

use crate::journal::protocol::Place;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Bits of an entry that hold the place; the segment's number stands above them.
const PLACE: u32 = 24;

/// No segment.
const NONE: u64 = u64::MAX;

/// The places of a ring's file, and where each segment is.
#[derive(Debug)]
pub(in crate::journal) struct Ring {
    places: Box<[Place<AtomicU64>]>,
    /// By the low bits of a segment's number, its number and its place. Only a hint: the place itself
    /// knows which segment has it.
    entries: Box<[AtomicU64]>,
    mask: u64,
    /// Number of the oldest segment that is left.
    oldest: AtomicU64,
}

impl Ring {
    /// Places that no segment has yet.
    pub(in crate::journal) fn new(places: u32) -> Self {
        let count = u64::from(places).next_power_of_two() * 2;
        Self {
            places: (0..places)
                .map(|_| Place::new(AtomicU64::new(Place::<AtomicU64>::NEW)))
                .collect(),
            entries: (0..count).map(|_| AtomicU64::new(NONE)).collect(),
            mask: count - 1,
            oldest: AtomicU64::new(0),
        }
    }

    /// Enters the place of a segment; `None` where it has none any more.
    #[inline]
    pub(in crate::journal) fn enter(&self, number: u64) -> Option<(u64, &Place<AtomicU64>)> {
        let entry = self.entries[(number & self.mask) as usize].load(Ordering::Relaxed);
        if entry >> PLACE != number {
            return None;
        }
        let index = entry & ((1 << PLACE) - 1);
        let place = self.places.get(index as usize)?;
        place.enter(number).then_some((index, place))
    }

    /// Gives a closed place to a segment. The helper's alone, before it raises the mark over the segment.
    pub(in crate::journal) fn open(&self, number: u64, index: u32) {
        if let Some(place) = self.places.get(index as usize) {
            place.open(number);
        }
        let entry = number << PLACE | u64::from(index);
        self.entries[(number & self.mask) as usize].store(entry, Ordering::Relaxed);
    }

    /// Takes a place from its segment; false where a writer is in it. The helper's alone.
    pub(in crate::journal) fn close(&self, number: u64, index: u32) -> bool {
        self.places.get(index as usize).is_some_and(|place| place.close(number))
    }

    /// Says that the segments before `oldest` are in a saved state, and will be recycled from now on. The
    /// helper's alone.
    pub(in crate::journal) fn give_up_before(&self, oldest: u64) {
        self.oldest.store(oldest, Ordering::Release);
        // Whoever sees a place change sees this, too.
        fence(Ordering::SeqCst);
    }

    /// The oldest segment whose place no other one had until now.
    pub(in crate::journal) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Acquire)
    }
}
