//! Memory that a client reaches by raw pointers, as whoever records the client sees it.

use super::{Attribution, Author, Change, Found, Looked, Memory, Scan, ScanSource};
use std::fmt;
use std::ops::Range;

/// Compares a memory with what it held before, tells the changes to [`Memory::found`], and whose they are
/// as far as that can be known:
///
/// - The dext's is what was there when the memory was mapped first, what lies where the client cannot
///   write, and what has changed between two looks in one time at which the client did not run.
/// - Where a mock notes who writes ([`Memory::note_writes`]) the dext's is what it wrote last, and the
///   client's what was not noted.
/// - The rest is of unknown author.
#[derive(Debug)]
pub struct Comparison {
    scan: Scan,
    notes: Option<Attribution>,
    read_only: bool,
    fresh: bool,
    /// It was said that not everything is seen each time.
    said: bool,
}

/// How a memory is looked at.
pub struct Sight<'a> {
    /// A number for the time in which the client does not run, other than all before; `None` where it
    /// may run.
    pub quiet: Option<u64>,
    /// True where that time has lasted until now. Asked behind the looks that it is about.
    pub lasts: &'a mut dyn FnMut() -> bool,
    /// All of the memory is looked at, however long that takes: it may be gone afterwards.
    pub whole: bool,
    /// True where there is time for more than [`Comparison::ALWAYS`].
    pub time: &'a mut dyn FnMut() -> bool,
}

impl fmt::Debug for Sight<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sight = f.debug_struct("Sight");
        sight.field("quiet", &self.quiet).field("whole", &self.whole).finish_non_exhaustive()
    }
}

/// What a look has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The memory could be read.
    pub there: bool,
    /// Something had changed.
    pub changed: bool,
    /// What has been said of the memory now: why not everything there is captured.
    pub uncaptured: Option<String>,
}

impl Comparison {
    /// Bytes that each look takes, whatever the time.
    pub const ALWAYS: u64 = 1 << 20;

    /// Larger memories are not compared: that takes as much memory again.
    pub const SIZE_MAX: u64 = 1 << 28;

    /// Of a memory that has just been mapped. `fresh` where the client cannot have written to it before,
    /// `read_only` where it never can.
    ///
    /// # Errors
    ///
    /// Why it cannot be compared, for people. That has been told to the memory.
    pub fn begin(memory: &dyn Memory, fresh: bool, read_only: bool) -> Result<Self, String> {
        let size = memory.size();
        let scan = (size <= Self::SIZE_MAX).then(|| Scan::try_new(size)).flatten();
        let Some(scan) = scan else {
            let most = Self::SIZE_MAX;
            let reason = format!(
                "its {size} bytes are more than are compared ({most}): nothing that the client sees \
                 there is recorded"
            );
            memory.found(Found::Uncaptured { reason: &reason });
            return Err(reason);
        };
        let notes = memory.note_writes().map(Attribution::new);
        Ok(Self { scan, notes, read_only, fresh, said: false })
    }

    /// Bytes that are compared.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.scan.size()
    }

    /// A sync point. The bytes come from `source`.
    pub fn look<S: ScanSource>(
        &mut self,
        memory: &dyn Memory,
        source: &mut S,
        sight: Sight<'_>,
    ) -> Compared {
        let Self { scan, notes, read_only, fresh, said } = self;
        // What was there first is seen whole: later nobody could tell whose it was.
        let whole = sight.whole || scan.is_new();
        let mut more = |looked| whole || looked < Self::ALWAYS || (sight.time)();
        let mut noted = Noted { source, notes };
        // What was found in a time at which the client did not run, until it is known how long that was.
        let mut kept: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut changed = false;
        let period = sight.quiet.unwrap_or(0);
        let looked = scan.look(period, &mut noted, &mut more, &mut |noted, change| {
            changed = true;
            let in_quiet = sight.quiet.is_some() && change.since == sight.quiet;
            if *read_only || *fresh && change.since.is_none() {
                noted.tell_all(memory, &change, Author::Dext);
            } else if noted.notes.is_some() {
                noted.tell(memory, &change);
            } else if in_quiet {
                kept.push((change.offset, change.bytes.to_vec()));
            } else {
                noted.tell_all(memory, &change, Author::Unknown);
            }
        });
        if !kept.is_empty() {
            let author = if (sight.lasts)() { Author::Dext } else { Author::Unknown };
            for (offset, bytes) in &kept {
                memory.found(Found::Changed { offset: *offset, bytes, author });
            }
        }
        let Looked { whole, there } = looked;
        let mut uncaptured = None;
        if whole {
            memory.found(Found::AllTold);
        } else if there && !std::mem::replace(said, true) {
            let size = scan.size();
            let reason = format!(
                "its {size} bytes take longer to compare than a sync point may take: they are looked at \
                 in parts, so what the client sees there can come later on the tape, or not at all \
                 where it changes again before its part's turn"
            );
            memory.found(Found::Uncaptured { reason: &reason });
            uncaptured = Some(reason);
        }
        Compared { there, changed, uncaptured }
    }
}

/// A source whose writers may be noted.
struct Noted<'a, S> {
    source: &'a mut S,
    notes: &'a mut Option<Attribution>,
}

impl<S: ScanSource> ScanSource for Noted<'_, S> {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        self.source.read(offset, into)
    }

    fn holds(&mut self, offset: u64, bytes: &[u8]) -> Option<bool> {
        self.source.holds(offset, bytes)
    }

    fn before(&mut self, range: &Range<u64>) {
        self.source.before(range);
        if let Some(notes) = self.notes {
            notes.before();
        }
    }

    fn after(&mut self, range: &Range<u64>) {
        if let Some(notes) = self.notes {
            notes.after(range.start, usize::try_from(range.end - range.start).unwrap_or(0));
        }
        self.source.after(range);
    }

    fn done(&mut self, offset: u64, bytes: &[u8]) {
        if let Some(notes) = self.notes {
            notes.done(offset, bytes);
        }
        self.source.done(offset, bytes);
    }
}

impl<S> Noted<'_, S> {
    fn tell_all(&self, memory: &dyn Memory, change: &Change<'_>, author: Author) {
        memory.found(Found::Changed { offset: change.offset, bytes: change.bytes, author });
    }

    /// Tells the change by its authors.
    fn tell(&self, memory: &dyn Memory, change: &Change<'_>) {
        let author = |index: usize| match &self.notes {
            Some(notes) => notes.author(change.offset + index as u64, change.bytes[index]),
            None => Author::Unknown,
        };
        let mut start = 0;
        while start < change.bytes.len() {
            let whose = author(start);
            let end = (start + 1..change.bytes.len()).find(|index| author(*index) != whose);
            let end = end.unwrap_or(change.bytes.len());
            let (offset, bytes) = (change.offset + start as u64, &change.bytes[start..end]);
            memory.found(Found::Changed { offset, bytes, author: whose });
            start = end;
        }
    }
}
