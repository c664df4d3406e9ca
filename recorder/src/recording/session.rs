//! A recording: one journal for all systems, connections and threads of a client.

use super::calls::Calls;
use super::context::Context;
use super::lane::Lanes;
use super::numbers::Numbers;
use super::redact::Hook;
use super::reference::Marks;
use super::shared::SharedBuffers;
use super::system::RecordingSystem;
use super::{ClientPointers, LongWrites, RecordOptions, Watch};
use crate::journal::{Journal, JournalError, Record, Stamp, Status};
use crate::seal::{self, SealError, SealOptions, SealReport};
use dextape::IoReturn;
use dextape::connection::System;
use dextape::schedule::{Schedule, TimeMode};
use dextape::tape::{Capture, FORMAT_VERSION, Header, NoteSubject};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// A recording in progress. It owns the journal; every system that it wraps records into it.
///
/// The client sees the same with and without it, whatever becomes of the recording: where the journal
/// cannot go on, the tape says where it stops, and [`status`](Self::status) says why.
///
/// Where it ends without [`finish`](Self::finish), even by SIGKILL, the journal holds all that was
/// finished by then.
///
/// # Examples
///
/// ```no_run
/// use dextape::connection::{ConnectionExt, Matching, System};
/// use dextape_recorder::recording::{RecordOptions, RecordingSession};
/// use std::path::Path;
/// use std::sync::Arc;
///
/// # fn client_of(system: Arc<dyn System>) -> Result<(), Box<dyn std::error::Error>> {
/// let session = RecordingSession::start(Path::new("smc.journal"), RecordOptions::default())?;
/// let system = session.wrap(system);
///
/// let service = system.first_service(&Matching::service("AppleSMC"))?;
/// let connection = system.open(service, 0)?;
/// connection.call(0).send()?;
///
/// session.finish();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RecordingSession {
    pub(crate) journal: Journal,
    pub(crate) lanes: Lanes,
    pub(crate) numbers: Numbers,
    pub(crate) marks: Marks,
    pub(crate) hook: Hook,
    pub(crate) pointers: Option<ClientPointers>,
    pub(crate) long_writes: LongWrites,
    pub(crate) capture: Capture,
    pub(crate) calls: Mutex<Calls>,
    pub(crate) buffers: SharedBuffers,
    watch: OnceLock<Arc<dyn Watch>>,
    recording: AtomicBool,
    /// The first system's clock and what it showed when recording began.
    clock: OnceLock<(Schedule, Duration)>,
    header: Mutex<Header>,
}

impl RecordingSession {
    /// Begins a recording into a new journal.
    ///
    /// # Errors
    ///
    /// Those of [`Journal::create`].
    pub fn start(journal: &Path, options: RecordOptions) -> Result<Arc<Self>, JournalError> {
        static SESSIONS: AtomicU64 = AtomicU64::new(1);
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
        let journal = Journal::create(journal, options.journal)?;
        let redactions = options.redactor.iter().map(|redactor| redactor.name().to_owned());
        let header = Header {
            format: FORMAT_VERSION,
            recorder: concat!("dextape-recorder ", env!("CARGO_PKG_VERSION")).to_owned(),
            host: options.host,
            page_size: options.page_size,
            time: TimeMode::Free,
            seed: None,
            scenario: options.scenario,
            services: BTreeMap::new(),
            policy: options.policy,
            rules: options.rules,
            redactions: redactions.collect(),
            provenance: options.provenance.clone(),
            extra: BTreeMap::new(),
        };
        // A process that dies before it has wrapped a system leaves a tape, too.
        journal.append(Stamp::default(), &Record::Header(&header));
        Ok(Arc::new(Self {
            journal,
            lanes: Lanes::new(number),
            numbers: Numbers::new(),
            marks: Marks::new(number),
            hook: Hook(options.redactor),
            pointers: options.pointers,
            long_writes: options.long_writes,
            capture: options.capture,
            calls: Mutex::default(),
            buffers: SharedBuffers::default(),
            watch: OnceLock::new(),
            recording: AtomicBool::new(true),
            clock: OnceLock::new(),
            header: Mutex::new(header),
        }))
    }

    /// The system as the client should see it. The first system gives the tape its mode of time and
    /// its seed; time on the tape begins now.
    ///
    /// All systems of a session have one mode of time. One with the other mode is not recorded: it
    /// comes back as it is, and the tape says so in a gap.
    #[must_use]
    pub fn wrap(self: &Arc<Self>, system: Arc<dyn System>) -> Arc<dyn System> {
        let schedule = system.schedule();
        let (clock, began) = self.clock.get_or_init(|| {
            let mut header = self.header();
            (header.time, header.seed) = (schedule.mode(), schedule.seed());
            if schedule.mode() == TimeMode::Simulated {
                self.journal.be_patient();
            }
            self.journal.append(Stamp::default(), &Record::Header(&header));
            (schedule.clone(), schedule.now())
        });
        if clock.mode() != schedule.mode() {
            let reason = "a system with another mode of time was not recorded";
            self.journal.append(Stamp::default(), &Record::Gap { events: None, reason });
            return system;
        }
        // What this system's clock showed when recording began, also if it is another clock.
        let elapsed = clock.now().saturating_sub(*began);
        let began = nanoseconds(schedule.now()).wrapping_sub(nanoseconds(elapsed));
        let context = Context::new(Arc::clone(self), schedule.clone(), began);
        Arc::new(RecordingSystem::new(Arc::new(context), system))
    }

