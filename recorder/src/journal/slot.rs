//! The place of one record, from its reservation to its commit.

use super::layout::{ALIGNMENT, HEADER_SIZE, RECORD_HEAD, Sum, word_0};
use super::map::Map;
use super::protocol::{Frontier, Place, Reservation, commit, publish};
use super::ring::Ring;
use super::{Stamp, Token};
use std::sync::atomic::AtomicU64;

/// The journal's map with its frontier: it gives out slots.
#[derive(Debug)]
pub(super) struct Ground {
    map: Map,
    frontier: Frontier<AtomicU64>,
    /// Position of the first byte of the file.
    base: u64,
    segment_size: u64,
    /// Where segments are, if not one behind the other.
    ring: Option<Ring>,
}

impl Ground {
    /// Over a map whose first byte has the position `base`, a multiple of the segment size.
    pub(super) fn new(map: Map, base: u64, segment_size: u64, ring: Option<Ring>) -> Self {
        let head = AtomicU64::new(base + HEADER_SIZE as u64);
        let frontier = Frontier::new(head, AtomicU64::new(base), segment_size, HEADER_SIZE as u64);
        Self { map, frontier, base, segment_size, ring }
    }

    /// The places of a ring.
    pub(super) fn ring(&self) -> Option<&Ring> {
        self.ring.as_ref()
    }

    pub(super) fn frontier(&self) -> &Frontier<AtomicU64> {
        &self.frontier
    }

    /// Position after the last byte that the map reaches.
    pub(super) fn end(&self) -> u64 {
        match self.ring {
            Some(_) => u64::MAX,
            None => self.base + self.map.length() / self.segment_size * self.segment_size,
        }
    }

    /// Place of a position in the file, where that is no ring.
    pub(super) fn place(&self, position: u64) -> u64 {
        position - self.base
    }

    /// Makes a new segment at `place` in the file ready to be raised over: `header` goes to its start.
    ///
    /// The segment must be allocated and beyond the ready mark, and, in a ring, its place closed; the
    /// caller is the helper, or nobody else has the journal yet.
    pub(super) fn prepare(
        &self,
        position: u64,
        place: u64,
        header: &[u8; HEADER_SIZE],
        page: u64,
    ) -> std::io::Result<()> {
        assert!(
            !self.frontier.is_ready(position + 1)
                && place + self.segment_size <= self.map.length()
                && position + self.segment_size <= self.end()
        );
        // SAFETY: the segment is allocated, whole pages, and above the ready mark, where no writer
        // stores anything.
        unsafe { self.map.touch(place, self.segment_size, page)? };
        // SAFETY: as above.
        unsafe { self.map.write(place, header) };
        Ok(())
    }

    /// As [`prepare`](Self::prepare), where the place may hold the bytes of an older segment (`again`).
    pub(super) fn prepare_again(
        &self,
        position: u64,
        place: u64,
        header: &[u8; HEADER_SIZE],
        page: u64,
        again: bool,
    ) -> std::io::Result<()> {
        if again {
            assert!(place + self.segment_size <= self.map.length());
            // From the header on, so that nobody takes what is left for a segment meanwhile.
            // SAFETY: the caller has closed the place, so that no writer stores anything there.
            unsafe { self.map.clear(place, self.segment_size) };
        }
        self.prepare(position, place, header, page)
    }

    /// Lets go of the pages of an old segment at `place` in the file.
    pub(super) fn release(&self, place: u64) {
        self.map.release(place, self.segment_size);
    }

    /// What is to be added to a position to get its place in the file, and in a ring the place that the
    /// writer is in from now on; `None` where that has gone to another segment.
    #[inline]
    fn enter(&self, position: u64) -> Option<(u64, Option<&Place<AtomicU64>>)> {
        match &self.ring {
            None => Some((self.base.wrapping_neg(), None)),
            Some(ring) => {
                let number = position / self.segment_size;
                let (index, place) = ring.enter(number)?;
                let shift = (index * self.segment_size).wrapping_sub(number * self.segment_size);
                Some((shift, Some(place)))
            }
        }
    }

    /// Reserves room for a record with a body of `body` bytes; `None` where the reservation fell
    /// across the end of a segment.
    #[inline]
    pub(super) fn reserve(&self, body: u64) -> Option<Claim> {
        let length = RECORD_HEAD as u64 + body;
        debug_assert!(length <= u64::from(u32::MAX));
        match self.frontier.reserve(length.next_multiple_of(ALIGNMENT as u64)) {
            Reservation::At(position) => Some(Claim { position, length: length as u32 }),
            Reservation::Across => None,
        }
    }

