//! `IOMemoryDescriptor`: memory, without saying where it is mapped.

use super::map::{MapKey, MappingOptions, MemoryMap};
use super::object::{Object, Payload, handle};
use super::process::{DextProcess, UserClientNumber};
use super::view::{Access, View};
use crate::IoReturn;
use crate::limits::PAGE_SIZE;
use crate::memory::{Backing, Memory};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Which way data goes, seen from the client's memory: [`In`](Self::IN) is into memory, such as a
/// buffer that a device fills (I1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "kIOMemoryDirectionIn")]
pub struct Direction(pub u64);

impl Direction {
    /// `kIOMemoryDirectionNone`.
    pub const NONE: Self = Self(0);
    /// `kIOMemoryDirectionIn`: a device writes to the memory.
    pub const IN: Self = Self(1);
    /// `kIOMemoryDirectionOut`: a device reads the memory.
    pub const OUT: Self = Self(2);
    /// `kIOMemoryDirectionInOut`.
    pub const IN_OUT: Self = Self(3);

    pub(super) const fn is_known(self) -> bool {
        self.0 <= Self::IN_OUT.0
    }
}

/// Memory of the client or of the dext. It can be mapped to be read and written, and handed to a
/// device without copying.
#[derive(Clone, Debug)]
#[doc(alias = "IOMemoryDescriptor")]
pub struct MemoryDescriptor {
    pub(super) object: Arc<Object<DescriptorPayload>>,
}

pub(crate) struct DescriptorPayload {
    class: Class,
    store: Arc<Store>,
    /// Number of the object that stands at the root: a sub-descriptor counts as its parent plus a
    /// range (F20).
    root: u64,
    /// First byte in the store.
    start: u64,
    capacity: u64,
    length: AtomicU64,
    direction: Direction,
}

/// The memory behind a descriptor and its sub-descriptors.
struct Store {
    live: Arc<Backing>,
    /// For memory of the client that is copied on write: the copy that the first mapping took (B5).
    snapshot: Option<Mutex<Option<Arc<Backing>>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Made by the dext, which may write to it whatever its direction (I10).
    Buffer,
    /// Handed in by the kernel.
    Client,
}

impl Payload for DescriptorPayload {
    const CLASS: &'static str = "IOMemoryDescriptor";
}

handle!(MemoryDescriptor, DescriptorPayload);

impl Store {
    /// What a mapping of the dext shows.
    fn to_map(&self) -> Option<Arc<Backing>> {
        let Some(snapshot) = &self.snapshot else { return Some(Arc::clone(&self.live)) };
        let mut snapshot = snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        if snapshot.is_none() {
            *snapshot = Some(copy_of(&self.live)?);
        }
        snapshot.clone()
    }
}

/// A copy of a whole store; `None` where the machine has no such memory.
fn copy_of(store: &Backing) -> Option<Arc<Backing>> {
    let copy = Backing::try_new(store.size())?;
    let mut part = vec![0; PAGE_SIZE as usize];
    for offset in (0..store.size()).step_by(part.len()) {
        store.copy_out(offset, &mut part).ok()?;
        copy.copy_in(offset, &part).ok()?;
    }
    Some(copy)
}

impl MemoryDescriptor {
    /// A descriptor of the client's memory, as an external method gets it for a structure over 4096
    /// bytes.
    pub(super) fn of_client(
        process: &DextProcess,
        client: Option<UserClientNumber>,
        store: Arc<Backing>,
        length: u64,
        direction: Direction,
        copy_on_write: bool,
    ) -> Self {
        let length = length.min(store.size());
        let snapshot = copy_on_write.then(|| Mutex::new(None));
        let store = Arc::new(Store { live: store, snapshot });
        let payload = DescriptorPayload {
            class: Class::Client,
            store,
            root: 0,
            start: 0,
            capacity: length,
            length: AtomicU64::new(length),
            direction,
        };
        Self { object: Object::create_by_system(process, client, payload) }
    }

    /// A buffer of the dext's own; the caller has checked the capacity.
    #[track_caller]
    pub(super) fn of_buffer(store: Arc<Backing>, capacity: u64, direction: Direction) -> Self {
        let payload = DescriptorPayload {
            class: Class::Buffer,
            store: Arc::new(Store { live: store, snapshot: None }),
            root: 0,
            start: 0,
            capacity,
            length: AtomicU64::new(capacity),
            direction,
        };
        Self { object: Object::create(payload) }
    }

    /// Bytes that the descriptor describes; 0 once it is gone.
    #[must_use]
    #[track_caller]
    #[doc(alias = "GetLength")]
    pub fn length(&self) -> u64 {
        if self.object.alive() { self.payload().length() } else { 0 }
    }

