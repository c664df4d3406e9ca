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

/// Gives pages back that [`allocate`] gave: all in which one of these bytes is. Others are left alone.
fn deallocate(address: u64, size: u64) -> Kern {
    if size == 0 {
        return KERN_SUCCESS;
    }
    let page = PAGE as u64;
    let end = address.checked_add(size).and_then(|end| end.checked_next_multiple_of(page));
    let Some(end) = end else { return KERN_INVALID_ARGUMENT };
    let start = address & !(page - 1);
    // Held until all is done, so that nobody is given pages here whose entry is then changed.
    let mut pages = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
    let within: Vec<(u64, u64)> = (pages.range(..end).rev())
        .map(|(first, size)| (*first, *first + *size as u64))
        .take_while(|(_, last)| *last > start)
        .collect();
    for (first, last) in &within {
        let (from, to) = ((*first).max(start), (*last).min(end));
        let place = std::ptr::with_exposed_provenance_mut(from as usize);
        // SAFETY: pages that were mapped by `allocate` and not given back since; the client gives them back.
        if unsafe { libc::munmap(place, (to - from) as usize) } != 0 {
            return KERN_INVALID_ADDRESS;
        }
        pages.remove(first);
        for (left, end) in [(*first, from), (to, *last)] {
            if left < end {
                pages.insert(left, (end - left) as usize);
            }
        }
    }
    if within.is_empty() { KERN_INVALID_ADDRESS } else { KERN_SUCCESS }
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
        deallocate(address, size)
    }

    fn mach_vm_allocate(_task: u32, address: Out<u64>, size: u64, _flags: i32) -> Kern {
        allocate_for(address, size)
    }

    fn mach_vm_deallocate(_task: u32, address: u64, size: u64) -> Kern {
        deallocate(address, size)
    }

    fn vm_copy(_task: u32, from: u64, size: u64, to: u64) -> Kern {
        let bytes = In::<u8>::at(from).to_vec(usize::try_from(size).unwrap_or(0));
        Out::<u8>::at(to).copy_from(&bytes);
        KERN_SUCCESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_back_stays() {
        let page = PAGE as u64;
        let start = allocate(4 * PAGE).unwrap();
        assert_eq!(deallocate(start, 0), KERN_SUCCESS);
        // The second page, by some of its bytes.
        assert_eq!(deallocate(start + page + 8, 16), KERN_SUCCESS);
        for left in [0, 2, 3] {
            let place = Out::<u64>::at(start + left * page);
            place.put(left);
            assert_eq!(place.read(), Some(left));
        }
        assert_eq!(deallocate(start + page, page), KERN_INVALID_ADDRESS);
        assert_eq!(deallocate(start + 8, 4 * page - 8), KERN_SUCCESS);
        assert_eq!(deallocate(start, 4 * page), KERN_INVALID_ADDRESS);
        assert_eq!(deallocate(u64::MAX, 2), KERN_INVALID_ARGUMENT);
    }
}
