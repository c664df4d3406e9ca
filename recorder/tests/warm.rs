//! On a warm segment an append allocates nothing and makes no system call.

use dextape_recorder::exam::append_small_call;
use dextape_recorder::journal::{Journal, JournalOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: all work is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CALLS: u64 = 10_000;

fn warm_journal(folder: &tempfile::TempDir) -> Journal {
    let options = JournalOptions { segment_size: 16 << 20, ahead: 1, ..JournalOptions::default() };
    let journal = Journal::create(&folder.path().join("warm"), options).unwrap();
    assert!(journal.room_in_segment() > CALLS * 500, "the calls fit the first segment");
    journal
}

#[test]
fn an_append_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let journal = warm_journal(&folder);
    let before = ALLOCATIONS.get();
    let kept = (0..CALLS).all(|time| append_small_call(&journal, 1, time));
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(kept);
    // The count counts.
    drop(std::hint::black_box(Box::new(1)));
    assert!(ALLOCATIONS.get() > before);
}

/// In a thread that the kernel kills at its first system call other than `read`, `write` and its own
/// exit.
#[cfg(target_os = "linux")]
mod strict {
    use super::*;
    use dextape_recorder::journal::JournalReader;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    /// Runs `body` in such a thread; true where it came to its end.
    fn survives(body: impl FnOnce() + Send + 'static) -> bool {
        let done = Arc::new(AtomicBool::new(false));
        let begun = Arc::new(AtomicBool::new(false));
        let (done_there, begun_there) = (Arc::clone(&done), Arc::clone(&begun));
        let thread = std::thread::spawn(move || {
            begun_there.store(true, Ordering::Release);
            // SAFETY: from here on the calling thread may only read, write and exit.
            let strict = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
            if strict == 0 {
                body();
                done_there.store(true, Ordering::Release);
            }
            // SAFETY: ends this thread alone. Nothing that it owns is given back.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        });
        while !begun.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        // The thread never gets to the end that `join` expects.
        std::mem::forget(thread);
        let start = Instant::now();
        while !done.load(Ordering::Acquire) && start.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(1));
        }
        done.load(Ordering::Acquire)
    }

    #[test]
    fn an_append_makes_no_system_call() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Arc::new(warm_journal(&folder));
        let writer = Arc::clone(&journal);
        assert!(survives(move || {
            for time in 0..CALLS {
                append_small_call(&writer, 1, time);
            }
            std::mem::forget(writer);
        }));
        let events = JournalReader::open(journal.path()).unwrap().count();
        assert_eq!(events as u64, 2 * CALLS);
    }

    #[test]
    fn a_system_call_would_be_seen() {
        assert!(!survives(|| {
            // SAFETY: asks for the process's number.
            unsafe { libc::syscall(libc::SYS_getpid) };
        }));
    }
}
