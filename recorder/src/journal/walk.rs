//! From the bytes of one segment to its records, whatever the bytes are.

use super::layout::{ALIGNMENT, HEADER_SIZE, Sum, record_max, split_word_0, u64_at};

/// What a walk finds next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A committed record, by its offset in the segment.
    Record(Found),
    /// Bytes from this offset on that belong to no whole record.
    Damage(usize),
}

/// A committed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: usize,
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
}

/// A walk over one segment. Holes (reserved, never committed) are stepped over and counted; what
/// cannot be made sense of is searched for the next record, 8 bytes at a time.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// Position of the segment's first byte, and the size that it should have.
    base: u64,
    size: usize,
    at: usize,
    /// End of the hole that the walk is in.
    hole_end: usize,
    /// Where the present damage began.
    damage: Option<usize>,
    /// The record that ended a damage.
    next: Option<Found>,
    /// Bytes that may still be summed in vain: a file can be made of what looks like long records.
    budget: usize,
    pub(crate) holes: u64,
}

impl Walk {
    pub(crate) fn new(base: u64, size: usize) -> Self {
        Self {
            base,
            size,
            at: HEADER_SIZE,
            hole_end: 0,
            damage: None,
            next: None,
            budget: size.saturating_mul(16),
            holes: 0,
        }
    }

    /// The next piece of `bytes`, which are the segment's, or as many of them as the file holds.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Option<Piece> {
        if let Some(found) = self.next.take() {
            return Some(Piece::Record(found));
        }
        while let Some(rest) = bytes.get(self.at..).filter(|rest| rest.len() >= 16) {
            let word = u64_at(rest, 0);
            if word == 0 {
                self.at += ALIGNMENT;
                continue;
            }
            match self.look(bytes, word) {
                Look::Record(found) => {
                    if self.at < self.hole_end {
                        // A length that was damaged made it look like part of a hole.
                        self.damage.get_or_insert(self.at);
                        self.hole_end = 0;
                    }
                    self.at += found.length.next_multiple_of(ALIGNMENT);
                    let Some(damage) = self.damage.take() else {
                        return Some(Piece::Record(found));
                    };
                    self.next = Some(found);
                    return Some(Piece::Damage(damage));
                }
                Look::Hole(length) if self.at >= self.hole_end && self.damage.is_none() => {
                    self.holes += 1;
                    self.hole_end = self.at + length;
                }
                Look::Hole(_) | Look::Nothing => {
                    if self.at >= self.hole_end {
                        self.damage.get_or_insert(self.at);
                    }
                }
            }
            self.at += ALIGNMENT;
        }
        // A few bytes may be left of a record that the end of the file cuts.
        let left = bytes.get(self.at..).unwrap_or(&[]);
        if left.iter().any(|byte| *byte != 0) && self.at >= self.hole_end {
            self.damage.get_or_insert(self.at);
        }
        self.at = self.at.max(bytes.len());
        self.damage.take().map(Piece::Damage)
    }

    /// The committed record at `offset`, if there is one.
    pub(crate) fn record_at(&mut self, bytes: &[u8], offset: usize) -> Option<Found> {
        if !offset.is_multiple_of(ALIGNMENT) || offset < HEADER_SIZE {
            return None;
        }
        self.at = offset;
        let word = u64_at(bytes.get(offset..)?, 0);
        match self.look(bytes, word) {
            Look::Record(found) => Some(found),
            Look::Hole(_) | Look::Nothing => None,
        }
    }

    /// What is at `self.at`, where `word` stands.
    fn look(&mut self, bytes: &[u8], word: u64) -> Look {
        let Some((length, kind, flags)) = split_word_0(word) else { return Look::Nothing };
        let length = length as usize;
        if length > record_max(self.size as u64) as usize || self.at + length > self.size {
            return Look::Nothing;
        }
        let second = bytes.get(self.at + 8..).map_or(0, |rest| u64_at(rest, 0));
        if second == 0 {
            return Look::Hole(length);
        }
        let Some(rest) = bytes.get(self.at + 16..self.at + length) else {
            return Look::Nothing;
        };
        if self.budget < length {
            return Look::Nothing;
        }
        if Sum::new(self.base + self.at as u64, word).finish(rest) == second {
            Look::Record(Found { offset: self.at, length, kind, flags })
        } else {
            self.budget -= length;
            Look::Nothing
        }
    }
}

enum Look {
    Record(Found),
    Hole(usize),
    Nothing,
}
