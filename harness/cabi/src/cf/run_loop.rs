//! The run loop of a thread.

use super::constants::{constant, kCFRunLoopDefaultMode};
use super::object::{Body, CfRef, Owned, TypeId, type_id};
use super::text_of;
use super::timer::Timer;
use crate::dispatch::main_queue;
use crate::mach::notification::dispatch;
use crate::port::{Port, Signal};
use crate::raw::In;
use crate::start;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// `CFRunLoopRunResult`.
mod ran {
    pub(super) const FINISHED: i32 = 1;
    pub(super) const STOPPED: i32 = 2;
    pub(super) const TIMED_OUT: i32 = 3;
    pub(super) const HANDLED_SOURCE: i32 = 4;
}

/// The run loop of one thread.
#[derive(Debug)]
pub(crate) struct RunLoop {
    is_main: bool,
    state: Mutex<State>,
    pub(crate) signal: Arc<Signal>,
}

#[derive(Debug, Default)]
struct State {
    /// Sources and timers with their modes.
    sources: Vec<(String, Owned)>,
    timers: Vec<(String, Owned)>,
    /// One for each run that is in progress: whether it is to stop.
    runs: Vec<bool>,
    waiting: bool,
}

/// A source.
#[derive(Debug)]
pub(crate) struct Source {
    kind: SourceKind,
    valid: AtomicBool,
    signalled: AtomicBool,
}

#[derive(Debug)]
enum SourceKind {
    /// Messages of a port.
    Port { port: Arc<Port>, callout: PortCallout },
    /// Whoever signals it.
    Manual { perform: Option<extern "C-unwind" fn(usize)>, info: usize },
}

/// What is done with a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PortCallout {
    /// It is IOKit's.
    Notification,
    /// A `CFMachPort` hands it to the client.
    Client {
        function: extern "C-unwind" fn(CfRef, *const u8, isize, usize),
        port: CfRef,
        info: usize,
    },
}

impl Source {
    fn make(kind: SourceKind) -> Owned {
        let source = Self { kind, valid: AtomicBool::new(true), signalled: AtomicBool::new(false) };
        Owned::make(Body::Other(type_id::SOURCE, Box::new(source)))
    }

    /// A source of a port's messages.
    pub(crate) fn of_port(port: &Arc<Port>, callout: PortCallout) -> Owned {
        Self::make(SourceKind::Port { port: Arc::clone(port), callout })
    }

    /// The source of a reference; it faults where that is something else.
    pub(crate) fn of<'a>(reference: CfRef) -> &'a Self {
        reference.object().body.other().unwrap_or_else(|| crate::fault::fault())
    }

    pub(crate) fn invalidate(&self) {
        self.valid.store(false, Ordering::Release);
    }

    fn is_valid(&self) -> bool {
        self.valid.load(Ordering::Acquire)
    }

    /// Does what there is to do; true where there was something.
    fn serve(&self) -> bool {
        if !self.is_valid() {
            return false;
        }
        match &self.kind {
            SourceKind::Port { port, callout } => {
                let Some(message) = port.take() else { return false };
                match callout {
                    PortCallout::Notification => dispatch(&message),
                    PortCallout::Client { function, port, info } => {
                        function(*port, message.as_ptr(), message.len() as isize, *info);
                    }
                }
                true
            }
            SourceKind::Manual { perform, info } => {
                if !self.signalled.swap(false, Ordering::AcqRel) {
                    return false;
                }
                if let Some(perform) = perform {
                    perform(*info);
                }
                true
            }
        }
    }
}

/// True where something that was added for `mode` takes part in a run of `run`.
fn takes_part(mode: &str, run: &str) -> bool {
    const COMMON: &str = "kCFRunLoopCommonModes";
    const DEFAULT: &str = "kCFRunLoopDefaultMode";
    mode == run || (mode == COMMON && run == DEFAULT) || (run == COMMON && mode == DEFAULT)
}

impl RunLoop {
    fn make(is_main: bool) -> Owned {
        let run_loop = Arc::new(Self { is_main, state: Mutex::default(), signal: Arc::default() });
        Owned::make(Body::Other(type_id::RUN_LOOP, Box::new(run_loop)))
    }

