//! A second account of whose the changes of raw memory are.
//!
//! A client thread writes a mapping by a raw pointer and a dext thread writes it, too, at random places and
//! widths, often the same ones; a third looks at it at random moments. Each byte tells its writer: the
//! client's are odd, the dext's even and not zero, and each is in its writer's log before it is written. So
//! whatever is said of a byte can be held against what is true. A share may be of unknown author; none may
//! be attributed wrong.
//!
//! By notes: the writes of a mock's dext are noted. By order: nothing is noted, as where the dext is in
//! another process, and the dext's is what changes while the client does not run.

mod system;

use dextape::call::{MapOptions, ServiceId};
use dextape::memory::{
    AccessError, Author, Backing, Comparison, Found, Memory, RawReach, ScanSource, Sight, Update,
    Width, WriteNotes,
};
use dextape::schedule::{Generator, Schedule};
use dextape::tape::{Body, Payload, Tape, validate};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use system::OneMemory;

/// Three parts of a comparison and something.
const SIZE: u64 = 200 << 10;

/// Where most of the writes go, so that both write the same bytes between two looks.
const HOT: u64 = 256;

/// Looks: a sample, or what the full proof asks for.
fn looks() -> u64 {
    std::env::var("DEXTAPE_RAW_ATTRIBUTION").ok().and_then(|it| it.parse().ok()).unwrap_or(300)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Client,
    Dext,
}

impl Writer {
    fn of(byte: u8) -> Self {
        if byte & 1 == 1 { Self::Client } else { Self::Dext }
    }

    fn byte(self, random: &mut Generator) -> u8 {
        let even = (random.next_u64() as u8) & 0xfe;
        if self == Self::Client { even | 1 } else { even.max(2) }
    }
}

/// Which values each byte was ever given.
struct Log(Vec<[AtomicU64; 4]>);

impl Log {
    fn new() -> Self {
        Self((0..SIZE).map(|_| [const { AtomicU64::new(0) }; 4]).collect())
    }

    fn add(&self, offset: u64, bytes: &[u8]) {
        for (words, byte) in self.0[offset as usize..].iter().zip(bytes) {
            words[usize::from(byte / 64)].fetch_or(1 << (byte % 64), Ordering::SeqCst);
        }
    }

    fn holds(&self, offset: u64, byte: u8) -> bool {
        let word = self.0[offset as usize][usize::from(byte / 64)].load(Ordering::SeqCst);
        word >> (byte % 64) & 1 == 1
    }
}

/// What was said of the bytes that changed.
#[derive(Debug, Default)]
struct Shares {
    right: [AtomicU64; 2],
    wrong: AtomicU64,
    unknown: AtomicU64,
    invented: AtomicU64,
}

impl Shares {
    fn get(number: &AtomicU64) -> u64 {
        number.load(Ordering::SeqCst)
    }

    fn print(&self, how: &str, looks: u64) {
        let [client, dext] = self.right.each_ref().map(Self::get);
        let (wrong, unknown) = (Self::get(&self.wrong), Self::get(&self.unknown));
        let all = (client + dext + wrong + unknown).max(1);
        let share = |part: u64| part as f64 * 100.0 / all as f64;
        println!(
            "figures: raw memory, {how}: {all} changed bytes in {looks} looks: attributed right {:.2} % \
             (client {:.2} %, dext {:.2} %), wrong {wrong}, unknown {:.2} %",
            share(client + dext),
            share(client),
            share(dext),
            share(unknown)
        );
    }
}

/// Counts what the recorder is told, and passes it on.
struct Spy {
    recorded: Arc<dyn Memory>,
    backing: Arc<Backing>,
    noted: bool,
    log: Arc<Log>,
    shares: Shares,
}

impl fmt::Debug for Spy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spy").finish_non_exhaustive()
    }
}

impl Memory for Spy {
    fn size(&self) -> u64 {
        SIZE
    }

    fn note_writes(&self) -> Option<WriteNotes> {
        if self.noted { self.backing.note_writes() } else { None }
    }

