//! The client's own memory by address, where the client is a process that can be reached.

use super::{AccessError, Memory, Part, Update, Width, check_range, check_word};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Reads and writes the client's own memory by its addresses. What is not there is an answer, no fault.
pub trait ClientSpace: Send + Sync + fmt::Debug {
    /// Copies what is at `address`; false where not all of it can be read.
    fn read(&self, address: u64, into: &mut [u8]) -> bool;

    /// Writes to `address`; false where not all of it can be written.
    fn write(&self, address: u64, bytes: &[u8]) -> bool;
}

/// Some of the client's memory as a dext reaches it. Accesses of a word are copies of its bytes, and
/// updates are atomic among themselves only.
#[derive(Debug)]
struct ClientView {
    space: Arc<dyn ClientSpace>,
    address: u64,
    size: u64,
    updates: Mutex<()>,
}

/// The `length` bytes at `address` of the client; `None` where the first or last of them is not there.
pub(crate) fn client_part(space: &Arc<dyn ClientSpace>, address: u64, length: u64) -> Option<Part> {
    let last = address.checked_add(length.checked_sub(1)?)?;
    let there = |address| space.read(address, &mut [0]);
    let view = || ClientView {
        space: Arc::clone(space),
        address,
        size: length,
        updates: Mutex::default(),
    };
    (there(address) && there(last)).then(|| Part { store: Arc::new(view()), start: 0, length })
}

impl Memory for ClientView {
    fn size(&self) -> u64 {
        self.size
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        check_word(offset, width, self.size)?;
        let mut bytes = [0; 8];
        self.copy_out(offset, &mut bytes[..width.bytes() as usize])?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        check_word(offset, width, self.size)?;
        self.copy_in(offset, &value.to_le_bytes()[..width.bytes() as usize])
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        let _one = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.load_word(offset, width)?;
        let after = update.apply(before, width);
        if after != before {
            self.store_word(offset, width, after)?;
        }
        Ok(before)
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        check_range(offset, into.len() as u64, self.size)?;
        let read = into.is_empty() || self.space.read(self.address + offset, into);
        read.then_some(()).ok_or(AccessError::Unmapped { offset })
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        check_range(offset, bytes.len() as u64, self.size)?;
        let written = bytes.is_empty() || self.space.write(self.address + offset, bytes);
        written.then_some(()).ok_or(AccessError::ReadOnly { offset })
    }
}
