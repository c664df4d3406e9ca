//! Where the records of a ring begin that are left, and what stands in front of them.

use super::JournalError;
use super::kind;
use super::layout::split_word_0;
use super::layout::{RECORD_HEAD, u64_at};
use super::reader::stamp;
use super::ring::{Front, Given, Keeper, take_segment};
use super::segments::Segments;
use super::walk::Piece;
use std::collections::{HashMap, VecDeque};

/// What stands in front of the records of a ring that are left. Of a plain journal nothing does.
#[derive(Debug, Default)]
pub(super) struct Before {
    front: VecDeque<Front>,
    /// Chunks of records that were kept.
    chunks: HashMap<u64, Vec<u8>>,
    /// Position of the first record that is left.
    boundary: u64,
    cut: bool,
}

impl Before {
    /// Cuts a ring where it is to be cut: the helper may have been slower or faster, and of a simulated
    /// run the same records must give the same tape.
    pub(super) fn of(segments: &mut Segments) -> Result<Self, JournalError> {
        let Some(ring) = segments.first.ring else { return Ok(Self::default()) };
        let Some(state) = segments.state.take() else {
            // Not one state is whole: what is left begins with damage, and says so by itself.
            return Ok(Self::default());
        };
        let mut keeper = state.keeper;
        let numbers: Vec<u64> = segments.places.iter().map(|place| place.number).collect();
        let newest = newest_with_records(segments, &numbers)?;
        let first = (newest + 1).saturating_sub(u64::from(ring.keep)).max(state.oldest);
        let mut next = state.oldest;
        for number in numbers.iter().copied().filter(|number| *number < first) {
            if number != next {
                keeper.interrupted();
            }
            next = number + 1;
            if let Some(bytes) = segments.load(number)? {
                take_segment(&mut keeper, number, &bytes);
            }
        }
        if next != first && first > state.oldest {
            keeper.interrupted();
        }
        let mut boundary = first.saturating_mul(segments.size());
        if ring.last > 0 {
            let left: Vec<u64> = numbers.into_iter().filter(|number| *number >= first).collect();
            boundary = cut_by_time(segments, &left, ring.last, &mut keeper, boundary)?;
        }
        let oldest = boundary / segments.size();
        segments.places.retain(|place| place.number >= oldest);
        // Nothing of the first segment is at its very beginning, so there is room in front of it.
        let front: VecDeque<Front> = keeper.front(boundary.max(8)).into();
        let cut = front.iter().any(|it| matches!(it, Front::Keyframe { .. }));
        let chunk = |front: &Front| match front {
            Front::Record(position, bytes) if is_chunk(bytes) => Some((*position, bytes.clone())),
            _ => None,
        };
        let chunks = front.iter().filter_map(chunk).collect();
        let front = front.into_iter().filter(|it| chunk(it).is_none()).collect();
        Ok(Self { front, chunks, boundary, cut })
    }

    pub(super) fn next(&mut self) -> Option<Front> {
        self.front.pop_front()
    }

    /// The chunk that was kept of this position.
    pub(super) fn chunk(&self, position: u64) -> Option<Vec<u8>> {
        self.chunks.get(&position).filter(|chunk| chunk.len() >= RECORD_HEAD).cloned()
    }

    pub(super) fn boundary(&self) -> u64 {
        self.boundary
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }
}

fn is_chunk(bytes: &[u8]) -> bool {
    split_word_0(u64_at(bytes, 0)).is_some_and(|(_, kind, _)| kind == kind::CHUNK)
}

/// The newest segment that a record was written to: behind it are those made ahead.
fn newest_with_records(segments: &mut Segments, numbers: &[u64]) -> Result<u64, JournalError> {
    for number in numbers.iter().rev() {
        if let Some(bytes) = segments.load(*number)? {
            let mut walk = segments.walk(*number);
            if walk.next(&bytes).is_some() || walk.holes > 0 {
                return Ok(*number);
            }
        }
    }
    Ok(numbers.first().copied().unwrap_or(0))
}

/// Has the keeper take what is older than `last` nanoseconds before the newest record; gives the position
/// of the first record that is not.
fn cut_by_time(
    segments: &mut Segments,
    numbers: &[u64],
    last: u64,
    keeper: &mut Keeper,
    mut boundary: u64,
) -> Result<u64, JournalError> {
    let mut newest = 0;
    for number in numbers {
        for_each_record(segments, *number, |given| {
            newest = newest.max(stamp(given.bytes, given.flags).time);
            true
        })?;
    }
    let since = newest.saturating_sub(last);
    for number in numbers {
        let mut old = true;
        for_each_record(segments, *number, |given| {
            let is_event = !matches!(given.kind, kind::CHUNK | kind::HEADER | kind::SERVICE);
            old = !is_event || stamp(given.bytes, given.flags).time < since;
            if old {
                keeper.take(given);
                boundary = given.position + (given.bytes.len() as u64).next_multiple_of(8);
            }
            old
        })?;
        if !old {
            break;
        }
    }
    Ok(boundary)
}

fn for_each_record(
    segments: &mut Segments,
    number: u64,
    mut visit: impl FnMut(Given<'_>) -> bool,
) -> Result<(), JournalError> {
    let Some(bytes) = segments.load(number)? else { return Ok(()) };
    let base = number.saturating_mul(segments.size());
    let mut walk = segments.walk(number);
    while let Some(piece) = walk.next(&bytes) {
        let Piece::Record(found) = piece else { continue };
        let given = Given {
            position: base + found.offset as u64,
            kind: found.kind,
            flags: found.flags,
            bytes: &bytes[found.offset..found.offset + found.length],
        };
        if !visit(given) {
            break;
        }
    }
    Ok(())
}
