//! The thread that cuts tapes, and how it learns that one is wanted.

use super::signals::{self, Watched};
use super::tapes::Tapes;
use super::{FlightError, Triggers};
use crate::recording::{RecordingSession, Watch};
use crate::seal::SealError;
use dextape::IoReturn;
use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the thread looks whether a signal has come.
const LOOK: Duration = Duration::from_millis(20);

/// How tapes are cut.
#[derive(Clone, Copy)]
pub struct FlightOptions {
    /// Tells people, where they have to be told: that a tape could not be cut, or will not be.
    pub say: fn(&str),
    /// Has each piece of the thread's work done by whoever has to know that it is at work.
    pub within: fn(&mut dyn FnMut()),
}

impl Default for FlightOptions {
    /// Tells nobody.
    fn default() -> Self {
        Self { say: |_| {}, within: |work| work() }
    }
}

impl fmt::Debug for FlightOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlightOptions").finish_non_exhaustive()
    }
}

/// Cuts tapes of a recording when something triggers it, beside the recording's own tape:
/// `NAME-cut-1.tape.jsonl` and so on, over nothing that is there.
///
/// Each has a note at its trigger, with the reason. It is cut on a thread of its own, so that the client
/// goes on meanwhile, and whatever goes wrong is not the client's: it is said by [`FlightOptions::say`].
/// The same result that comes again before its tape is begun gets no second one. In simulated time tapes
/// are cut at once, so that a run gives the same tapes each time. Of a forked child none are cut.
///
/// Where a signal is a trigger, a handler stands before the program's own, which gets it afterwards. It
/// stands there from the start of the recording, so a handler that the program installs later takes its
/// place. For one by which the program crashes, or that ends it, the thread that has it waits until the tape
/// is cut, two seconds at most. `SIGUSR1` and `SIGUSR2` are no longer deadly to a program that does not
/// handle them.
///
/// # Examples
///
/// ```
/// use dextape_recorder::flight::{FlightOptions, FlightRecorder, Triggers};
/// use dextape_recorder::journal::{JournalOptions, RingOptions};
/// use dextape_recorder::recording::{RecordOptions, RecordingSession};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let journal = JournalOptions::default().ring(RingOptions::of_size(1 << 20));
/// let options = RecordOptions { journal, ..RecordOptions::default() };
/// let session = RecordingSession::start(&folder.join("client.journal"), options)?;
/// let triggers: Triggers = "result:Timeout,signal:SIGUSR2".parse()?;
/// let tape = folder.join("client.tape.jsonl");
/// let flight = FlightRecorder::start(&session, &tape, triggers, FlightOptions::default())?;
///
/// session.trigger("the picture stands still");
/// session.finish();
/// assert_eq!(flight.tapes(), [folder.join("client-cut-1.tape.jsonl")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FlightRecorder {
    flight: Arc<Flight>,
}

impl FlightRecorder {
    /// Begins to watch a recording that is to become `tape`. It ends with the recording: what was triggered
    /// until [`finish`](RecordingSession::finish) is cut before that returns.
    ///
    /// # Errors
    ///
    /// [`FlightError`]; the recording goes on without.
    pub fn start(
        session: &Arc<RecordingSession>,
        tape: &Path,
        triggers: Triggers,
        options: FlightOptions,
    ) -> Result<Self, FlightError> {
        let tape = std::path::absolute(tape).unwrap_or_else(|_| tape.to_owned());
        let signals = signals::watch(triggers.signals().collect())?;
        let flight = Arc::new(Flight {
            tapes: Mutex::new(Tapes::new(&tape)),
            triggers,
            options,
            process: std::process::id(),
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            thread: Mutex::new(None),
        });
        if !session.watch(Arc::clone(&flight) as Arc<dyn Watch>) {
            return Err(FlightError::Twice);
        }
        let (own, session) = (Arc::clone(&flight), Arc::downgrade(session));
        let thread = std::thread::Builder::new().name("dextape flight".to_owned());
        let thread = thread.spawn(move || own.run(&session, signals)).map_err(|error| {
            flight.state().ended = true;
            FlightError::Thread(error)
        })?;
        *flight.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(Self { flight })
    }

