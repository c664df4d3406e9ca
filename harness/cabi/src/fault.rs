//! What a client gets that hands in a pointer which the real library would follow to nowhere.

/// Touches address 0, as the library does (A3, A6, D4, F6): the client gets its SIGSEGV with that
/// address, whatever it does with it. No lock may be held here and nothing may wait to be dropped: a
/// handler may jump out.
pub(crate) fn fault() -> ! {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the access cannot succeed on a system that maps nothing at 0; it changes no register that
    // the compiler does not know of. That it faults is what is wanted.
    unsafe {
        std::arch::asm!("mov {0}, qword ptr [{0}]", inout(reg) 0_u64 => _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("ldr {0}, [{0}]", inout(reg) 0_u64 => _, options(nostack));
    }
    // A handler that returns without jumping would fault for ever on a Mac; here it ends.
    std::process::abort()
}
