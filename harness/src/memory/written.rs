//! Which bytes were written through [`Memory`](super::Memory): whoever writes by a raw pointer is seen by
//! nobody, and told apart by that.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Notes of the writes to a memory from a moment on, for one who asks.
#[derive(Clone, Debug)]
pub struct WriteNotes {
    marks: Arc<Marks>,
    start: u64,
}

/// A byte for each byte of a store: 1 where it was written.
type Marks = Box<[AtomicU8]>;

impl WriteNotes {
    /// The notes for a window that begins `start` bytes into this one.
    #[must_use]
    pub fn from(mut self, start: u64) -> Self {
        self.start = self.start.saturating_add(start);
        self
    }

    /// Says of each byte whether it was written since this was last asked, and forgets it. A write that
    /// is being made is told now, or both now and the next time; never only too late.
    pub fn take(&self, into: &mut [bool]) {
        let start = usize::try_from(self.start).unwrap_or(usize::MAX);
        into.fill(false);
        for (told, mark) in into.iter_mut().zip(self.marks.iter().skip(start)) {
            *told = mark.swap(0, Ordering::SeqCst) != 0;
        }
    }
}

/// Those who want to know of the writes to one store.
#[derive(Default)]
pub(super) struct Written {
    asked: AtomicBool,
    notes: Mutex<Vec<Weak<Marks>>>,
}

impl Written {
    /// Begins notes for a store of that many bytes.
    pub(super) fn note(&self, size: u64) -> Option<WriteNotes> {
        let size = usize::try_from(size).ok()?;
        let marks: Arc<Marks> = Arc::new((0..size).map(|_| AtomicU8::new(0)).collect());
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.retain(|held| held.strong_count() > 0);
        notes.push(Arc::downgrade(&marks));
        self.asked.store(true, Ordering::SeqCst);
        Some(WriteNotes { marks, start: 0 })
    }

    /// Makes a write, noted before and after: whoever sees its bytes sees a note, too.
    pub(super) fn during<R>(&self, offset: u64, length: u64, write: impl FnOnce() -> R) -> R {
        if !self.asked.load(Ordering::SeqCst) {
            return write();
        }
        self.mark(offset, length);
        let result = write();
        self.mark(offset, length);
        result
    }

    fn mark(&self, offset: u64, length: u64) {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        for marks in notes.iter().filter_map(Weak::upgrade) {
            let clamped = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(marks.len());
            for mark in &marks[clamped(offset)..clamped(offset.saturating_add(length))] {
                mark.store(1, Ordering::SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::{Backing, Memory, Update, Width};

    #[test]
    fn every_way_to_write_is_noted_once_for_each_who_asks() {
        let backing = Backing::new(64);
        backing.copy_in(0, &[1; 64]).unwrap();
        let (one, other) = (backing.note_writes().unwrap(), backing.note_writes().unwrap().from(8));
        backing.copy_in(3, &[1; 2]).unwrap();
        backing.store_word(8, Width::Four, 1).unwrap();
        backing.update_word(16, Width::Two, Update::Add(0)).unwrap();
        backing.copy_out(0, &mut [0; 64]).unwrap();
        let told = |notes: &super::WriteNotes| {
            let mut into = [true; 24];
            notes.take(&mut into);
            (0..24).filter(|index| into[*index]).collect::<Vec<_>>()
        };
        assert_eq!(told(&one), [3, 4, 8, 9, 10, 11, 16, 17]);
        assert_eq!(told(&one), [0; 0]);
        assert_eq!(told(&other), [0, 1, 2, 3, 8, 9], "from its own start");
    }
}