    /// The tapes that were cut so far.
    #[must_use]
    pub fn tapes(&self) -> Vec<PathBuf> {
        self.flight.tapes().made().to_vec()
    }
}

/// What the recording and the thread share.
struct Flight {
    triggers: Triggers,
    options: FlightOptions,
    /// A forked child has neither the thread nor the locks that it may have held.
    process: u32,
    tapes: Mutex<Tapes>,
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    wanted: VecDeque<Wanted>,
    /// Tapes that were asked for.
    asked: u32,
    ended: bool,
}

/// A tape that is wanted.
#[derive(Debug)]
struct Wanted {
    reason: String,
    result: Option<IoReturn>,
}

impl Flight {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tapes(&self) -> MutexGuard<'_, Tapes> {
        self.tapes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    /// Takes a place among the tapes. False where there is none left; for the first one that gets none this
    /// is said.
    fn ask(&self, state: &mut State) -> bool {
        let most = self.triggers.tapes_max;
        state.asked = state.asked.saturating_add(1);
        if state.asked == most.saturating_add(1) {
            (self.options.say)(&format!(
                "{most} tapes were cut, which is as many as may be; what happens from now on is only noted"
            ));
        }
        state.asked <= most
    }

    /// Cuts one.
    fn cut(&self, session: &RecordingSession, reason: &str) {
        let mut outcome: Result<(), SealError> = Ok(());
        (self.options.within)(&mut || {
            outcome = self.tapes().make(|tape| session.cut(tape).map(drop));
        });
        if let Err(error) = outcome {
            (self.options.say)(&format!("failed to {error} (for: {reason})"));
        }
    }

    /// The thread.
    fn run(&self, session: &Weak<RecordingSession>, mut signals: Option<Watched>) {
        signals::block_all();
        loop {
            let ended = self.state().ended;
            while let Some((signal, count)) = signals.as_ref().and_then(Watched::next) {
                if let Some(session) = session.upgrade() {
                    self.signalled(&session, &format!("{signal} came"));
                }
                signals.iter_mut().for_each(|signals| signals.served(signal, count));
            }
            let mut state = self.state();
            if state.wanted.is_empty() && !state.ended {
                state = if signals.is_some() {
                    let waited = self.changed.wait_timeout(state, LOOK);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                } else {
                    self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
                };
            }
            let wanted = state.wanted.pop_front();
            drop(state);
            match (wanted, session.upgrade()) {
                (Some(wanted), Some(session)) => self.cut(&session, &wanted.reason),
                // Signals that came until the end are served, too.
                (None, Some(_)) if !ended => {}
                _ => break,
            }
        }
    }

    /// A signal has come: there is no thread of the client's that could note it.
    fn signalled(&self, session: &RecordingSession, reason: &str) {
        (self.options.within)(&mut || {
            session.note_trigger(reason);
        });
        let asked = self.ask(&mut self.state());
        if asked {
            self.cut(session, reason);
        }
    }
}

impl Watch for Flight {
    fn wants(&self, result: IoReturn) -> bool {
        if !self.triggers.is_on(result) || !self.is_here() {
            return false;
        }
        let state = self.state();
        let waits = state.wanted.iter().any(|wanted| wanted.result == Some(result));
        !waits && !state.ended && state.asked <= self.triggers.tapes_max
    }

    fn triggered(&self, session: &RecordingSession, reason: &str, result: Option<IoReturn>) {
        if !self.is_here() {
            return;
        }
        let mut state = self.state();
        if state.ended || !self.ask(&mut state) {
            return;
        }
        if session.is_simulated() {
            drop(state);
            self.cut(session, reason);
            return;
        }
        state.wanted.push_back(Wanted { reason: reason.to_owned(), result });
        drop(state);
        self.changed.notify_one();
    }

    fn ending(&self) {
        if !self.is_here() {
            return;
        }
        self.state().ended = true;
        self.changed.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The thread itself may be the last that has the recording.
        let other = thread.filter(|thread| thread.thread().id() != std::thread::current().id());
        // What it panicked with was printed.
        let _ = other.map(JoinHandle::join);
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").field("triggers", &self.triggers).finish_non_exhaustive()
    }
}
