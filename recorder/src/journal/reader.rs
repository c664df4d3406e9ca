//! Reading a journal: whole, cut, torn, being written, or made to mislead.

use super::cut::Before;
use super::decode::{Content, decode};
use super::kind;
use super::layout::{
    BODY_MAX, HAS_CONNECTION, IN_CHUNKS, RECORD_HEAD, split_word_0, u32_at, u64_at,
};
use super::ring::Front;
use super::segments::Segments;
use super::walk::{Found, Piece, Walk};
use super::{JournalError, Stamp, Token};
use dextape::tape::{Body, NoteSubject};
use std::path::Path;
use std::rc::Rc;

/// One record of a journal, or a place where one was lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its position; that of a record is its token as a number.
    pub position: u64,
    /// What stands in front of it; empty for damage.
    pub stamp: Stamp,
    /// What it holds.
    pub content: Content,
}

/// The committed records of one journal file, in order of their tokens. Damage comes as an entry
/// where it is; errors are those of the disk alone, and end the iteration.
///
/// Memory: one segment and a few for records that refer back, and the record itself.
///
/// # Examples
///
/// See [`Journal`](super::Journal).
#[derive(Debug)]
pub struct JournalReader {
    segments: Segments,
    /// Of a ring, what stands in front of the segments that are left.
    before: Before,
    cursor: Cursor,
    failed: bool,
}

/// How far a pass over segments has come.
#[derive(Debug)]
struct Cursor {
    /// Index of the next segment among the places.
    next: usize,
    /// Index after the last one of this pass.
    end: usize,
    /// The segment's number, its bytes and the walk over them.
    current: Option<(u64, Rc<[u8]>, Walk)>,
    holes: u64,
}

