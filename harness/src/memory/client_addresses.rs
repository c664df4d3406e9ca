//! Addresses of the client's own memory, where the client is no process of its own.

use super::{Backing, Memory, Part, SharedBuffer};
use crate::limits::PAGE_SIZE;
use std::sync::{Arc, Weak};

/// First address of the client's own memory: above all mappings, and the same in every run.
const FIRST: u64 = 0x7000_0000_0000;

/// Which buffer of the client lies where, in the order in which it was asked for. It keeps no buffer
/// alive.
///
/// # Examples
///
/// ```
/// use dextape::memory::{ClientAddresses, SharedBuffer};
///
/// let mut addresses = ClientAddresses::default();
/// let buffer = SharedBuffer::new(100);
/// let address = addresses.address_of(&buffer);
/// assert_eq!(address, 0x7000_0000_0000);
/// let part = addresses.memory_at(address + 10, 90).unwrap();
/// assert_eq!((part.start, part.length), (10, 90));
/// drop((buffer, part));
/// assert!(addresses.memory_at(address, 1).is_none(), "freed");
/// ```
#[derive(Debug, Default)]
pub struct ClientAddresses {
    /// Bytes handed out, with a page between two buffers.
    used: u64,
    /// By ascending address.
    buffers: Vec<(u64, Weak<Backing>)>,
}

impl ClientAddresses {
    /// The address of a buffer: a page's first byte, and the same each time.
    pub fn address_of(&mut self, buffer: &SharedBuffer) -> u64 {
        let store = Arc::downgrade(buffer.store());
        if let Some((address, _)) = self.buffers.iter().find(|(_, known)| known.ptr_eq(&store)) {
            return *address;
        }
        self.buffers.retain(|(_, known)| known.strong_count() > 0);
        let address = FIRST + self.used;
        self.used += buffer.store().size() + PAGE_SIZE;
        self.buffers.push((address, store));
        address
    }

    /// The memory of `length` bytes at an address; `None` where not all of them are of one buffer that
    /// is still there.
    #[must_use]
    pub fn memory_at(&self, address: u64, length: u64) -> Option<Part> {
        let index = self.buffers.partition_point(|(at, _)| *at <= address).checked_sub(1)?;
        let (at, store) = self.buffers.get(index)?;
        let (store, start) = (store.upgrade()?, address - at);
        let inside = start.checked_add(length).is_some_and(|end| end <= store.size());
        inside.then_some(Part { store, start, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_lie_apart_and_keep_their_place() {
        let mut addresses = ClientAddresses::default();
        let (first, second) = (SharedBuffer::new(1), SharedBuffer::new(PAGE_SIZE));
        let at = addresses.address_of(&first);
        let next = addresses.address_of(&second);
        assert_eq!((next - at, addresses.address_of(&first)), (2 * PAGE_SIZE, at));
        assert!(addresses.memory_at(at - 1, 1).is_none());
        assert!(addresses.memory_at(at, PAGE_SIZE).is_some());
        assert!(addresses.memory_at(at, PAGE_SIZE + 1).is_none());
        assert!(addresses.memory_at(at + PAGE_SIZE, 1).is_none(), "between them");
        assert!(addresses.memory_at(next + 1, u64::MAX).is_none());
        let part = addresses.memory_at(next + 8, 8).unwrap();
        assert_eq!((part.start, part.length), (8, 8));
        second.memory().store::<u8>(8, 7).unwrap();
        assert_eq!(part.store.load::<u8>(8), Ok(7));
        drop(first);
        assert!(addresses.memory_at(at, 1).is_none());
        let third = SharedBuffer::new(1);
        assert_eq!(addresses.address_of(&third), next + 2 * PAGE_SIZE, "no address comes back");
    }
}
