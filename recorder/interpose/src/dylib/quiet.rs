//! Times at which nothing of the program runs, so that what changes in mapped memory meanwhile is the
//! dext's.
//!
//! One thread of the program waits in a call that the recorder has made for it. If it is the only one,
//! and no handler of a signal can run on it, nobody else in this process writes. Where any of that is
//! not certain, nothing is concluded.

use super::watch;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Signals that a program can have handlers for. Those of its own faults are left out: it makes none
/// while it waits, and every program in Rust handles them.
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=31;
const FAULTS: [i32; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

/// Longer than this a thread of a dispatch queue could have come, written and gone again.
const LONGEST: Duration = Duration::from_millis(500);

/// A time since which the calling thread has done nothing for the program.
#[derive(Debug)]
pub(super) struct Quiet {
    period: u64,
    began: Instant,
}

impl Quiet {
    /// Begins such a time; `None` where the program has more threads than this, or handles signals.
    pub(super) fn begin() -> Option<Self> {
        static PERIODS: AtomicU64 = AtomicU64::new(1);
        let began = Instant::now();
        (is_alone() && !handles_signals())
            .then(|| Self { period: PERIODS.fetch_add(1, Ordering::Relaxed), began })
    }

    /// Its number.
    pub(super) fn period(&self) -> u64 {
        self.period
    }

    /// True where it has lasted until now.
    pub(super) fn holds(&self) -> bool {
        self.began.elapsed() < LONGEST && is_alone()
    }
}

/// True where all other threads are the recorder's.
fn is_alone() -> bool {
    let mut info = std::mem::MaybeUninit::<libc::proc_taskinfo>::zeroed();
    let size = size_of::<libc::proc_taskinfo>() as i32;
    // SAFETY: takes nothing.
    let process = unsafe { libc::getpid() };
    // SAFETY: the place takes as many bytes as are stated.
    let told = unsafe {
        let place = info.as_mut_ptr().cast();
        libc::proc_pidinfo(process, libc::PROC_PIDTASKINFO, 0, place, size)
    };
    if told != size {
        return false;
    }
    // SAFETY: filled by the call; any bytes are numbers.
    let info = unsafe { info.assume_init() };
    watch::own_threads().is_some_and(|own| info.pti_threadnum == 1 + own)
}

fn handles_signals() -> bool {
    SIGNALS.filter(|signal| !FAULTS.contains(signal)).any(|signal| {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: it changes nothing and fills the place.
        let told = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
        // SAFETY: filled by the call, or zeros, which are a value of it.
        let handler = unsafe { action.assume_init() }.sa_sigaction;
        told == 0 && handler != libc::SIG_DFL && handler != libc::SIG_IGN
    })
}