    fn found(&self, found: Found<'_>) {
        if let Found::Changed { offset, bytes, author } = found {
            for (at, byte) in (offset..).zip(bytes) {
                if !self.log.holds(at, *byte) {
                    self.shares.invented.fetch_add(1, Ordering::SeqCst);
                }
                let truth = Writer::of(*byte);
                let count = match (author, truth) {
                    (Author::Client, Writer::Client) => &self.shares.right[0],
                    (Author::Dext, Writer::Dext) => &self.shares.right[1],
                    (Author::Unknown, _) => &self.shares.unknown,
                    _ => &self.shares.wrong,
                };
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
        self.recorded.found(found);
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        self.backing.load_word(offset, width)
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        self.backing.store_word(offset, width, value)
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        self.backing.update_word(offset, width, update)
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.backing.copy_out(offset, into)
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.backing.copy_in(offset, bytes)
    }
}

struct Source<'a>(&'a Backing);

impl ScanSource for Source<'_> {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        self.0.copy_out(offset, into).is_ok()
    }
}

/// Ends the writers, also where the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Stage {
    backing: Arc<Backing>,
    log: Arc<Log>,
    session: Arc<RecordingSession>,
    folder: tempfile::TempDir,
    spy: Arc<Spy>,
    /// Looks that have been made.
    looked: AtomicU64,
}

/// Writes of each thread between two looks, so that a tape stays small however fast the machine writes.
const WRITES: u64 = 40;

impl Stage {
    /// Writes until it is to stop.
    fn pace(&self, stop: &AtomicBool, mut write: impl FnMut()) {
        let mut written = 0;
        while !stop.load(Ordering::Relaxed) {
            if written < (self.looked.load(Ordering::Relaxed) + 1) * WRITES {
                write();
                written += 1;
            } else {
                std::thread::yield_now();
            }
        }
    }

    fn new(noted: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backing = Backing::new(SIZE);
        let log = Arc::new(Log::new());
        // What is there at first is the dext's.
        log.add(0, &vec![0; SIZE as usize]);
        let journal = folder.path().join("t.journal");
        let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
        let memory = Arc::clone(&backing) as Arc<dyn Memory>;
        let system = session.wrap(Arc::new(OneMemory { schedule: Schedule::free(), memory }));
        let connection = system.open(ServiceId(1), 0).unwrap();
        let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        let recorded = Arc::clone(mapping.memory());
        assert!(matches!(recorded.raw_reach(), RawReach::At(view) if view.is_watched()));
        let shares = Shares::default();
        let (spied, logged) = (Arc::clone(&backing), Arc::clone(&log));
        let spy = Arc::new(Spy { recorded, backing: spied, noted, log: logged, shares });
        std::mem::forget(connection);
        Self { backing, log, session, folder, spy, looked: AtomicU64::new(0) }
    }

    fn place(random: &mut Generator, length: u64) -> u64 {
        let hot = !random.next_u64().is_multiple_of(4);
        random.next_u64() % (if hot { HOT } else { SIZE - length })
    }

    /// As a compiled client does it: single accesses by a pointer.
    fn client_writes(&self, random: &mut Generator) {
        let length = 1 + random.next_u64() % 16;
        let at = Self::place(random, length);
        let bytes: Vec<u8> = (0..length).map(|_| Writer::Client.byte(random)).collect();
        self.log.add(at, &bytes);
        for (index, byte) in bytes.iter().enumerate() {
            let place = (self.backing.address() + at) as usize + index;
            let place = std::ptr::with_exposed_provenance_mut::<u8>(place);
            // SAFETY: inside the backing, which `self` holds; it is reached by atomic accesses only.
            unsafe { AtomicU8::from_ptr(place) }.store(*byte, Ordering::SeqCst);
        }
    }

    fn dext_writes(&self, random: &mut Generator) {
        let width = [Width::One, Width::Two, Width::Four, Width::Eight];
        let width = width[random.next_u64() as usize % 4];
        let word: Vec<u8> = (0..8).map(|_| Writer::Dext.byte(random)).collect();
        let value = u64::from_le_bytes(word[..].try_into().unwrap());
        let length = width.bytes() as usize;
        let at = Self::place(random, 64) / 8 * 8;
        match random.next_u64() % 3 {
            0 => {
                self.log.add(at, &word[..length]);
                self.backing.store_word(at, width, value).unwrap();
            }
            1 => {
                self.log.add(at, &word[..length]);
                self.backing.update_word(at, width, Update::Swap(value)).unwrap();
            }
            _ => {
                let bytes: Vec<u8> = (0..48).map(|_| Writer::Dext.byte(random)).collect();
                self.log.add(at + 3, &bytes);
                self.backing.copy_in(at + 3, &bytes).unwrap();
            }
        }
    }

