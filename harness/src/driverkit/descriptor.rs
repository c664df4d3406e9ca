//! `IOMemoryDescriptor`: memory, without saying where it is mapped.

use super::bridge::ClientTask;
use super::map::{MapKey, MappingOptions, MemoryMap};
use super::object::{Object, Payload, handle};
use super::process::{Context, DextProcess, UserClientNumber};
use super::store::{Store, StorePart};
use super::view::{Access, View};
use crate::IoReturn;
use crate::boundary::Rules;
use crate::boundary::descriptor::{self as rule, ClientReach, DeviceAccess, DextMapping};
use crate::memory::{Backing, Memory};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which way data goes, seen from the client's memory: [`In`](Self::IN) is into memory, such as a
/// buffer that a device fills (I1). Functions that make descriptors take it as their options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "kIOMemoryDirectionIn")]
pub struct Direction(pub u64);

impl Direction {
    /// `kIOMemoryDirectionNone`.
    pub const NONE: Self = Self(0);
    /// `kIOMemoryDirectionIn`: a device writes to the memory.
    pub const IN: Self = Self(rule::DIRECTION_IN);
    /// `kIOMemoryDirectionOut`: a device reads the memory.
    pub const OUT: Self = Self(rule::DIRECTION_OUT);
    /// `kIOMemoryDirectionInOut`.
    pub const IN_OUT: Self = Self(rule::DIRECTION_IN_OUT);
    /// `kIOMemoryDisableCopyOnWrite`, an option of
    /// [`create_memory_descriptor_from_client`] only: what the dext writes reaches the client.
    pub const DISABLE_COPY_ON_WRITE: Self = Self(rule::DISABLE_COPY_ON_WRITE);
}

impl std::ops::BitOr for Direction {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A range of the client's addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "IOAddressSegment")]
pub struct AddressSegment {
    /// First byte, in the client.
    pub address: u64,
    /// Bytes.
    pub length: u64,
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
    /// Whether it describes memory of the client, if only in part.
    of_client: bool,
    store: Arc<Store>,
    /// Number of the object that stands at the root: a sub-descriptor counts as its parent plus a
    /// range (F20).
    root: u64,
    /// First byte in the store.
    start: u64,
    capacity: u64,
    length: AtomicU64,
    direction: Direction,
    /// Address in the client, of memory of the client's in one range (F8).
    client_address: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Made by the dext as a buffer, which it may write to whatever its direction (I10).
    Buffer,
    /// Any other.
    Plain,
}

impl Payload for DescriptorPayload {
    const CLASS: &'static str = "IOMemoryDescriptor";

    fn class(&self) -> &'static str {
        if self.class == Class::Buffer { "IOBufferMemoryDescriptor" } else { Self::CLASS }
    }
}

handle!(MemoryDescriptor, DescriptorPayload);

impl MemoryDescriptor {
    /// A descriptor of the client's memory, as an external method gets it for a structure over 4096
    /// bytes; `None` is an address at which the client has nothing (B6).
    pub(super) fn of_client(
        process: &DextProcess,
        client: Option<UserClientNumber>,
        store: Option<Arc<Backing>>,
        length: u64,
        direction: Direction,
        copy_on_write: bool,
    ) -> Self {
        let length = store.as_ref().map_or(length, |store| length.min(store.size()));
        let store = store.map_or_else(Store::nothing, |store| Store::new(store, copy_on_write));
        let store = Arc::new(store);
        let payload = DescriptorPayload {
            of_client: true,
            ..DescriptorPayload::plain(store, 0, length, direction)
        };
        Self { object: Object::create_by_system(process, client, payload) }
    }

