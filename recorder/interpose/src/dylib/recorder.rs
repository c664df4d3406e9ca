//! The recording in progress: what was asked for, when it begins, and how it ends.

use super::client;
use super::edge::Inside;
use super::pages::{At, Shown};
use super::port::Ports;
use super::system::Originals;
use super::watch;
use crate::gate;
use crate::numbers::Numbers;
use dextape::call::MemoryId;
use dextape::connection::{Connection, System};
use dextape::protocol::Protocol;
use dextape::tape::Capture;
use dextape_recorder::flight::{FlightOptions, FlightRecorder, Triggers};
use dextape_recorder::iokit;
use dextape_recorder::journal::{JournalOptions, RingOptions};
use dextape_recorder::program::{Begun, begin};
use dextape_recorder::recording::{
    Annotations, ClientPointers, PolicyRedactor, RecordOptions, RecordingSession, Redactor,
};
use dextape_recorder::seal::{SealOptions, seal};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

/// A recording.
pub(super) struct Recorder {
    session: Arc<RecordingSession>,
    tape: PathBuf,
    /// The process that seals the tape; a forked child leaves its journal to it.
    process: u32,
    pub(super) originals: Arc<Originals>,
    /// The originals, recorded.
    pub(super) system: Arc<dyn System>,
    opened: RwLock<HashMap<u32, Arc<Open>>>,
    pub(super) ports: Ports,
    numbers: Mutex<Numbers>,
    memories: Mutex<Memories>,
}

/// What is mapped where. The same address is the same memory (F11, F14) until it is unmapped.
#[derive(Default)]
struct Memories {
    by_address: HashMap<u64, MemoryId>,
    last: u64,
}

/// An open connection, by its name in the program.
pub(super) struct Open {
    pub(super) connection: Box<dyn Connection>,
    pub(super) shown: Shown,
}

/// What is to be recorded, or is.
enum State {
    /// Nothing.
    Idle,
    /// Once the program asks for something; as a flight recorder in place of what the environment says.
    Asked(PathBuf, Option<Flying>),
    Running(Arc<Recorder>),
}

static STATE: RwLock<State> = RwLock::new(State::Idle);
/// False where the state is idle: then a replacement costs one load.
static WANTED: AtomicBool = AtomicBool::new(false);

/// The protocol description that says which values in calls are handles and pointers.
static ANNOTATIONS: OnceLock<PathBuf> = OnceLock::new();

/// Has recordings follow a protocol description.
pub(super) fn annotated_by(path: PathBuf) {
    // The library is loaded once.
    let _ = ANNOTATIONS.set(path);
}

fn annotations() -> Result<Option<Arc<Annotations>>, String> {
    let Some(path) = ANNOTATIONS.get() else { return Ok(None) };
    let protocol =
        Protocol::read(path).map_err(|error| format!("read {}: {error}", path.display()))?;
    Ok(Some(Arc::new(Annotations::new(&protocol))))
}

/// The policy that says what must not be recorded.
static REDACT: OnceLock<PathBuf> = OnceLock::new();

/// Has recordings follow a redaction policy.
pub(super) fn redacted_by(path: PathBuf) {
    // The library is loaded once.
    let _ = REDACT.set(path);
}

fn redactor() -> Result<Option<Arc<dyn Redactor>>, String> {
    let Some(path) = REDACT.get() else { return Ok(None) };
    let redactor = PolicyRedactor::read(path).map_err(|error| error.to_string())?;
    Ok(Some(Arc::new(redactor)))
}

/// What a flight recorder is told, as text.
#[derive(Clone, Debug, Default)]
pub(super) struct Flying {
    /// What is kept.
    pub(super) ring: Option<String>,
    /// What has tapes cut.
    pub(super) triggers: Option<String>,
}

impl Flying {
    /// As it is meant.
    fn read(&self) -> Result<(Option<RingOptions>, Option<Triggers>), String> {
        let ring = self.ring.as_deref().map(str::parse::<RingOptions>).transpose();
        let triggers = self.triggers.as_deref().map(str::parse::<Triggers>).transpose();
        let ring = ring.map_err(|error| format!("failed to {error}"))?;
        Ok((ring, triggers.map_err(|error| format!("failed to {error}"))?))
    }
}

