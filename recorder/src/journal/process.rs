//! What the journal asks of the process it is in: which fork it came from, and quiet for its helper.

use std::cell::Cell;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::layout::FORK_DEPTH_MAX;

/// Changed after every fork, in the parent and in the child.
static CHANGES: AtomicU32 = AtomicU32::new(0);
/// Forks between the first process that had a journal and this one.
static DEPTH: AtomicU32 = AtomicU32::new(0);
/// Forks that this process has begun.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// The ordinals of the forks that led here.
static PATH: [AtomicU32; FORK_DEPTH_MAX] = [const { AtomicU32::new(0) }; FORK_DEPTH_MAX];

thread_local! {
    /// Ordinal of the fork that this thread has begun: two threads may fork at once.
    static MINE: Cell<u32> = const { Cell::new(0) };
}

/// Begins to count forks. May be called often.
pub(super) fn watch_forks() -> io::Result<()> {
    static WATCHED: OnceLock<i32> = OnceLock::new();
    let error = *WATCHED.get_or_init(|| {
        // SAFETY: the handlers touch atomics and a thread-local cell without destructor only, which
        // may be done in the child of a process with several threads.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) }
    });
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

extern "C" fn before() {
    MINE.set(COUNT.fetch_add(1, Ordering::Relaxed).wrapping_add(1));
}

extern "C" fn in_parent() {
    CHANGES.fetch_add(1, Ordering::Release);
}

extern "C" fn in_child() {
    let depth = DEPTH.load(Ordering::Relaxed);
    if let Some(ordinal) = PATH.get(depth as usize) {
        ordinal.store(MINE.get(), Ordering::Relaxed);
    }
    DEPTH.store(depth.saturating_add(1), Ordering::Relaxed);
    COUNT.store(0, Ordering::Relaxed);
    CHANGES.fetch_add(1, Ordering::Release);
}

/// Another number than before where the process was forked since, on either side.
#[inline]
pub(super) fn changes() -> u32 {
    CHANGES.load(Ordering::Relaxed)
}

/// Forks that led to this process.
pub(super) fn depth() -> u32 {
    DEPTH.load(Ordering::Relaxed)
}

/// Forks that this process has begun.
pub(super) fn forks() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// Ordinals of the forks from depth `from` to here; `None` where that is deeper than is followed.
pub(super) fn path_from(from: u32) -> Option<Vec<u32>> {
    let path = PATH.get(from as usize..depth() as usize)?;
    Some(path.iter().map(|ordinal| ordinal.load(Ordering::Relaxed)).collect())
}

/// Bytes of a page of this machine. Asked of the C library, which also answers where a client runs
/// under valgrind.
pub(super) fn page_size() -> u32 {
    // SAFETY: asks for a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u32::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(16_384)
}

/// Has signals go to the client's threads and not to the calling one.
pub(super) fn block_signals() {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` writes the whole set that it is given.
    let filled = unsafe { libc::sigfillset(all.as_mut_ptr()) };
    if filled == 0 {
        // SAFETY: the set was filled above; the old mask is not asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut()) };
    }
}
