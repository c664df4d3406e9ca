//! The place of one record, from its reservation to its commit.

use super::layout::{ALIGNMENT, HEADER_SIZE, RECORD_HEAD, Sum, word_0};
use super::map::Map;
use super::protocol::{Frontier, Reservation, commit, publish};
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
}

impl Ground {
    /// Over a map whose first byte has the position `base`, a multiple of the segment size.
    pub(super) fn new(map: Map, base: u64, segment_size: u64) -> Self {
        let head = AtomicU64::new(base + HEADER_SIZE as u64);
        let frontier = Frontier::new(head, AtomicU64::new(base), segment_size, HEADER_SIZE as u64);
        Self { map, frontier, base, segment_size }
    }

    pub(super) fn frontier(&self) -> &Frontier<AtomicU64> {
        &self.frontier
    }

    /// Position after the last byte that the map reaches.
    pub(super) fn end(&self) -> u64 {
        self.base + self.map.length() / self.segment_size * self.segment_size
    }

    /// Place of a position in the file.
    pub(super) fn place(&self, position: u64) -> u64 {
        position - self.base
    }

    /// Makes a new segment ready to be raised over: `header` goes to its start.
    ///
    /// The segment must be allocated and beyond the ready mark; the caller is the helper, or nobody
    /// else has the journal yet.
    pub(super) fn prepare(
        &self,
        position: u64,
        header: &[u8; HEADER_SIZE],
        page: u64,
    ) -> std::io::Result<()> {
        assert!(
            !self.frontier.is_ready(position + 1) && position + self.segment_size <= self.end()
        );
        let place = self.place(position);
        // SAFETY: the segment is allocated, whole pages, and above the ready mark, where no writer
        // stores anything.
        unsafe { self.map.touch(place, self.segment_size, page)? };
        // SAFETY: as above.
        unsafe { self.map.write(place, header) };
        Ok(())
    }

    /// Lets go of the pages of an old segment.
    pub(super) fn release(&self, position: u64) {
        self.map.release(self.place(position), self.segment_size);
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
        Some(Slot::begin(self, claim, kind, flags, stamp))
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
        Some(Slot::begin(self, claim, kind, 0, stamp))
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

/// Bytes of a slot's buffer: what most small records take, head and all.
const BUFFER: usize = 256;

/// A record being written. What is put is gathered in a small buffer, so that the checksum is taken
/// over whole words and never over memory that somebody else could change. Dropped without
/// [`commit`](Self::commit) it stays a hole.
#[derive(Debug)]
#[must_use = "a slot that is not committed stays a hole"]
pub(super) struct Slot<'a> {
    ground: &'a Ground,
    position: u64,
    /// Place in the file of the next byte, and of the first one after the record.
    next: u64,
    end: u64,
    sum: Sum,
    held: usize,
    buffer: [u8; BUFFER],
}

impl<'a> Slot<'a> {
    #[inline]
    fn begin(ground: &'a Ground, claim: Claim, kind: u8, flags: u8, stamp: &Stamp) -> Self {
        let Claim { position, length } = claim;
        let place = ground.place(position);
        let word = word_0(length, kind, flags);
        // SAFETY: the claim's bytes are ready, so inside the file; positions are multiples of 8; and
        // word 0 and word 1 of a record are only ever used as atomics.
        publish(unsafe { ground.map.word(place) }, word);
        let mut slot = Self {
            ground,
            position,
            next: place + 16,
            end: place + u64::from(length),
            sum: Sum::new(position, word),
            held: 0,
            buffer: [0; BUFFER],
        };
        slot.put(&stamp.lane.to_le_bytes());
        slot.put(&stamp.connection.unwrap_or(0).to_le_bytes());
        slot.put(&stamp.time.to_le_bytes());
        slot.put(&stamp.cause.map_or(0, Token::get).to_le_bytes());
        slot
    }

    /// Puts the next bytes of the record. More than were reserved are an error of this crate; they
    /// are left out, and the record then has too few and stays a hole.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.buffer.get_mut(self.held..self.held + bytes.len()) {
            room.copy_from_slice(bytes);
            self.held += bytes.len();
        } else {
            self.put_long(bytes);
        }
    }

    /// Fills the buffer and goes on from there. Only the end of the record leaves it at an odd
    /// length, as the checksum wants it.
    #[cold]
    fn put_long(&mut self, mut bytes: &[u8]) {
        loop {
            let room = &mut self.buffer[self.held..];
            let (now, later) = bytes.split_at(room.len().min(bytes.len()));
            room[..now.len()].copy_from_slice(now);
            self.held += now.len();
            bytes = later;
            if bytes.is_empty() {
                return;
            }
            self.sum.update(&self.buffer);
            self.store_buffer();
            if bytes.len() > BUFFER {
                let (whole, rest) = bytes.split_at(bytes.len() & !(ALIGNMENT - 1));
                self.sum.update(whole);
                self.store(whole);
                bytes = rest;
            }
        }
    }

    #[inline]
    fn store_buffer(&mut self) {
        let held = std::mem::take(&mut self.held);
        let place = self.next;
        self.next += held as u64;
        if self.next <= self.end {
            // SAFETY: inside the claim, which is this slot's alone, and ready.
            unsafe { self.ground.map.write(place, &self.buffer[..held]) };
        }
    }

    fn store(&mut self, bytes: &[u8]) {
        let place = self.next;
        self.next += bytes.len() as u64;
        if self.next <= self.end {
            // SAFETY: as in `store_buffer`.
            unsafe { self.ground.map.write(place, bytes) };
        }
    }

    /// Leaves the record as a hole, with what was put.
    pub(super) fn abandon(mut self) {
        self.store_buffer();
    }

    /// Commits the record.
    #[inline]
    pub(super) fn commit(mut self) -> Option<Token> {
        let sum = self.sum.finish(&self.buffer[..self.held]);
        self.store_buffer();
        if self.next != self.end {
            debug_assert!(false, "a record of another length than was measured");
            return None;
        }
        let place = self.ground.place(self.position) + 8;
        // SAFETY: as for word 0 in `begin`.
        commit(unsafe { self.ground.map.word(place) }, sum);
        Token::new(self.position)
    }
}
