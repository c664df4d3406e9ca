//! Signals that have a tape cut.
//!
//! What runs on the thread that a signal interrupts counts it, and no more: it allocates nothing, takes no
//! lock, and has no descriptor that the program could have closed. The thread that cuts tapes looks at the
//! counts. Where the process is about to die, the interrupted thread waits for it, for a bounded time.

use super::{FlightError, Signal};
use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Signals are numbered below this.
const NUMBERS: usize = 32;

/// How long a dying thread waits for its tape: so many steps of so many milliseconds.
const STEPS: u32 = 200;
const STEP_MS: i32 = 10;

/// How a handler was installed before ours.
struct Before(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: written before `INSTALLED` is set for it, with release, and only read afterwards.
unsafe impl Sync for Before {}

static BEFORE: [Before; NUMBERS] =
    [const { Before(UnsafeCell::new(MaybeUninit::uninit())) }; NUMBERS];
static INSTALLED: [AtomicBool; NUMBERS] = [const { AtomicBool::new(false) }; NUMBERS];
static CAME: [AtomicU32; NUMBERS] = [const { AtomicU32::new(0) }; NUMBERS];
static SERVED: [AtomicU32; NUMBERS] = [const { AtomicU32::new(0) }; NUMBERS];

/// The process whose thread looks at the counts; 0 where none does.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Some signals, watched for as long as this lives. Their handlers stay where they are, since the program may
/// have chained to them, and do nothing then but pass the signal on.
#[derive(Debug)]
pub(super) struct Watched {
    signals: Vec<Signal>,
}

/// Watches for signals from now on; `None` where there is none to watch for.
pub(super) fn watch(signals: Vec<Signal>) -> Result<Option<Watched>, FlightError> {
    if signals.is_empty() {
        return Ok(None);
    }
    let process = std::process::id();
    let taken = PROCESS.fetch_update(Ordering::AcqRel, Ordering::Acquire, |other| {
        // Of a process that this one was forked from.
        (other != process).then_some(process)
    });
    taken.map_err(|_| FlightError::SignalsTaken)?;
    let watched = Watched { signals };
    for signal in &watched.signals {
        let index = signal.number() as usize;
        SERVED[index].store(CAME[index].load(Ordering::Acquire), Ordering::Release);
        install(*signal).map_err(|source| FlightError::Signal { signal: *signal, source })?;
    }
    Ok(Some(watched))
}

impl Watched {
    /// A signal that has come, and how often until now.
    pub(super) fn next(&self) -> Option<(Signal, u32)> {
        self.signals.iter().find_map(|signal| {
            let index = signal.number() as usize;
            let came = CAME[index].load(Ordering::Acquire);
            (came != SERVED[index].load(Ordering::Relaxed)).then_some((*signal, came))
        })
    }

    /// Its tape is cut, or will not be.
    pub(super) fn served(&mut self, signal: Signal, count: u32) {
        SERVED[signal.number() as usize].store(count, Ordering::Release);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ours =
            PROCESS.compare_exchange(std::process::id(), 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Puts our handler before what is there.
fn install(signal: Signal) -> io::Result<()> {
    let index = signal.number() as usize;
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: it changes nothing and fills the place.
    if unsafe { libc::sigaction(signal.number(), std::ptr::null(), now.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: filled by the call.
    let now = unsafe { now.assume_init() };
    if INSTALLED[index].load(Ordering::Acquire) {
        // Of an earlier recording: in its place, or before what the program has put there since, where it can
        // only be reached by that. A second time it would call itself.
        return Ok(());
    }
    // SAFETY: nobody reads it before it is said to be installed, and this is done once for each signal.
    unsafe { (*BEFORE[index].0.get()).write(now) };
    INSTALLED[index].store(true, Ordering::Release);
    let mut ours = now;
    ours.sa_sigaction = (handle as *const ()).expose_provenance();
    if now.sa_sigaction == libc::SIG_DFL || now.sa_sigaction == libc::SIG_IGN {
        // No call of the program's is cut short by a signal that it does not know.
        ours.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    }
    ours.sa_flags |= libc::SA_SIGINFO;
    // SAFETY: a function that lives as long as the process, with the arguments that the flags promise.
    if unsafe { libc::sigaction(signal.number(), &raw const ours, std::ptr::null_mut()) } != 0 {
        INSTALLED[index].store(false, Ordering::Release);
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

// A handler of the program's may end its thread, throw an exception, or jump out: nothing in `handle` waits to
// be dropped then.
type WithInfo = extern "C-unwind" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
type Plain = extern "C-unwind" fn(i32);

/// Counts the signal and passes it on. All that it calls may be called by a handler.
extern "C-unwind" fn handle(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let errno = errno();
    let index = usize::try_from(number).unwrap_or(0) % NUMBERS;
    // SAFETY: takes nothing.
    let process = unsafe { libc::getpid() };
    let known = Signal::all().find(|signal| signal.number() == number);
    if INSTALLED[index].load(Ordering::Acquire) {
        // SAFETY: written before it was said to be installed, and never since.
        let before = unsafe { &*BEFORE[index].0.get() };
        // SAFETY: as above.
        let before = unsafe { before.assume_init_ref() };
        let is_default = before.sa_sigaction == libc::SIG_DFL;
        let survives = known.is_some_and(|signal| is_default && signal.is_of_users());
        if PROCESS.load(Ordering::Acquire) == process.cast_unsigned() {
            let ticket = CAME[index].fetch_add(1, Ordering::AcqRel).wrapping_add(1);
            let crashes = known.is_some_and(Signal::is_crash);
            if crashes || (is_default && !survives) {
                wait_for(index, ticket);
            }
        }
        // SAFETY: errno is the thread's own.
        unsafe { *errno.0 = errno.1 };
        // SAFETY: as it was given to us.
        unsafe { pass_on(before, survives, number, info, context) };
    }
    // SAFETY: errno is the thread's own.
    unsafe { *errno.0 = errno.1 };
}

/// Waits until the tape is cut, for a bounded time: the thread that cuts may be the one that crashes, or wait
/// for a lock that this one holds.
fn wait_for(index: usize, ticket: u32) {
    for _ in 0..STEPS {
        // Counts wrap.
        if SERVED[index].load(Ordering::Acquire).wrapping_sub(ticket) < u32::MAX / 2
            || PROCESS.load(Ordering::Acquire) == 0
        {
            return;
        }
        // SAFETY: no descriptors: it sleeps.
        unsafe { libc::poll(std::ptr::null_mut(), 0, STEP_MS) };
    }
}

/// Does what would have been done without us.
///
/// # Safety
///
/// The arguments are those of a handler of this signal.
unsafe fn pass_on(
    before: &libc::sigaction,
    survives: bool,
    number: i32,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    match before.sa_sigaction {
        libc::SIG_IGN => {}
        libc::SIG_DFL if survives => {}
        libc::SIG_DFL => {
            // All that have a name here end the process by default.
            // SAFETY: what was there before is a value for it.
            unsafe { libc::sigaction(number, before, std::ptr::null_mut()) };
            // SAFETY: the place is the kernel's for the time of the handler.
            let code = unsafe { (*info).si_code };
            // No trap: on x86 the program stands behind its instruction, and would go on there.
            let fault = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];
            // A fault comes again where it was, with all that it tells; what was sent has to be sent again, and
            // is taken when this handler returns.
            if !(fault.contains(&number) && (1..0x1_0000).contains(&code)) {
                // SAFETY: to this thread.
                unsafe { libc::raise(number) };
            }
        }
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            let handler = std::ptr::with_exposed_provenance::<()>(handler);
            // SAFETY: the program has given it as one with these arguments.
            let handler = unsafe { std::mem::transmute::<*const (), WithInfo>(handler) };
            handler(number, info, context);
        }
        handler => {
            let handler = std::ptr::with_exposed_provenance::<()>(handler);
            // SAFETY: the program has given it as one with this argument.
            let handler = unsafe { std::mem::transmute::<*const (), Plain>(handler) };
            handler(number);
        }
    }
}

/// The calling thread's errno: where it is, and what it is.
fn errno() -> (*mut i32, i32) {
    #[cfg(target_os = "macos")]
    // SAFETY: it takes nothing and gives a place of the calling thread's own.
    let place = unsafe { libc::__error() };
    #[cfg(not(target_os = "macos"))]
    // SAFETY: it takes nothing and gives a place of the calling thread's own.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the place is there as long as the thread is.
    (place, unsafe { *place })
}

/// No signal of the program's is for this thread.
pub(super) fn block_all() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` writes the whole set that it is given.
    if unsafe { libc::sigfillset(all.as_mut_ptr()) } == 0 {
        // SAFETY: the set was filled above; the old mask is not asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut()) };
    }
}
