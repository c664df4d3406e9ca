//! Where the answers come from, and what is said when the process ends.

use crate::say::say;
use crate::{cf, io, port};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What serves the client: a mock, a replay, a plug-in, with or without a recorder before it.
pub trait Backend: Send + Sync {
    /// The system that answers.
    fn system(&self) -> &Arc<dyn System>;

    /// The process ends. Called once, after the client's last own code, while other threads of it may
    /// still be inside a call; `diverged` where it ends because of a divergence.
    fn finish(&self, diverged: bool) -> Finish;
}

/// What is left to say and do at the end of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finish {
    /// For stderr.
    pub message: Option<String>,
    /// The code to exit with instead of the client's own.
    pub exit_code: Option<i32>,
}

/// Why nothing can be served. The text completes "failed to ...".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    text: String,
    exit_code: Option<i32>,
}

impl StartError {
    /// With this text. The client goes on, with no service.
    pub fn new(text: impl fmt::Display) -> Self {
        Self { text: text.to_string(), exit_code: None }
    }

    /// Has the client end with this code, whatever it makes of finding no service.
    #[must_use]
    pub fn ending_with(mut self, exit_code: i32) -> Self {
        self.exit_code = Some(exit_code);
        self
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for StartError {}

/// Makes what serves the client, when it first asks for something.
type Start = fn() -> Result<Box<dyn Backend>, StartError>;

static START: Mutex<Option<Start>> = Mutex::new(None);
static CURRENT: OnceLock<Current> = OnceLock::new();
static FINISHED: AtomicBool = AtomicBool::new(false);
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// What serves this process.
struct Current {
    system: Arc<dyn System>,
    /// `None` where nothing could be started.
    backend: Option<Box<dyn Backend>>,
    /// Where nothing could be started: what the client ends with instead of its own code.
    exit_code: Option<i32>,
}

/// Says where the answers come from. To be called before the client runs: from a constructor of the
/// library that exports the functions. The last call counts.
pub fn install(start: fn() -> Result<Box<dyn Backend>, StartError>) {
    *START.lock().unwrap_or_else(PoisonError::into_inner) = Some(start);
    watch_the_end();
}

/// As [`install`], unless somebody else has said it already.
pub fn install_default(start: fn() -> Result<Box<dyn Backend>, StartError>) {
    let mut place = START.lock().unwrap_or_else(PoisonError::into_inner);
    place.get_or_insert(start);
    drop(place);
    watch_the_end();
}

fn watch_the_end() {
    // A forked child ends, too, and its parent's recording is not its own.
    if PROCESS.swap(std::process::id(), Ordering::AcqRel) == 0 {
        cf::make_constants();
        io::install_pages();
        std::panic::set_hook(Box::new(|info| {
            // What unwinds to an exported function is said there, and by itself.
            if std::thread::current().name().is_some_and(|name| name.starts_with("dextape ")) {
                say(&format!("a thread of the mock: {info}"));
            }
        }));
        // SAFETY: a function that lives as long as this library, and unwinds nowhere.
        unsafe { libc::atexit(at_exit) };
    }
}

/// The system that answers. Where nothing can be started, the reason goes to stderr once, and what
/// answers has no service.
pub(crate) fn system() -> &'static Arc<dyn System> {
    &current().system
}

/// Starts what answers now, where the client has asked for nothing yet. False where nothing can be started,
/// which is said.
pub fn begin() -> bool {
    current().backend.is_some()
}

/// How often a wait without a timeout says that it still waits.
pub(crate) const CHECK: Duration = Duration::from_millis(500);

/// How long a thread waits without a timeout where nothing answers.
const PATIENCE_WITH_NOTHING: Duration = Duration::from_secs(3);

/// A thread has waited since `began`, without a timeout. Panics where a replay knows that nothing comes, and
/// where nothing could be started: what is waited for is what the client asked for in vain.
pub(crate) fn check_wait(began: Instant) {
    // Not `current`: who has asked for nothing starts nothing.
    let Some(current) = CURRENT.get() else { return };
    let waited = began.elapsed();
    current.system.check_wait(waited);
    assert!(
        current.backend.is_some() || waited < PATIENCE_WITH_NOTHING,
        "it waits without a timeout, and nothing answers here"
    );
}

fn current() -> &'static Current {
    CURRENT.get_or_init(|| {
        let start = *START.lock().unwrap_or_else(PoisonError::into_inner);
        let started = match start {
            Some(start) => start(),
            None => Err(StartError::new("find what to answer from: no library has said it")),
        };
        match started {
            Ok(backend) => Current {
                system: Arc::clone(backend.system()),
                backend: Some(backend),
                exit_code: None,
            },
            Err(error) => {
                say(&format!("failed to {error}\nso there is no service here"));
                let system = MockSystem::new(&Schedule::free());
                Current { system, backend: None, exit_code: error.exit_code }
            }
        }
    })
}

extern "C" fn at_exit() {
    let ended = std::panic::catch_unwind(|| {
        if PROCESS.load(Ordering::Acquire) != std::process::id() {
            return None;
        }
        finish(false)
    });
    if let Ok(Some(code)) = ended {
        crate::guard::flush();
        // SAFETY: it takes no pointers and does not come back.
        unsafe { libc::_exit(code) }
    }
}

/// Keeps what was recorded, when the process ends at once.
pub(crate) fn finish_quietly() {
    // Whatever goes wrong now, the first reason was said.
    let _ = std::panic::catch_unwind(|| finish(true));
}

/// Says what is to be said, once. Gives the code to exit with instead of the client's.
fn finish(diverged: bool) -> Option<i32> {
    if FINISHED.swap(true, Ordering::AcqRel) {
        return None;
    }
    if !diverged {
        port::report::say_leaks();
        cf::report::say_leaks();
    }
    // Not `current`: a client that asked for nothing starts nothing.
    let current = CURRENT.get()?;
    let Some(backend) = &current.backend else { return current.exit_code };
    let Finish { message, exit_code } = backend.finish(diverged);
    if let Some(message) = message {
        say(&message);
    }
    exit_code
}
