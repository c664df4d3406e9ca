//! The commit protocol, over any atomics, so that loom can run through its interleavings.
//!
//! 1. *Reserve*: one `fetch_add` on the head gives a writer the bytes from the old value on, for
//!    itself alone. Where they would cross into the next segment, or lie on its header, they are left
//!    as a hole and the writer reserves again.
//! 2. *Wait*: nothing is stored above the ready mark, which the helper raises once the memory below
//!    is really there.
//! 3. *Publish*: word 0 (length, kind) is stored first, so that a reader can step over the record
//!    even if it is never finished.
//! 4. *Fill*: the writer stores what follows word 1.
//! 5. *Commit*: word 1 is stored last, with release order. A reader that sees it sees all the rest.
//!
//! No step waits for another writer, so a writer that is stopped anywhere holds up nobody.
//!
//! In a ring a segment's place in the file is used again. Between 2 and 3 a writer enters the [`Place`]
//! of its segment, which fails where that has gone to another one meanwhile, and after 5 it leaves it. The
//! helper closes a place only while nobody is in it; one that somebody does not come out of is left out
//! from then on, and again nobody waits.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the protocol needs of an atomic word.
pub trait Word {
    /// Loads.
    fn load(&self, order: Ordering) -> u64;
    /// Stores.
    fn store(&self, value: u64, order: Ordering);
    /// Adds and gives what was there before.
    fn fetch_add(&self, value: u64, order: Ordering) -> u64;
    /// Stores `new` where `current` stands; true where it did.
    fn replace(&self, current: u64, new: u64, order: Ordering) -> bool;
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        Self::load(self, order)
    }

    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        Self::store(self, value, order);
    }

    #[inline]
    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        Self::fetch_add(self, value, order)
    }

    #[inline]
    fn replace(&self, current: u64, new: u64, order: Ordering) -> bool {
        self.compare_exchange(current, new, order, Ordering::Relaxed).is_ok()
    }
}

/// Where the next record goes, and how far memory is ready.
#[derive(Debug)]
pub struct Frontier<W> {
    head: Line<W>,
    ready: Line<W>,
    /// Segment size less one; the size is a power of two.
    mask: u64,
    /// Bytes of a segment's header.
    header: u64,
}

/// A cache line of its own: every writer changes the head, and all read the mark.
#[derive(Debug)]
#[repr(align(128))]
struct Line<W>(W);

/// What one reservation gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// The position of bytes that are the writer's own.
    At(u64),
    /// The bytes cross into a segment or lie on its header: reserve again.
    Across,
}

impl<W: Word> Frontier<W> {
    /// A frontier over segments of `segment_size` bytes, a power of two.
    pub fn new(head: W, ready: W, segment_size: u64, header: u64) -> Self {
        Self { head: Line(head), ready: Line(ready), mask: segment_size - 1, header }
    }

    /// Reserves `length` bytes.
    #[inline]
    pub fn reserve(&self, length: u64) -> Reservation {
        // Relaxed is enough for the order of tokens: all additions to one word have one order, and
        // it agrees with everything that happens before.
        let position = self.head.0.fetch_add(length, Ordering::Relaxed);
        let offset = position & self.mask;
        if offset >= self.header && offset + length <= self.mask + 1 {
            Reservation::At(position)
        } else {
            Reservation::Across
        }
    }

    /// Where the next record would go.
    pub fn head(&self) -> u64 {
        self.head.0.load(Ordering::Relaxed)
    }

    /// True where all before `end` is ready.
    #[inline]
    pub fn is_ready(&self, end: u64) -> bool {
        end <= self.ready.0.load(Ordering::Acquire)
    }

    /// Raises the ready mark; the helper's alone.
    pub fn raise(&self, end: u64) {
        self.ready.0.store(end, Ordering::Release);
    }
}

/// Step 3, on word 0.
#[inline]
pub fn publish<W: Word>(word_0: &W, value: u64) {
    word_0.store(value, Ordering::Relaxed);
}

/// Step 5, on word 1.
#[inline]
pub fn commit<W: Word>(word_1: &W, value: u64) {
    word_1.store(value, Ordering::Release);
}

/// The reader's side: word 1, after which the rest may be read; 0 where it is not committed.
pub fn committed<W: Word>(word_1: &W) -> u64 {
    word_1.load(Ordering::Acquire)
}

/// A place of a ring: the number of the segment that has it, and how many writers are in it.
#[derive(Debug)]
pub struct Place<W>(Line<W>);

/// Bits of the count of writers; the number stands above them.
const WRITERS: u32 = 24;

/// The number of a place that no segment has.
const CLOSED: u64 = u64::MAX >> WRITERS;

impl<W: Word> Place<W> {
    /// What the word of a place holds that no segment has.
    pub const NEW: u64 = CLOSED << WRITERS;

    /// A place over a word that holds [`NEW`](Self::NEW).
    pub fn new(word: W) -> Self {
        Self(Line(word))
    }

    /// Enters the place as a writer of segment `number`. False where another segment has it; the writer
    /// must store nothing then.
    #[inline]
    pub fn enter(&self, number: u64) -> bool {
        // One word for both, so that there is one order of entering and closing.
        let before = self.0.0.fetch_add(1, Ordering::Acquire);
        if before >> WRITERS == number {
            return true;
        }
        self.0.0.fetch_add(u64::MAX, Ordering::Relaxed);
        false
    }

    /// Leaves the place: what the writer stored is stored.
    #[inline]
    pub fn leave(&self) {
        self.0.0.fetch_add(u64::MAX, Ordering::Release);
    }

    /// Gives a closed place to segment `number`, once its bytes are in order; the helper's alone.
    pub fn open(&self, number: u64) {
        // Added, since somebody who comes too late may be counted at this moment.
        let difference = (number << WRITERS).wrapping_sub(Self::NEW);
        self.0.0.fetch_add(difference, Ordering::Release);
    }

    /// Takes the place from segment `number`. False where a writer is in it. After this, nobody stores
    /// anything there, and what was stored is seen. The helper's alone.
    pub fn close(&self, number: u64) -> bool {
        self.0.0.replace(number << WRITERS, Self::NEW, Ordering::Acquire)
    }
}
