//! Memory that the harness owns: page-aligned, zero-filled, shared by reference count.

use super::access::{check_range, check_word};
use super::{AccessError, Memory, Update, Width};
use crate::limits::PAGE_SIZE;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// A zero-filled store of whole pages, such as an `IOBufferMemoryDescriptor` stands on (I3).
///
/// Dext, client mapping and replayer each hold it by `Arc`: it lives as long as anybody can reach it
/// (F22).
pub struct Backing {
    start: NonNull<u8>,
    layout: Layout,
    size: u64,
}

// SAFETY: the bytes are reached only through relaxed or stronger atomic accesses in this module,
// so concurrent use from several threads is no data race, and the pointer itself never changes.
unsafe impl Send for Backing {}
// SAFETY: as for `Send`.
unsafe impl Sync for Backing {}

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
        // SAFETY: the layout has a size of at least one page.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Arc::new(Self { start, layout, size }))
    }

    /// Address of the first byte, for identity and diagnostics; it never enters a simulated tape.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.start.as_ptr().addr() as u64
    }

    fn at<A>(&self, offset: u64) -> *mut A {
        // The callers have checked the range, so the sum stays inside the allocation.
        self.start.as_ptr().wrapping_add(offset as usize).cast()
    }
}

/// Runs `$body` with `$word` bound to the atomic of `$width` at `$offset`, after the checks.
macro_rules! with_word {
    ($self:ident, $offset:ident, $width:ident, |$word:ident: $integer:ident| $body:expr) => {{
        check_word($offset, $width, $self.size)?;
        match $width {
            Width::One => with_word!(@ $self, $offset, AtomicU8, u8, $word, $integer, $body),
            Width::Two => with_word!(@ $self, $offset, AtomicU16, u16, $word, $integer, $body),
            Width::Four => with_word!(@ $self, $offset, AtomicU32, u32, $word, $integer, $body),
            Width::Eight => with_word!(@ $self, $offset, AtomicU64, u64, $word, $integer, $body),
        }
    }};
    (@ $self:ident, $offset:ident, $atomic:ty, $type:ty, $word:ident, $integer:ident, $body:expr) => {{
        type $integer = $type;
        // SAFETY: `check_word` has shown that the word lies inside the allocation, which lives as
        // long as `self`, and that its offset is a multiple of its width, in an allocation aligned
        // to a page. All other accesses are atomic, too.
        let $word = unsafe { <$atomic>::from_ptr($self.at::<$type>($offset)) };
        $body
    }};
}

impl Memory for Backing {
    fn size(&self) -> u64 {
        self.size
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        Ok(with_word!(self, offset, width, |word: I| I::into(word.load(Ordering::Relaxed))))
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        with_word!(self, offset, width, |word: I| word.store(value as I, Ordering::Relaxed));
        Ok(())
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        const ORDER: Ordering = Ordering::SeqCst;
        Ok(with_word!(self, offset, width, |word: I| I::into(match update {
            Update::Swap(value) => word.swap(value as I, ORDER),
            Update::Add(value) => word.fetch_add(value as I, ORDER),
            Update::Or(value) => word.fetch_or(value as I, ORDER),
            Update::And(value) => word.fetch_and(value as I, ORDER),
            Update::CompareExchange { expected, new } => {
                match word.compare_exchange(expected as I, new as I, ORDER, ORDER) {
                    Ok(old) | Err(old) => old,
                }
            }
        })))
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        check_range(offset, into.len() as u64, self.size)?;
        let (head, body, tail) = split(offset, into.len());
        let mut at = offset;
        let (first, rest) = into.split_at_mut(head);
        let (middle, last) = rest.split_at_mut(body);
        for byte in first {
            *byte = self.load_word(at, Width::One)? as u8;
            at += 1;
        }
        for chunk in middle.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.load_word(at, Width::Eight)?.to_le_bytes());
            at += 8;
        }
        debug_assert_eq!(last.len(), tail);
        for byte in last {
            *byte = self.load_word(at, Width::One)? as u8;
            at += 1;
        }
        Ok(())
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        check_range(offset, bytes.len() as u64, self.size)?;
        let (head, body, _) = split(offset, bytes.len());
        let mut at = offset;
        let (first, rest) = bytes.split_at(head);
        let (middle, last) = rest.split_at(body);
        for byte in first {
            self.store_word(at, Width::One, u64::from(*byte))?;
            at += 1;
        }
        for chunk in middle.chunks_exact(8) {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.store_word(at, Width::Eight, u64::from_le_bytes(word))?;
            at += 8;
        }
        for byte in last {
            self.store_word(at, Width::One, u64::from(*byte))?;
            at += 1;
        }
        Ok(())
    }
}

/// A copy of `length` bytes from `offset` as single bytes up to the next multiple of 8, whole
/// 8-byte words, and single bytes.
fn split(offset: u64, length: usize) -> (usize, usize, usize) {
    let head = (offset.next_multiple_of(8) - offset).min(length as u64) as usize;
    let body = (length - head) & !7;
    (head, body, length - head - body)
}

impl Drop for Backing {
    fn drop(&mut self) {
        // SAFETY: allocated in `try_new` with this very layout, and nobody else can reach it.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backing").field("size", &self.size).finish_non_exhaustive()
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
