//! Clocks.

use super::{KERN_SUCCESS, Kern};
use crate::raw::Out;

fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours, and every clock named here exists.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec
        .cast_unsigned()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec.cast_unsigned())
}

export! {
    /// In nanoseconds here, as `mach_timebase_info` says.
    fn mach_absolute_time() -> u64 {
        nanoseconds(libc::CLOCK_MONOTONIC)
    }

    fn mach_continuous_time() -> u64 {
        nanoseconds(libc::CLOCK_BOOTTIME)
    }

    fn mach_timebase_info(info: Out<u32>) -> Kern {
        info.write_at(0, 1);
        info.write_at(1, 1);
        KERN_SUCCESS
    }

    fn mach_wait_until(deadline: u64) -> Kern {
        let left = deadline.saturating_sub(nanoseconds(libc::CLOCK_MONOTONIC));
        std::thread::sleep(std::time::Duration::from_nanos(left));
        KERN_SUCCESS
    }
}
