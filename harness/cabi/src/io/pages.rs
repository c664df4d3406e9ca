//! Pages that can be mapped twice: for the dext and, with the client's protection, for the client.

use dextape::limits::PAGE_SIZE;
use dextape::memory::{Pages, set_pages};
use std::ptr::{NonNull, null_mut, with_exposed_provenance_mut};
use std::sync::atomic::{AtomicBool, Ordering};

/// Page of this machine, in bytes.
const PAGE: u64 = 4096;

/// Shared pages without a file.
#[derive(Debug)]
struct SharedPages;

// SAFETY: each take is a mapping of its own, zero-filled by the system, and stays until it is unmapped.
unsafe impl Pages for SharedPages {
    fn take(&self, size: usize) -> Option<NonNull<u8>> {
        // Room for the alignment: the system's pages are smaller than a Mac's.
        let all = size.checked_add(PAGE_SIZE as usize)?;
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping where the system likes; it touches no memory that is there.
        let place = unsafe { libc::mmap(null_mut(), all, protection, flags, -1, 0) };
        if place == libc::MAP_FAILED {
            return None;
        }
        let before = place.align_offset(PAGE_SIZE as usize);
        let start = place.wrapping_byte_add(before);
        for (start, size) in [(place, before), (start.wrapping_byte_add(size), all - size - before)]
        {
            if size > 0 {
                // SAFETY: a part of the new mapping that nobody knows of.
                unsafe { libc::munmap(start, size) };
            }
        }
        NonNull::new(start.cast())
    }

    unsafe fn give_back(&self, start: NonNull<u8>, size: usize) {
        // SAFETY: just these pages were taken, and the caller promises that nobody uses them.
        unsafe { libc::munmap(start.as_ptr().cast(), size) };
    }
}

/// Has every store get pages that can be mapped twice. Before the first one is made.
pub(crate) fn install() {
    static PAGES: SharedPages = SharedPages;
    set_pages(&PAGES);
}

/// Pages of a store as the client has them.
#[derive(Debug)]
pub(super) struct Alias {
    start: u64,
    length: usize,
    /// What the pages are of, down to the page.
    source: u64,
    ended: AtomicBool,
    /// False where they are the store's own, which could not be mapped twice.
    own: bool,
}

impl Alias {
    pub(super) fn address(&self) -> u64 {
        self.start
    }

    /// Where the byte at `source` is.
    pub(super) fn offset_of(&self, source: u64) -> u64 {
        source - self.source
    }

    /// Leaves the client the address only: whoever touches the pages faults.
    pub(super) fn forbid(&self) {
        if self.own {
            // SAFETY: pages that were mapped for the client in `alias`, which it does not have yet.
            unsafe { libc::mprotect(pointer(self.start), self.length, libc::PROT_NONE) };
        }
    }

    /// Takes the pages away: whoever touches them faults.
    pub(super) fn end(&self) {
        if self.own && !self.ended.swap(true, Ordering::AcqRel) {
            // SAFETY: just these pages were mapped for the client in `alias`, whose mapping has ended.
            unsafe { libc::munmap(pointer(self.start), self.length) };
        }
    }
}

impl Drop for Alias {
    fn drop(&mut self) {
        self.end();
    }
}

fn pointer(address: u64) -> *mut libc::c_void {
    with_exposed_provenance_mut(address as usize)
}

/// Claims so many bytes at `address`, or `None` where something is there.
fn claim(address: u64, length: usize) -> Option<u64> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let fixed = if address == 0 { 0 } else { libc::MAP_FIXED_NOREPLACE };
    // SAFETY: it replaces nothing: the system refuses where something is there.
    let place =
        unsafe { libc::mmap(pointer(address), length, libc::PROT_NONE, flags | fixed, -1, 0) };
    if place == libc::MAP_FAILED {
        return None;
    }
    let start = place.expose_provenance() as u64;
    if address != 0 && start != address {
        // A system that does not know the flag takes the address for a hint.
        // SAFETY: the mapping was just made.
        unsafe { libc::munmap(place, length) };
        return None;
    }
    Some(start)
}

/// Claims pages for `size` bytes, as [`alias`] does, in which nothing may be touched.
pub(super) fn reserve(size: u64, wanted: u64, anywhere: bool) -> Option<Alias> {
    let length = usize::try_from(size).ok()?.checked_next_multiple_of(PAGE as usize)?;
    let start = claim_near(wanted, length, anywhere)?;
    Some(Alias { start, length, source: start, ended: AtomicBool::new(false), own: true })
}

/// Claims so many bytes at `wanted` if that is free, or, where it may be `anywhere`, somewhere else.
fn claim_near(wanted: u64, length: usize, anywhere: bool) -> Option<u64> {
    let place = claim(wanted & !(PAGE - 1), length);
    if anywhere { place.or_else(|| claim(0, length)) } else { place }
}

/// Maps the `size` bytes at `source` a second time: at `wanted` if that is free, or, where it may be
/// `anywhere`, somewhere else.
pub(super) fn alias(
    source: u64,
    size: u64,
    wanted: u64,
    anywhere: bool,
    read_only: bool,
) -> Option<Alias> {
    let base = source & !(PAGE - 1);
    let length = usize::try_from((source - base).checked_add(size)?).ok()?;
    let length = length.checked_next_multiple_of(PAGE as usize)?;
    let place = claim_near(wanted, length, anywhere)?;
    // Somewhere first: a refusal to map them at a fixed place may come when the system has already taken away
    // what was claimed there, and another thread got it.
    // SAFETY: an old length of 0 leaves the source as it is and maps its shared pages again.
    let second = unsafe { libc::mremap(pointer(base), 0, length, libc::MREMAP_MAYMOVE) };
    if second == libc::MAP_FAILED {
        // SAFETY: what was just claimed.
        unsafe { libc::munmap(pointer(place), length) };
        // Pages that are not shared: the client gets them as they are.
        let source =
            Alias { start: base, length, source: base, ended: AtomicBool::new(false), own: false };
        return anywhere.then_some(source);
    }
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: the pages that were just mapped, which nobody has yet, go over what was just claimed.
    let moved = unsafe { libc::mremap(second, length, length, flags, pointer(place)) };
    if moved == libc::MAP_FAILED {
        // SAFETY: they are where they were. What was claimed stays claimed, if it is still there.
        unsafe { libc::munmap(second, length) };
        return None;
    }
    // SAFETY: the pages that were just mapped; a forked child does not have them (F27).
    unsafe { libc::madvise(pointer(place), length, libc::MADV_DONTFORK) };
    if read_only {
        // SAFETY: as above (F2).
        unsafe { libc::mprotect(pointer(place), length, libc::PROT_READ) };
    }
    let ended = AtomicBool::new(false);
    Some(Alias { start: place, length, source: base, ended, own: true })
}
