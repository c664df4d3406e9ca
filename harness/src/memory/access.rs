//! The consumer's side of shared memory: what a client, a dext, a recorder and a replayer all use.

use super::{Author, Found, RawReach, Update, Width, Word, WriteNotes};
use std::fmt;

/// Why an access to shared memory was refused. On a Mac all but `Unaligned` are faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The range is not inside the memory.
    #[error("access {length} bytes at offset {offset:#x}: the memory holds {size} bytes")]
    OutOfRange {
        /// First byte asked for.
        offset: u64,
        /// Bytes asked for.
        length: u64,
        /// Bytes accessible.
        size: u64,
    },
    /// A typed access whose offset is no multiple of its width.
    #[error("access a word of {width} bytes at offset {offset:#x}: not a multiple of its width")]
    Unaligned {
        /// Offset of the word.
        offset: u64,
        /// Width of the word in bytes.
        width: u64,
    },
    /// A write to memory that is mapped read-only (F2, B5).
    #[error("write at offset {offset:#x}: the memory is read-only")]
    ReadOnly {
        /// First byte of the write.
        offset: u64,
    },
    /// The mapping is gone: unmapped, or its connection closed (F16, F23).
    #[error("access offset {offset:#x}: the memory is no longer mapped")]
    Unmapped {
        /// First byte of the access.
        offset: u64,
    },
}

/// Shared memory as bytes at offsets from its start. Object-safe; typed access is on
/// `dyn Memory` itself.
///
/// # Examples
///
/// ```
/// use dextape::memory::{Backing, Memory};
///
/// let backing = Backing::new(128);
/// let memory: &dyn Memory = &*backing;
/// memory.store::<u32>(8, 7)?;
/// assert_eq!(memory.fetch_add::<u32>(8, 1)?, 7);
/// assert_eq!(memory.load::<u32>(8)?, 8);
/// assert!(memory.load::<u32>(9).is_err());
/// # Ok::<(), dextape::memory::AccessError>(())
/// ```
pub trait Memory: Send + Sync + fmt::Debug {
    /// Accessible bytes. A mapping's whole pages are accessible, so this may be more than the
    /// length of the descriptor (F10).
    fn size(&self) -> u64;

    /// True where every write is refused: the memory is mapped read-only (F2, B5).
    fn is_read_only(&self) -> bool {
        false
    }

    /// True for device registers, where a read may change what the next one gives: whoever stands
    /// between never reads them of its own accord, and takes each read of the client as an event.
    fn is_registers(&self) -> bool {
        false
    }

    /// How code that has nothing but raw pointers, such as a client in C, can reach the bytes.
    fn raw_reach(&self) -> RawReach {
        RawReach::Never
    }

    /// From now on notes which bytes are written through this trait, by whoever; a write by a raw pointer
    /// is not. `None` where nobody can tell.
    fn note_writes(&self) -> Option<WriteNotes> {
        None
    }

    /// Somebody other than the client has a raw pointer to the bytes: from now on not all writes are
    /// noted.
    fn written_unseen(&self) {}

    /// What a comparison of the memory with what it held before has found, which is all that can be
    /// known where the client has raw pointers: to be said to whoever keeps the shadow.
    fn found(&self, found: Found<'_>) {
        let _nobody_keeps_one = found;
    }

    /// What a tape has changed by now and was not asked for yet, where the memory is reached through a
    /// copy ([`RawReach::Copied`], [`RawReach::ByAccess`]): calls `bring` with each change in turn, its offset, its bytes, and
    /// whose it is. A change of [unknown](Author::Unknown) author waits until its client has gone on, for
    /// it may be about to make it itself, or is `idle`: it has asked for nothing in a while, and may be
    /// waiting for the change. True where such a change waits.
    fn bring_changes(&self, idle: bool, bring: &mut dyn FnMut(u64, &[u8], Author)) -> bool {
        let _of_no_tape = (idle, bring);
        false
    }

    /// Reads one aligned word, zero-extended.
    ///
    /// # Errors
    ///
    /// Any [`AccessError`] but `ReadOnly`.
    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError>;

    /// Writes the low bits of `value` as one aligned word.
    ///
    /// # Errors
    ///
    /// Any [`AccessError`].
    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError>;

    /// Updates one aligned word atomically and gives what it held before, zero-extended.
    ///
    /// # Errors
    ///
    /// Any [`AccessError`]. A compare-exchange that does not store still needs write access.
    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError>;

