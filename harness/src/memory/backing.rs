//! Memory that the harness owns: page-aligned, zero-filled, shared by reference count.

use super::pages::{Pages, pages};
use super::written::Written;
use super::{AccessError, Memory, RawMemory, RawReach, RawView, Update, Width, WriteNotes};
use crate::limits::PAGE_SIZE;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

/// A zero-filled store of whole pages, such as an `IOBufferMemoryDescriptor` stands on (I3).
///
/// Dext, client mapping and replayer each hold it by `Arc`: it lives as long as anybody can reach it
/// (F22).
pub struct Backing {
    words: RawMemory,
    layout: Layout,
    /// Where the pages are from; `None` for the program's allocator.
    pages: Option<PagesOf>,
    written: Written,
}

/// Somebody else's pages.
#[derive(Clone, Copy)]
struct PagesOf(&'static dyn Pages);

impl Backing {
    /// A store of at least `length` bytes, rounded up to whole pages; one page where `length` is 0.
    ///
    /// # Panics
    ///
    /// Where the machine has no such memory; use [`Backing::try_new`] for lengths from outside.
    #[must_use]
    pub fn new(length: u64) -> Arc<Self> {
        match Self::try_new(length) {
            Some(backing) => backing,
            None => panic!("failed to allocate {length} bytes of shared memory"),
        }
    }

    /// As [`Backing::new`], but `None` where the machine has no such memory.
    #[must_use]
    pub fn try_new(length: u64) -> Option<Arc<Self>> {
        let size = length.max(1).checked_next_multiple_of(PAGE_SIZE)?;
        let layout =
            Layout::from_size_align(usize::try_from(size).ok()?, PAGE_SIZE as usize).ok()?;
        let pages = pages().map(PagesOf);
        let start = match pages {
            Some(PagesOf(pages)) => pages.take(layout.size())?,
            // SAFETY: the layout has a size of at least one page.
            None => NonNull::new(unsafe { alloc_zeroed(layout) })?,
        };
        // SAFETY: just allocated with that size and zero-filled; given back in `drop` only, and
        // reached through this very value until then.
        let words = unsafe { RawMemory::new(start, size) };
        Some(Arc::new(Self { words, layout, pages, written: Written::default() }))
    }

    /// Address of the first byte, for identity and diagnostics; it never enters a simulated tape.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.words.address()
    }

    /// True where such a write is not refused.
    fn may_write(&self, offset: u64, length: u64) -> bool {
        offset.checked_add(length).is_some_and(|end| end <= self.size())
    }
}

impl Memory for Backing {
    fn size(&self) -> u64 {
        self.words.size()
    }

    fn raw_reach(&self) -> RawReach {
        // SAFETY: the pages are this store's until it is dropped.
        RawReach::At(unsafe { RawView::new(self.address(), self.size()) })
    }

    fn note_writes(&self) -> Option<WriteNotes> {
        self.written.note(self.size())
    }

    fn written_unseen(&self) {
        self.written.unseen();
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        self.words.load_word(offset, width)
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let store = || self.words.store_word(offset, width, value);
        let bytes = value.to_le_bytes();
        let written =
            if self.may_write(offset, width.bytes()) { width.bytes() as usize } else { 0 };
        self.written.during(offset, &bytes[..written], store)
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        let fits = self.may_write(offset, width.bytes());
        self.written.during_update(
            offset,
            if fits { width.bytes() as usize } else { 0 },
            || self.words.update_word(offset, width, update),
            |old| old.as_ref().ok().map(|old| (*old, update.apply(*old, width))),
        )
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.words.copy_out(offset, into)
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        let copy = || self.words.copy_in(offset, bytes);
        let written = if self.may_write(offset, bytes.len() as u64) { bytes } else { &[] };
        self.written.during(offset, written, copy)
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        let start = self.words.start();
        match self.pages {
            // SAFETY: taken there in `try_new` with this very size, and nobody else can reach it.
            Some(PagesOf(pages)) => unsafe { pages.give_back(start, self.layout.size()) },
            // SAFETY: allocated in `try_new` with this very layout, and nobody else can reach it.
            None => unsafe { dealloc(start.as_ptr(), self.layout) },
        }
    }
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backing").field("size", &self.words.size()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_any_offset_and_length_arrive_whole() {
        let backing = Backing::new(64);
        let bytes: Vec<u8> = (1..=40).collect();
        for offset in 0..16 {
            for length in 0..40 {
                backing.copy_in(0, &[0; 64]).unwrap();
                backing.copy_in(offset, &bytes[..length]).unwrap();
                let mut all = [0; 64];
                backing.copy_out(0, &mut all).unwrap();
                let start = offset as usize;
                assert_eq!(&all[start..start + length], &bytes[..length]);
                assert!(all[..start].iter().chain(&all[start + length..]).all(|byte| *byte == 0));
                let mut part = vec![0; length];
                backing.copy_out(offset, &mut part).unwrap();
                assert_eq!(part, &bytes[..length]);
            }
        }
    }

    #[test]
    fn the_end_of_the_range_is_exact() {
        let backing = Backing::new(1);
        let size = backing.size();
        assert_eq!(size, PAGE_SIZE);
        assert!(backing.copy_out(size, &mut []).is_ok());
        assert!(backing.store_word(size - 8, Width::Eight, 1).is_ok());
        let error = backing.store_word(size - 4, Width::Eight, 1).unwrap_err();
        assert_eq!(error, AccessError::OutOfRange { offset: size - 4, length: 8, size });
        assert!(backing.copy_in(u64::MAX, &[1, 2]).is_err(), "the sum wraps");
    }

    #[test]
    fn updates_are_those_of_the_word_module() {
        let backing = Backing::new(8);
        let updates = [
            Update::Swap(0xfff0),
            Update::Add(0x11),
            Update::Or(0x8000),
            Update::And(0x8001),
            Update::CompareExchange { expected: 0x8001, new: 5 },
            Update::CompareExchange { expected: 0x8001, new: 6 },
        ];
        let mut expected = 0;
        for update in updates {
            assert_eq!(backing.update_word(2, Width::Two, update), Ok(expected), "{update:?}");
            expected = update.apply(expected, Width::Two);
        }
        assert_eq!(backing.load_word(0, Width::Eight), Ok(expected << 16));
    }
}
