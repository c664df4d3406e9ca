//! The journal as its writers see it.

use super::core::Core;
use super::helper::Helper;
use super::layout::{
    FORK_DEPTH_MAX, HEADER_SIZE, SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN, SegmentHeader,
};
use super::map::{Map, allocate};
use super::ring::{AHEAD_IN_RING, Geometry, Keeper, Recycler, Ring, RingHeader};
use super::slot::Ground;
use super::{JournalError, JournalOptions, Record, RingOptions, Stamp, Token, process};
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Whether a journal still takes records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Recording,
    /// It does not, and why: an error of the disk, or the journal's own limit.
    Stopped {
        /// For people; it stands in the journal's last gap, too.
        reason: String,
    },
}

/// The recorder's log: one file, appended to by any number of threads.
///
/// What [`append`](Self::append) has returned for is in the file, even if the process is killed at
/// once; only a failure of the whole machine can lose it. Nobody may shorten the file meanwhile: the next
/// append would end the program with SIGBUS. A child made by `fork` appends to a journal
/// of its own, `<name>.fork-<n>` beside this one, where `n` is the how many-th fork it was; sealing
/// puts them together.
///
/// # Examples
///
/// ```
/// use dextape_recorder::journal::{Journal, JournalOptions, JournalReader, Record, Stamp};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("client.journal");
/// let journal = Journal::create(&path, JournalOptions::default())?;
/// let open = Record::Open { service: 1, open_type: 0 };
/// let enter = journal.append(Stamp { lane: 1, ..Stamp::default() }, &open);
/// let leave = Stamp { lane: 1, connection: Some(1), cause: enter, time: 40 };
/// journal.append(leave, &Record::Opened);
///
/// assert_eq!(JournalReader::open(&path)?.count(), 2);
/// # Ok::<(), dextape_recorder::journal::JournalError>(())
/// ```
#[derive(Debug)]
pub struct Journal {
    pub(super) core: Arc<Core>,
    pub(super) path: PathBuf,
    options: JournalOptions,
    segment_size: u64,
    /// Number of the recording, which a child's journal repeats.
    recording: u64,
    pub(super) file: File,
    /// Of a ring, how its file is divided.
    pub(super) geometry: Option<Geometry>,
    helper: Option<JoinHandle<()>>,
    quit: Arc<AtomicBool>,
    /// Depth of forks of the process that made the journal, and the forks it had begun before.
    depth: u32,
    forks_before: u32,
    /// Forks that records tell of, and the state of the process that was last dealt with.
    forks_told: AtomicU32,
    changes: AtomicU32,
    /// The journals of forked children, by depth below this one. A process uses its own entry only,
    /// so that none is met half made by another process that was forked away from.
    children: Vec<Child>,
}

#[derive(Debug, Default)]
struct Child {
    claimed: AtomicBool,
    failed: AtomicBool,
    journal: OnceLock<Journal>,
}

impl Journal {
    /// Creates the file, readable by its owner only, and makes its first segments ready.
    ///
    /// # Errors
    ///
    /// `Exists` where there is a file of that name, `Io` where it cannot be made.
    pub fn create(path: &Path, options: JournalOptions) -> Result<Self, JournalError> {
        Self::start(path, options, 0, recording_number(), Vec::new())
    }