    /// Copies bytes out, in ascending order.
    ///
    /// # Errors
    ///
    /// `OutOfRange` and `Unmapped`; nothing was copied then. An empty range inside the memory or at
    /// its end is fine.
    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError>;

    /// Copies bytes in, in ascending order.
    ///
    /// # Errors
    ///
    /// `OutOfRange`, `ReadOnly` and `Unmapped`; nothing was copied then.
    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError>;
}

macro_rules! fetch {
    ($($(#[$doc:meta])* $name:ident = $update:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// Any [`AccessError`].
        pub fn $name<W: Word>(&self, offset: u64, operand: W) -> Result<W, AccessError> {
            self.update_word(offset, W::WIDTH, Update::$update(operand.to_bits())).map(W::from_bits)
        }
    )*};
}

impl dyn Memory + '_ {
    /// Reads one word.
    ///
    /// # Errors
    ///
    /// Any [`AccessError`] but `ReadOnly`.
    pub fn load<W: Word>(&self, offset: u64) -> Result<W, AccessError> {
        self.load_word(offset, W::WIDTH).map(W::from_bits)
    }

    /// Writes one word.
    ///
    /// # Errors
    ///
    /// Any [`AccessError`].
    pub fn store<W: Word>(&self, offset: u64, value: W) -> Result<(), AccessError> {
        self.store_word(offset, W::WIDTH, value.to_bits())
    }

    fetch! {
        /// Stores `operand` and gives what was there before.
        swap = Swap;
        /// Adds `operand`, wrapping, and gives what was there before.
        fetch_add = Add;
        /// Sets the bits of `operand` and gives what was there before.
        fetch_or = Or;
        /// Keeps the bits of `operand` only and gives what was there before.
        fetch_and = And;
    }

    /// Stores `new` where the word equals `expected`, and gives what was there before: the store
    /// happened where that equals `expected`.
    ///
    /// # Errors
    ///
    /// Any [`AccessError`].
    pub fn compare_exchange<W: Word>(
        &self,
        offset: u64,
        expected: W,
        new: W,
    ) -> Result<W, AccessError> {
        let update = Update::CompareExchange { expected: expected.to_bits(), new: new.to_bits() };
        self.update_word(offset, W::WIDTH, update).map(W::from_bits)
    }

    /// Copies `length` bytes out into a new vector.
    ///
    /// # Errors
    ///
    /// `OutOfRange` and `Unmapped`. Nothing is allocated for a range that is not there.
    pub fn read_vec(&self, offset: u64, length: u64) -> Result<Vec<u8>, AccessError> {
        check_range(offset, length, self.size())?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        self.copy_out(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies a structure out. Its bytes come in the order of [`Memory::copy_out`], so a structure
    /// longer than a word can tear.
    ///
    /// # Errors
    ///
    /// `OutOfRange` and `Unmapped`.
    pub fn read_struct<T: bytemuck::AnyBitPattern>(&self, offset: u64) -> Result<T, AccessError> {
        let mut value = T::zeroed();
        let length = size_of::<T>() as u64;
        let bytes = self.read_vec(offset, length)?;
        if let Ok(read) = bytemuck::try_pod_read_unaligned(&bytes) {
            value = read;
        }
        Ok(value)
    }

    /// Copies a structure in.
    ///
    /// # Errors
    ///
    /// `OutOfRange`, `ReadOnly` and `Unmapped`.
    pub fn write_struct<T: bytemuck::NoUninit>(
        &self,
        offset: u64,
        value: &T,
    ) -> Result<(), AccessError> {
        self.copy_in(offset, bytemuck::bytes_of(value))
    }
}

/// `Ok` where `length` bytes at `offset` lie inside `size` bytes.
pub(crate) fn check_range(offset: u64, length: u64, size: u64) -> Result<(), AccessError> {
    match offset.checked_add(length) {
        Some(end) if end <= size => Ok(()),
        _ => Err(AccessError::OutOfRange { offset, length, size }),
    }
}

/// `Ok` where one word of `width` at `offset` lies inside `size` bytes and is aligned.
pub(crate) fn check_word(offset: u64, width: Width, size: u64) -> Result<(), AccessError> {
    check_range(offset, width.bytes(), size)?;
    if offset.is_multiple_of(width.bytes()) {
        Ok(())
    } else {
        Err(AccessError::Unaligned { offset, width: width.bytes() })
    }
}
