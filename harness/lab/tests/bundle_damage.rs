//! Bundles whose structure was changed, with a seal that is right again: an error or the tapes that are in
//! them, never a panic, in bounded memory. The full count is `cargo xtask prove bundle-damage`'s, which
//! sets `DEXTAPE_BUNDLE_DAMAGE`.

#[path = "bundle_damage/change.rs"]
mod change;
#[path = "bundle_damage/zip_file.rs"]
mod zip_file;

use change::{Bombs, Changed, KINDS, change};
use dextape::redaction::{Pseudonym, RedactionPolicy};
use dextape::schedule::Generator;
use dextape::tape::{Body, Event, Header, Tape, TapeReader, sample, validate_reader};
use dextape_lab::{Bundle, BundleError, Gate, Report, pack_report};
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use zip_file::{Member, ZipFile, resealed};

/// Changed bundles of an ordinary test run.
const SAMPLE: u64 = 500;

/// The most bytes that reading a bundle and the tapes in it may take: the decoder of a compressed tape
/// looks back 8 MiB, a manifest of 1 MiB becomes some ten times as much.
const MOST: usize = 40 << 20;

/// Bytes of an unpacked tape that are kept to be read.
const KEPT: usize = 256 << 10;

/// Counts the bytes that are taken now, and the most at one time.
struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every request goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let taken = TAKEN.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(taken, Ordering::Relaxed);
        // SAFETY: the caller's duties are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's duties are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One measurement at a time: the tests of this file may run as threads of one process.
static ALONE: Mutex<()> = Mutex::new(());

/// The most bytes that `work` held at one time.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = TAKEN.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = work();
    (result, PEAK.load(Ordering::Relaxed).saturating_sub(before))
}

fn whole() -> ZipFile {
    let small = Tape::new(Header::mock(), vec![Event::new(1, 1, 1, Body::Queue { queue: 1 })]);
    let report = Report {
        tapes: vec![("a".to_owned(), sample::every_kind()), ("b".to_owned(), small)],
        note: "it hangs".to_owned(),
        log: "one\ntwo".to_owned(),
        ..Report::default()
    };
    let gate = Gate {
        policy: RedactionPolicy::new(),
        private: Vec::new(),
        replaces_private: false,
        pseudonym: Pseudonym::new([7; 32]),
    };
    let bytes = pack_report(report, &gate).unwrap().bytes;
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let members = (0..archive.len()).map(|index| {
        let mut file = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        Member::deflated(&file.name().unwrap(), &content)
    });
    ZipFile::of(members.collect())
}

/// Reads a bundle without keeping its tapes: gives the hash of each, and the bytes where they are few.
fn read(bytes: &[u8]) -> Result<Vec<(blake3::Hash, Vec<u8>)>, BundleError> {
    struct Hashed(blake3::Hasher, Vec<u8>);
    impl std::io::Write for Hashed {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            let room = KEPT.saturating_sub(self.1.len()).min(bytes.len());
            self.1.extend_from_slice(&bytes[..room]);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut bundle = Bundle::read(Cursor::new(bytes))?;
    let count = bundle.manifest().tapes.len();
    let unpacked = (0..count).map(|index| {
        let mut tape = Hashed(blake3::Hasher::new(), Vec::new());
        bundle.unpack_tape(index, &mut tape)?;
        Ok((tape.0.finalize(), tape.1))
    });
    unpacked.collect()
}

/// True where it was read; what it says must be an error, or the tapes that are in it.
fn examine(Changed { bytes, tapes, .. }: &Changed) -> bool {
    match read(bytes) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
        Ok(unpacked) => {
            let hashes: Vec<_> = unpacked.iter().map(|(hash, _)| *hash).collect();
            assert_eq!(hashes, *tapes, "other tapes");
            for (_, text) in unpacked {
                // What is wrong with a tape is an error or a finding.
                let _ = TapeReader::from_bytes(text).and_then(validate_reader);
            }
            true
        }
    }
}

#[test]
fn a_changed_bundle_is_refused_or_gives_what_is_in_it_in_bounded_memory() {
    let _alone = ALONE.lock().unwrap_or_else(|error| error.into_inner());
    let asked = std::env::var("DEXTAPE_BUNDLE_DAMAGE").ok().and_then(|it| it.parse().ok());
    let count: u64 = asked.unwrap_or(SAMPLE);
    let (whole, bombs) = (whole(), Bombs::new());
    let unchanged = read(&whole.sealed()).unwrap();
    assert_eq!(unchanged.len(), 2, "the zip of this test is a bundle");
    let mut tally: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut most = 0;
    for number in 0..count {
        let kind = KINDS[(number % KINDS.len() as u64) as usize];
        let changed = change(&whole, kind, &bombs, &mut Generator::new(number));
        let (was_read, peak) = peak(|| catch_unwind(AssertUnwindSafe(|| examine(&changed))));
        let was_read = was_read.unwrap_or_else(|_| panic!("case {number}, {kind:?}"));
        assert!(peak < MOST, "case {number}, {kind:?}: {peak} bytes");
        most = most.max(peak);
        let (read, refused) = tally.entry(changed.kind).or_default();
        *(if was_read { read } else { refused }) += 1;
    }
    println!(
        "figures: {count} bundles, at most {most} bytes; of each kind read and refused: {tally:?}"
    );
    if count >= SAMPLE {
        // Each kind of change reaches something that refuses it, and some are none.
        assert!(tally.values().all(|(_, refused)| *refused > 0), "{tally:?}");
        assert!(tally.values().any(|(read, _)| *read > 0), "{tally:?}");
    }
}

/// The reader of zips goes on to an earlier end of a zip where the last one leads to nothing.
#[test]
fn an_end_within_the_files_that_names_very_many_takes_no_memory() {
    let _alone = ALONE.lock().unwrap_or_else(|error| error.into_inner());
    for large in [false, true] {
        let bytes = resealed(change::with_hidden_directory(&whole(), 60_000, large));
        let (outcome, peak) = peak(|| read(&bytes).map(|_| ()).map_err(|it| it.to_string()));
        let error = outcome.unwrap_err();
        assert!(error.contains("of the bundle"), "{error}");
        assert!(peak < 1 << 20, "{peak} bytes: {error}");
    }
}

#[test]
fn a_compressed_tape_is_refused() {
    let mut zip = whole();
    assert!(read(&zip.sealed()).is_ok());
    zip.members[1] = Member::stored("tapes/1.tape.jsonl", b"\x28\xb5\x2f\xfd\x00\x58");
    change::agree(&mut zip);
    let error = read(&zip.sealed()).unwrap_err().to_string();
    assert!(error.contains("expected a tape that is not compressed"), "{error}");
}
