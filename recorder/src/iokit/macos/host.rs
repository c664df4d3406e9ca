//! Which Mac this is.

use dextape::tape::Host;
use std::ffi::CStr;

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
    // SAFETY: the library sets the constant before any code of the program runs.
    let size = unsafe { mach2::vm_page_size::vm_page_size };
    size as u64
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