    fn of<'a>(reference: CfRef) -> &'a Arc<Self> {
        reference.object().body.other().unwrap_or_else(|| crate::fault::fault())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asked to stop, by whatever ran just now or by another thread.
    fn is_stopped(&self) -> bool {
        self.state().runs.last().copied().unwrap_or(false)
    }

    /// What takes part in a run of `mode`.
    fn parts(&self, mode: &str) -> (Vec<Owned>, Vec<Owned>) {
        let mut state = self.state();
        state.sources.retain(|(_, source)| Source::of(source.get()).is_valid());
        state.timers.retain(|(_, timer)| Timer::of(timer.get()).is_valid());
        let of = |list: &[(String, Owned)]| -> Vec<Owned> {
            let parts = list.iter().filter(|(added, _)| takes_part(added, mode));
            parts.map(|(_, part)| part.clone()).collect()
        };
        (of(&state.sources), of(&state.timers))
    }

    /// Runs in `mode` until `deadline`, or until a source was served where that is asked for.
    fn run(&self, mode: &str, deadline: Option<Instant>, after_one: bool) -> i32 {
        self.state().runs.push(false);
        let result = self.run_until(mode, deadline, after_one);
        self.state().runs.pop();
        result
    }

    fn run_until(&self, mode: &str, deadline: Option<Instant>, after_one: bool) -> i32 {
        let mut began = Instant::now();
        loop {
            let (sources, timers) = self.parts(mode);
            // The main queue is served here, too, and is never empty for good.
            if sources.is_empty() && timers.is_empty() && !self.is_main {
                return ran::FINISHED;
            }
            // Listened to before the look, so that what comes between is not missed.
            let mut look_again = None;
            for source in &sources {
                if let SourceKind::Port { port, .. } = &Source::of(source.get()).kind {
                    look_again = look_again.into_iter().chain(port.listen(&self.signal)).min();
                }
            }
            let mut handled = false;
            for timer in &timers {
                handled |= Timer::of(timer.get()).fire(timer.get());
                if self.is_stopped() {
                    return ran::STOPPED;
                }
            }
            let mut served = false;
            for source in &sources {
                served |= Source::of(source.get()).serve();
                if self.is_stopped() {
                    return ran::STOPPED;
                }
            }
            if self.is_main {
                handled |= main_queue().serve_main();
            }
            if self.is_stopped() {
                return ran::STOPPED;
            }
            if served && after_one {
                return ran::HANDLED_SOURCE;
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return ran::TIMED_OUT;
            }
            if served || handled {
                began = now;
                continue;
            }
            let next = timers.iter().map(|timer| Timer::of(timer.get()).left());
            let look_again = look_again.map(|most: Duration| now + most);
            let next: Vec<_> = next.map(|left| now + left).chain(deadline).collect();
            // Neither time nor a timer ends it.
            let endless = next.is_empty();
            let check = endless.then(|| now + start::CHECK);
            let until = next.into_iter().chain(look_again).chain(check).min();
            self.state().waiting = true;
            self.signal.wait(until);
            self.state().waiting = false;
            if endless {
                start::check_wait(began);
            }
            if self.is_stopped() {
                return ran::STOPPED;
            }
        }
    }
}

/// The run loop of the main thread.
static MAIN: OnceLock<Owned> = OnceLock::new();

thread_local! {
    static CURRENT: RefCell<Option<Owned>> = const { RefCell::new(None) };
}

fn main_loop() -> CfRef {
    MAIN.get_or_init(|| RunLoop::make(true)).get()
}

/// Wakes the main thread's loop: there is work on the main queue.
pub(crate) fn wake_main() {
    if let Some(main) = MAIN.get() {
        RunLoop::of(main.get()).signal.notify();
    }
}

/// The run loop of this thread, which lives as long as it.
fn current() -> CfRef {
    // SAFETY: both take nothing and give numbers.
    let thread = unsafe { libc::gettid() };
    if thread.cast_unsigned() == std::process::id() {
        return main_loop();
    }
    let made = CURRENT
        .try_with(|current| current.borrow_mut().get_or_insert_with(|| RunLoop::make(false)).get());
    made.unwrap_or(CfRef::NULL)
}

fn mode_of(mode: CfRef) -> String {
    text_of(mode).unwrap_or_else(|| "kCFRunLoopDefaultMode".to_owned())
}

/// The longest that a run lasts.
const FOR_EVER: f64 = 1.0e9;

/// Seconds as a duration; none where there are fewer than 0.
pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.clamp(0.0, FOR_EVER)).unwrap_or_default()
}

/// `CFRunLoopSourceContext`: the words before its functions.
const PERFORM_INDEX: usize = 9;
const INFO_INDEX: usize = 1;

