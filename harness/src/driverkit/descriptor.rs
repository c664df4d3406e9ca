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
    live: Arc<dyn Memory>,
    /// For memory of the client that is copied on write: the copy that the first mapping took (B5).
    snapshot: Option<Mutex<Option<Arc<dyn Memory>>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Made by the dext, which may write to it whatever its direction (I10).
    Buffer,
    /// Handed in by the kernel.
    Client,
    /// Of a device: handed in by a provider.
    Device,
}

impl Payload for DescriptorPayload {
    const CLASS: &'static str = "IOMemoryDescriptor";

    fn class(&self) -> &'static str {
        if self.class == Class::Buffer && self.root == 0 {
            "IOBufferMemoryDescriptor"
        } else {
            Self::CLASS
        }
    }
}

handle!(MemoryDescriptor, DescriptorPayload);

impl Store {
    /// What a mapping of the dext shows.
    fn to_map(&self) -> Option<Arc<dyn Memory>> {
        let Some(snapshot) = &self.snapshot else { return Some(Arc::clone(&self.live)) };
        let mut snapshot = snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        if snapshot.is_none() {
            *snapshot = Some(copy_of(&*self.live)?);
        }
        snapshot.clone()
    }
}

/// A copy of a whole store; `None` where the machine has no such memory.
fn copy_of(store: &dyn Memory) -> Option<Arc<dyn Memory>> {
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

    /// A descriptor of a device's memory or registers, all of it, with one reference: what a provider
    /// hands to its driver. A dext keeps it and returns it from `copy_client_memory_for_type`.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::driverkit::{DextProcess, MappingOptions, MemoryDescriptor, OsSharedPtr};
    /// use dextape::memory::{FifoRegister, RegisterFile, Registers, Width};
    /// use dextape::schedule::Schedule;
    /// use std::sync::Arc;
    ///
    /// let schedule = Schedule::free();
    /// let fifo = Arc::new(FifoRegister::new(16, 0));
    /// let file = RegisterFile::new().with(0, Width::Four, Arc::clone(&fifo));
    /// let registers = Registers::new(&schedule, 0x1000, file);
    ///
    /// let process = DextProcess::new("com.example.dext", &schedule);
    /// let _inside = process.enter();
    /// let memory = OsSharedPtr::adopt(MemoryDescriptor::of_device(registers));
    /// let map = memory.create_mapping(MappingOptions::NONE, 0, 0, 0, 0).map(OsSharedPtr::adopt)?;
    /// fifo.push(7);
    /// assert_eq!(map.load::<u32>(0), Ok(7));
    /// assert_eq!(map.load::<u32>(0), Ok(0), "the first read has taken it");
    /// # Ok::<(), dextape::IoReturn>(())
    /// ```
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    pub fn of_device(memory: Arc<dyn Memory>) -> Self {
        Self::of_device_as(memory, 0)
    }

    /// As [`of_device`](Self::of_device), standing for the object of number `root`, so that the kernel
    /// takes all that stand for it as one (F11); 0 is itself.
    #[track_caller]
    pub(super) fn of_device_as(memory: Arc<dyn Memory>, root: u64) -> Self {
        let capacity = memory.size();
        let payload = DescriptorPayload {
            class: Class::Device,
            store: Arc::new(Store { live: memory, snapshot: None }),
            root,
            start: 0,
            capacity,
            length: AtomicU64::new(capacity),
            direction: Direction::IN_OUT,
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

    /// True for a structure input, which neither dext nor device may write (B5).
    pub(super) fn is_input(&self) -> bool {
        let payload = self.payload();
        payload.class == Class::Client && payload.direction == Direction::OUT
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
    pub(super) fn live(&self) -> &Arc<dyn Memory> {
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

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Takes effect where it is not above the capacity, for later mappings only (I5).
    pub(super) fn set_length(&self, length: u64) {
        if length <= self.capacity {
            self.length.store(length, Ordering::Release);
        }
    }

    fn access(&self, options: MappingOptions) -> Access {
        if self.class == Class::Client && self.direction == Direction::OUT {
            Access::Input
        } else if options.contains(MappingOptions::READ_ONLY) {
            Access::ReadOnly
        } else {
            Access::ReadWrite
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driverkit::testing::{in_process, lints, texts};
    use crate::driverkit::{BufferMemoryDescriptor, OsObject, OsSharedPtr};
    use crate::memory::AccessError;

    fn buffer(direction: Direction, capacity: u64) -> OsSharedPtr<BufferMemoryDescriptor> {
        OsSharedPtr::adopt(BufferMemoryDescriptor::create(direction, capacity, 8).unwrap())
    }

    fn map_all(descriptor: &MemoryDescriptor) -> OsSharedPtr<MemoryMap> {
        let map = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
        OsSharedPtr::adopt(map.unwrap())
    }

    #[test]
    fn i2_create_refuses_unknown_directions_and_no_capacity() {
        in_process(|process| {
            let create = BufferMemoryDescriptor::create;
            assert_eq!(create(Direction(4), 8, 0).err(), Some(IoReturn::BAD_ARGUMENT));
            assert_eq!(create(Direction::IN, 0, 0).err(), Some(IoReturn::NO_MEMORY));
            assert_eq!(create(Direction::IN, u64::MAX, 0).err(), Some(IoReturn::NO_MEMORY));
            assert!(process.leaks().is_empty());
        });
    }

    #[test]
    fn i3_i4_a_buffer_is_whole_zeroed_pages_of_length_capacity() {
        in_process(|_| {
            let buffer = buffer(Direction::IN_OUT, 100);
            assert_eq!(buffer.length(), 100);
            let range = buffer.address_range();
            assert_eq!((range.length(), range.size()), (100, PAGE_SIZE));
            assert!(range.read_vec(0, PAGE_SIZE).unwrap().iter().all(|byte| *byte == 0));
            let map = map_all(&buffer);
            assert_eq!((map.length(), map.size()), (100, PAGE_SIZE));
            assert_eq!(map.address() % PAGE_SIZE, 0);
        });
    }

    #[test]
    fn i5_a_length_above_the_capacity_is_ignored_and_others_hold_for_later_mappings() {
        in_process(|_| {
            let buffer = buffer(Direction::IN_OUT, 100);
            let before = map_all(&buffer);
            assert_eq!(buffer.set_length(101), IoReturn::SUCCESS);
            assert_eq!(buffer.length(), 100);
            assert_eq!(buffer.set_length(40), IoReturn::SUCCESS);
            assert_eq!((buffer.length(), buffer.address_range().length()), (40, 40));
            assert_eq!((before.length(), map_all(&buffer).length()), (100, 40));
            assert_eq!(buffer.set_length(0), IoReturn::SUCCESS);
            let empty = buffer.create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
            assert_eq!(empty.err(), Some(IoReturn::ERROR), "I8: a mapping of no bytes");
        });
    }

    #[test]
    fn i7_only_known_cache_modes_map() {
        in_process(|_| {
            let buffer = buffer(Direction::IN_OUT, 100);
            let map = |mode| buffer.create_mapping(MappingOptions(mode), 0, 0, 0, 0);
            for mode in [0, 0x100, 0x200, 0x400, 0x800] {
                assert!(map(mode).is_ok(), "{mode:#x}");
            }
            for mode in [0x300, 0x500, 0x1000, 0xff00] {
                assert_eq!(map(mode).err(), Some(IoReturn::BAD_ARGUMENT), "{mode:#x}");
            }
        });
    }

    #[test]
    fn i8_i9_a_range_outside_and_a_taken_address_do_not_map() {
        in_process(|_| {
            let buffer = buffer(Direction::IN_OUT, 100);
            let map = |offset, length| {
                let map = buffer.create_mapping(MappingOptions::NONE, 0, offset, length, 0);
                map.map(|map| (map.offset(), map.length()))
            };
            assert_eq!(map(0, 100), Ok((0, 100)));
            assert_eq!(map(99, 1), Ok((99, 1)));
            assert_eq!(map(0, 0), Ok((0, 100)), "length 0 is the whole descriptor");
            assert_eq!(map(1, 0), Err(IoReturn::ERROR), "which does not fit behind an offset");
            assert_eq!(map(100, 1), Err(IoReturn::ERROR));
            assert_eq!(map(u64::MAX, 2), Err(IoReturn::ERROR));

            let second = self::buffer(Direction::IN_OUT, 3 * PAGE_SIZE);
            let fixed =
                |address| second.create_mapping(MappingOptions::FIXED_ADDRESS, address, 0, 0, 0);
            let base = 0x1000 * PAGE_SIZE;
            let placed = fixed(base + 5).unwrap();
            assert_eq!(placed.address(), base, "rounded down to its page");
            assert_eq!(fixed(base + PAGE_SIZE).err(), Some(IoReturn::ERROR), "overlaps");
            assert_eq!(fixed(u64::MAX).err(), Some(IoReturn::ERROR));
            assert_eq!(fixed(base).unwrap().address(), base, "the same mapping again (I11)");
            let free = base + 8 * PAGE_SIZE;
            let ignored = buffer.create_mapping(MappingOptions::NONE, free, 0, 0, 0).unwrap();
            assert_ne!(ignored.address(), free, "without the option the address does not count");
        });
    }

    #[test]
    fn i10_only_the_dexts_own_buffers_are_writable_whatever_their_direction() {
        in_process(|process| {
            let own = buffer(Direction::OUT, 8);
            assert_eq!(map_all(&own).store::<u8>(0, 1), Ok(()));
            let map = own.create_mapping(MappingOptions::READ_ONLY, 0, 0, 0, 0).unwrap();
            assert_eq!(map.store::<u8>(0, 1), Err(AccessError::ReadOnly { offset: 0 }));
            let sub = own.create_sub_memory_descriptor(Direction::OUT, 0, 8).unwrap();
            assert_eq!(map_all(&sub).store::<u8>(0, 1), Ok(()));
            assert!(lints(process).is_empty(), "{}", texts(process));
        });
    }

    #[test]
    fn i11_equal_mappings_share_an_address_until_the_last_is_released() {
        in_process(|process| {
            let buffer = buffer(Direction::IN_OUT, 100);
            let (first, second) = (map_all(&buffer), map_all(&buffer));
            assert_eq!(first.address(), second.address());
            let part = buffer.create_mapping(MappingOptions::NONE, 0, 8, 8, 0).unwrap();
            assert_ne!(part.address() - 8, first.address());
            assert_eq!(part.address() % PAGE_SIZE, 8);
            first.store::<u32>(8, 7).unwrap();
            assert_eq!(part.load::<u32>(0), Ok(7));
            drop(first);
            assert_eq!(second.load::<u32>(8), Ok(7));
            assert_eq!(map_all(&buffer).address(), second.address(), "one is left");
            let address = second.address();
            drop(second);
            assert_ne!(map_all(&buffer).address(), address);
            part.release();
            assert_eq!(part.load::<u32>(0), Err(AccessError::Unmapped { offset: 0 }));
            assert_eq!(lints(process), ["use-after-release"]);
        });
    }

    #[test]
    fn i12_a_sub_descriptor_lies_inside_its_parent() {
        in_process(|_| {
            let parent = buffer(Direction::OUT, 100);
            let sub = |direction, offset, length| {
                parent
                    .create_sub_memory_descriptor(direction, offset, length)
                    .map(OsSharedPtr::adopt)
            };
            let refused = Some(IoReturn::BAD_ARGUMENT);
            assert_eq!(sub(Direction(4), 0, 1).err(), refused);
            assert_eq!(sub(Direction::IN, 90, 11).err(), refused);
            assert_eq!(sub(Direction::IN, u64::MAX, 2).err(), refused);
            let part = sub(Direction::IN, 16, 32).unwrap();
            assert_eq!((part.length(), part.direction()), (32, Direction::IN));
            parent.address_range().store::<u64>(24, 9).unwrap();
            assert_eq!(map_all(&part).load::<u64>(8), Ok(9));
            let inner = part.create_sub_memory_descriptor(Direction::IN, 8, 8).unwrap();
            assert_eq!(map_all(&inner).load::<u64>(0), Ok(9));
            assert_eq!((inner.root(), inner.start()), (parent.root(), 24));
        });
    }

    #[test]
    fn f22_memory_outlives_its_descriptor_as_long_as_it_is_mapped() {
        in_process(|process| {
            let buffer = buffer(Direction::IN_OUT, 8);
            let (map, range) = (map_all(&buffer), buffer.address_range());
            drop(buffer);
            assert_eq!(map.store::<u8>(0, 3), Ok(()));
            assert_eq!(range.load::<u8>(0), Err(AccessError::Unmapped { offset: 0 }));
            assert_eq!(lints(process), ["use-after-release"], "of the pointer, not of the map");
        });
    }

    #[test]
    fn accesses_stay_inside_the_pages_of_their_mapping() {
        in_process(|_| {
            let buffer = buffer(Direction::IN_OUT, 2 * PAGE_SIZE);
            let map = buffer.create_mapping(MappingOptions::NONE, 0, 4, 8, 0).unwrap();
            let size = PAGE_SIZE - 4;
            assert_eq!(map.size(), size);
            assert!(map.copy_in(size - 1, &[1]).is_ok());
            let outside = AccessError::OutOfRange { offset: size, length: 1, size };
            assert_eq!(map.copy_in(size, &[1]), Err(outside));
            assert_eq!(map.load::<u8>(size), Err(outside));
            assert!(map.load::<u64>(u64::MAX - 3).is_err());
            let unaligned = AccessError::Unaligned { offset: 0, width: 8 };
            assert_eq!(map.load::<u64>(0), Err(unaligned), "its address is 4 bytes into a page");
        });
    }
}
