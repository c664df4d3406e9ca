//! What kind of memory is mapped at an address.

use dextape::call::MapOptions;
use mach2::kern_return::KERN_SUCCESS;
use mach2::message::mach_msg_type_number_t;
use mach2::traps::mach_task_self;
use mach2::vm::mach_vm_region_recurse;
use mach2::vm_prot::{VM_PROT_READ, VM_PROT_WRITE};
use mach2::vm_region::{SM_EMPTY, vm_region_submap_info_64};

/// Regions that one mapping is looked up in.
const REGIONS_MAX: usize = 1 << 12;

/// Maps within maps that are followed.
const DEPTH_MAX: u32 = 8;

/// Ordinary memory: what is read there stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// The client cannot write there.
    pub(super) read_only: bool,
}

/// Says of a mapping whether it is known to be ordinary memory, and if not, why.
///
/// Device registers may change by being read, so memory counts as ordinary only where the kernel says
/// that it has it in its own pages: not from a pager outside, as a device's memory is, and not without
/// any. A cache mode of its own, asked for by the client, is a sign of registers, too.
pub(super) fn ordinary(address: u64, size: u64, options: MapOptions) -> Result<Region, String> {
    let cache_mode = options.0 & MapOptions::CACHE_MASK.0;
    if cache_mode != 0 {
        return Err(format!(
            "it is mapped with cache mode {cache_mode:#x}: it may be device registers"
        ));
    }
    let end = address.saturating_add(size);
    let (mut at, mut read_only) = (address, true);
    let mut tries = 0..REGIONS_MAX;
    while at < end {
        if tries.next().is_none() {
            return Err("the kernel tells it in too many pieces".to_owned());
        }
        let Some((from, length, info)) = region_at(at) else {
            return Err("the kernel does not tell what memory it is".to_owned());
        };
        if from > at || length == 0 {
            return Err("not all of it is mapped".to_owned());
        }
        if info.external_pager != 0 {
            return Err(
                "it is not in pages of the kernel's own: it may be a device's memory".to_owned()
            );
        }
        if info.share_mode == SM_EMPTY {
            return Err("the kernel has no pages for it: it may be a device's memory".to_owned());
        }
        let protection = info.protection;
        if protection & VM_PROT_READ == 0 {
            return Err("it cannot be read".to_owned());
        }
        read_only &= protection & VM_PROT_WRITE == 0;
        at = from.saturating_add(length);
    }
    Ok(Region { read_only })
}

/// The region at or behind an address: its start, its bytes, and what it is.
fn region_at(address: u64) -> Option<(u64, u64, vm_region_submap_info_64)> {
    let (mut start, mut size, mut depth) = (address, 0, 0);
    loop {
        let mut info = vm_region_submap_info_64::default();
        let words = size_of::<vm_region_submap_info_64>() / size_of::<i32>();
        let mut count = words as mach_msg_type_number_t;
        let level = depth;
        // SAFETY: the name of this task.
        let task = unsafe { mach_task_self() };
        // SAFETY: each place takes what is stated; the info holds `count` words.
        let result = unsafe {
            let place = (&raw mut info).cast();
            mach_vm_region_recurse(
                task,
                &raw mut start,
                &raw mut size,
                &raw mut depth,
                place,
                &raw mut count,
            )
        };
        if result != KERN_SUCCESS {
            return None;
        }
        if info.is_submap == 0 || level >= DEPTH_MAX {
            return Some((start, size, info));
        }
        // Once more, a map deeper.
        (start, depth) = (address, level + 1);
    }
}