export! {
    fn CFRunLoopGetTypeID() -> TypeId {
        type_id::RUN_LOOP
    }

    fn CFRunLoopSourceGetTypeID() -> TypeId {
        type_id::SOURCE
    }

    fn CFRunLoopGetCurrent() -> CfRef {
        current()
    }

    fn CFRunLoopGetMain() -> CfRef {
        main_loop()
    }

    fn CFRunLoopRun() {
        let run_loop = RunLoop::of(current());
        let mode = mode_of(constant(&kCFRunLoopDefaultMode));
        let _ = run_loop.run(&mode, None, false);
    }

    fn CFRunLoopRunInMode(mode: CfRef, for_seconds: f64, after_one: u8) -> i32 {
        let mode = mode_of(mode);
        let limited = for_seconds < FOR_EVER;
        let deadline = limited.then(|| Instant::now() + seconds(for_seconds));
        RunLoop::of(current()).run(&mode, deadline, after_one != 0)
    }

    fn CFRunLoopIsWaiting(run_loop: CfRef) -> u8 {
        u8::from(RunLoop::of(run_loop).state().waiting)
    }

    fn CFRunLoopWakeUp(run_loop: CfRef) {
        RunLoop::of(run_loop).signal.notify();
    }

    fn CFRunLoopStop(run_loop: CfRef) {
        let run_loop = RunLoop::of(run_loop);
        if let Some(run) = run_loop.state().runs.last_mut() {
            *run = true;
        }
        run_loop.signal.notify();
    }

    fn CFRunLoopAddSource(run_loop: CfRef, source: CfRef, mode: CfRef) {
        let run_loop = RunLoop::of(run_loop);
        let mode = mode_of(mode);
        let mut state = run_loop.state();
        let known = |(added, held): &(String, Owned)| held.get() == source && *added == mode;
        if !state.sources.iter().any(known) {
            state.sources.push((mode, Owned::retained(source)));
        }
        drop(state);
        run_loop.signal.notify();
    }

    fn CFRunLoopRemoveSource(run_loop: CfRef, source: CfRef, mode: CfRef) {
        let mode = mode_of(mode);
        let mut state = RunLoop::of(run_loop).state();
        let (gone, kept) = std::mem::take(&mut state.sources)
            .into_iter()
            .partition(|(added, held)| held.get() == source && *added == mode);
        state.sources = kept;
        drop(state);
        drop::<Vec<_>>(gone);
    }

    fn CFRunLoopContainsSource(run_loop: CfRef, source: CfRef, mode: CfRef) -> u8 {
        let mode = mode_of(mode);
        let state = RunLoop::of(run_loop).state();
        let found = state.sources.iter().any(|(added, held)| {
            held.get() == source && takes_part(added, &mode)
        });
        u8::from(found)
    }

    fn CFRunLoopAddTimer(run_loop: CfRef, timer: CfRef, mode: CfRef) {
        let run_loop = RunLoop::of(run_loop);
        let mode = mode_of(mode);
        let mut state = run_loop.state();
        let known = |(added, held): &(String, Owned)| held.get() == timer && *added == mode;
        if !state.timers.iter().any(known) {
            state.timers.push((mode, Owned::retained(timer)));
        }
        drop(state);
        run_loop.signal.notify();
    }

    fn CFRunLoopRemoveTimer(run_loop: CfRef, timer: CfRef, mode: CfRef) {
        let mode = mode_of(mode);
        let mut state = RunLoop::of(run_loop).state();
        let (gone, kept) = std::mem::take(&mut state.timers)
            .into_iter()
            .partition(|(added, held)| held.get() == timer && *added == mode);
        state.timers = kept;
        drop(state);
        drop::<Vec<_>>(gone);
    }

    fn CFRunLoopSourceCreate(_allocator: CfRef, _order: isize, context: In<usize>) -> CfRef {
        let perform = context.cast::<*const ()>().read_at(PERFORM_INDEX);
        // SAFETY: the client promises in the declaration of the structure that this is NULL or a
        // function of that type; both are one word.
        let perform = unsafe {
            std::mem::transmute::<*const (), Option<extern "C-unwind" fn(usize)>>(perform)
        };
        Source::make(SourceKind::Manual { perform, info: context.read_at(INFO_INDEX) }).give()
    }

    fn CFRunLoopSourceInvalidate(source: CfRef) {
        Source::of(source).invalidate();
    }

    fn CFRunLoopSourceIsValid(source: CfRef) -> u8 {
        u8::from(Source::of(source).is_valid())
    }

    fn CFRunLoopSourceSignal(source: CfRef) {
        Source::of(source).signalled.store(true, Ordering::Release);
    }

}
