//! Tapes that were cut and flipped, under an allocator that counts: an error or a tape, never a panic,
//! in bounded memory. The full count is `cargo xtask prove`'s, which sets `DEXTAPE_TAPE_FLIPS`.

use dextape::tape::exam::{ExamPlan, cut_and_flip};
use dextape::tape::{Body, Event, Header, Payload, Tape, TapeReader, TapeWriter, Transcript};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// The sample, or as many flips as `DEXTAPE_TAPE_FLIPS` says: with the full number of them every byte
/// is cut, too.
fn plan() -> ExamPlan {
    let (sample, full) = (ExamPlan::SAMPLE, ExamPlan::FULL);
    let asked = std::env::var("DEXTAPE_TAPE_FLIPS").ok().and_then(|flips| flips.parse().ok());
    match asked {
        None => sample,
        Some(flips) if flips >= full.flips => ExamPlan { flips, ..full },
        Some(flips) => ExamPlan { flips, ..sample },
    }
}

#[test]
fn cut_and_flipped_tapes_are_read_or_refused_in_bounded_memory() {
    let _alone = ALONE.lock().unwrap_or_else(|error| error.into_inner());
    let plan = plan();
    let (tally, peak) = peak(|| cut_and_flip(plan).unwrap());
    println!("{tally:?}, at most {peak} bytes");
    assert_eq!(tally.flips, u64::from(plan.flips));
    assert!(tally.cuts > 1500, "{tally:?}");
    assert_eq!(tally.whole + tally.recovered + tally.refused, tally.cuts + tally.flips);
    assert!(tally.recovered > tally.cuts / 2 && tally.refused > 0, "{tally:?}");
    // The larger tape has some 60 kB, the decoder's window and the tables of the compressed form take
    // the rest.
    assert!(peak < 32 << 20, "{peak}");
}

/// A stream of a tape's text without end, made as it is read.
struct Endless {
    part: Vec<u8>,
    read: usize,
    left: u64,
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.part.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.left -= 1;
            self.read = self.part.iter().position(|byte| *byte == b'\n').unwrap_or(0) + 1;
        }
        let rest = &self.part[self.read..];
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        self.read += length;
        Ok(length)
    }
}

#[test]
fn a_long_tape_is_read_and_shown_in_the_memory_of_a_short_one() {
    let _alone = ALONE.lock().unwrap_or_else(|error| error.into_inner());
    let mut writer = TapeWriter::new(Vec::new(), &Header::mock()).unwrap();
    for number in 1..=1000 {
        let write = Body::Write {
            memory: 1,
            offset: 0,
            width: None,
            data: Payload::bytes(&[number as u8; 200]),
        };
        writer.event(&Event::new(number, 1, number, write)).unwrap();
    }
    let mut part = writer.finish().unwrap();
    part.truncate(part.len() - 2);
    part.truncate(part.iter().rposition(|byte| *byte == b'\n').unwrap() + 1);
    let events = |left| {
        let text = Endless { part: part.clone(), read: 0, left };
        let reader = TapeReader::from_stream(Box::new(text)).unwrap();
        let mut transcript = Transcript::default();
        let mut out = String::new();
        let mut events = 0_u64;
        for event in reader {
            match event {
                Ok(event) => transcript.event(&event, &mut out),
                Err(error) => {
                    assert!(error.is_cut_off(), "{error}");
                    break;
                }
            }
            out.clear();
            events += 1;
        }
        events
    };
    let (short, short_peak) = peak(|| events(0));
    let (long, long_peak) = peak(|| events(40));
    assert_eq!((short, long), (1000, 41_000));
    assert!(long_peak < short_peak + (64 << 10), "{short_peak} against {long_peak}");
    assert!(long_peak < 2 << 20, "{long_peak}");
}

#[test]
fn a_line_without_end_and_a_size_that_lies_take_no_memory() {
    let _alone = ALONE.lock().unwrap_or_else(|error| error.into_inner());
    let header = Tape::new(Header::mock(), Vec::new()).to_text().unwrap();
    let header = header.lines().next().unwrap().to_owned();
    let long = format!("{header}\n{{\"seq\":{}", "1".repeat(8 << 20));
    let blob = format!(
        "{header}\n{{\"blob\":\"{}\",\"size\":\"0x3fffff0\",\"lz4\":\"AAAA\"}}\n",
        "0".repeat(64)
    );
    for (text, expected) in [(long, "at most 4194304 bytes"), (blob, "to hold the bytes")] {
        let text: Vec<u8> = text.into_bytes();
        let (error, peak) = peak(|| {
            let mut reader = TapeReader::from_stream(Box::new(io::Cursor::new(text))).unwrap();
            reader.next().unwrap().unwrap_err().to_string()
        });
        assert!(error.contains(expected), "{error}");
        assert!(peak < 20 << 20, "{peak}");
    }
}
