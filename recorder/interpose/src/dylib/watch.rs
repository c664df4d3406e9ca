//! The thread that looks at mapped memory while the program asks for nothing: it may be polling.

use super::edge::Inside;
use super::recorder;
use crate::gate;
use dextape_recorder::recording::beside_the_client;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often it looks at best, and at worst: where nothing changes it looks less and less often.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(16);

/// Part of its time that it may spend looking: one in so many.
const SHARE: u32 = 4;

/// A program that has just asked for something was looked at just then.
const RECENT: Duration = Duration::from_millis(2);

/// The process that the thread is in; 0 where there is none. A forked child does not have it.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// The process that the recording began in, whose journal has a thread of its own.
static RECORDED: AtomicU32 = AtomicU32::new(0);

/// Whether there is one that cuts tapes, too.
static FLIES: AtomicBool = AtomicBool::new(false);

/// When the last sync point was, in nanoseconds since the first.
static LAST: AtomicU64 = AtomicU64::new(0);

fn now() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// The program has been looked at.
pub(super) fn sync_point() {
    LAST.store(now(), Ordering::Release);
}

/// A recording has begun in this process, which cuts tapes on a thread of its own where it `flies`.
pub(super) fn recording_in(process: u32, flies: bool) {
    FLIES.store(flies, Ordering::Release);
    RECORDED.store(process, Ordering::Release);
}

/// Threads of this process that are the recorder's; `None` where that is not known, as in a child.
pub(super) fn own_threads() -> Option<i32> {
    let process = std::process::id();
    let journals = (RECORDED.load(Ordering::Acquire) == process).then_some(1)?;
    let journals = journals + i32::from(FLIES.load(Ordering::Acquire));
    Some(journals + i32::from(PROCESS.load(Ordering::Acquire) == process))
}

/// Begins to look, where nobody does.
pub(super) fn begin() {
    let process = std::process::id();
    if PROCESS.swap(process, Ordering::AcqRel) != process {
        let spawned = std::thread::Builder::new().name("dextape".to_owned()).spawn(run);
        if spawned.is_err() {
            PROCESS.store(0, Ordering::Release);
        }
    }
}

fn block_signals() {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` writes the whole set that it is given.
    if unsafe { libc::sigfillset(all.as_mut_ptr()) } == 0 {
        // SAFETY: the set was filled above; the old mask is not asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut()) };
    }
}

fn run() {
    // The program's handlers are for the program's threads.
    block_signals();
    // Nothing that it calls is the program's.
    let Some(inside) = Inside::enter() else { return };
    let mut pause = SHORTEST;
    loop {
        std::thread::sleep(pause);
        if Duration::from_nanos(now().saturating_sub(LAST.load(Ordering::Acquire))) < RECENT {
            continue;
        }
        let began = Instant::now();
        let looked = {
            let _open = gate::enter();
            catch_unwind(AssertUnwindSafe(|| beside_the_client(recorder::try_look_all)))
        };
        match looked {
            Ok(Some(true)) => pause = SHORTEST,
            Ok(Some(false)) => pause = (pause * 2).min(LONGEST),
            // The recording has ended.
            Ok(None) | Err(_) => break,
        }
        pause = pause.max(began.elapsed() * SHARE);
    }
    drop(inside);
    PROCESS.store(0, Ordering::Release);
}