    /// Which way data goes.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.payload().direction
    }

    /// Maps `length` bytes at `offset` into the dext, the whole descriptor where `length` is 0 (I9).
    /// `address` counts only with [`MappingOptions::FIXED_ADDRESS`], `alignment` never (I9).
    ///
    /// A mapping of a structure input is read-only and shows the bytes as they were at the first
    /// mapping (B5). A buffer of the dext's own is writable whatever its direction, unless the
    /// options say read-only (I10).
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` for a cache mode that there is not (I7); `kIOReturnError` for a range
    /// outside the descriptor, for a descriptor without bytes and for an address that is taken (I8).
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "CreateMapping")]
    pub fn create_mapping(
        &self,
        options: MappingOptions,
        address: u64,
        offset: u64,
        length: u64,
        alignment: u64,
    ) -> Result<MemoryMap, IoReturn> {
        let _ = alignment;
        if !self.object.alive() {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let cache_mode = options.0 & MappingOptions::CACHE_MODE_MASK.0;
        if !matches!(cache_mode, 0 | 0x100 | 0x200 | 0x400 | 0x800) {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let payload = self.payload();
        let whole = payload.length();
        let length = if length == 0 { whole } else { length };
        let inside = offset.checked_add(length).is_some_and(|end| end <= whole);
        if !inside || length == 0 {
            return Err(IoReturn::ERROR);
        }
        let access = payload.access(options);
        let process = DextProcess::current().or_else(|| self.object.header().process());
        let process = process.ok_or(IoReturn::ERROR)?;
        let store = payload.store.to_map().ok_or(IoReturn::ERROR)?;
        let start = payload.start + offset;
        let key = MapKey {
            root: self.root(),
            offset: start,
            length,
            read_only: access != Access::ReadWrite,
            cache_mode,
        };
        let mapped = process.with_addresses(|addresses| {
            if options.contains(MappingOptions::FIXED_ADDRESS) {
                addresses.map_at(address, key)
            } else {
                addresses.map(key)
            }
        });
        let address = mapped.ok_or(IoReturn::ERROR)?;
        // Whole pages are mapped, so the bytes up to the page's end are accessible, too.
        let size = (start + length).next_multiple_of(PAGE_SIZE).min(store.size()) - start;
        Ok(MemoryMap::new(&process, address, offset, length, |owner| View {
            owner,
            store,
            start,
            size,
            access,
        }))
    }

    /// A descriptor of `length` bytes at `offset` of this one, with one reference. It stands for its
    /// parent plus that range: an unmap finds the mapping of an equal one (F20).
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` for an unknown direction, an overflow, or an end beyond the parent's
    /// length (I12).
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "CreateSubMemoryDescriptor")]
    pub fn create_sub_memory_descriptor(
        &self,
        direction: Direction,
        offset: u64,
        length: u64,
    ) -> Result<Self, IoReturn> {
        if !self.object.alive() || !direction.is_known() {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let parent = self.payload();
        match offset.checked_add(length) {
            Some(end) if end <= parent.length() => {}
            _ => return Err(IoReturn::BAD_ARGUMENT),
        }
        let payload = DescriptorPayload {
            class: parent.class,
            store: Arc::clone(&parent.store),
            root: self.root(),
            start: parent.start + offset,
            capacity: length,
            length: AtomicU64::new(length),
            direction,
        };
        Ok(Self { object: Object::create(payload) })
    }

    /// Number of the object at the root.
    pub(super) fn root(&self) -> u64 {
        match self.payload().root {
            0 => self.object.header().number(),
            root => root,
        }
    }

    /// As [`length`](Self::length), for the system, which tells of a use after the last release in its
    /// own way.
    pub(super) fn length_left(&self) -> u64 {
        if self.object.header().count() > 0 { self.payload().length() } else { 0 }
    }

    pub(super) fn start(&self) -> u64 {
        self.payload().start
    }

    /// The memory itself, as a device or the kernel sees it: never a snapshot.
    pub(super) fn live(&self) -> &Arc<Backing> {
        &self.payload().store.live
    }

    pub(super) fn payload(&self) -> &DescriptorPayload {
        &self.object.payload
    }
}

impl DescriptorPayload {
    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    /// Takes effect where it is not above the capacity, for later mappings only (I5).
    pub(super) fn set_length(&self, length: u64) {
        if length <= self.capacity {
            self.length.store(length, Ordering::Release);
        }
    }

    fn access(&self, options: MappingOptions) -> Access {
        let input = self.class == Class::Client && self.direction == Direction::OUT;
        if input {
            Access::Input
        } else if options.contains(MappingOptions::READ_ONLY) {
            Access::ReadOnly
        } else {
            Access::ReadWrite
        }
    }
}
