//! Memory of the task itself.

use super::{KERN_INVALID_ADDRESS, KERN_INVALID_ARGUMENT, KERN_NO_SPACE, KERN_SUCCESS, Kern};
use crate::raw::{In, Out};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Pages that were handed out, by address: their sizes.
static PAGES: Mutex<BTreeMap<u64, usize>> = Mutex::new(BTreeMap::new());

const PAGE: usize = 4096;

/// Fresh pages of zeros for so many bytes; `None` where there are none.
pub(crate) fn allocate(size: usize) -> Option<u64> {
    let size = size.max(1).checked_next_multiple_of(PAGE)?;
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping where the system likes; it touches no memory that is there.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) };
    if place == libc::MAP_FAILED {
        return None;
    }
    let address = place.expose_provenance() as u64;
    PAGES.lock().unwrap_or_else(PoisonError::into_inner).insert(address, size);
    Some(address)
}

/// Gives pages back that [`allocate`] gave. Others are left alone.
pub(crate) fn deallocate(address: u64) -> Kern {
    let Some(size) = PAGES.lock().unwrap_or_else(PoisonError::into_inner).remove(&address) else {
        return KERN_INVALID_ADDRESS;
    };
    // SAFETY: just these pages were mapped by `allocate`, and the client gives them back.
    let unmapped =
        unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(address as usize), size) };
    if unmapped == 0 { KERN_SUCCESS } else { KERN_INVALID_ADDRESS }
}

fn allocate_for(address: Out<u64>, size: u64) -> Kern {
    let Ok(size) = usize::try_from(size) else { return KERN_INVALID_ARGUMENT };
    match allocate(size) {
        Some(place) => {
            address.put(place);
            KERN_SUCCESS
        }
        None => KERN_NO_SPACE,
    }
}

export! {
    fn vm_allocate(_task: u32, address: Out<u64>, size: u64, _flags: i32) -> Kern {
        allocate_for(address, size)
    }

    fn vm_deallocate(_task: u32, address: u64, size: u64) -> Kern {
        if size == 0 { KERN_SUCCESS } else { deallocate(address) }
    }

    fn mach_vm_allocate(_task: u32, address: Out<u64>, size: u64, _flags: i32) -> Kern {
        allocate_for(address, size)
    }

    fn mach_vm_deallocate(_task: u32, address: u64, size: u64) -> Kern {
        if size == 0 { KERN_SUCCESS } else { deallocate(address) }
    }

    fn vm_copy(_task: u32, from: u64, size: u64, to: u64) -> Kern {
        let bytes = In::<u8>::at(from).to_vec(usize::try_from(size).unwrap_or(0));
        Out::<u8>::at(to).copy_from(&bytes);
        KERN_SUCCESS
    }
}
