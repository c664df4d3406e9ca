//! From tokens to the sequence numbers of the tape, in bounded memory.
//!
//! Most references are to recent events, which are kept. For older ones it is enough to know, for each
//! segment, how many events of the journal stand before it: the segment is read again and its events
//! are counted.

use crate::journal::{JournalError, JournalReader};
use dextape::tape::Sequence;
use std::collections::{HashMap, VecDeque};

/// Events that are kept, and segments whose events' positions are.
const RECENT: usize = 1 << 16;
const COUNTED: usize = 8;

/// Stretches of a tape that come from one journal each. Only forked children make more than one.
pub(super) const RUNS_MAX: usize = 1 << 20;

/// The events of one journal that are on the tape so far.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    recent: VecDeque<(u64, Sequence)>,
    /// Number of each segment that has events, and how many of the journal's events stand before.
    segments: Vec<(u64, u64)>,
    /// Where a stretch begins: the count of the journal's events before it, and the sequence number
    /// of its first one.
    runs: Vec<(u64, Sequence)>,
    events: u64,
    /// Of a ring, the records that were kept of those given up: there is no segment to find them in.
    kept: HashMap<u64, Sequence>,
    counted: VecDeque<(u64, Vec<u64>)>,
}

impl Lookup {
    /// The event at `position` got `sequence`. Events come in order.
    pub(super) fn insert(&mut self, position: u64, sequence: Sequence, segment_size: u64) {
        let segment = position / segment_size;
        if self.segments.last().is_none_or(|(number, _)| *number != segment) {
            self.segments.push((segment, self.events));
        }
        let expected = self.runs.last().map(|(events, first)| first + (self.events - events));
        if expected != Some(sequence) {
            self.runs.push((self.events, sequence));
        }
        self.events += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((position, sequence));
    }

    /// As [`insert`](Self::insert), of an event that a ring has kept in front of those that are left.
    pub(super) fn insert_kept(&mut self, position: u64, sequence: Sequence) {
        self.kept.insert(position, sequence);
    }

    /// How often the tape has changed to this journal.
    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// The sequence number of the event at `position`; `None` where no event of the tape so far
    /// stands there.
    pub(super) fn get(
        &mut self,
        position: u64,
        reader: &mut JournalReader,
    ) -> Result<Option<Sequence>, JournalError> {
        if let Some(kept) = self.kept.get(&position) {
            return Ok(Some(*kept));
        }
        let Some((oldest, _)) = self.recent.front() else { return Ok(None) };
        if position >= *oldest {
            let found = self.recent.binary_search_by_key(&position, |(position, _)| *position);
            return Ok(found.ok().map(|index| self.recent[index].1));
        }
        let segment = position / reader.segment_size();
        let Ok(index) = self.segments.binary_search_by_key(&segment, |(number, _)| *number) else {
            return Ok(None);
        };
        let before = self.segments[index].1;
        let Some(within) = self.index_in_segment(segment, position, reader)? else {
            return Ok(None);
        };
        let event = before + within;
        let run = self.runs.partition_point(|(events, _)| *events <= event);
        let Some((events, first)) = run.checked_sub(1).map(|run| self.runs[run]) else {
            return Ok(None);
        };
        Ok(Some(first + (event - events)).filter(|_| event < self.events))
    }

    fn index_in_segment(
        &mut self,
        segment: u64,
        position: u64,
        reader: &mut JournalReader,
    ) -> Result<Option<u64>, JournalError> {
        if !self.counted.iter().any(|(number, _)| *number == segment) {
            let positions = reader.events_of_segment(segment)?;
            if self.counted.len() == COUNTED {
                self.counted.pop_front();
            }
            self.counted.push_back((segment, positions));
        }
        let counted = self.counted.iter().find(|(number, _)| *number == segment);
        let found = counted.and_then(|(_, positions)| positions.binary_search(&position).ok());
        Ok(found.map(|index| index as u64))
    }
}
