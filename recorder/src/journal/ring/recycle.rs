//! Segments that are used again: what the helper of a ring does beyond that of a plain journal.

use super::keeper::{Given, Keeper};
use super::{Geometry, State};
use crate::journal::layout::HEADER_SIZE;
use crate::journal::slot::Ground;
use crate::journal::walk::{Piece, Walk};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Segments at the end that are never recycled, beside those ahead: late writers are in them.
const SPARED: u64 = 3;

/// How often a writer that is still in the oldest segment is waited for, and how long each time.
const PATIENCE: u32 = 20;
const PAUSE: Duration = Duration::from_millis(1);

/// The places of a ring and the state of what was given up.
#[derive(Debug)]
pub(in crate::journal) struct Recycler {
    geometry: Geometry,
    /// Places that no segment has, and whether each was used before.
    free: VecDeque<u32>,
    used: Vec<bool>,
    /// Segments that are left, oldest first, each with its place.
    live: VecDeque<(u64, u32)>,
    /// Segments that were given up with a writer in them.
    stuck: Vec<(u64, u32)>,
    state: State,
    /// Which of the two states in the file is the older one.
    turn: bool,
    buffer: Vec<u8>,
}

impl Recycler {
    /// A ring that nothing was given up of: its first segment is `origin`. Saves that in the file.
    pub(in crate::journal) fn new(
        geometry: Geometry,
        keeper: Keeper,
        recording: u64,
        origin: u64,
        file: &File,
    ) -> io::Result<Self> {
        let mut new = Self {
            free: (0..geometry.places).collect(),
            used: vec![false; geometry.places as usize],
            live: VecDeque::new(),
            stuck: Vec::new(),
            state: State { recording, oldest: origin, keeper },
            turn: false,
            buffer: Vec::new(),
            geometry,
        };
        new.save(file)?;
        Ok(new)
    }

    /// A place for the next segment, and whether it was used before: then it holds the bytes of an older
    /// one.
    pub(in crate::journal) fn place(
        &mut self,
        ground: &Ground,
        file: &File,
        ahead: u64,
    ) -> Result<(u32, bool), String> {
        self.free_what_was_stuck(ground);
        if self.free.is_empty() {
            self.give_up_some(ground, file, ahead)
                .map_err(|error| format!("the state of the ring could not be saved: {error}"))?;
        }
        let index = self.free.pop_front().ok_or(
            "threads have stopped, or were ended, in the middle of too many of its appends",
        )?;
        let again = std::mem::replace(&mut self.used[index as usize], true);
        Ok((index, again))
    }

    /// The segment has the place from now on.
    pub(in crate::journal) fn taken(&mut self, number: u64, index: u32) {
        self.live.push_back((number, index));
    }

    /// Gives up segments before their places are needed.
    pub(in crate::journal) fn prepare(
        &mut self,
        ground: &Ground,
        file: &File,
        ahead: u64,
    ) -> io::Result<()> {
        if (self.free.len() as u64) < self.geometry.batch() {
            self.free_what_was_stuck(ground);
            self.give_up_some(ground, file, ahead)?;
        }
        Ok(())
    }

    /// The segments that are left, oldest first, each with its place.
    pub(in crate::journal) fn live(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.live.iter().copied()
    }

    fn free_what_was_stuck(&mut self, ground: &Ground) {
        let Some(ring) = ground.ring() else { return };
        self.stuck.retain(|(number, index)| {
            let closed = ring.close(*number, *index);
            if closed {
                self.free.push_back(*index);
            }
            !closed
        });
    }

    /// Gives up the oldest segments: the keeper takes their records, the state is saved, and only then
    /// are their places free.
    fn give_up_some(&mut self, ground: &Ground, file: &File, ahead: u64) -> io::Result<()> {
        let Some(ring) = ground.ring() else { return Ok(()) };
        let size = u64::from(self.geometry.segment_size);
        let spared = (SPARED + ahead) as usize;
        let count = (self.geometry.batch() as usize).min(self.live.len().saturating_sub(spared));
        let mut closed = Vec::new();
        for _ in 0..count {
            let Some((number, index)) = self.live.pop_front() else { break };
            let mut patience = PATIENCE;
            let mut is_closed = ring.close(number, index);
            while !is_closed && patience > 0 {
                patience -= 1;
                std::thread::sleep(PAUSE);
                is_closed = ring.close(number, index);
            }
            if is_closed {
                closed.push(index);
            } else {
                self.stuck.push((number, index));
            }
            self.buffer.resize(size as usize, 0);
            // By a system call: where a writer is stuck in the segment, its memory must not be looked at.
            file.read_exact_at(&mut self.buffer, u64::from(index) * size)?;
            take_segment(&mut self.state.keeper, number, &self.buffer);
        }
        if count == 0 {
            return Ok(());
        }
        self.state.oldest = self.live.front().map_or(self.state.oldest, |(number, _)| *number);
        self.save(file)?;
        ring.give_up_before(self.state.oldest);
        self.free.extend(closed);
        Ok(())
    }

    /// Saves the state over the older of the two in the file.
    fn save(&mut self, file: &File) -> io::Result<()> {
        let bytes = self.state.encode(self.geometry.state_size);
        let at = self.geometry.states() + u64::from(self.turn) * self.geometry.state_size;
        // The checksum is in the first bytes, and over all: half a state is none.
        file.write_all_at(&bytes, at)?;
        self.turn = !self.turn;
        Ok(())
    }
}

/// Hands the records of a segment to a keeper.
pub(in crate::journal) fn take_segment(keeper: &mut Keeper, number: u64, bytes: &[u8]) {
    let base = number.saturating_mul(bytes.len() as u64);
    let mut walk = Walk::new(base, bytes.len());
    while let Some(piece) = walk.next(bytes) {
        if let Piece::Record(found) = piece {
            debug_assert!(found.offset >= HEADER_SIZE);
            keeper.take(Given {
                position: base + found.offset as u64,
                kind: found.kind,
                flags: found.flags,
                bytes: &bytes[found.offset..found.offset + found.length],
            });
        }
    }
}