/// What the environment says of flight recorders.
static FLYING: OnceLock<Flying> = OnceLock::new();

/// Has recordings be those of a flight recorder.
pub(super) fn flying(ring: Option<String>, triggers: Option<String>) {
    // The library is loaded once.
    let _ = FLYING.set(Flying { ring, triggers });
}

/// Has the recording begin with the program's next call.
pub(super) fn ask(tape: PathBuf, flying: Option<Flying>) {
    *STATE.write().unwrap_or_else(PoisonError::into_inner) = State::Asked(tape, flying);
    WANTED.store(true, Ordering::Release);
}

/// The recording, begun now if it was only asked for.
pub(super) fn current() -> Option<Arc<Recorder>> {
    if !WANTED.load(Ordering::Acquire) {
        return None;
    }
    match &*STATE.read().unwrap_or_else(PoisonError::into_inner) {
        State::Running(recorder) => return Some(Arc::clone(recorder)),
        State::Idle => return None,
        State::Asked(..) => {}
    }
    let mut state = STATE.write().unwrap_or_else(PoisonError::into_inner);
    if let State::Asked(tape, flying) = &*state {
        match Recorder::start(tape, flying.as_ref()) {
            Ok(recorder) => *state = State::Running(Arc::new(recorder)),
            Err(error) => {
                say(&format!("failed to record {}: {error}", tape.display()));
                *state = State::Idle;
                WANTED.store(false, Ordering::Release);
            }
        }
    }
    match &*state {
        State::Running(recorder) => Some(Arc::clone(recorder)),
        _ => None,
    }
}

/// Looks at all mapped memory where no sync point is at it: true where something had changed; `None` where
/// nothing is recorded any more.
pub(super) fn try_look_all() -> Option<bool> {
    let recorder = match &*STATE.read().unwrap_or_else(PoisonError::into_inner) {
        State::Running(recorder) => Arc::clone(recorder),
        State::Idle | State::Asked(..) => return None,
    };
    let changed = recorder.all().iter().filter(|open| open.shown.try_look()).count();
    Some(changed > 0)
}

/// Begins a recording now. False where one is running or it cannot begin.
pub(super) fn start(tape: PathBuf, flying: Option<Flying>) -> bool {
    let _open = gate::enter();
    if let State::Running(_) = &*STATE.read().unwrap_or_else(PoisonError::into_inner) {
        return false;
    }
    ask(tape, flying);
    current().is_some()
}

/// Ends the recording and seals its tape. False where there is none, or that fails.
pub(super) fn stop() -> bool {
    let stopped = {
        // Sealing takes its time, and no fork has to wait for it: a child finds nothing recorded.
        let _open = gate::enter();
        let mut state = STATE.write().unwrap_or_else(PoisonError::into_inner);
        WANTED.store(false, Ordering::Release);
        std::mem::replace(&mut *state, State::Idle)
    };
    let State::Running(recorder) = stopped else { return false };
    recorder.finish()
}