    fn start(
        path: &Path,
        options: JournalOptions,
        origin: u64,
        recording: u64,
        forks: Vec<u32>,
    ) -> Result<Self, JournalError> {
        let io = |action| {
            let path = path.to_owned();
            move |source| JournalError::Io { action, path, source }
        };
        process::watch_forks().map_err(io("watch for forks beside"))?;
        let page_size = process::page_size();
        let geometry = options.ring.as_ref().map(|ring| Geometry::of(ring, page_size));
        let segment_size = (options.segment_size.max(page_size))
            .clamp(SEGMENT_SIZE_MIN, SEGMENT_SIZE_MAX)
            .next_power_of_two();
        let segment_size = geometry.map_or(segment_size, |geometry| geometry.segment_size);
        let size = u64::from(segment_size);
        let size_max = options.size_max.max(size).next_multiple_of(size);
        let size_max = geometry.map_or(size_max, |geometry| geometry.file_size());
        let file = open_new(path)?;
        let recycler = match (&options.ring, geometry) {
            (Some(ring), Some(geometry)) => {
                let made = set_aside(&file, geometry, ring, recording, origin);
                Some(made.map_err(|source| {
                    // Nothing was recorded, so nothing is lost with the file.
                    let _ = std::fs::remove_file(path);
                    io("make room for")(source)
                })?)
            }
            _ => None,
        };
        // Of a ring all is mapped, or nothing.
        let least = if geometry.is_some() { size_max } else { size };
        let map = Map::new(&file, size_max, least).map_err(io("map"))?;
        let base = origin * size;
        let ring = geometry.map(|geometry| Ring::new(geometry.places));
        let body_max = if geometry.is_some() { size_max / 8 } else { u64::MAX };
        let ground = Ground::new(map, base, size, ring);
        let core = Arc::new(Core::new(ground, size, body_max, options.wait));
        let quit = Arc::new(AtomicBool::new(false));
        let ahead = u64::from(options.ahead.max(1));
        let ring = options.ring.as_ref().zip(geometry);
        let ring = ring.map(|(ring, geometry)| RingHeader {
            places: geometry.places,
            keep: geometry.certain(ahead),
            state_size: geometry.state_size,
            last: ring.last.map_or(0, |last| u64::try_from(last.as_nanos()).unwrap_or(u64::MAX)),
        });
        let helper = Helper {
            core: Arc::clone(&core),
            file: file.try_clone().map_err(io("open"))?,
            header: SegmentHeader {
                segment_size,
                page_size,
                number: origin,
                generation: 0,
                previous: None,
                origin,
                recording,
                forks,
                ring,
            },
            ahead: ring.map_or(ahead, |_| ahead.min(AHEAD_IN_RING)),
            kept: origin,
            size_max,
            failed: false,
            recycler,
            quit: Arc::clone(&quit),
        };
        // The first segments, too, are made by the helper: whatever signal the disk brings about is
        // not for a thread of the client.
        let thread = std::thread::Builder::new()
            .name("dextape-journal".to_owned())
            .stack_size(128 << 10)
            .spawn(move || helper.run())
            .map_err(io("start a thread for"))?;
        core.set_helper(thread.thread().clone());
        while !core.ground.frontier().is_ready(base + 1) {
            let Some(reason) = core.failure() else {
                std::thread::sleep(Duration::from_micros(20));
                continue;
            };
            let reason = reason.to_owned();
            quit.store(true, Ordering::Release);
            thread.thread().unpark();
            // It holds nothing that its panic could have left half done.
            let _ = thread.join();
            // Nothing was recorded, so nothing is lost with the file.
            let _ = std::fs::remove_file(path);
            return Err(io("make the first segment of")(io::Error::other(reason)));
        }
        Ok(Self {
            core,
            path: path.to_owned(),
            options,
            segment_size: size,
            recording,
            file,
            geometry,
            helper: Some(thread),
            quit,
            depth: process::depth(),
            forks_before: process::forks(),
            forks_told: AtomicU32::new(0),
            changes: AtomicU32::new(process::changes()),
            children: (0..FORK_DEPTH_MAX).map(|_| Child::default()).collect(),
        })
    }

    /// Appends a record from any thread, without lock, allocation or system call while the segment
    /// in use has room. When it returns, the record survives the end of the process.
    ///
    /// `None` where the record was not kept: it was dropped and counted, or recording has stopped.
    /// Nothing the caller does changes by it.
    #[inline]
    pub fn append(&self, stamp: Stamp, record: &Record<'_>) -> Option<Token> {
        if process::changes() != self.changes.load(Ordering::Relaxed) {
            return self.append_after_fork(stamp, record);
        }
        self.core.append(&stamp, record)
    }

    /// Has appends wait for the disk as long as it takes, not [`JournalOptions::wait`] only: where a
    /// simulated run is recorded, a record that a slow machine drops would change the tape.
    pub fn be_patient(&self) {
        self.core.be_patient();
    }

