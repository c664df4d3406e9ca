//! The journal's file in memory: the map, and the disk space behind it.
//!
//! The whole of the journal's largest size is mapped at once, beyond the end of the file, and the file
//! grows under it. Pages beyond the end of the file must not be touched; [`Slot`](super::slot::Slot)
//! sees to it. What it cannot see to is that nobody else shortens the file: then the next writer gets SIGBUS,
//! as with every map. The file is its owner's alone, and locked as long as somebody writes to it.

use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

/// A shared map of a file.
#[derive(Debug)]
pub(super) struct Map {
    start: *mut u8,
    length: usize,
}

// SAFETY: the pointer is to a mapping that lives as long as this value and is not tied to a thread;
// how its bytes may be used is the contract of the methods.
unsafe impl Send for Map {}
// SAFETY: as for `Send`.
unsafe impl Sync for Map {}

impl Map {
    /// Maps `length` bytes, or half of that as often as it takes down to `least`.
    pub(super) fn new(file: &File, length: u64, least: u64) -> io::Result<Self> {
        let mut length = usize::try_from(length).unwrap_or(usize::MAX / 2 + 1);
        loop {
            // SAFETY: a new mapping at an address of the kernel's choice touches no memory that
            // anybody holds.
            let mapped = unsafe {
                rustix::mm::mmap(
                    std::ptr::null_mut(),
                    length,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::SHARED,
                    file,
                    0,
                )
            };
            match mapped {
                Ok(start) => return Ok(Self { start: start.cast(), length }),
                Err(error) if length as u64 / 2 < least => return Err(error.into()),
                Err(_) => length /= 2,
            }
        }
    }

    /// Bytes mapped.
    pub(super) fn length(&self) -> u64 {
        self.length as u64
    }

    /// The word at `offset`.
    ///
    /// # Safety
    ///
    /// The word lies inside the file, `offset` is a multiple of 8, and all concurrent use of its
    /// bytes is atomic.
    #[inline]
    pub(super) unsafe fn word(&self, offset: u64) -> &AtomicU64 {
        debug_assert!(offset + 8 <= self.length() && offset.is_multiple_of(8));
        let word = self.start.wrapping_add(offset as usize).cast::<u64>();
        // SAFETY: inside the mapping and aligned, as the caller has seen to; the mapping lives as
        // long as `self`.
        unsafe { AtomicU64::from_ptr(word) }
    }

    /// Copies bytes to `offset`.
    ///
    /// # Safety
    ///
    /// The range lies inside the file and nobody else in this process uses it meanwhile.
    #[inline]
    pub(super) unsafe fn write(&self, offset: u64, bytes: &[u8]) {
        debug_assert!(offset + bytes.len() as u64 <= self.length());
        let to = self.start.wrapping_add(offset as usize);
        // SAFETY: the target is inside the mapping and the caller's alone; the source is a slice,
        // which cannot lie in the map, since no reference to it is ever given out.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
    }

    /// Sets a range to zero, from its beginning on.
    ///
    /// # Safety
    ///
    /// As for [`write`](Self::write).
    pub(super) unsafe fn clear(&self, offset: u64, length: u64) {
        const ZEROS: [u8; 4096] = [0; 4096];
        let mut at = offset;
        while at < offset + length {
            let part = (offset + length - at).min(ZEROS.len() as u64);
            // SAFETY: part of the range that is the caller's.
            unsafe { self.write(at, &ZEROS[..part as usize]) };
            at += part;
        }
    }

    /// Makes the pages of a range present and writable, so that no writer meets a page fault that
    /// goes to the disk. An error where the disk fails, instead of a signal, if the kernel can tell.
    ///
    /// # Safety
    ///
    /// The range lies inside the file, at whole pages, holds zeros and is not in use.
    pub(super) unsafe fn touch(&self, offset: u64, length: u64, page: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let start = self.start.wrapping_add(offset as usize).cast();
            // SAFETY: populating a shared mapping changes none of its bytes.
            let populated =
                unsafe { rustix::mm::madvise(start, length as usize, Advice::LinuxPopulateWrite) };
            match populated {
                Ok(()) => return Ok(()),
                // An older kernel, or one that does not know it for this file system.
                Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for at in (offset..offset + length).step_by(page.max(1) as usize) {
            let byte = self.start.wrapping_add(at as usize);
            // SAFETY: inside the file, zero before and after, and not in use by anybody.
            unsafe { byte.write_volatile(0) }
        }
        Ok(())
    }

    /// Tells the kernel that a range is not needed soon. Its bytes stay in the file, and a late
    /// writer still reaches them.
    pub(super) fn release(&self, offset: u64, length: u64) {
        let start = self.start.wrapping_add(offset as usize).cast();
        // What POSIX calls so does nothing on Linux.
        #[cfg(target_os = "linux")]
        let advice = Advice::LinuxDontNeed;
        #[cfg(not(target_os = "linux"))]
        let advice = Advice::DontNeed;
        // SAFETY: of a shared mapping of a file this drops no bytes, only this process's view of
        // them, which the next access brings back. It is advice: a refusal costs memory only.
        let _ = unsafe { rustix::mm::madvise(start, length as usize, advice) };
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and no reference into it outlives `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.start.cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}

/// Allocates disk space for a range at the end of the file, which reads as zeros then.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn allocate(file: &File, offset: u64, length: u64) -> io::Result<()> {
    use rustix::fs::FallocateFlags;
    use rustix::io::Errno;
    match rustix::fs::fallocate(file, FallocateFlags::empty(), offset, length) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, offset, length),
        Err(error) => Err(error.into()),
    }
}

/// Allocates disk space for a range at the end of the file, which reads as zeros then.
#[cfg(target_vendor = "apple")]
pub(super) fn allocate(file: &File, offset: u64, length: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let mut store = libc::fstore_t {
        fst_flags: libc::F_ALLOCATEALL,
        fst_posmode: libc::F_PEOFPOSMODE,
        fst_offset: 0,
        fst_length: length as libc::off_t,
        fst_bytesalloc: 0,
    };
    // SAFETY: the descriptor is open, and the command reads and writes the structure only.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_PREALLOCATE, &raw mut store) };
    if done == -1 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ENOTSUP) {
            return Err(error);
        }
        return write_zeros(file, offset, length);
    }
    file.set_len(offset + length)
}

/// Where the file system cannot set space aside: writing is what allocates.
fn write_zeros(file: &File, offset: u64, length: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut at = offset;
    while at < offset + length {
        let part = (offset + length - at).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..part as usize], at)?;
        at += part;
    }
    Ok(())
}
