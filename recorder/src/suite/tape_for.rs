//! The tape of one test.

use super::{Date, EXPIRES, MODE, Mode, TapeForError, USED, expiry, used};
use crate::iokit::IoKitSystem;
use crate::recording::{RecordOptions, RecordingSession};
use crate::seal::{SealOptions, seal};
use dextape::connection::System;
use dextape::replay::{ReplayOptions, ReplayReport, Replayer};
use dextape::schedule::{Schedule, TimeMode};
use dextape::tape::Tape;
use std::fmt;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Makes the system that is recorded.
type Source = dyn Fn(&Schedule) -> Arc<dyn System> + Send + Sync;

/// The tape of one test, played or recorded as `DEXTAPE_MODE` says for the whole run.
///
/// Tests may run at the same time, as threads or as processes, and also ask for the same tape: it is
/// recorded by one of them, and appears whole or not at all.
///
/// # Examples
///
/// ```
/// use dextape::connection::{Matching, System};
/// use dextape_recorder::suite::TapeFor;
/// # use dextape::tape::{Body, Event, Header, Tape};
/// # let folder = tempfile::tempdir()?;
/// # let looked = Body::Matched { matching: Matching::service("AppleSMC"), outcome: Ok(vec![1]) };
/// # let path = folder.path().join("finds_the_smc.tape.jsonl");
/// # Tape::new(Header::mock(), vec![Event::new(1, 1, 1, looked)]).write(&path)?;
///
/// fn client(system: &dyn System) -> usize {
///     system.matching_services(&Matching::service("AppleSMC")).map_or(0, |found| found.len())
/// }
///
/// // In a suite: TapeFor::new("tests/tapes/finds_the_smc.tape.jsonl")
/// let ran = TapeFor::new(&path).run(|system| client(&**system))?;
/// assert_eq!(ran.result, 1);
/// assert!(!ran.is_recorded);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TapeFor {
    path: PathBuf,
    options: ReplayOptions,
    record: RecordOptions,
    expires: Option<Date>,
    source: Option<(Arc<Source>, Option<u64>)>,
    mode: Option<Mode>,
}

/// What came of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ran<R> {
    /// What the client gave.
    pub result: R,
    /// True where it was recorded, false where its tape was played.
    pub is_recorded: bool,
    /// What of the tape was used, where it was played. Events that were not are told on stderr, too.
    pub report: Option<ReplayReport>,
}

