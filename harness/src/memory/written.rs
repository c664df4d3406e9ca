//! Which bytes were written through [`Memory`](super::Memory): whoever writes by a raw pointer is seen by
//! nobody, and told apart by that.

use super::Author;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// Bytes whose notes are kept together.
const BLOCK: usize = 1024;

/// How often a write that was begun before is waited for.
const TRIES: usize = 1000;

/// Set in a note beside the byte that was written.
const WRITTEN: u16 = 0x100;

/// A note of a write whose byte is not known yet.
const ANY: u16 = 0x300;

/// Notes of the writes to a memory from a moment on, for one who asks.
#[derive(Clone, Debug)]
pub struct WriteNotes {
    marks: Arc<Marks>,
    start: u64,
}

#[derive(Debug)]
struct Marks {
    blocks: Box<[Block]>,
    /// Writes to the store that are being made.
    in_flight: Arc<AtomicUsize>,
    /// Somebody but the client writes by a raw pointer, too.
    unseen: AtomicBool,
}

/// Memory only where something was written.
#[derive(Debug, Default)]
struct Block {
    /// Something was noted since it was last asked for.
    noted: AtomicBool,
    bytes: OnceLock<Box<[AtomicU16]>>,
}

impl Marks {
    fn of(size: usize, in_flight: &Arc<AtomicUsize>) -> Self {
        let blocks = (0..size.div_ceil(BLOCK)).map(|_| Block::default()).collect();
        Self { blocks, in_flight: Arc::clone(in_flight), unseen: AtomicBool::new(false) }
    }

    fn note(&self, offset: u64, bytes: &[u8]) {
        self.note_each(offset, bytes, |byte| WRITTEN | u16::from(*byte));
    }

    fn note_each<T>(&self, offset: u64, all: &[T], note_of: impl Fn(&T) -> u16) {
        let mut at = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut rest = all;
        while let (Some(block), false) = (self.blocks.get(at / BLOCK), rest.is_empty()) {
            let within = at % BLOCK;
            let (now, later) = rest.split_at(rest.len().min(BLOCK - within));
            let notes = block.bytes.get_or_init(|| (0..BLOCK).map(|_| AtomicU16::new(0)).collect());
            for (note, byte) in notes[within..].iter().zip(now) {
                note.store(note_of(byte), Ordering::SeqCst);
            }
            block.noted.store(true, Ordering::SeqCst);
            (at, rest) = (at + now.len(), later);
        }
    }
}

impl WriteNotes {
    /// The notes for a window that begins `start` bytes into this one.
    #[must_use]
    pub fn from(mut self, start: u64) -> Self {
        self.start = self.start.saturating_add(start);
        self
    }

    /// True where everybody but the client writes through [`Memory`](super::Memory), so that a change
    /// without a note is the client's.
    #[must_use]
    pub fn are_complete(&self) -> bool {
        !self.marks.unseen.load(Ordering::SeqCst)
    }

    /// True where no write is being made.
    #[must_use]
    pub fn are_settled(&self) -> bool {
        self.marks.in_flight.load(Ordering::SeqCst) == 0
    }

    /// Calls `told` with each byte of a range that was written since it was last asked for, its offset
    /// and what was written there last, where that is known, and forgets it. A write that is being made is told now, or
    /// both now and the next time; never only too late.
    pub fn take(&self, offset: u64, length: usize, mut told: impl FnMut(u64, Option<u8>)) {
        let start = usize::try_from(self.start.saturating_add(offset)).unwrap_or(usize::MAX);
        let end = start.saturating_add(length);
        let mut at = start;
        while let (Some(block), true) = (self.marks.blocks.get(at / BLOCK), at < end) {
            let first = at / BLOCK * BLOCK;
            let until = end.min(first + BLOCK);
            if let Some(notes) = block.bytes.get()
                && block.noted.load(Ordering::SeqCst)
            {
                // A range smaller than the block leaves notes of the rest.
                if at == first && until == first + BLOCK {
                    block.noted.store(false, Ordering::SeqCst);
                }
                for (index, note) in notes[at - first..until - first].iter().enumerate() {
                    if note.load(Ordering::SeqCst) & WRITTEN != 0 {
                        let noted = note.swap(0, Ordering::SeqCst);
                        let byte = (noted & ANY != ANY).then_some(noted as u8);
                        told((at + index - start) as u64 + offset, byte);
                    }
                }
            }
            at = until;
        }
    }
}

