//! `IOBufferMemoryDescriptor`: memory that the dext makes.

use super::descriptor::{DescriptorPayload, Direction, MemoryDescriptor};
use super::object::{Header, Managed, sealed};
use super::process::DextProcess;
use super::view::{Access, View};
use crate::IoReturn;
use crate::boundary::Rules;
use crate::boundary::descriptor as rule;
use crate::memory::{Backing, Memory};
use std::ops::Deref;
use std::sync::Arc;

/// Memory that the dext makes, zero-filled, in whole pages (I3). It dereferences to
/// [`MemoryDescriptor`].
///
/// # Examples
///
/// ```
/// use dextape::driverkit::{BufferMemoryDescriptor, DextProcess, Direction, OsSharedPtr};
/// use dextape::memory::Memory;
/// use dextape::schedule::Schedule;
///
/// let process = DextProcess::new("com.example.dext", &Schedule::free());
/// let _inside = process.enter();
/// let buffer = BufferMemoryDescriptor::create(Direction::IN_OUT, 128, 8).map(OsSharedPtr::adopt);
/// let buffer = buffer.expect("128 bytes are no trouble");
/// let bytes = buffer.address_range();
/// bytes.store::<u32>(8, 7)?;
/// assert_eq!(bytes.load::<u32>(8)?, 7);
/// assert_eq!(buffer.length(), 128);
/// # Ok::<(), dextape::memory::AccessError>(())
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "IOBufferMemoryDescriptor")]
pub struct BufferMemoryDescriptor {
    descriptor: MemoryDescriptor,
    store: Arc<Backing>,
}

impl sealed::Handle for BufferMemoryDescriptor {
    fn header(&self) -> &Header {
        self.descriptor.object.header()
    }

    fn managed(&self) -> Arc<dyn Managed> {
        Arc::<super::object::Object<DescriptorPayload>>::clone(&self.descriptor.object)
    }
}

impl BufferMemoryDescriptor {
    /// A buffer of `capacity` bytes with one reference; its length is the capacity (I4). Its address
    /// is a multiple of a page whatever `alignment` says (I3).
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` for options beyond the directions, `kIOReturnNoMemory` for capacity 0 or where
    /// the machine has no such memory (I2).
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "Create")]
    pub fn create(direction: Direction, capacity: u64, alignment: u64) -> Result<Self, IoReturn> {
        let _ = alignment;
        let rules = DextProcess::current().map_or_else(Rules::all, |process| process.rules());
        rule::create_buffer(rules, direction.0, capacity)?;
        let store = Backing::try_new(capacity).ok_or(IoReturn::NO_MEMORY)?;
        let length = rule::initial_length(rules, capacity);
        let memory = Arc::clone(&store);
        let descriptor = MemoryDescriptor::of_buffer(memory, capacity, length, direction);
        Ok(Self { descriptor, store })
    }

    /// Sets the length for later mappings; one above the capacity is ignored (I5).
    #[track_caller]
    #[doc(alias = "SetLength")]
    pub fn set_length(&self, length: u64) -> IoReturn {
        if !self.descriptor.object.alive() {
            return IoReturn::SUCCESS;
        }
        self.descriptor.payload().set_length(self.descriptor.rules(), length)
    }

    /// The buffer's memory in the dext (I6).
    #[must_use]
    #[track_caller]
    #[doc(alias = "GetAddressRange")]
    pub fn address_range(&self) -> AddressRange {
        let (rules, payload) = (self.descriptor.rules(), self.descriptor.payload());
        let current = self.descriptor.length();
        let length = rule::address_range_length(rules, payload.capacity(), current);
        let (store, start) = (Arc::clone(&self.store), self.descriptor.start());
        let size = rule::accessible(rules, start, length).min(store.size() - start);
        let owner = sealed::Handle::managed(self);
        AddressRange { length, view: View { owner, store, start, size, access: Access::ReadWrite } }
    }

    /// The same object as a plain descriptor, with no further reference.
    #[must_use]
    pub fn descriptor(&self) -> MemoryDescriptor {
        self.descriptor.clone()
    }
}

impl Deref for BufferMemoryDescriptor {
    type Target = MemoryDescriptor;

    fn deref(&self) -> &MemoryDescriptor {
        &self.descriptor
    }
}

impl From<BufferMemoryDescriptor> for MemoryDescriptor {
    fn from(buffer: BufferMemoryDescriptor) -> Self {
        buffer.descriptor
    }
}

/// The memory of a buffer as the dext reaches it: a pointer and a length. It dereferences to
/// [`Memory`] and ends with the last reference to the buffer.
#[derive(Clone, Debug)]
pub struct AddressRange {
    length: u64,
    view: View,
}

impl AddressRange {
    /// Bytes: the buffer's length when it was asked (I6).
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The same memory for somebody else, such as the model of a device.
    #[must_use]
    pub fn to_memory(&self) -> Arc<dyn Memory> {
        Arc::new(self.view.clone())
    }
}

impl Deref for AddressRange {
    type Target = dyn Memory;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}