impl TapeFor {
    /// The tape at this place.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            options: ReplayOptions::default(),
            record: RecordOptions::default(),
            expires: None,
            source: None,
            mode: None,
        }
    }

    /// How it is matched when it is played.
    #[must_use]
    pub fn replayed(mut self, options: ReplayOptions) -> Self {
        self.options = options;
        self
    }

    /// What is told to the recorder. Host and page size are those of the Mac where one is recorded.
    #[must_use]
    pub fn recorded(mut self, options: RecordOptions) -> Self {
        self.record = options;
        self
    }

    /// The last day on which a new recording is to be trusted: it goes into the tape's header, and after it
    /// each run of the test warns, as does `cargo xtask tapes`.
    #[must_use]
    pub fn expires(mut self, last: Date) -> Self {
        self.expires = Some(last);
        self
    }

    /// What is recorded instead of this Mac, such as a mock: in simulated time with a seed, else in free
    /// time. It needs no feature.
    #[must_use]
    pub fn of_system(
        mut self,
        seed: Option<u64>,
        source: impl Fn(&Schedule) -> Arc<dyn System> + Send + Sync + 'static,
    ) -> Self {
        self.source = Some((Arc::new(source), seed));
        self
    }

    /// Sets the mode for this test, whatever the environment says.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Runs a client with its tape. It may be run a second time, where it does what the tape does not hold
    /// and that is to be recorded.
    ///
    /// # Errors
    ///
    /// [`TapeForError`] where the tape is missing or broken, and where the mode asks for a device that this
    /// build cannot reach.
    ///
    /// # Panics
    ///
    /// Where the client does; also where it does what the tape does not hold, with the report.
    pub fn run<R>(&self, client: impl Fn(&Arc<dyn System>) -> R) -> Result<Ran<R>, TapeForError> {
        let mode = match self.mode {
            Some(mode) => mode,
            None => Mode::of(std::env::var_os(MODE))?,
        };
        // That it cannot be recorded is said whether or not it would have been.
        let mac = match (mode, &self.source) {
            (Mode::None, _) | (_, Some(_)) => None,
            (_, None) => Some(IoKitSystem::open()?),
        };
        if let Some(folder) = std::env::var_os(USED).filter(|folder| !folder.is_empty()) {
            used::note(Path::new(&folder), &self.path)?;
        }
        if mode == Mode::None {
            return match self.path.is_file() {
                true => self.play(&client),
                false => Err(TapeForError::Missing(self.path.clone())),
            };
        }
        if let Some(folder) = self.path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let _lock = self.lock()?;
        if mode != Mode::All && self.path.is_file() {
            if mode == Mode::Once {
                return self.play(&client);
            }
            match catch_unwind(AssertUnwindSafe(|| self.play(&client))) {
                Ok(played) => return played,
                Err(panic) if !is_divergence(&*panic) => resume_unwind(panic),
                Err(_) => eprintln!("note: {} is recorded anew", self.path.display()),
            }
        }
        self.record(mac, &client)
    }

    /// Waits until nobody else records this tape.
    fn lock(&self) -> Result<File, TapeForError> {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let lock = self.path.with_file_name(format!(".{}.lock", name.unwrap_or_default()));
        let file = fs_err::OpenOptions::new().create(true).append(true).open(lock)?;
        let (file, _) = file.into_parts();
        file.lock()?;
        Ok(file)
    }

    fn play<R>(&self, client: &impl Fn(&Arc<dyn System>) -> R) -> Result<Ran<R>, TapeForError> {
        let tape = Arc::new(Tape::read(&self.path)?);
        let shown = self.path.display();
        if let Some(last) = expiry(tape.header())?.filter(|last| Date::today() > *last) {
            eprintln!(
                "warning: {shown} expired on {last}: record it anew with {MODE}=all, on a Mac"
            );
        }
        let (time, seed) = (tape.header().time, tape.header().seed);
        let replayer = Replayer::new(tape, self.options.clone())?;
        let run = |schedule: &Schedule| client(&replayer.system(schedule));
        let result = match time {
            TimeMode::Simulated => Schedule::simulate(seed.unwrap_or_default(), run),
            TimeMode::Free => run(&Schedule::free()),
        };
        // A client that swallowed the panic of a divergence is told again.
        let report = replayer.finish().unwrap_or_else(|divergence| panic!("{divergence}"));
        if !report.is_complete() || !report.unread_patches.is_empty() {
            eprintln!("warning: {shown}: {report}");
        }
        Ok(Ran { result, is_recorded: false, report: Some(report) })
    }

    fn record<R>(
        &self,
        mac: Option<Arc<IoKitSystem>>,
        client: &impl Fn(&Arc<dyn System>) -> R,
    ) -> Result<Ran<R>, TapeForError> {
        let folder = tempfile_beside(&self.path)?;
        let journal = folder.0.join("journal");
        let mut options = self.record.clone();
        if let Some(mac) = &mac {
            options.host = mac.host();
            options.page_size = mac.page_size();
        }
        let session = RecordingSession::start(&journal, options)?;
        let run = |system: Arc<dyn System>| client(&session.wrap(system));
        let result = match (&self.source, mac) {
            (Some((source, Some(seed))), _) => {
                Schedule::simulate(*seed, |schedule| run(source(schedule)))
            }
            (Some((source, None)), _) => run(source(&Schedule::free())),
            (None, Some(mac)) => run(mac),
            (None, None) => run(IoKitSystem::open()?),
        };
        session.finish();
        let sealed = folder.0.join("sealed.tape.jsonl");
        seal(&journal, &sealed, SealOptions::default())?;
        let mut tape = Tape::read(&sealed)?;
        if let Some(finding) = tape.validate().findings.first() {
            let (path, finding) = (self.path.clone(), finding.to_string());
            return Err(TapeForError::Invalid { path, finding });
        }
        if let Some(last) = self.expires {
            tape.header_mut().extra.insert(EXPIRES.to_owned(), last.to_string().into());
        }
        // It appears whole, or not at all.
        tape.write(&self.path)?;
        Ok(Ran { result, is_recorded: true, report: None })
    }
}

impl fmt::Debug for TapeFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapeFor")
            .field("path", &self.path)
            .field("mode", &self.mode)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// A folder for a recording, removed with all that is in it.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // What cannot be removed is left behind; nothing hangs on it.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder beside the tape, for this process and thread alone: the lock is held.
fn tempfile_beside(tape: &Path) -> Result<Beside, TapeForError> {
    let name = tape.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = tape.with_file_name(format!(".{name}.{}", std::process::id()));
    fs_err::create_dir_all(&folder)?;
    Ok(Beside(folder))
}

/// Whether a panic is the report of a replay that diverged.
fn is_divergence(panic: &(dyn std::any::Any + Send)) -> bool {
    let text = panic.downcast_ref::<String>().map_or("", String::as_str);
    text.contains("replay diverged (")
}
