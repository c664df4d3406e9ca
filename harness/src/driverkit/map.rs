//! `IOMemoryMap`: memory of a descriptor, mapped into the dext.

use super::object::{Object, Payload, handle};
use super::process::DextProcess;
use super::process::ProcessInner;
use super::view::View;
use crate::boundary::descriptor;
use crate::limits::PAGE_SIZE;
use crate::memory::Memory;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Weak};

/// Options of [`MemoryDescriptor::create_mapping`](super::MemoryDescriptor::create_mapping).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MappingOptions(pub u64);

impl MappingOptions {
    /// The kernel chooses the address, the mapping is as writable as the memory allows.
    pub const NONE: Self = Self(0);
    /// `kIOMemoryMapFixedAddress`: map at the address given (I9).
    pub const FIXED_ADDRESS: Self = Self(descriptor::MAP_FIXED_ADDRESS);
    /// `kIOMemoryMapReadOnly` (I10).
    pub const READ_ONLY: Self = Self(descriptor::MAP_READ_ONLY);
    /// Bits of the cache mode (I7).
    pub const CACHE_MODE_MASK: Self = Self(descriptor::MAP_CACHE_MODE_MASK);
    /// `kIOMemoryMapCacheModeInhibit`.
    pub const CACHE_MODE_INHIBIT: Self = Self(0x100);
    /// `kIOMemoryMapCacheModeCopyback`.
    pub const CACHE_MODE_COPYBACK: Self = Self(0x200);
    /// `kIOMemoryMapCacheModeWriteThrough`.
    pub const CACHE_MODE_WRITE_THROUGH: Self = Self(0x400);
    /// `kIOMemoryMapCacheModeRealTime` (I15).
    pub const CACHE_MODE_REAL_TIME: Self = Self(0x800);

    /// True where all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for MappingOptions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Memory of a descriptor, mapped into the dext's process. It dereferences to [`Memory`]. The memory
/// stays as long as the map has references, whatever becomes of the descriptor (F22).
#[derive(Clone, Debug)]
#[doc(alias = "IOMemoryMap")]
pub struct MemoryMap {
    object: Arc<Object<MapPayload>>,
    view: View,
}

pub(crate) struct MapPayload {
    process: Weak<ProcessInner>,
    address: u64,
    offset: u64,
    length: u64,
}

impl Payload for MapPayload {
    const CLASS: &'static str = "IOMemoryMap";

    fn freed(&self) {
        if let Some(process) = self.process.upgrade() {
            DextProcess::from_inner(process)
                .with_addresses(|addresses| addresses.unmap(self.address));
        }
    }
}

handle!(MemoryMap, MapPayload);

impl MemoryMap {
    #[track_caller]
    pub(super) fn new(
        process: &DextProcess,
        address: u64,
        offset: u64,
        length: u64,
        view: impl FnOnce(Arc<dyn super::object::Managed>) -> View,
    ) -> Self {
        let object =
            Object::create(MapPayload { process: process.downgrade(), address, offset, length });
        let view = view(Arc::<Object<MapPayload>>::clone(&object));
        Self { object, view }
    }

    /// Address of the first byte in the dext; virtual, and the same in every run.
    #[must_use]
    #[doc(alias = "GetAddress")]
    pub fn address(&self) -> u64 {
        self.object.payload.address
    }

    /// Mapped bytes, not rounded to pages.
    #[must_use]
    #[doc(alias = "GetLength")]
    pub fn length(&self) -> u64 {
        self.object.payload.length
    }

    /// Offset of the first mapped byte in the descriptor.
    #[must_use]
    #[doc(alias = "GetOffset")]
    pub fn offset(&self) -> u64 {
        self.object.payload.offset
    }
}

impl Deref for MemoryMap {
    type Target = dyn Memory;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

/// Where a dext's mappings lie: addresses that mean nothing but identity.
#[derive(Debug)]
pub(crate) struct AddressSpace {
    next: u64,
    ranges: BTreeMap<u64, Range>,
}

#[derive(Debug)]
struct Range {
    key: MapKey,
    size: u64,
    users: u64,
}

/// What makes two mappings one (I11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapKey {
    pub(crate) root: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) read_only: bool,
    pub(crate) cache_mode: u64,
}

/// First address that can be mapped: the 4 GiB below are `__PAGEZERO` in every 64-bit program.
const FIRST: u64 = 0x1_0000_0000;

impl Default for AddressSpace {
    fn default() -> Self {
        // Recognisable in a log, and no address that a program is likely to own.
        Self { next: 0x4000_0000_0000, ranges: BTreeMap::new() }
    }
}

impl AddressSpace {
    /// The address of a mapping, the same as that of an equal one where they share it.
    pub(crate) fn map(&mut self, key: MapKey, shared: bool) -> Option<u64> {
        let equal = |range: &Range| shared && range.key == key;
        if let Some((address, range)) = self.ranges.iter_mut().find(|(_, range)| equal(range)) {
            range.users += 1;
            return Some(address + key.offset % PAGE_SIZE);
        }
        let size = pages(key)?;
        while let Some(end) = self.next.checked_add(size) {
            let address = self.next;
            self.next = end;
            if self.insert(address, size, key) {
                return Some(address + key.offset % PAGE_SIZE);
            }
        }
        None
    }

    /// Maps at `address`, rounded down to its page; `None` where something is there already.
    pub(crate) fn map_at(&mut self, address: u64, key: MapKey, shared: bool) -> Option<u64> {
        let page = address - address % PAGE_SIZE;
        if page < FIRST {
            return None;
        }
        let same = |range: &&mut Range| shared && range.key == key;
        if let Some(range) = self.ranges.get_mut(&page).filter(same) {
            range.users += 1;
        } else if !self.insert(page, pages(key)?, key) {
            return None;
        }
        Some(page + key.offset % PAGE_SIZE)
    }

    fn unmap(&mut self, address: u64) {
        let page = address - address % PAGE_SIZE;
        if let Some(range) = self.ranges.get_mut(&page) {
            range.users -= 1;
            if range.users == 0 {
                self.ranges.remove(&page);
            }
        }
    }

    fn insert(&mut self, address: u64, size: u64, key: MapKey) -> bool {
        let Some(end) = address.checked_add(size) else { return false };
        let before = self.ranges.range(..end).next_back();
        let free = before.is_none_or(|(start, range)| start + range.size <= address);
        if free {
            self.ranges.insert(address, Range { key, size, users: 1 });
        }
        free
    }
}

/// Bytes of the pages that a mapping touches.
fn pages(key: MapKey) -> Option<u64> {
    (key.offset % PAGE_SIZE).checked_add(key.length)?.checked_next_multiple_of(PAGE_SIZE)
}
