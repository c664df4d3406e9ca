//! The segments of a journal's file, in order of their numbers.

use super::JournalError;
use super::layout::{
    FORMAT, HEADER_SIZE, HeaderFault, SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN, SegmentHeader,
};
use super::ring::State;
use super::walk::{Piece, Walk};
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// So many places that were never used, one after the other, are the end of a journal: its helper
/// sets far fewer aside, and a file of zeros can claim any length.
const UNUSED_MAX: u64 = 1024;

/// Segments kept in memory for records that refer back.
const CACHED: usize = 4;

/// Where a segment is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) offset: u64,
}

/// The segments of one file.
#[derive(Debug)]
pub(super) struct Segments {
    file: File,
    path: PathBuf,
    length: u64,
    /// The header of the first whole segment.
    pub(super) first: SegmentHeader,
    /// Sorted by number, each number once.
    pub(super) places: Vec<Place>,
    cache: VecDeque<(u64, Rc<[u8]>)>,
    /// Of a ring, what was given up; `None` where none of its states is whole.
    pub(super) state: Option<State>,
}

impl Segments {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |source| JournalError::Io { action: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let (found_at, first) = find_first(&file, path)?;
        let mut segments = Self {
            file,
            path: path.to_owned(),
            length,
            first,
            places: Vec::new(),
            cache: VecDeque::new(),
            state: None,
        };
        segments.index(found_at)?;
        segments.find_state()?;
        Ok(segments)
    }

    /// Bytes of a whole segment.
    pub(super) fn size(&self) -> u64 {
        u64::from(self.first.segment_size)
    }

    /// Bytes of the file when it was opened.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads the newer state of a ring, and forgets segments that are older: their records are in it.
    fn find_state(&mut self) -> Result<(), JournalError> {
        let Some(ring) = self.first.ring else { return Ok(()) };
        let states = u64::from(ring.places) * self.size();
        for place in 0..2 {
            let at = states.saturating_add(place * ring.state_size);
            let length = ring.state_size.min(self.length.saturating_sub(at));
            let found = State::decode(&self.read(at, length as usize)?);
            let found = found.filter(|state| state.recording == self.first.recording);
            let newer =
                |found: &State| self.state.as_ref().is_none_or(|known| found.oldest > known.oldest);
            if let Some(found) = found.filter(newer) {
                self.state = Some(found);
            }
        }
        let oldest = self.state.as_ref().map_or(0, |state| state.oldest);
        self.places.retain(|place| place.number >= oldest);
        Ok(())
    }

    /// Reads the headers of all places.
    fn index(&mut self, found_at: u64) -> Result<(), JournalError> {
        let size = self.size();
        // Where the number of a place without a readable header would follow from.
        let mut next = self.first.number.checked_sub(found_at / size);
        let mut doubtful = Vec::new();
        let mut sound = Vec::new();
        let mut unused = 0;
        let mut offset = 0;
        let places = self.first.ring.map_or(u64::MAX, |ring| u64::from(ring.places));
        let end = self.length.min(places.saturating_mul(size));
        while offset < end && unused < UNUSED_MAX {
            match SegmentHeader::decode(&self.read(offset, HEADER_SIZE)?) {
                Ok(header) if self.belongs(&header) => {
                    unused = 0;
                    next = Some(header.number + 1);
                    sound.push((header.number, Reverse(header.generation), offset));
                }
                Err(HeaderFault::Unused) => {
                    unused += 1;
                    next = next.map(|number| number.saturating_add(1));
                }
                Ok(_) | Err(_) => {
                    unused = 0;
                    if let Some(number) = next {
                        doubtful.push(Place { number, offset });
                        next = Some(number + 1);
                    }
                }
            }
            offset += size;
        }
        // Of two of one number the one written last counts.
        sound.sort_unstable();
        sound.dedup_by_key(|(number, ..)| *number);
        self.places = sound.iter().map(|&(number, _, offset)| Place { number, offset }).collect();
        for place in doubtful {
            let at = self.places.binary_search_by_key(&place.number, |place| place.number);
            if let Err(at) = at
                && self.holds_records(place)?
            {
                self.places.insert(at, place);
            }
        }
        Ok(())
    }

    /// True where a segment is of this journal and not a remainder of another.
    fn belongs(&self, header: &SegmentHeader) -> bool {
        header.recording == self.first.recording
            && header.segment_size == self.first.segment_size
            && header.forks == self.first.forks
            && header.origin == self.first.origin
            && header.ring == self.first.ring
    }

    /// True where records confirm by their checksums that a segment has the number it is taken for.
    fn holds_records(&self, place: Place) -> Result<bool, JournalError> {
        let bytes = self.read(place.offset, self.size() as usize)?;
        let mut walk = self.walk(place.number);
        while let Some(piece) = walk.next(&bytes) {
            if matches!(piece, Piece::Record(_)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A walk over the segment of a number.
    pub(super) fn walk(&self, number: u64) -> Walk {
        Walk::new(number.saturating_mul(self.size()), self.size() as usize)
    }

    /// The bytes of a segment, as many as the file holds; `None` where it has no such segment.
    pub(super) fn load(&mut self, number: u64) -> Result<Option<Rc<[u8]>>, JournalError> {
        if let Some((_, bytes)) = self.cache.iter().find(|(cached, _)| *cached == number) {
            return Ok(Some(Rc::clone(bytes)));
        }
        let Ok(index) = self.places.binary_search_by_key(&number, |place| place.number) else {
            return Ok(None);
        };
        let bytes: Rc<[u8]> = self.read(self.places[index].offset, self.size() as usize)?.into();
        if self.cache.len() >= CACHED {
            self.cache.pop_front();
        }
        self.cache.push_back((number, Rc::clone(&bytes)));
        Ok(Some(bytes))
    }

    /// Up to `length` bytes, fewer at the end of the file.
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, JournalError> {
        let there = self.length.saturating_sub(offset).min(length as u64) as usize;
        read_up_to(&self.file, offset, there).map_err(|source| JournalError::Io {
            action: "read",
            path: self.path.clone(),
            source,
        })
    }
}

/// The first readable header, wherever in the file.
fn find_first(file: &File, path: &Path) -> Result<(u64, SegmentHeader), JournalError> {
    let failed = |source| JournalError::Io { action: "read", path: path.to_owned(), source };
    let length = file.metadata().map_err(failed)?.len();
    let mut reason = "the file is empty";
    let range = length.min(2 * u64::from(SEGMENT_SIZE_MAX));
    for offset in (0..range).step_by(SEGMENT_SIZE_MIN as usize) {
        let fault =
            match SegmentHeader::decode(&read_up_to(file, offset, HEADER_SIZE).map_err(failed)?) {
                Ok(header) if offset.is_multiple_of(u64::from(header.segment_size)) => {
                    return Ok((offset, header));
                }
                Ok(_) => HeaderFault::Damaged("a segment is not where it should be"),
                Err(fault) => fault,
            };
        match fault {
            HeaderFault::TooNew(found) => {
                return Err(JournalError::TooNew { path: path.to_owned(), found, known: FORMAT });
            }
            HeaderFault::Damaged(what) if offset == 0 => reason = what,
            HeaderFault::Unused if offset == 0 => reason = "it holds zeros",
            HeaderFault::Damaged(_) | HeaderFault::Unused => {}
        }
    }
    Err(JournalError::NotAJournal { path: path.to_owned(), reason: reason.to_owned() })
}

fn read_up_to(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