    /// Whether the journal still takes records.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.core.stopped() {
            Some(reason) => Status::Stopped { reason: reason.to_owned() },
            None => Status::Recording,
        }
    }

    /// Says in the journal what was dropped. Appends after this are refused. Dropping the journal
    /// does this, too, and gives back the room that was set aside.
    pub fn finish(&self) {
        if process::depth() == self.depth {
            self.tell_forks(&Stamp::default());
            self.core.finish();
        } else if let Some(child) = self.of_this_process() {
            child.finish();
        }
    }

    /// The journal that this process appends to: another one in a forked child; `None` where that child
    /// has appended nothing.
    pub(crate) fn of_this_process(&self) -> Option<&Self> {
        if process::depth() == self.depth {
            return Some(self);
        }
        self.child_entry()?.journal.get()
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[cold]
    fn append_after_fork(&self, stamp: Stamp, record: &Record<'_>) -> Option<Token> {
        if process::depth() == self.depth {
            self.changes.store(process::changes(), Ordering::Relaxed);
            self.tell_forks(&stamp);
            return self.core.append(&stamp, record);
        }
        self.child()?.append(stamp, record)
    }

    /// Writes a record for each fork that was begun since the last time.
    fn tell_forks(&self, stamp: &Stamp) {
        let begun = process::forks().wrapping_sub(self.forks_before);
        let told = self.forks_told.swap(begun, Ordering::Relaxed);
        for child in told.saturating_add(1)..=begun {
            let stamp = Stamp { lane: stamp.lane, time: stamp.time, ..Stamp::default() };
            self.core.append(&stamp, &Record::Fork { child });
        }
    }

    /// This process's entry among the children.
    fn child_entry(&self) -> Option<&Child> {
        let below = process::depth().checked_sub(self.depth)?.checked_sub(1)?;
        self.children.get(below as usize)
    }

    /// The journal of this process, which was forked from the journal's.
    fn child(&self) -> Option<&Self> {
        let entry = self.child_entry()?;
        if !entry.claimed.swap(true, Ordering::AcqRel) {
            match self.start_child() {
                // Nobody else sets it: this thread has claimed the entry.
                Some(journal) => drop(entry.journal.set(journal)),
                None => entry.failed.store(true, Ordering::Release),
            }
        }
        let start = Instant::now();
        loop {
            if let Some(journal) = entry.journal.get() {
                return Some(journal);
            }
            if entry.failed.load(Ordering::Acquire) || start.elapsed() >= self.options.wait {
                return None;
            }
            std::thread::yield_now();
        }
    }

    fn start_child(&self) -> Option<Self> {
        let mut forks = process::path_from(self.depth)?;
        if let Some(first) = forks.first_mut() {
            *first = first.wrapping_sub(self.forks_before);
        }
        let mut name = self.path.clone().into_os_string();
        for ordinal in &forks {
            name.push(format!(".fork-{ordinal}"));
        }
        // Beyond every segment in which a record can be that this process has a token of.
        let ancestors = self.children.iter().filter_map(|child| child.journal.get());
        let origin = std::iter::once(self)
            .chain(ancestors)
            .map(|journal| journal.core.ground.frontier().head() / self.segment_size)
            .max()?
            + 1;
        let path = PathBuf::from(name);
        Self::start(&path, self.options.clone(), origin, self.recording, forks).ok()
    }

    /// Reserves room for a record and leaves it unfinished, with its length published or not: what
    /// a process leaves that is killed at that moment. For tests.
    #[doc(hidden)]
    pub fn leave_hole(&self, stamp: Stamp, body: u64, published: bool) {
        self.core.leave_hole(&stamp, body, published);
    }

    /// Has the helper sleep so long before it looks for work, as on a busy machine. For tests.
    #[doc(hidden)]
    pub fn make_helper_drowsy(&self, sleep: Duration) {
        let micros = u32::try_from(sleep.as_micros()).unwrap_or(u32::MAX);
        self.core.drowsy.store(micros, Ordering::Relaxed);
    }

    /// Bytes of a record that are left in the segment in use. For benchmarks.
    #[doc(hidden)]
    #[must_use]
    pub fn room_in_segment(&self) -> u64 {
        let head = self.core.ground.frontier().head();
        let warm = self.core.prepared.load(Ordering::Acquire).saturating_sub(head);
        warm.min(self.segment_size - head % self.segment_size)
    }

    /// Cuts what was set aside and not used off the file.
    fn trim(&self) {
        let ground = &self.core.ground;
        if self.core.stopped().is_some() || ground.ring().is_some() {
            return;
        }
        let used = ground.frontier().head().min(self.core.prepared.load(Ordering::Acquire));
        let place = ground.place(used);
        let in_segment = place % self.segment_size;
        let first = place < self.segment_size;
        let end =
            if in_segment <= HEADER_SIZE as u64 && !first { place - in_segment } else { place };
        // Where it fails the file is longer than it need be, and reads the same.
        let _ = self.file.set_len(end.max(HEADER_SIZE as u64));
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let Some(helper) = self.helper.take() else { return };
        if process::depth() != self.depth {
            // The helper and the file are the parent's.
            std::mem::forget(helper);
            return;
        }
        self.finish();
        self.quit.store(true, Ordering::Release);
        helper.thread().unpark();
        // It holds nothing that its panic could have left half done.
        let _ = helper.join();
        self.trim();
    }
}

/// Makes room for all of a ring, so that no full disk is met later.
fn set_aside(
    file: &File,
    geometry: Geometry,
    ring: &RingOptions,
    recording: u64,
    origin: u64,
) -> io::Result<Recycler> {
    allocate(file, 0, geometry.file_size())?;
    Recycler::new(geometry, Keeper::new(Geometry::limits(ring)), recording, origin, file)
}

fn open_new(path: &Path) -> Result<File, JournalError> {
    let opened = File::options().read(true).write(true).create_new(true).mode(0o600).open(path);
    let locked = opened.inspect(|file| {
        // It says that somebody writes here. Where there are no locks, nobody asks for it in vain.
        let _no_locks_here = file.try_lock();
    });
    locked.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => JournalError::Exists { path: path.to_owned() },
        _ => JournalError::Io { action: "create", path: path.to_owned(), source },
    })
}

/// A number that no other recording of this machine has, so that a child's journal is not taken for
/// one of another recording's. It does not reach the tape.
fn recording_number() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&std::process::id().to_le_bytes());
    (now.as_nanos() as u64) << 32 ^ now.as_nanos() as u64 ^ u64::from(hasher.finalize())
}