impl Recorder {
    fn start(tape: &Path, flying: Option<&Flying>) -> Result<Self, String> {
        let flying = flying.or_else(|| FLYING.get()).cloned().unwrap_or_default();
        let (ring, triggers) = flying.read()?;
        let annotations = annotations()?;
        let redactor = redactor()?;
        let options = || RecordOptions {
            rules: annotations.as_ref().map_or_else(Vec::new, |it| it.rules().to_vec()),
            pointers: annotations
                .as_ref()
                .map(|it| ClientPointers::new(Arc::clone(it), Arc::new(client::Space))),
            host: iokit::this_host(),
            page_size: iokit::this_page_size(),
            capture: Capture::SyncPoints,
            redactor: redactor.clone(),
            journal: JournalOptions { ring: ring.clone(), ..JournalOptions::default() },
            ..RecordOptions::default()
        };
        let process = std::process::id();
        let begun = begin(tape, options).map_err(|error| error.to_string())?;
        let Begun { session, tape, notes } = begun;
        notes.iter().for_each(|note| say(note));
        let flies = ring.is_some() || triggers.is_some();
        if flies {
            let options = FlightOptions { say, within };
            let started =
                FlightRecorder::start(&session, &tape, triggers.unwrap_or_default(), options);
            if let Err(error) = started {
                say(&format!("failed to {error}; so nothing has a tape cut"));
            }
        }
        watch::recording_in(process, flies);
        let originals = Originals::new();
        let system = session.wrap(Arc::clone(&originals) as Arc<dyn System>);
        Ok(Self {
            session,
            tape,
            process,
            originals,
            system,
            opened: RwLock::default(),
            ports: Ports::default(),
            numbers: Mutex::default(),
            memories: Mutex::default(),
        })
    }

    fn finish(&self) -> bool {
        self.session.finish();
        if self.process != std::process::id() {
            return true;
        }
        let (journal, tape) = (self.session.path(), self.tape.display());
        match seal(journal, &self.tape, SealOptions::default()) {
            Ok(_) => fs_err::remove_file(journal).is_ok(),
            Err(error) => {
                let journal = journal.display();
                let again = format!("`cargo xtask recover {journal}` tries again");
                say(&format!("failed to seal {tape}: {error}\n{again}"));
                false
            }
        }
    }

    /// The connection with this name, if it is recorded.
    pub(super) fn open(&self, name: u32) -> Option<Arc<Open>> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()
    }

    /// A connection was opened and has this name now.
    pub(super) fn opened(&self, name: u32, connection: Box<dyn Connection>) {
        let open = Arc::new(Open { connection, shown: Shown::default() });
        self.opened.write().unwrap_or_else(PoisonError::into_inner).insert(name, open);
    }

    /// The name stands for the connection no longer, and its mappings are gone (F23).
    pub(super) fn closed(&self, name: u32) {
        let gone = self.opened.write().unwrap_or_else(PoisonError::into_inner).remove(&name);
        for address in gone.iter().flat_map(|open| open.shown.addresses()) {
            self.unmapped(address);
        }
    }

    /// The memory that is mapped at `address`, and whether it was not known there.
    pub(super) fn memory_at(&self, address: u64) -> (MemoryId, bool) {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let Memories { by_address, last } = &mut *memories;
        let before = *last;
        let memory = *by_address.entry(address).or_insert_with(|| {
            *last += 1;
            MemoryId(*last)
        });
        (memory, *last != before)
    }

    /// What is mapped at `address` next is another memory.
    pub(super) fn unmapped(&self, address: u64) {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.by_address.remove(&address);
    }

    /// A sync point of all connections.
    pub(super) fn look_all(&self) {
        self.all().iter().for_each(|open| open.shown.look(At::Running));
    }

    /// The connections, in the order of their names.
    fn all(&self) -> Vec<Arc<Open>> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = opened.iter().map(|(name, open)| (*name, Arc::clone(open))).collect();
        drop(opened);
        all.sort_by_key(|(name, _)| *name);
        all.into_iter().map(|(_, open)| open).collect()
    }

    /// Calls of the program are not on the tape.
    pub(super) fn missed(&self, calls: u64) {
        let reason = "calls that a signal handler made while its thread was in another call";
        self.session.missed(calls, reason);
    }

    /// Marks this place of the recording.
    pub(super) fn trigger(&self, reason: &str) -> bool {
        self.session.trigger(reason)
    }

    pub(super) fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("tape", &self.tape).finish_non_exhaustive()
    }
}

/// What the thread that cuts tapes does is the recorder's own, and a fork waits for it.
fn within(work: &mut dyn FnMut()) {
    let Some(_inside) = Inside::enter() else { return };
    let _open = gate::enter();
    work();
}

/// Tells the person who records. Where stderr is closed nobody is told.
pub(super) fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "dextape: {text}");
}