    fn look(&self, comparison: &mut Comparison, quiet: Option<u64>, lasts: bool) {
        let sight = Sight { quiet, lasts: &mut || lasts, whole: false, time: &mut || true };
        let compared = comparison.look(&*self.spy, &mut Source(&self.backing), sight);
        self.looked.fetch_add(1, Ordering::Relaxed);
        assert!(compared.there && compared.uncaptured.is_none());
    }

    /// The tape says the same of the bytes, and nothing of the client's own.
    fn finish(self, how: &str, looks: u64) -> Shares {
        self.session.finish();
        let (journal, tape) = (self.session.path(), self.folder.path().join("t.tape.jsonl"));
        seal(journal, &tape, SealOptions::default()).unwrap();
        let validation = validate(&tape).unwrap();
        assert!(validation.is_valid(), "{validation:?}");
        let mut tape = Tape::read(&tape).unwrap();
        tape.inline_blobs().unwrap();
        let mut patches = 0;
        for event in tape.events() {
            assert!(!matches!(event.body, Body::Gap { .. }), "{event:?}");
            let Body::Patch { data: Payload::Bytes(bytes), unattributed, .. } = &event.body else {
                continue;
            };
            patches += 1;
            let of_dext = bytes.iter().all(|byte| Writer::of(*byte) == Writer::Dext);
            assert!(*unattributed || of_dext, "{event:?}");
        }
        assert!(patches > 0);
        let shares = Arc::into_inner(self.spy).unwrap().shares;
        shares.print(how, looks);
        assert_eq!(Shares::get(&shares.wrong), 0, "{how}");
        assert_eq!(Shares::get(&shares.invented), 0, "{how}: bytes that nobody had written");
        shares
    }
}

#[test]
fn by_notes() {
    let stage = Stage::new(true);
    let stop = AtomicBool::new(false);
    let begin = Barrier::new(3);
    let comparison = Mutex::new(None);
    std::thread::scope(|scope| {
        let (stage, stop, begin) = (&stage, &stop, &begin);
        scope.spawn(move || {
            let mut random = Generator::new(1);
            begin.wait();
            stage.pace(stop, || stage.client_writes(&mut random));
        });
        scope.spawn(move || {
            let mut random = Generator::new(2);
            // The dext writes from the start on, also while its memory begins to be watched.
            begin.wait();
            stage.pace(stop, || stage.dext_writes(&mut random));
        });
        // Nothing is fresh: the client writes before the first look.
        let ends = Stop(stop);
        let mut watched = Comparison::begin(&*stage.spy, false, false).unwrap();
        begin.wait();
        let mut random = Generator::new(3);
        for _ in 0..looks() {
            stage.look(&mut watched, None, false);
            for _ in 0..random.next_u64() % 64 {
                std::thread::yield_now();
            }
        }
        drop(ends);
        *comparison.lock().unwrap() = Some(watched);
    });
    // When all is quiet the view is the memory.
    let mut watched = comparison.into_inner().unwrap().unwrap();
    stage.look(&mut watched, None, false);
    stage.look(&mut watched, None, false);
    let shares = stage.finish("by notes", looks());
    let [client, dext] = shares.right.each_ref().map(Shares::get);
    let unknown = Shares::get(&shares.unknown);
    assert!(client > 0 && dext > 0 && unknown > 0, "{shares:?}");
}

#[test]
fn by_order() {
    let stage = Stage::new(false);
    let mut watched = Comparison::begin(&*stage.spy, true, false).unwrap();
    let mut random = Generator::new(4);
    stage.look(&mut watched, None, false);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (stage, stopped) = (&stage, &stop);
        scope.spawn(move || {
            let mut random = Generator::new(5);
            while !stopped.load(Ordering::Relaxed) {
                stage.dext_writes(&mut random);
                for _ in 0..random.next_u64() % 16 {
                    std::thread::yield_now();
                }
            }
        });
        let _ends = Stop(stopped);
        for period in 1..=looks() {
            for _ in 0..random.next_u64() % 8 {
                stage.client_writes(&mut random);
            }
            // A call: the client waits in it, or now and then has another thread that does not.
            let alone = !random.next_u64().is_multiple_of(8);
            stage.look(&mut watched, Some(period), alone);
            for _ in 0..random.next_u64() % 8 {
                if alone {
                    std::thread::yield_now();
                } else {
                    stage.client_writes(&mut random);
                }
            }
            stage.look(&mut watched, Some(period), alone);
        }
    });
    let shares = stage.finish("by order", looks() * 2);
    assert!(Shares::get(&shares.right[1]) > 0, "{shares:?}");
}