    /// Marks this place of the recording as the one that matters, for `reason`: a note in the calling
    /// thread's lane, which a replay passes over. False where it is not on the tape. Where a
    /// [`FlightRecorder`](crate::flight::FlightRecorder) watches, it has a tape cut as well.
    pub fn trigger(&self, reason: &str) -> bool {
        let noted = self.is_recording() && self.note_trigger(reason);
        if let Some(watch) = self.watch.get() {
            watch.triggered(self, reason, None);
        }
        noted
    }

    /// Notes a trigger in the calling thread's lane.
    pub(crate) fn note_trigger(&self, reason: &str) -> bool {
        let elapsed = self.clock.get().map(|(clock, began)| clock.now().saturating_sub(*began));
        let time = nanoseconds(elapsed.unwrap_or_default());
        let subject = NoteSubject::Trigger;
        let reason = &*self.hook.remark(reason);
        let noted = self.lanes.with(|lane| {
            let (number, time) = (lane.number, lane.time(time));
            let stamp = Stamp { lane: number, connection: None, cause: None, time };
            let record = Record::Note { subject, memory: None, reason };
            let token = self.journal.append(stamp, &record)?;
            lane.event(token);
            Some(token)
        });
        noted.is_some()
    }

    /// Has somebody watch. False where somebody does already.
    pub(crate) fn watch(&self, watch: Arc<dyn Watch>) -> bool {
        self.watch.set(watch).is_ok()
    }

    /// Who watches for a result.
    pub(crate) fn watch_for(&self, result: IoReturn) -> Option<&Arc<dyn Watch>> {
        self.watch.get().filter(|watch| watch.wants(result))
    }

    /// True where the recorded system runs in simulated time.
    pub(crate) fn is_simulated(&self) -> bool {
        self.clock.get().is_some_and(|(clock, _)| clock.mode() == TimeMode::Simulated)
    }

    /// Makes a tape of what is recorded so far, while the recording goes on, undisturbed. Any thread may call
    /// it, as often as it likes, and also once the recording was finished. With a ring
    /// ([`JournalOptions::ring`](crate::journal::JournalOptions::ring)) this is how a flight recorder
    /// gives out its tape; see [`cut`](crate::seal::cut) for what is on it, and what it costs.
    ///
    /// # Errors
    ///
    /// Those of [`cut`](crate::seal::cut).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use dextape_recorder::journal::{JournalOptions, RingOptions};
    /// use dextape_recorder::recording::{RecordOptions, RecordingSession};
    /// use std::path::Path;
    ///
    /// let journal = JournalOptions::default().ring("64MiB,10min".parse::<RingOptions>()?);
    /// let options = RecordOptions { journal, ..RecordOptions::default() };
    /// let session = RecordingSession::start(Path::new("flight.journal"), options)?;
    /// // ... and when something has gone wrong:
    /// session.trigger("the device no longer answers");
    /// session.cut(Path::new("flight.tape.jsonl"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cut(&self, tape: &Path) -> Result<SealReport, SealError> {
        if self.is_recording() {
            let summary = self.redactions();
            if !summary.is_empty() {
                let mut header = self.header().clone();
                header.redactions.extend(summary);
                self.journal.append(Stamp::default(), &Record::Header(&header));
            }
        }
        seal::cut(&self.journal, tape, SealOptions::default())
    }

    /// What was redacted so far, for the header.
    fn redactions(&self) -> Vec<String> {
        self.hook.0.as_ref().map(|redactor| redactor.summary()).unwrap_or_default()
    }

    fn header(&self) -> MutexGuard<'_, Header> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many calls of the client are not on the tape, which says so, with the reason.
    pub fn missed(&self, calls: u64, reason: &str) {
        if self.is_recording() {
            let lane = self.lanes.with(|lane| lane.number);
            let record = Record::Gap { events: Some(calls.saturating_mul(2)), reason };
            self.journal.append(Stamp { lane, ..Stamp::default() }, &record);
        }
    }

    /// Ends the recording. The wrapped systems go on working, unrecorded.
    pub fn finish(&self) {
        if let Some(watch) = self.watch.get() {
            watch.ending();
        }
        if self.recording.swap(false, Ordering::AcqRel) {
            let summary = self.redactions();
            if !summary.is_empty() {
                let mut header = self.header();
                header.redactions.extend(summary);
                self.journal.append(Stamp::default(), &Record::Header(&header));
            }
            self.journal.finish();
        }
    }

    /// Whether the journal still takes events, and if not, why.
    #[must_use]
    pub fn status(&self) -> Status {
        self.journal.status()
    }

    /// The journal's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.journal.path()
    }

    /// False once the recording was finished.
    pub(crate) fn is_recording(&self) -> bool {
        self.recording.load(Ordering::Relaxed)
    }
}

impl Drop for RecordingSession {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A duration in nanoseconds; 584 years and more are cut there.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
