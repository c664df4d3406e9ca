//! Forks of the program wait until no other thread is inside the recorder, so that a child never finds a
//! lock held by a thread that it does not have.

use super::edge;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Set while a fork is being made.
const FORKING: usize = 1 << (usize::BITS - 1);

/// How many threads are inside, and [`FORKING`].
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// How often a fork looks whether all are out: for a second in all. Nobody stays inside that long.
const TRIES: u32 = 10_000;

/// A thread is inside the recorder while it has this, but for the time that an original call takes.
#[derive(Debug)]
pub(super) struct Open(());

/// Waits for a fork that is being made.
pub(super) fn enter() -> Open {
    loop {
        let inside = INSIDE.load(Ordering::Relaxed);
        if inside & FORKING != 0 {
            std::thread::yield_now();
        } else if INSIDE
            .compare_exchange_weak(inside, inside + 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
        {
            return Open(());
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::Release);
    }
}

extern "C" fn before() {
    // A handler of a signal may fork while its own thread is inside, which cannot be waited for.
    if edge::is_inside() {
        return;
    }
    while INSIDE.fetch_or(FORKING, Ordering::Acquire) & FORKING != 0 {
        // Another thread forks, too.
        std::thread::yield_now();
    }
    for _ in 0..TRIES {
        if INSIDE.load(Ordering::Acquire) == FORKING {
            break;
        }
        // SAFETY: sleeps.
        unsafe { libc::usleep(100) };
    }
}

extern "C" fn in_parent() {
    if !edge::is_inside() {
        INSIDE.fetch_and(!FORKING, Ordering::Release);
    }
}

extern "C" fn in_child() {
    // This thread is the only one left.
    INSIDE.store(usize::from(edge::is_inside()), Ordering::Release);
}

/// Has forks wait from now on.
pub(super) fn watch_forks() {
    // SAFETY: the handlers touch atomics and a thread-local cell without destructor only.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}