/// Tells whose the changes are that are found in a memory whose writes are noted.
///
/// Asked in this order: [`before`](Self::before) a part of the memory is read,
/// [`after`](Self::after) it was read, then [`author`](Self::author) for each byte of it that has
/// changed, and in the end [`done`](Self::done).
#[derive(Debug)]
pub struct Attribution {
    notes: WriteNotes,
    /// No write was being made before the memory was read, and none behind it.
    settled: bool,
    finished: bool,
    /// What was noted at the last look at a byte, and at this one. A note may come before its write.
    earlier: HashMap<u64, Option<u8>>,
    now: HashMap<u64, Option<u8>>,
}

impl Attribution {
    /// By these notes.
    #[must_use]
    pub fn new(notes: WriteNotes) -> Self {
        Self { notes, settled: true, finished: true, earlier: HashMap::new(), now: HashMap::new() }
    }

    /// The memory is about to be read.
    pub fn before(&mut self) {
        self.settled = self.notes.are_settled();
    }

    /// These bytes of the memory have been read.
    pub fn after(&mut self, offset: u64, length: usize) {
        self.finished = self.notes.are_settled();
        let now = &mut self.now;
        self.notes.take(offset, length, |at, byte| {
            now.insert(at, byte);
        });
    }

    /// Who wrote what was read at `offset`, where it has changed. Right also where both have written:
    /// it is the dext's where it is what the dext wrote last, and then it makes no difference whether the
    /// client has written the same.
    #[must_use]
    pub fn author(&self, offset: u64, byte: u8) -> Author {
        let noted = [self.now.get(&offset), self.earlier.get(&offset)];
        if noted.iter().flatten().any(|noted| **noted == Some(byte)) {
            Author::Dext
        } else if noted.iter().any(Option::is_some) || !self.notes.are_complete() {
            Author::Unknown
        } else {
            Author::Client
        }
    }

    /// The bytes from `offset` on have been dealt with: there they are.
    pub fn done(&mut self, offset: u64, bytes: &[u8]) {
        let range = offset..offset.saturating_add(bytes.len() as u64);
        if self.finished {
            // The write has been made, been seen and been noted behind it.
            self.now.retain(|at, noted| {
                let index = at.checked_sub(offset).and_then(|index| usize::try_from(index).ok());
                let there = index.and_then(|index| bytes.get(index)).copied();
                there.is_none() || there != *noted
            });
        }
        if self.settled {
            // What was noted before this read had been written before it, too.
            self.earlier.retain(|at, _| !range.contains(at));
        }
        let now = &mut self.now;
        let moved: Vec<_> = now.extract_if(|at, _| range.contains(at)).collect();
        self.earlier.extend(moved);
    }
}

/// Those who want to know of the writes to one store.
#[derive(Default)]
pub(super) struct Written {
    asked: AtomicBool,
    /// As [`Marks::unseen`], from before anybody asked.
    unseen: AtomicBool,
    in_flight: Arc<AtomicUsize>,
    notes: Mutex<Vec<Weak<Marks>>>,
}

impl Written {
    /// Begins notes for a store of that many bytes.
    pub(super) fn note(&self, size: u64) -> Option<WriteNotes> {
        let marks = Arc::new(Marks::of(usize::try_from(size).ok()?, &self.in_flight));
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.retain(|held| held.strong_count() > 0);
        notes.push(Arc::downgrade(&marks));
        drop(notes);
        self.asked.store(true, Ordering::SeqCst);
        // A write that was begun before is not noted. It ends soon, or nobody knows of it.
        let mut tries = 0..TRIES;
        while self.in_flight.load(Ordering::SeqCst) > 0 && tries.next().is_some() {
            std::thread::yield_now();
        }
        let unseen = self.unseen.load(Ordering::SeqCst) || tries.is_empty();
        marks.unseen.fetch_or(unseen, Ordering::SeqCst);
        Some(WriteNotes { marks, start: 0 })
    }

    /// Somebody but the client writes by a raw pointer from now on.
    pub(super) fn unseen(&self) {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        self.unseen.store(true, Ordering::SeqCst);
        let told = |marks: Arc<Marks>| marks.unseen.store(true, Ordering::SeqCst);
        notes.iter().filter_map(Weak::upgrade).for_each(told);
    }

    /// Those who ask. The write is in flight by now.
    fn asking(&self) -> Vec<Arc<Marks>> {
        if !self.asked.load(Ordering::SeqCst) {
            return Vec::new();
        }
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.iter().filter_map(Weak::upgrade).collect()
    }

