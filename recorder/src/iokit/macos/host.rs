//! Which Mac this is.

use super::super::extent::accessible;
use dextape::tape::Host;
use std::ffi::CStr;

/// The Mac that this runs on.
#[must_use]
pub fn this_host() -> Host {
    host()
}

/// Bytes of a page of its memory.
#[must_use]
pub fn this_page_size() -> u64 {
    page_size()
}

/// Bytes that can be accessed from `address` on, where a descriptor of `length` bytes is mapped (F10).
/// `None` where the end would lie beyond the address space.
#[must_use]
pub fn accessible_size(address: u64, length: u64) -> Option<u64> {
    accessible(address, length, page_size())
}

/// Longest answer that is read, in bytes.
const ANSWER_MAX: usize = 256;

/// The Mac: its model, and version and build of the system.
pub(super) fn host() -> Host {
    let version = text(c"kern.osproductversion");
    let build = text(c"kern.osversion");
    Host::Mac { model: text(c"hw.model"), system: format!("{version} ({build})") }
}

/// Bytes of a page of memory.
pub(super) fn page_size() -> u64 {
    // SAFETY: asks for a constant of the machine.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // The call cannot fail for this name; 16 KiB is never too small to check an extent against.
    u64::try_from(size).unwrap_or(0x4000)
}

fn text(name: &CStr) -> String {
    let mut answer = [0_u8; ANSWER_MAX];
    let mut length = answer.len();
    let (room, none) = (answer.as_mut_ptr().cast(), std::ptr::null_mut());
    // SAFETY: the name ends in NUL, the room has the stated length, nothing is set.
    let result = unsafe { libc::sysctlbyname(name.as_ptr(), room, &raw mut length, none, 0) };
    if result != 0 {
        return "unknown".to_owned();
    }
    let answer = &answer[..length.min(ANSWER_MAX)];
    String::from_utf8_lossy(answer.split(|byte| *byte == 0).next().unwrap_or(answer)).into_owned()
}