    /// The slot of a claim, whose memory must be ready.
    #[inline]
    pub(super) fn open(
        &self,
        claim: Claim,
        kind: u8,
        flags: u8,
        stamp: &Stamp,
    ) -> Option<Slot<'_>> {
        if !self.frontier.is_ready(claim.end()) {
            return None;
        }
        let entered = self.enter(claim.position)?;
        Some(Slot::begin(self, entered, claim, kind, flags, stamp))
    }

    /// The slot in the room below the end of what is ready that no claim can reach: `below` bytes
    /// before `end`, the position after the last byte that is ready. Only one caller at a time may use
    /// the same room.
    ///
    /// # Safety
    ///
    /// The segments up to `end` are ready, the mark was left at least `below` bytes under `end`, and
    /// nobody else uses that room.
    pub(super) unsafe fn reserved_room(
        &self,
        end: u64,
        below: u64,
        body: u64,
        kind: u8,
        stamp: &Stamp,
    ) -> Option<Slot<'_>> {
        let length = RECORD_HEAD as u64 + body;
        if length.next_multiple_of(ALIGNMENT as u64) > below {
            return None;
        }
        let claim = Claim { position: end - below, length: length as u32 };
        Some(Slot::begin(self, self.enter(claim.position)?, claim, kind, 0, stamp))
    }
}

/// Bytes that one writer has reserved. Not to be copied: it stands for the sole right to them.
#[derive(Debug)]
pub(super) struct Claim {
    position: u64,
    length: u32,
}

impl Claim {
    /// Position after the last byte.
    pub(super) fn end(&self) -> u64 {
        self.position + u64::from(self.length).next_multiple_of(ALIGNMENT as u64)
    }
}

/// A record being written. Its bytes go to the map and into the checksum word by word on the way, so that
/// the checksum is never taken over memory that somebody else could change. Dropped without
/// [`commit`](Self::commit) it stays a hole.
#[derive(Debug)]
#[must_use = "a slot that is not committed stays a hole"]
pub(super) struct Slot<'a> {
    ground: &'a Ground,
    position: u64,
    /// From the position to the place in the file.
    shift: u64,
    /// The place of a ring that the writer is in.
    inside: Option<&'a Place<AtomicU64>>,
    /// Bytes of the record.
    length: u64,
    /// Bytes that are in the map: whole words.
    stored: u64,
    sum: Sum,
    /// The word that is not full yet, and how many bytes of it are.
    word: u64,
    held: u32,
}

impl<'a> Slot<'a> {
    #[inline]
    fn begin(
        ground: &'a Ground,
        (shift, inside): (u64, Option<&'a Place<AtomicU64>>),
        claim: Claim,
        kind: u8,
        flags: u8,
        stamp: &Stamp,
    ) -> Self {
        let Claim { position, length } = claim;
        let word = word_0(length, kind, flags);
        // SAFETY: the claim's bytes are ready, so inside the file; positions are multiples of 8; and
        // word 0 and word 1 of a record are only ever used as atomics.
        publish(unsafe { ground.map.word(position.wrapping_add(shift)) }, word);
        let mut slot = Self {
            ground,
            position,
            shift,
            inside,
            length: u64::from(length),
            stored: 16,
            sum: Sum::new(position, word),
            word: 0,
            held: 0,
        };
        let lane = u64::from(stamp.lane) | u64::from(stamp.connection.unwrap_or(0)) << 32;
        slot.store(lane);
        slot.store(stamp.time);
        slot.store(stamp.cause.map_or(0, Token::get));
        slot
    }

    /// Stores a whole word. What does not fit the record is an error of this crate; it is left out,
    /// and the record then has another length than was measured and stays a hole.
    #[inline]
    fn store(&mut self, word: u64) {
        self.sum.word(word);
        let at = self.stored;
        self.stored += 8;
        if at < self.length {
            let place = self.position.wrapping_add(self.shift) + at;
            // SAFETY: `at` is a multiple of 8 below the record's length, and the claim is rounded up to
            // one, so the word is inside the claim, which is this slot's alone, and ready.
            unsafe { self.ground.map.write(place, &word.to_le_bytes()) };
        }
    }

    /// Puts the low `width` bytes, 1 to 8, of a value that has no others.
    #[inline]
    pub(super) fn put_word(&mut self, value: u64, width: u32) {
        let room = 8 - self.held;
        self.word |= value << (8 * self.held);
        if width < room {
            self.held += width;
            return;
        }
        self.store(self.word);
        // A shift by all 64 bits leaves nothing.
        self.word = value.checked_shr(8 * room).unwrap_or(0);
        self.held = width - room;
    }

    /// Puts bytes.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        if self.held == 0 {
            words.iter().for_each(|word| self.store(u64::from_le_bytes(*word)));
        } else {
            words.iter().for_each(|word| self.put_word(u64::from_le_bytes(*word), 8));
        }
        for byte in rest {
            self.put_word(u64::from(*byte), 1);
        }
    }

    /// Leaves the record as a hole, with what was put.
    pub(super) fn abandon(mut self) {
        self.store(self.word);
    }

    /// Commits the record.
    #[inline]
    pub(super) fn commit(mut self) -> Option<Token> {
        let put = self.stored + u64::from(self.held);
        if self.held != 0 {
            self.store(self.word);
        }
        if put != self.length {
            debug_assert!(false, "a record of another length than was measured");
            return None;
        }
        let place = self.position.wrapping_add(self.shift) + 8;
        // SAFETY: as for word 0 in `begin`.
        commit(unsafe { self.ground.map.word(place) }, self.sum.finish(&[]));
        Token::new(self.position)
    }
}

impl Drop for Slot<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.inside {
            place.leave();
        }
    }
}