    /// Writes `bytes`, noted before and after: whoever sees them sees a note, too.
    pub(super) fn during<R>(&self, offset: u64, bytes: &[u8], write: impl FnOnce() -> R) -> R {
        let _underway = Underway::of(&self.in_flight);
        let asking = self.asking();
        asking.iter().for_each(|marks| marks.note(offset, bytes));
        let result = write();
        asking.iter().for_each(|marks| marks.note(offset, bytes));
        result
    }

    /// As [`during`](Self::during), where `written` knows afterwards what was there and what was written
    /// over it. What stays as it was is not noted: it is whoever's it was.
    pub(super) fn during_update<R>(
        &self,
        offset: u64,
        length: usize,
        update: impl FnOnce() -> R,
        written: impl FnOnce(&R) -> Option<(u64, u64)>,
    ) -> R {
        let _underway = Underway::of(&self.in_flight);
        let asking = self.asking();
        if asking.is_empty() {
            return update();
        }
        asking.iter().for_each(|marks| marks.note_each(offset, &[(); 8][..length], |()| ANY));
        let result = update();
        if let Some((old, new)) = written(&result) {
            let changed = old.to_le_bytes().into_iter().zip(new.to_le_bytes()).enumerate();
            for (index, (old, new)) in changed.take(length) {
                if old == new {
                    continue;
                }
                asking.iter().for_each(|marks| marks.note(offset + index as u64, &[new]));
            }
        }
        result
    }
}

/// While it lives a write is being made.
struct Underway<'a>(&'a AtomicUsize);

impl<'a> Underway<'a> {
    fn of(in_flight: &'a AtomicUsize) -> Self {
        in_flight.fetch_add(1, Ordering::SeqCst);
        Self(in_flight)
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::Attribution;
    use crate::memory::{Author, Backing, Memory, Update, Width};

    #[test]
    fn every_way_to_write_is_noted_once_for_each_who_asks() {
        let backing = Backing::new(64);
        backing.copy_in(0, &[1; 64]).unwrap();
        let (one, other) = (backing.note_writes().unwrap(), backing.note_writes().unwrap().from(8));
        backing.copy_in(3, &[1; 2]).unwrap();
        backing.store_word(8, Width::Four, 0x0403_0201).unwrap();
        backing.update_word(16, Width::Two, Update::Add(1)).unwrap();
        backing.copy_out(0, &mut [0; 64]).unwrap();
        let told = |notes: &super::WriteNotes| {
            let mut all = Vec::new();
            notes.take(0, 24, |at, byte| all.push((at, byte.unwrap_or(0xff))));
            all
        };
        // Of the update, the byte that stays the same was written by nobody.
        let all = [(3, 1), (4, 1), (8, 1), (9, 2), (10, 3), (11, 4), (16, 2), (17, 0xff)];
        assert_eq!(told(&one), all);
        assert_eq!(told(&one), []);
        let from_there: Vec<_> = all[2..].iter().map(|(at, byte)| (at - 8, *byte)).collect();
        assert_eq!(told(&other), from_there, "from its own start");
    }

    #[test]
    fn a_part_that_is_asked_for_leaves_the_notes_of_the_rest() {
        let backing = Backing::new(4096);
        let notes = backing.note_writes().unwrap();
        backing.copy_in(1000, &[7; 48]).unwrap();
        let mut all = Vec::new();
        notes.take(1020, 10, |at, _| all.push(at));
        assert_eq!(all, (1020..1030).collect::<Vec<_>>());
        notes.take(0, 4096, |at, _| all.push(at));
        assert_eq!(all.len(), 48);
    }

    #[test]
    fn a_note_that_came_before_its_write_counts_at_the_next_look() {
        let backing = Backing::new(64);
        let mut whose = Attribution::new(backing.note_writes().unwrap());
        let look = |whose: &mut Attribution, byte| {
            whose.before();
            whose.after(0, 64);
            let author = whose.author(5, byte);
            let mut bytes = [0; 64];
            bytes[5] = byte;
            whose.done(0, &bytes);
            author
        };
        // Read before the write, noted behind it.
        backing.copy_in(5, &[9]).unwrap();
        assert_eq!(
            look(&mut whose, 3),
            Author::Unknown,
            "a client's 3, or the dext's that was there"
        );
        assert_eq!(look(&mut whose, 9), Author::Dext);
        assert_eq!(look(&mut whose, 8), Author::Client, "nobody has said anything since");
        backing.written_unseen();
        assert_eq!(look(&mut whose, 7), Author::Unknown, "others have a pointer, too");
    }
}
