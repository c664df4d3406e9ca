//! Reading what the program's pointers lead to.

use dextape::memory::ClientSpace;
use mach2::kern_return::KERN_SUCCESS;
use mach2::traps::mach_task_self;
use mach2::vm::mach_vm_read_overwrite;

/// What is there; `None` for NULL.
///
/// # Safety
///
/// As the program promises to the function that it calls: `place` is NULL or can be read.
pub(super) unsafe fn read<T: Copy>(place: *const T) -> Option<T> {
    if place.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; it may lie anywhere.
    Some(unsafe { place.read_unaligned() })
}

/// `count` words; none for NULL.
///
/// # Safety
///
/// `start` is NULL, or `count` words can be read there.
pub(super) unsafe fn words(start: *const u64, count: usize) -> Vec<u64> {
    if start.is_null() {
        return Vec::new();
    }
    let mut words = vec![0_u64; count];
    // SAFETY: the caller's promise; bytewise, since the start may lie anywhere.
    unsafe {
        std::ptr::copy_nonoverlapping(start.cast::<u8>(), words.as_mut_ptr().cast(), count * 8);
    }
    words
}

/// `count` bytes of a structure that the library copies in-line; none for NULL.
///
/// # Safety
///
/// `start` is NULL, or `count` bytes can be read there.
pub(super) unsafe fn bytes(start: *const u8, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    if start.is_null() {
        return bytes;
    }
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping(start, bytes.as_mut_ptr(), count) };
    bytes
}

/// Copies what lies at `address`, whatever that is. False where not all of it can be read: the kernel
/// does the reading, so nothing faults.
pub(super) fn copy_from(address: u64, into: &mut [u8]) -> bool {
    if into.is_empty() {
        return true;
    }
    let (length, mut copied) = (into.len() as u64, 0);
    // SAFETY: the name of this task.
    let task = unsafe { mach_task_self() };
    let room = into.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: the room has the stated length; the source is checked by the kernel.
    let result = unsafe { mach_vm_read_overwrite(task, address, length, room, &raw mut copied) };
    result == KERN_SUCCESS && copied == length
}

/// A copy of what lies at `address`; `None` where not all of it can be read.
pub(super) fn copy_of(address: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).ok()?;
    bytes.resize(length, 0);
    copy_from(address, &mut bytes).then_some(bytes)
}

/// The program's memory, to be looked at: a recorder writes nowhere.
#[derive(Debug)]
pub(super) struct Space;

impl ClientSpace for Space {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        copy_from(address, into)
    }

    fn write(&self, _address: u64, _bytes: &[u8]) -> bool {
        false
    }
}
