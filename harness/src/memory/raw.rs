//! Memory at an address: where every access of the other stores ends.

use super::access::{check_range, check_word};
use super::{AccessError, Memory, Update, Width};
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Bytes at a fixed address, with no idea who owns them: a [`Backing`](super::Backing) allocates them,
/// a real system's mapping has them from the kernel. Both reach them through this type alone.
///
/// A typed access needs an offset that is a multiple of its width, and so must the address be; that
/// differs only where a real mapping does not start on a word (F8).
pub struct RawMemory {
    start: NonNull<u8>,
    size: u64,
}

// SAFETY: the bytes are reached only through relaxed or stronger atomic accesses in this module,
// so concurrent use from several threads is no data race (as far as the model goes: rule 6 of the room), and
// the pointer itself never changes.
unsafe impl Send for RawMemory {}
// SAFETY: as for `Send`.
unsafe impl Sync for RawMemory {}

/// Runs `$body` with `$word` bound to the atomic of `$width` at `$offset`, after the checks.
macro_rules! with_word {
    ($self:ident, $offset:ident, $width:ident, |$word:ident: $integer:ident| $body:expr) => {{
        $self.check_address($offset, $width)?;
        match $width {
            Width::One => with_word!(@ $self, $offset, AtomicU8, u8, $word, $integer, $body),
            Width::Two => with_word!(@ $self, $offset, AtomicU16, u16, $word, $integer, $body),
            Width::Four => with_word!(@ $self, $offset, AtomicU32, u32, $word, $integer, $body),
            Width::Eight => with_word!(@ $self, $offset, AtomicU64, u64, $word, $integer, $body),
        }
    }};
    (@ $self:ident, $offset:ident, $atomic:ty, $type:ty, $word:ident, $integer:ident, $body:expr) => {{
        type $integer = $type;
        // SAFETY: `check_address` has shown that the word lies inside the memory, which whoever made
        // `self` keeps alive, and that its address is a multiple of its width. All other accesses of
        // this program are atomic, too.
        let $word = unsafe { <$atomic>::from_ptr($self.at::<$type>($offset)) };
        $body
    }};
}

impl RawMemory {
    /// The `size` bytes at `start`.
    ///
    /// # Safety
    ///
    /// - The bytes are mapped, readable, and within one allocation or mapping of at least `size`
    ///   bytes whenever an access is made through the value.
    /// - They are writable whenever a write is made through it.
    /// - This program reaches them by atomic accesses or this type only, and has no reference to
    ///   them. Others (the kernel, a device, another process, a client in C) may change them at any time.
    #[must_use]
    pub const unsafe fn new(start: NonNull<u8>, size: u64) -> Self {
        Self { start, size }
    }

    /// Address of the first byte. Its provenance is exposed: a real system hands it to the kernel.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.start.as_ptr().expose_provenance() as u64
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// `Ok` where a word of `width` at `offset` is inside the memory and its address is aligned.
    fn check_address(&self, offset: u64, width: Width) -> Result<(), AccessError> {
        check_range(offset, width.bytes(), self.size)?;
        if self.address().wrapping_add(offset).is_multiple_of(width.bytes()) {
            Ok(())
        } else {
            Err(AccessError::Unaligned { offset, width: width.bytes() })
        }
    }

    fn load(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        Ok(with_word!(self, offset, width, |word: I| I::into(word.load(Ordering::Relaxed))))
    }

    fn store(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        with_word!(self, offset, width, |word: I| word.store(value as I, Ordering::Relaxed));
        Ok(())
    }

    fn at<A>(&self, offset: u64) -> *mut A {
        // The callers have checked the range, so the sum stays inside the memory.
        self.start.as_ptr().wrapping_add(offset as usize).cast()
    }
}

impl Memory for RawMemory {
    fn size(&self) -> u64 {
        self.size
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        check_word(offset, width, self.size)?;
        self.load(offset, width)
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        check_word(offset, width, self.size)?;
        self.store(offset, width, value)
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        const ORDER: Ordering = Ordering::SeqCst;
        check_word(offset, width, self.size)?;
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
        let (head, body, tail) = split(self.address().wrapping_add(offset), into.len());
        let mut at = offset;
        let (first, rest) = into.split_at_mut(head);
        let (middle, last) = rest.split_at_mut(body);
        for byte in first {
            *byte = self.load(at, Width::One)? as u8;
            at += 1;
        }
        for chunk in middle.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.load(at, Width::Eight)?.to_le_bytes());
            at += 8;
        }
        debug_assert_eq!(last.len(), tail);
        for byte in last {
            *byte = self.load(at, Width::One)? as u8;
            at += 1;
        }
        Ok(())
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        check_range(offset, bytes.len() as u64, self.size)?;
        let (head, body, _) = split(self.address().wrapping_add(offset), bytes.len());
        let mut at = offset;
        let (first, rest) = bytes.split_at(head);
        let (middle, last) = rest.split_at(body);
        for byte in first {
            self.store(at, Width::One, u64::from(*byte))?;
            at += 1;
        }
        for chunk in middle.chunks_exact(8) {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.store(at, Width::Eight, u64::from_le_bytes(word))?;
            at += 8;
        }
        for byte in last {
            self.store(at, Width::One, u64::from(*byte))?;
            at += 1;
        }
        Ok(())
    }
}

/// A copy of `length` bytes from `address` as single bytes up to the next multiple of 8, whole
/// 8-byte words, and single bytes.
fn split(address: u64, length: usize) -> (usize, usize, usize) {
    let head = (address.wrapping_neg() & 7).min(length as u64) as usize;
    let body = (length - head) & !7;
    (head, body, length - head - body)
}

impl fmt::Debug for RawMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawMemory").field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room for a memory that starts 3 bytes into it, as a mapping may start anywhere in its first
    /// page.
    #[repr(align(8))]
    struct Room([AtomicU8; 64]);

    impl Room {
        fn new() -> Self {
            Self([const { AtomicU8::new(0) }; 64])
        }

        fn odd(&self) -> RawMemory {
            let start = NonNull::from(&self.0[3..]).cast();
            // SAFETY: the 61 atomic bytes behind the slice outlive the value in each test.
            unsafe { RawMemory::new(start, 61) }
        }
    }

    #[test]
    fn copies_from_an_odd_address_arrive_whole() {
        let room = Room::new();
        let memory = room.odd();
        let bytes: Vec<u8> = (1..=61).collect();
        for offset in 0..16 {
            memory.copy_in(offset, &bytes[offset as usize..]).unwrap();
            let mut back = vec![0; 61 - offset as usize];
            memory.copy_out(offset, &mut back).unwrap();
            assert_eq!(back, bytes[offset as usize..]);
        }
        assert!(room.0[..3].iter().all(|byte| byte.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn words_need_an_aligned_offset_and_an_aligned_address() {
        let room = Room::new();
        let memory = room.odd();
        assert!(memory.load_word(5, Width::Eight).is_err(), "aligned address, odd offset");
        assert!(memory.load_word(8, Width::Eight).is_err(), "aligned offset, odd address");
        assert!(memory.load_word(8, Width::One).is_ok());
    }
}