impl JournalReader {
    /// Opens a journal and finds its segments.
    ///
    /// # Errors
    ///
    /// `Io`; `NotAJournal` where not one segment has a readable header; `TooNew`.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let mut segments = Segments::open(path)?;
        let before = Before::of(&mut segments)?;
        let cursor = Cursor { next: 0, end: segments.places.len(), current: None, holes: 0 };
        Ok(Self { segments, before, cursor, failed: false })
    }

    /// Records so far that were begun and never finished: their process was killed at that moment.
    #[must_use]
    pub fn holes(&self) -> u64 {
        self.cursor.holes + self.cursor.current.as_ref().map_or(0, |(.., walk)| walk.holes)
    }

    /// Bytes of the file when it was opened.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.segments.length()
    }

    /// Number of the recording, which a forked child's journal repeats.
    #[must_use]
    pub fn recording(&self) -> u64 {
        self.segments.first.recording
    }

    /// The ordinals of the forks that led from the first process to this journal's.
    #[must_use]
    pub fn forks(&self) -> &[u32] {
        &self.segments.first.forks
    }

    /// The first position that can be of this journal: tokens below it are of the parent's.
    #[must_use]
    pub fn origin(&self) -> u64 {
        self.segments.first.origin.saturating_mul(self.segments.size())
    }

    /// True where events were given up, as a ring does, or where only the last ones were asked for: the
    /// records begin with what was kept, a gap and a keyframe.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.before.is_cut()
    }

    /// True for a position that stands in front of the records that are left.
    pub(crate) fn is_before(&self, position: u64) -> bool {
        position < self.before.boundary()
    }

    /// Bytes of a segment.
    pub(crate) fn segment_size(&self) -> u64 {
        self.segments.size()
    }

    /// The positions of all events and damages of a segment, as the iteration gives them.
    pub(crate) fn events_of_segment(&mut self, number: u64) -> Result<Vec<u64>, JournalError> {
        let places = &self.segments.places;
        let Ok(index) = places.binary_search_by_key(&number, |place| place.number) else {
            return Ok(Vec::new());
        };
        let mut cursor = Cursor { next: index, end: index + 1, current: None, holes: 0 };
        let mut positions = Vec::new();
        while let Some(entry) = self.advance(&mut cursor)? {
            if entry.is_event() {
                positions.push(entry.position);
            }
        }
        Ok(positions)
    }

    fn advance(&mut self, cursor: &mut Cursor) -> Result<Option<Entry>, JournalError> {
        let boundary = self.before.boundary();
        loop {
            let Some((number, bytes, walk)) = &mut cursor.current else {
                if cursor.next >= cursor.end {
                    return Ok(None);
                }
                if let Some(missing) = self.enter(cursor)? {
                    return Ok(Some(missing));
                }
                continue;
            };
            let (number, bytes) = (*number, Rc::clone(bytes));
            let Some(piece) = walk.next(&bytes) else {
                cursor.holes += walk.holes;
                cursor.current = None;
                continue;
            };
            let start = number * self.segments.size();
            match piece {
                Piece::Damage(offset) | Piece::Record(Found { offset, .. })
                    if start + (offset as u64) < boundary => {}
                Piece::Damage(offset) => {
                    let position = start + offset as u64;
                    let cut = (bytes.len() as u64) < self.segments.size();
                    let what = if cut { "are damaged or cut off" } else { "are damaged" };
                    let reason =
                        format!("bytes of the journal from position {position:#x} on {what}");
                    return Ok(Some(Entry::damage(position, reason)));
                }
                Piece::Record(found) if found.kind == kind::CHUNK => {}
                Piece::Record(found) => {
                    let entry = self.record(start, &bytes, found)?;
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// Goes to the next segment; gives an entry where some before it are missing.
    fn enter(&mut self, cursor: &mut Cursor) -> Result<Option<Entry>, JournalError> {
        let place = self.segments.places[cursor.next];
        let expected = match cursor.next.checked_sub(1) {
            Some(before) => self.segments.places[before].number + 1,
            None => match self.before.boundary() / self.segments.size() {
                0 => self.segments.first.origin,
                number => number,
            },
        };
        cursor.next += 1;
        let bytes = self.segments.load(place.number)?.unwrap_or_default();
        cursor.current = Some((place.number, bytes, self.segments.walk(place.number)));
        if place.number <= expected {
            return Ok(None);
        }
        let reason = match place.number - expected {
            1 => format!("segment {expected} of the journal is missing"),
            _ => format!("segments {expected} to {} of the journal are missing", place.number - 1),
        };
        Ok(Some(Entry::damage(place.number * self.segments.size(), reason)))
    }

    fn record(&mut self, start: u64, bytes: &[u8], found: Found) -> Result<Entry, JournalError> {
        let position = start + found.offset as u64;
        let head = &bytes[found.offset..found.offset + found.length];
        let (stamp, body) = (stamp(head, found.flags), &head[RECORD_HEAD..]);
        let decoded = if found.flags & IN_CHUNKS == 0 {
            decode(found.kind, body).map_err(|fault| fault.0)
        } else {
            match self.assemble(position, body)? {
                Ok(whole) => decode(found.kind, &whole).map_err(|fault| fault.0),
                Err(fault) => Err(fault),
            }
        };
        Ok(match decoded {
            Ok(content) => Entry { position, stamp, content },
            Err(fault) => {
                let kind = found.kind;
                let reason = format!(
                    "the record of kind {kind} at position {position:#x} of the journal holds {fault}"
                );
                Entry::damage(position, reason)
            }
        })
    }

    /// What stands in front of the records that are left, as an entry.
    fn entry_before(&mut self, front: Front) -> Result<Entry, JournalError> {
        let told = |position, time, body| {
            let stamp = Stamp { time, ..Stamp::default() };
            Entry { position, stamp, content: Content::Event(body) }
        };
        Ok(match front {
            Front::Record(position, bytes) => {
                let found = split_word_0(u64_at(&bytes, 0));
                let Some((_, kind, flags)) = found.filter(|_| bytes.len() >= RECORD_HEAD) else {
                    let reason = format!("the record kept of position {position:#x} is none");
                    return Ok(Entry::damage(position, reason));
                };
                let found = Found { offset: 0, length: bytes.len(), kind, flags };
                self.record(position, &bytes, found)?
            }
            Front::Gap { position, events, time } => {
                let reason =
                    "the flight recorder keeps beginnings and the newest events".to_owned();
                told(position, time, Body::Gap { events, reason })
            }
            Front::Keyframe { position, keyframe, time } => {
                told(position, time, Body::Keyframe(keyframe))
            }
            Front::Lost { position, memory, bytes, time } => {
                let reason = format!(
                    "{bytes} bytes of it are not in the keyframe: they are more than the budget for \
                     shadow pages, or were not recorded"
                );
                let (subject, memory) = (NoteSubject::Uncaptured, Some(memory));
                told(position, time, Body::Note { subject, memory, reason })
            }
        })
    }

    /// The body of a record that begins in chunks. The chain goes back strictly, so it ends.
    fn assemble(
        &mut self,
        position: u64,
        body: &[u8],
    ) -> Result<Result<Vec<u8>, &'static str>, JournalError> {
        let (mut next, lead) = (u64_at(body, 0), u64_at(body, 8));
        let Some(rest) = body.get(16..) else { return Ok(Err("no reference to its chunks")) };
        if lead > BODY_MAX || lead > self.segments.length() {
            return Ok(Err("more chunks than the journal has bytes"));
        }
        let mut whole = vec![0; lead as usize + rest.len()];
        whole[lead as usize..].copy_from_slice(rest);
        let mut left = lead as usize;
        let mut limit = position;
        while left > 0 {
            if next >= limit {
                return Ok(Err("a reference to chunks that do not stand before it"));
            }
            limit = next;
            let size = self.segments.size();
            if let Some(chunk) = self.before.chunk(next) {
                let data = &chunk[RECORD_HEAD..];
                let Some(from) = left.checked_sub(data.len()).filter(|_| !data.is_empty()) else {
                    return Ok(Err("chunks of another length"));
                };
                whole[from..left].copy_from_slice(data);
                left = from;
                next = u64_at(&chunk, 32);
                continue;
            }
            let Some(bytes) = self.segments.load(next / size)? else {
                return Ok(Err("a reference to chunks that are missing"));
            };
            let mut walk = self.segments.walk(next / size);
            let found = walk.record_at(&bytes, (next % size) as usize);
            let Some(found) = found.filter(|found| found.kind == kind::CHUNK) else {
                return Ok(Err("a reference to chunks that are missing"));
            };
            let chunk = &bytes[found.offset..found.offset + found.length];
            let data = &chunk[RECORD_HEAD..];
            let Some(from) = left.checked_sub(data.len()).filter(|_| !data.is_empty()) else {
                return Ok(Err("chunks of another length"));
            };
            whole[from..left].copy_from_slice(data);
            left = from;
            next = u64_at(chunk, 32);
        }
        Ok(Ok(whole))
    }
}

pub(super) fn stamp(head: &[u8], flags: u8) -> Stamp {
    Stamp {
        lane: u32_at(head, 16),
        connection: (flags & HAS_CONNECTION != 0).then(|| u32_at(head, 20)),
        time: u64_at(head, 24),
        cause: Token::new(u64_at(head, 32)),
    }
}

impl Entry {
    fn damage(position: u64, reason: String) -> Self {
        Self { position, stamp: Stamp::default(), content: Content::Damage(reason) }
    }

    /// True where the entry becomes an event of a tape.
    #[must_use]
    pub fn is_event(&self) -> bool {
        matches!(self.content, Content::Event(_) | Content::Damage(_))
    }

    /// Its token; `None` for damage.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        match self.content {
            Content::Damage(_) => None,
            _ => Token::new(self.position),
        }
    }
}

impl Iterator for JournalReader {
    type Item = Result<Entry, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if let Some(front) = self.before.next() {
            let entry = self.entry_before(front);
            self.failed = entry.is_err();
            return Some(entry);
        }
        let end = self.cursor.end;
        let empty = Cursor { next: end, end, current: None, holes: 0 };
        let mut cursor = std::mem::replace(&mut self.cursor, empty);
        let next = self.advance(&mut cursor);
        self.cursor = cursor;
        self.failed = next.is_err();
        next.transpose()
    }
}
