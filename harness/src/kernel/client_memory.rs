//! Memory of a dext as it lies mapped in the client.

use crate::memory::{AccessError, Memory, RawReach, Update, Width, WriteNotes};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A window on a descriptor's store. It retains the store, so a client may go on reading and writing
/// whatever becomes of the dext (F22), until the mapping ends.
#[derive(Debug)]
pub(super) struct ClientMemory {
    store: Arc<dyn Memory>,
    start: u64,
    size: u64,
    read_only: bool,
    mapped: AtomicBool,
}

impl ClientMemory {
    /// `size` bytes at `start` of `store`, or what there is of them.
    pub(super) fn new(store: Arc<dyn Memory>, start: u64, size: u64, read_only: bool) -> Self {
        let size = size.min(store.size().saturating_sub(start));
        Self { store, start, size, read_only, mapped: AtomicBool::new(true) }
    }

    /// The mapping is gone: every later access fails, as a fault would (F16, F23).
    pub(super) fn end(&self) {
        self.mapped.store(false, Ordering::Release);
    }

    /// Offset in the store of `length` bytes at `offset`.
    fn locate(&self, offset: u64, length: u64) -> Result<u64, AccessError> {
        if !self.mapped.load(Ordering::Acquire) {
            return Err(AccessError::Unmapped { offset });
        }
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(self.start + offset),
            _ => Err(AccessError::OutOfRange { offset, length, size: self.size }),
        }
    }

    fn locate_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        let located = self.locate(offset, width.bytes())?;
        if offset.is_multiple_of(width.bytes()) {
            Ok(located)
        } else {
            Err(AccessError::Unaligned { offset, width: width.bytes() })
        }
    }

    fn writable(&self, offset: u64) -> Result<(), AccessError> {
        if self.read_only { Err(AccessError::ReadOnly { offset }) } else { Ok(()) }
    }
}

/// An error of the store, with the offset that the client gave.
fn seen_from(start: u64) -> impl Fn(AccessError) -> AccessError {
    move |error| match error {
        AccessError::Unaligned { offset, width } => {
            AccessError::Unaligned { offset: offset - start, width }
        }
        other => other,
    }
}

impl Memory for ClientMemory {
    fn size(&self) -> u64 {
        self.size
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn is_registers(&self) -> bool {
        self.store.is_registers()
    }

    fn raw_reach(&self) -> RawReach {
        self.store.raw_reach().part(self.start, self.size)
    }

    fn written_unseen(&self) {
        self.store.written_unseen();
    }

    fn note_writes(&self) -> Option<WriteNotes> {
        Some(self.store.note_writes()?.from(self.start))
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        let at = self.locate_word(offset, width)?;
        self.store.load_word(at, width).map_err(seen_from(self.start))
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let at = self.locate_word(offset, width)?;
        self.writable(offset)?;
        self.store.store_word(at, width, value).map_err(seen_from(self.start))
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        let at = self.locate_word(offset, width)?;
        self.writable(offset)?;
        self.store.update_word(at, width, update).map_err(seen_from(self.start))
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let at = self.locate(offset, into.len() as u64)?;
        self.store.copy_out(at, into)
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        let at = self.locate(offset, bytes.len() as u64)?;
        self.writable(offset)?;
        self.store.copy_in(at, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Backing;

    #[test]
    fn a_window_has_its_own_offsets_and_ends() {
        let store = Backing::new(64);
        let window = ClientMemory::new(Arc::<Backing>::clone(&store), 8, 16, false);
        let memory: &dyn Memory = &window;
        memory.store::<u32>(4, 7).unwrap();
        assert_eq!(store.load_word(12, Width::Four), Ok(7));
        assert_eq!(
            memory.load::<u32>(14),
            Err(AccessError::OutOfRange { offset: 14, length: 4, size: 16 })
        );
        assert_eq!(memory.load::<u32>(2), Err(AccessError::Unaligned { offset: 2, width: 4 }));
        window.end();
        assert_eq!(memory.load::<u32>(4), Err(AccessError::Unmapped { offset: 4 }));
    }

    #[test]
    fn a_read_only_window_refuses_every_write() {
        let window = ClientMemory::new(Backing::new(64), 0, 64, true);
        let memory: &dyn Memory = &window;
        assert_eq!(memory.store::<u8>(3, 1), Err(AccessError::ReadOnly { offset: 3 }));
        assert_eq!(memory.fetch_or::<u8>(3, 1), Err(AccessError::ReadOnly { offset: 3 }));
        assert_eq!(memory.copy_in(0, &[1]), Err(AccessError::ReadOnly { offset: 0 }));
        assert_eq!(memory.load::<u8>(3), Ok(0));
    }
}
