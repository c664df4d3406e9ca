//! Handles of the registry, each released once.

use super::check;
use dextape::IoReturn;
use io_kit_sys::types::{IO_OBJECT_NULL, io_iterator_t, io_object_t, io_registry_entry_t};
use io_kit_sys::{IOIteratorNext, IOObjectRelease, IORegistryEntryGetRegistryEntryID};

/// One reference to an object of the registry.
#[derive(Debug)]
pub(super) struct IoObject(io_object_t);

impl IoObject {
    /// Takes over a reference; `None` for `IO_OBJECT_NULL`.
    ///
    /// # Safety
    ///
    /// `object` is null or a handle whose reference the caller hands over.
    pub(super) unsafe fn owned(object: io_object_t) -> Option<Self> {
        // Not `then_some`: that makes the value first, and drops it where it is not wanted.
        (object != IO_OBJECT_NULL).then(|| Self(object))
    }

    /// The handle, for a call while `self` lives.
    pub(super) fn raw(&self) -> io_registry_entry_t {
        self.0
    }

    /// The number that the registry gave the entry when the machine started it; never used again.
    pub(super) fn entry_id(&self) -> Result<u64, IoReturn> {
        let mut id = 0;
        // SAFETY: the handle is alive, and the library writes one u64.
        check(unsafe { IORegistryEntryGetRegistryEntryID(self.0, &raw mut id) })?;
        Ok(id)
    }
}

impl Drop for IoObject {
    fn drop(&mut self) {
        // SAFETY: the reference is this value's own, and this is its end. Nothing can be done about
        // a failure.
        unsafe { IOObjectRelease(self.0) };
    }
}

/// An iterator of the registry.
#[derive(Debug)]
pub(super) struct IoIterator(IoObject);

impl IoIterator {
    /// Takes over a reference to an iterator.
    ///
    /// # Safety
    ///
    /// As for [`IoObject::owned`].
    pub(super) unsafe fn owned(iterator: io_iterator_t) -> Option<Self> {
        // SAFETY: the caller hands the reference over.
        unsafe { IoObject::owned(iterator) }.map(Self)
    }

    /// The handle, for a call while `self` lives.
    pub(super) fn raw(&self) -> io_iterator_t {
        self.0.raw()
    }
}

/// The next object of an iterator. Taking all of them is also what arms a notification again.
///
/// # Safety
///
/// `iterator` is a live iterator.
pub(super) unsafe fn next(iterator: io_iterator_t) -> Option<IoObject> {
    // SAFETY: the caller's iterator lives.
    let object = unsafe { IOIteratorNext(iterator) };
    // SAFETY: the function hands over a reference to what it returns.
    unsafe { IoObject::owned(object) }
}
