//! How a tape is minimised.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Who is tried with less and less of the tape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A dext: the tape plays the client ([`drive`](crate::drive())), and its calls are taken away.
    #[default]
    Dext,
    /// A client, which goes on making the calls that it makes: what the tape no longer holds is answered
    /// as usual ([`Lenient`](crate::Lenient)), and what is taken away is what is not usual.
    Client,
}

/// Called now and then with how far a search has come.
pub type ProgressFn = dyn Fn(Progress) + Send + Sync;

/// How far a search has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Units that are left: operations, patches and other events.
    pub units: usize,
    /// Runs made.
    pub trials: u64,
    /// Runs that were not made again.
    pub remembered: u64,
}

/// How a tape is minimised.
///
/// # Examples
///
/// ```
/// use dextape_lab::{MinimizeOptions, Mode};
/// use std::time::Duration;
///
/// let options = MinimizeOptions { jobs: 2, time: Some(Duration::from_secs(60)), ..MinimizeOptions::of(Mode::Client) };
/// assert_eq!(options.mode, Mode::Client);
/// ```
#[derive(Clone)]
pub struct MinimizeOptions {
    /// Who is tried.
    pub mode: Mode,
    /// Runs at a time. What comes of it does not depend on it.
    pub jobs: usize,
    /// How long it may take; the best so far is the result then.
    pub time: Option<Duration>,
    /// Ends the search where it becomes true.
    pub stop: Arc<AtomicBool>,
    /// Is told how far it has come.
    pub progress: Option<Arc<ProgressFn>>,
}

impl MinimizeOptions {
    /// One run at a time, and as long as it takes.
    #[must_use]
    pub fn of(mode: Mode) -> Self {
        Self { mode, jobs: 1, time: None, stop: Arc::default(), progress: None }
    }
}

impl fmt::Debug for MinimizeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MinimizeOptions")
            .field("mode", &self.mode)
            .field("jobs", &self.jobs)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

/// What all parts of a search share.
pub(super) struct Control<'a> {
    pub(super) jobs: usize,
    options: &'a MinimizeOptions,
    deadline: Option<Instant>,
    trials: AtomicU64,
    remembered: AtomicU64,
    last: Mutex<Progress>,
}

impl<'a> Control<'a> {
    pub(super) fn new(options: &'a MinimizeOptions) -> Self {
        Self {
            jobs: options.jobs.clamp(1, 256),
            options,
            deadline: options.time.and_then(|time| Instant::now().checked_add(time)),
            trials: AtomicU64::new(0),
            remembered: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.options.stop.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub(super) fn count(&self, trials: u64, remembered: u64) {
        self.trials.fetch_add(trials, Ordering::Relaxed);
        self.remembered.fetch_add(remembered, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            trials: self.trials.load(Ordering::Relaxed),
            remembered: self.remembered.load(Ordering::Relaxed),
            ..*self.last.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    pub(super) fn tell(&self, progress: Progress) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = progress;
        if let Some(told) = &self.options.progress {
            told(progress);
        }
    }
}
