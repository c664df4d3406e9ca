//! Forks of the program wait until no other thread is inside the recorder, so that a child never finds a
//! lock held by a thread that it does not have.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Set while a fork is being made.
const FORKING: usize = 1 << (usize::BITS - 1);

/// How many threads are inside, and [`FORKING`].
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// How often a fork looks whether all are out: for a second in all. Nobody stays inside that long.
const TRIES: u32 = 10_000;

// Without destructors, so that they are there as long as the thread runs the program's code.
thread_local! {
    /// How often this thread is inside.
    static HELD: Cell<usize> = const { Cell::new(0) };
    /// Forks that this thread is making: two where a handler of a signal forks in the middle of one.
    static FORKS: Cell<usize> = const { Cell::new(0) };
    /// It has set [`FORKING`].
    static CLOSED: Cell<bool> = const { Cell::new(false) };
}

/// A thread is inside the recorder while it has this, but for the time that an original call takes.
#[derive(Debug)]
pub(crate) struct Open(PhantomData<*const ()>);

/// Waits for a fork that is being made, unless this thread makes it (what asks then is a handler of the
/// program's, before or after the fork), or is inside already.
pub(crate) fn enter() -> Open {
    let waits = HELD.get() == 0 && FORKS.get() == 0;
    // The thread's own count is never below what it has in the common one, whenever a handler of a signal
    // forks: a child begins with it, and must not count below 0.
    HELD.set(HELD.get() + 1);
    loop {
        let inside = INSIDE.load(Ordering::Relaxed);
        if waits && inside & FORKING != 0 {
            std::thread::yield_now();
        } else if INSIDE
            .compare_exchange_weak(inside, inside + 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
        {
            return Open(PhantomData);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::Release);
        HELD.set(HELD.get() - 1);
    }
}

extern "C" fn before() {
    FORKS.set(FORKS.get() + 1);
    // A handler of a signal may fork while its own thread is inside or forks, which cannot be waited for.
    if HELD.get() > 0 || FORKS.get() > 1 {
        return;
    }
    while INSIDE.fetch_or(FORKING, Ordering::Acquire) & FORKING != 0 {
        // Another thread forks, too.
        std::thread::yield_now();
    }
    CLOSED.set(true);
    for _ in 0..TRIES {
        if INSIDE.load(Ordering::Acquire) == FORKING {
            break;
        }
        // SAFETY: sleeps.
        unsafe { libc::usleep(100) };
    }
}

/// One fork fewer; true where that was the last one of this thread.
fn made() -> bool {
    let forks = FORKS.get().saturating_sub(1);
    FORKS.set(forks);
    forks == 0
}

extern "C" fn in_parent() {
    if made() && CLOSED.replace(false) {
        INSIDE.fetch_and(!FORKING, Ordering::Release);
    }
}

extern "C" fn in_child() {
    if made() {
        CLOSED.set(false);
    }
    // This thread is the only one left.
    let closed = if CLOSED.get() { FORKING } else { 0 };
    INSIDE.store(HELD.get() | closed, Ordering::Release);
}

/// Has forks wait from now on.
pub(crate) fn watch_forks() {
    // SAFETY: the handlers touch atomics and thread-local cells without destructors only.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    /// Seconds after which a process of a test counts as stuck.
    const STUCK: u32 = 30;

    /// Runs `body` in a process of its own; true where it came to its end and was content.
    fn in_child_process(body: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child ends by `_exit`; what it does before is safe on the C library that this runs on.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: it ends this process only, which has no handler for it.
                unsafe { libc::alarm(STUCK) };
                let content = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(i32::from(!content.unwrap_or(false))) }
            }
            child => {
                let mut status = 0;
                // SAFETY: waits for the child that was just made.
                let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
                (waited, status) == (child, 0)
            }
        }
    }

    #[test]
    fn a_fork_waits_until_other_threads_are_out() {
        static OUT: AtomicBool = AtomicBool::new(false);
        assert!(in_child_process(|| {
            watch_forks();
            let (told, is_in) = std::sync::mpsc::channel();
            let other = std::thread::spawn(move || {
                let open = enter();
                told.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(50));
                OUT.store(true, Ordering::Release);
                drop(open);
            });
            is_in.recv().unwrap();
            let found = in_child_process(|| OUT.load(Ordering::Acquire));
            other.join().unwrap();
            found && INSIDE.load(Ordering::Acquire) == 0
        }));
    }

    /// Registered before the recorder's own, so that they run while the fork keeps others out.
    #[test]
    fn handlers_of_a_fork_may_ask_for_something() {
        extern "C" fn asks() {
            drop(enter());
        }
        assert!(in_child_process(|| {
            // SAFETY: the handlers touch what those of this module do.
            unsafe { libc::pthread_atfork(Some(asks), Some(asks), Some(asks)) };
            watch_forks();
            let forks = (0..2).all(|_| in_child_process(|| INSIDE.load(Ordering::Acquire) == 0));
            forks && INSIDE.load(Ordering::Acquire) == 0
        }));
    }

    /// As a handler of a signal does that comes while the recorder is at work.
    #[test]
    fn a_fork_from_inside_leaves_both_processes_with_what_they_have() {
        assert!(in_child_process(|| {
            watch_forks();
            let open = enter();
            let child = in_child_process(|| INSIDE.load(Ordering::Acquire) == 1);
            drop(open);
            child && INSIDE.load(Ordering::Acquire) == 0
        }));
    }

    /// As a handler of a signal does that comes while a fork is being made.
    #[test]
    fn a_fork_within_a_fork_leaves_the_outer_one_to_go_on() {
        let all = || (INSIDE.load(Ordering::Acquire), CLOSED.get(), FORKS.get());
        assert!(in_child_process(|| {
            before();
            before();
            in_parent();
            let parent = all() == (FORKING, true, 1);
            before();
            in_child();
            let child = all() == (FORKING, true, 1);
            in_parent();
            parent && child && all() == (0, false, 0)
        }));
    }
}
