//! Mapped memory as the recorder sees it: at sync points, whole.

use super::client::copy_from;
use dextape::connection::Mapping;
use dextape::memory::{AccessError, Memory, Update, Width};
use std::sync::{Mutex, PoisonError};

/// Bytes of one mapping that are looked at, at each sync point.
pub(super) const LOOK_MAX: u64 = 1 << 20;

/// Memory of the dext at an address of this process. It is read by the kernel on our behalf, so that
/// nothing faults where another thread unmaps it meanwhile, and never written.
#[derive(Debug)]
pub(super) struct ClientPages {
    address: u64,
    size: u64,
}

impl ClientPages {
    pub(super) fn new(address: u64, size: u64) -> Self {
        Self { address, size }
    }
}

impl Memory for ClientPages {
    fn size(&self) -> u64 {
        self.size
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        let mut bytes = [0; 8];
        self.copy_out(offset, &mut bytes[..width.bytes() as usize])?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn store_word(&self, offset: u64, _width: Width, _value: u64) -> Result<(), AccessError> {
        Err(AccessError::ReadOnly { offset })
    }

    fn update_word(&self, offset: u64, _width: Width, _update: Update) -> Result<u64, AccessError> {
        Err(AccessError::ReadOnly { offset })
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let length = into.len() as u64;
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(AccessError::OutOfRange { offset, length, size: self.size });
        }
        // The sum is within the mapping.
        let there = copy_from(self.address + offset, into);
        there.then_some(()).ok_or(AccessError::Unmapped { offset })
    }

    fn copy_in(&self, offset: u64, _bytes: &[u8]) -> Result<(), AccessError> {
        Err(AccessError::ReadOnly { offset })
    }
}

/// The mappings of a connection that are looked at, in the order of the maps.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<Vec<Mapping>>);

impl Shown {
    /// A sync point: whatever has changed becomes a patch. What can be read no longer is forgotten.
    pub(super) fn look(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|mapping| {
            let mut bytes = vec![0; usize::try_from(mapping.memory().size()).unwrap_or(0)];
            mapping.memory().copy_out(0, &mut bytes).is_ok()
        });
    }

    /// A mapping has come; mapped again at the same place it is the same one (F11).
    pub(super) fn add(&self, mapping: Mapping) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &Mapping| known.address() == mapping.address();
        match all.iter_mut().find(|known| same(known)) {
            Some(known) => *known = mapping,
            None => all.push(mapping),
        }
    }

    /// Where they are.
    pub(super) fn addresses(&self) -> Vec<u64> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(Mapping::address).collect()
    }

    /// The client has unmapped what it says is at `address`. The kernel may have unmapped something
    /// else (F15); what is gone the next look finds out.
    pub(super) fn remove(&self, address: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.address() != address);
    }
}