    /// A buffer of the dext's own; the caller has checked the capacity.
    #[track_caller]
    pub(super) fn of_buffer(
        store: Arc<Backing>,
        capacity: u64,
        length: u64,
        direction: Direction,
    ) -> Self {
        let store = Arc::new(Store::new(store, false));
        let payload = DescriptorPayload {
            class: Class::Buffer,
            length: AtomicU64::new(length),
            ..DescriptorPayload::plain(store, 0, capacity, direction)
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
        let length = memory.size();
        let store = Arc::new(Store::new(memory, false));
        let payload = DescriptorPayload {
            root,
            ..DescriptorPayload::plain(store, 0, length, Direction::IN_OUT)
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

    /// What a device may do with the memory, by its direction (I1).
    #[must_use]
    pub fn device_access(&self) -> DeviceAccess {
        rule::device_access(self.rules(), self.payload().direction.0)
    }

    /// Maps `length` bytes at `offset` into the dext, the whole descriptor where `length` is 0 (I9).
    /// `address` counts only with [`MappingOptions::FIXED_ADDRESS`], `alignment` never (I9).
    ///
    /// A mapping is read-only where the options say so or where the direction is
    /// [`Direction::OUT`], but never that of a buffer that the dext itself made (I10). Memory of the
    /// client that is copied on write, such as a structure input, shows its bytes as they were at the
    /// first mapping (B5).
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` for a cache mode that there is not (I7); `kIOReturnError` for a range
    /// outside the descriptor, for a descriptor without bytes and for an address that is taken (I8),
    /// for addresses at which the client has nothing (B6), and for descriptors joined where they do
    /// not end or begin with a page.
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
        let (rules, payload) = (self.rules(), self.payload());
        let wanted = DextMapping { options: options.0, address, offset, length };
        let own = payload.class == Class::Buffer;
        let mapped =
            rule::create_mapping(rules, wanted, payload.length(), payload.direction.0, own)?;
        let process = DextProcess::current().or_else(|| self.object.header().process());
        let process = process.ok_or(IoReturn::ERROR)?;
        let start = payload.start + mapped.offset;
        let size = rule::accessible(rules, start, mapped.length);
        let store = payload.store.to_map(start, mapped.length, rules)?;
        let size = size.min(store.size().saturating_sub(start));
        let key = MapKey {
            root: self.root(),
            offset: start,
            length: mapped.length,
            read_only: mapped.read_only,
            cache_mode: mapped.cache_mode,
        };
        let shared = rule::shares_equal_mappings(rules);
        let address = process.with_addresses(|addresses| match mapped.fixed {
            Some(address) => addresses.map_at(address, key, shared),
            None => addresses.map(key, shared),
        });
        let address = address.ok_or_else(|| rule::no_room(rules))?;
        let access = match mapped.read_only {
            false => Access::ReadWrite,
            true if self.is_input() => Access::Input,
            true => Access::ReadOnly,
        };
        let (offset, length) = (mapped.offset, mapped.length);
        Ok(MemoryMap::new(&process, address, offset, length, |owner| View {
            owner,
            store,
            start,
            size,
            access,
        }))
    }

    /// A descriptor of `length` bytes at `offset` of this one, with one reference. It stands for its
    /// parent plus that range: an unmap finds the mapping of an equal one (F20). Its direction is its
    /// own, and it is no buffer of the dext's even where its parent is one (I10).
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` for options beyond the directions, an overflow, or an end beyond the
    /// parent's length (I12).
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
        let parent = self.object.alive().then(|| self.payload().length());
        let rules = self.rules();
        let length = rule::create_sub_descriptor(rules, parent, direction.0, offset, length)?;
        let parent = self.payload();
        let store = Arc::clone(&parent.store);
        let payload = DescriptorPayload {
            of_client: parent.of_client,
            root: self.root(),
            ..DescriptorPayload::plain(store, parent.start + offset, length, direction)
        };
        Ok(Self { object: Object::create(payload) })
    }

    /// One descriptor of the memory of several, in their order, with one reference.
    ///
    /// Its bytes are theirs at the time when it is made. It can be mapped where each but the last ends
    /// with a page and each but the first begins with one; a device reaches it anyway.
    ///
    /// # Errors
    ///
    /// `kIOReturnOverrun` for more than 32; `kIOReturnBadArgument` for none, for one that is gone, and
    /// for options beyond the directions (I13).
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::driverkit::{
    ///     BufferMemoryDescriptor, DextProcess, Direction, MemoryDescriptor, OsObject,
    /// };
    /// use dextape::schedule::Schedule;
    ///
    /// let process = DextProcess::new("com.example.dext", &Schedule::free());
    /// let _inside = process.enter();
    /// let parts = [100, 200].map(|capacity| {
    ///     BufferMemoryDescriptor::create(Direction::IN, capacity, 0).unwrap().descriptor()
    /// });
    /// let whole = MemoryDescriptor::create_with_memory_descriptors(Direction::IN, &parts)?;
    /// assert_eq!(whole.length(), 300);
    /// whole.release();
    /// # Ok::<(), dextape::IoReturn>(())
    /// ```
    #[track_caller]
    #[doc(alias = "CreateWithMemoryDescriptors")]
    pub fn create_with_memory_descriptors(
        direction: Direction,
        descriptors: &[Self],
    ) -> Result<Self, IoReturn> {
        let rules = DextProcess::current().map_or_else(Rules::all, |process| process.rules());
        let present: Vec<bool> = descriptors.iter().map(|part| part.object.alive()).collect();
        rule::create_with_descriptors(rules, direction.0, present.len(), Some(&present))?;
        let parts = descriptors.iter().map(|descriptor| {
            let payload = descriptor.payload();
            StorePart {
                store: Arc::clone(&payload.store),
                start: payload.start,
                length: payload.length(),
            }
        });
        let (store, start) = Store::join(parts.collect()).ok_or(IoReturn::NO_MEMORY)?;
        let length = descriptors.iter().map(|descriptor| descriptor.payload().length()).sum();
        let payload = DescriptorPayload {
            of_client: descriptors.iter().any(|descriptor| descriptor.payload().of_client),
            ..DescriptorPayload::plain(Arc::new(store), start, length, direction)
        };
        Ok(Self { object: Object::create(payload) })
    }

    /// True for memory of the client that neither dext nor device may write, such as a structure
    /// input (B5).
    pub(super) fn is_input(&self) -> bool {
        let payload = self.payload();
        payload.of_client && payload.direction == Direction::OUT
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

    /// The memory itself, as a device or the kernel sees it: never a snapshot. `None` where the client
    /// has nothing at the addresses that were described.
    pub(super) fn live(&self) -> Option<&Arc<dyn Memory>> {
        self.payload().store.live()
    }

    /// Whether its pages can be mapped one behind the other.
    pub(super) fn is_mappable(&self) -> bool {
        let payload = self.payload();
        payload.store.is_mappable(payload.start, self.length_left())
    }

    /// Where it lies in the client, if it is memory of the client's in one range (F8).
    pub(super) fn client_address(&self) -> Option<u64> {
        self.payload().client_address
    }

    pub(super) fn payload(&self) -> &DescriptorPayload {
        &self.object.payload
    }

    pub(super) fn rules(&self) -> Rules {
        let process = self.object.header().process();
        process.map_or_else(Rules::all, |process| process.rules())
    }
}

/// A descriptor of memory of the client's, by its addresses, for the user client that the thread works
/// for. It has one reference.
///
/// A mapping in the dext shows the bytes as they were when it was first mapped, and the client does not
/// see what the dext writes there, unless `options` have [`Direction::DISABLE_COPY_ON_WRITE`]; a device
/// reads and writes the client's very memory. The addresses are not looked at: where the client has
/// nothing there, the mapping fails (B6).
///
/// # Errors
///
/// `kIOReturnOverrun` for more than 32 segments; `kIOReturnBadArgument` where the thread works for no
/// user client; `kIOReturnNotReady` until `NewUserClient` has returned (so in `start`, too) and once the
/// user client has stopped; `kIOReturnNoMemory` for no segments, and for one that wraps (I14).
///
/// # Panics
///
/// Where the thread works for no dext process.
#[track_caller]
#[doc(alias = "CreateMemoryDescriptorFromClient")]
#[doc(alias = "IOUserClient::CreateMemoryDescriptorFromClient")]
pub fn create_memory_descriptor_from_client(
    options: Direction,
    segments: &[AddressSegment],
) -> Result<MemoryDescriptor, IoReturn> {
    let current = Context::process_and_client();
    let rules = current.as_ref().map_or_else(Rules::all, |(process, _)| process.rules());
    let mut task = None;
    let reach = match &current {
        Some((process, Some(client))) => {
            task = process.client_task(*client);
            if task.is_some() { ClientReach::Ready } else { ClientReach::NotReady }
        }
        _ => ClientReach::NoUserClient,
    };
    let made = rule::create_from_client(rules, options.0, segments.len(), reach)?;
    let length = segments.iter().try_fold(0_u64, |sum, segment| {
        segment.address.checked_add(segment.length)?;
        sum.checked_add(segment.length)
    });
    let length = length.ok_or(IoReturn::NO_MEMORY)?;
    let store = task.and_then(|task| client_store(&*task, segments, made.copy_on_write));
    let (store, start) = store.unwrap_or_else(|| (Store::nothing(), 0));
    let client_address = match segments {
        [segment] => Some(segment.address),
        _ => None,
    };
    let payload = DescriptorPayload {
        of_client: true,
        client_address,
        ..DescriptorPayload::plain(Arc::new(store), start, length, Direction(made.direction))
    };
    Ok(MemoryDescriptor { object: Object::create(payload) })
}

/// The client's memory of all segments, and where it begins; `None` where something is not there.
fn client_store(
    task: &dyn ClientTask,
    segments: &[AddressSegment],
    copy_on_write: bool,
) -> Option<(Store, u64)> {
    let part = |segment: &AddressSegment| {
        let part = task.memory_at(segment.address, segment.length)?;
        let store = Arc::new(Store::new(part.store, copy_on_write));
        Some(StorePart { store, start: part.start, length: part.length })
    };
    Store::join(segments.iter().map(part).collect::<Option<Vec<_>>>()?)
}

impl DescriptorPayload {
    fn plain(store: Arc<Store>, start: u64, length: u64, direction: Direction) -> Self {
        Self {
            class: Class::Plain,
            of_client: false,
            store,
            root: 0,
            start,
            capacity: length,
            length: AtomicU64::new(length),
            direction,
            client_address: None,
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// For later mappings only (I5).
    pub(super) fn set_length(&self, rules: Rules, length: u64) -> IoReturn {
        let (result, length) = rule::set_length(rules, self.capacity, self.length(), length);
        self.length.store(length, Ordering::Release);
        result
    }
}

#[cfg(test)]
mod tests;
