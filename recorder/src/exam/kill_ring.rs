//! A flight recorder whose process is killed: the ring that is left gives a tape whose tail holds all that
//! was finished last, and whose keyframe is what went before.

use super::cost::append_small_call;
use crate::journal::{Data, Journal, JournalOptions, Record, RingOptions, Stamp};
use crate::seal::{SealOptions, SealReport, cut, seal};
use dextape::limits::PAGE_SIZE;
use dextape::memory::Width;
use dextape::schedule::Generator;
use dextape::tape::{Body, Capture, Event, Header, Keyframe, MappedMemory, Tape, validate};
use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The variable by which a process knows that it is a flight recorder to be killed; it holds the journal's
/// path. The witness, how far each lane has come, lies beside it.
pub const RING_VICTIM: &str = "DEXTAPE_EXAM_RING_VICTIM";

/// Lanes of a victim, and the memory that each has a word of.
const LANES: u32 = 3;
const MEMORY: u32 = 1;

/// Events of a lane's turn: a write, a call's enter, its leave. An event's time is its number in the lane.
const TURN: u64 = 3;

type AnyError = Box<dyn Error + Send + Sync>;

fn witness_of(journal: &Path) -> PathBuf {
    journal.with_extension("witness")
}

/// Where [`RING_VICTIM`] is set: records in a ring of 1 MiB from three threads, and notes in the witness what
/// each has finished and what it was refused, until it is killed. Elsewhere it returns at once.
///
/// # Errors
///
/// Where the journal or the witness cannot be made.
pub fn be_the_ring_victim() -> Result<(), AnyError> {
    let Some(path) = std::env::var_os(RING_VICTIM).map(PathBuf::from) else { return Ok(()) };
    let journal = begin(&path)?;
    // What is in the page cache outlives the process.
    let witness = File::options().write(true).create_new(true).open(witness_of(&path))?;
    witness.write_all_at(&[0; 16 * LANES as usize], 0)?;
    std::thread::scope(|scope| {
        for lane in 1..=LANES {
            let (journal, witness) = (&journal, &witness);
            scope.spawn(move || {
                go_on(journal, lane, |words| {
                    let bytes = words.map(u64::to_le_bytes).concat();
                    witness.write_all_at(&bytes, u64::from(lane - 1) * 16).is_ok()
                });
            });
        }
    });
    Ok(())
}

/// A ring with a connection and its memory.
fn begin(path: &Path) -> Result<Journal, AnyError> {
    let wait = Duration::from_secs(20);
    let ring = RingOptions::of_size(1 << 20).first_calls(8);
    let options = JournalOptions { wait, ..JournalOptions::default() }.ring(ring);
    let journal = Journal::create(path, options)?;
    let opener = Stamp { lane: LANES + 1, ..Stamp::default() };
    journal.append(Stamp::default(), &Record::Header(&Header::mock()));
    let cause = journal.append(opener, &Record::Open { service: 1, open_type: 0 });
    let opener = Stamp { connection: Some(1), ..opener };
    journal.append(Stamp { cause, ..opener }, &Record::Opened);
    let map = Record::Map { memory_type: 0, options: 1, address: 0 };
    let cause = journal.append(opener, &map);
    let (capture, read_only) = (Capture::Accessor, false);
    let mapped = MappedMemory { memory: MEMORY, length: 64, size: PAGE_SIZE, capture, read_only };
    journal.append(Stamp { cause, ..opener }, &Record::Mapped { outcome: Ok(mapped) });
    Ok(journal)
}

/// One lane's turns, as long as it may: after each it tells how many events are finished, and how many turns
/// were refused.
fn go_on(journal: &Journal, lane: u32, tell: impl Fn([u64; 2]) -> bool) {
    let mut refused = 0_u64;
    for time in (0..).step_by(TURN as usize) {
        let stamp = Stamp { lane, connection: Some(1), cause: None, time };
        let kept = journal.append(stamp, &write(lane, &time.to_le_bytes())).is_some()
            & append_small_call(journal, lane, time + 1);
        refused += u64::from(!kept);
        if !tell([time + TURN, refused]) {
            return;
        }
    }
}

/// Cuts so many tapes of a ring while three threads record in it as fast as they can. Each holds all that was
/// finished when it was asked for, or accounts for it. Gives the events of all tapes.
///
/// # Errors
///
/// Where a tape is not valid, or says something else than was recorded.
pub fn cut_while_recording(folder: &Path, cuts: u64) -> Result<u64, AnyError> {
    let journal = begin(&folder.join("cut.journal"))?;
    let tape = folder.join("cut.tape.jsonl");
    let words = [const { [const { AtomicU64::new(0) }; 2] }; LANES as usize];
    let ended = AtomicBool::new(false);
    let told = |which: usize| words.each_ref().map(|lane| lane[which].load(Ordering::Acquire));
    let cut_one = || -> Result<u64, AnyError> {
        std::thread::sleep(Duration::from_millis(20));
        let finished = told(0);
        cut(&journal, &tape, SealOptions::default())?;
        let refused = told(1);
        let validation = validate(&tape)?;
        if !validation.is_valid() {
            return Err(validation.to_string().into());
        }
        let mut tape = Tape::read(&tape)?;
        tape.inline_blobs()?;
        let lanes = finished.into_iter().zip(refused);
        let witness: Vec<u8> =
            lanes.flat_map(|(told, refused)| [told, refused]).flat_map(u64::to_le_bytes).collect();
        check(tape.events(), &witness)?;
        Ok(tape.events().len() as u64)
    };
    std::thread::scope(|scope| {
        for (lane, words) in (1..).zip(&words) {
            let (journal, ended) = (&journal, &ended);
            scope.spawn(move || {
                go_on(journal, lane, |[finished, refused]| {
                    words[1].store(refused, Ordering::Release);
                    words[0].store(finished, Ordering::Release);
                    !ended.load(Ordering::Relaxed)
                });
            });
        }
        let events = (0..cuts).map(|_| cut_one()).sum();
        ended.store(true, Ordering::Relaxed);
        events
    })
}

fn write(lane: u32, word: &[u8; 8]) -> Record<'_> {
    let (offset, width) = (u64::from(lane) * 8, Some(Width::Eight));
    Record::Write { memory: MEMORY, offset, width, data: Data::Bytes(word) }
}

/// Starts `victim` (a command that comes to [`be_the_ring_victim`]) `times` times, kills it with SIGKILL at a
/// random moment after it has begun, seals what it left, and compares the tape with the witness. Gives the
/// sum of the reports.
///
/// # Errors
///
/// Where a tape is not valid, or says something else than the witness; where the victim cannot be started.
pub fn kill_rings_at_random(
    folder: &Path,
    times: u64,
    seed: u64,
    victim: impl Fn() -> Command,
) -> Result<SealReport, AnyError> {
    let mut generator = Generator::new(seed);
    let mut sum = SealReport::default();
    for round in 0..times {
        let journal = folder.join(format!("ring-{round}"));
        let tape = folder.join("ring.tape.jsonl");
        let delay = Duration::from_micros(generator.below(120_000));
        kill_one(&journal, delay, victim())?;
        let failed = |what: String| format!("round {round}, killed after {delay:?}: {what}");
        let report = seal(&journal, &tape, SealOptions::default())?;
        let validation = validate(&tape)?;
        if !validation.is_valid() {
            return Err(failed(validation.to_string()).into());
        }
        let witness = std::fs::read(witness_of(&journal))?;
        let mut tape = Tape::read(&tape)?;
        tape.inline_blobs()?;
        check(tape.events(), &witness).map_err(failed)?;
        sum.events += report.events;
        sum.holes += report.holes;
        sum.in_flight += report.in_flight;
        sum.gaps += report.gaps;
        std::fs::remove_file(&journal)?;
        std::fs::remove_file(witness_of(&journal))?;
    }
    Ok(sum)
}

fn kill_one(journal: &Path, delay: Duration, mut command: Command) -> Result<(), AnyError> {
    command.env(RING_VICTIM, journal).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn()?;
    let begun = Instant::now();
    let is_there = || std::fs::metadata(witness_of(journal)).is_ok_and(|file| file.len() > 0);
    while !is_there() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(delay);
    child.kill()?;
    child.wait()?;
    if is_there() { Ok(()) } else { Err("the victim did not begin".into()) }
}

/// An error where the tape does not say what was recorded last, or its keyframe not what went before.
fn check(events: &[Event], witness: &[u8]) -> Result<(), String> {
    let word = |at: usize| {
        let bytes = witness.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let keyframe = events.iter().position(|event| matches!(event.body, Body::Keyframe(_)));
    let tail = &events[keyframe.map_or(0, |at| at + 1)..];
    let mut recorded = 0;
    let mut refused = 0;
    for lane in 1..=LANES {
        let at = (lane as usize - 1) * 16;
        let (told, missed) = (word(at), word(at + 8));
        refused += missed;
        let of_lane =
            |event: &&Event| event.lane == lane && !matches!(event.body, Body::Gap { .. });
        let mut times = tail.iter().filter(of_lane).map(|event| event.time);
        let first = times.next();
        let mut next = first.map_or(told, |first| first + 1);
        for time in times {
            if time != next && missed == 0 {
                return Err(format!("lane {lane}: expected event {next}, found {time}"));
            }
            next = time + 1;
        }
        // A lane that stood still while the others went around the ring has nothing in the tail.
        if first.is_some() && next < told {
            return Err(format!(
                "lane {lane}: {told} events were finished, the tape ends at {next}"
            ));
        }
        recorded += next;
        for event in tail.iter().filter(of_lane) {
            if !is_right(event) {
                return Err(format!("event {} is not the one recorded", event.sequence));
            }
        }
        if let Some(Body::Keyframe(found)) = keyframe.map(|at| &events[at].body)
            && missed == 0
        {
            let written = (first.unwrap_or(told).max(1) - 1) / TURN * TURN;
            let shadow = shadow_of(found, lane)?;
            // Of a lane that has nothing in the tail, one more word may have been written than it told of.
            let more = first.is_none() && shadow == told;
            if first != Some(0) && shadow != written && !more {
                return Err(format!("lane {lane}: the keyframe says {shadow}, not {written}"));
            }
        }
    }
    if keyframe.is_some() && refused == 0 {
        let mut counted = 0;
        for event in events {
            counted += match &event.body {
                Body::Gap { events, .. } => events.ok_or("a gap that counts nothing")?,
                Body::Keyframe(_) => 0,
                _ => 1,
            };
        }
        // The opener's four are beside those of the lanes.
        let all = recorded + 4;
        // A thread that stood still inside a segment until it was given up lost one record there; one that has
        // nothing in the tail may have finished a turn that it did not tell of.
        if counted > all + TURN * u64::from(LANES) || counted + u64::from(LANES) < all {
            return Err(format!("the tape accounts for {counted} of {all} events"));
        }
    }
    Ok(())
}

/// True where an event is what its lane recorded at its time.
fn is_right(event: &Event) -> bool {
    match &event.body {
        Body::Write { data, offset, .. } => {
            event.time.is_multiple_of(TURN)
                && data.as_bytes() == Some(&event.time.to_le_bytes())
                && *offset == u64::from(event.lane) * 8
        }
        Body::Call(call) => event.time % TURN == 1 && call.scalars.first() == Some(&event.time),
        Body::Return(_) => event.time % TURN == 2,
        _ => false,
    }
}

/// The word of a lane in the keyframe's shadow.
fn shadow_of(keyframe: &Keyframe, lane: u32) -> Result<u64, String> {
    let [memory] = keyframe.memories.as_slice() else {
        return Err(format!("{} memories in the keyframe", keyframe.memories.len()));
    };
    let mut bytes = vec![0; memory.length as usize];
    for (offset, data) in &memory.shadow {
        let data = data.as_bytes().ok_or("a part of the keyframe's shadow is lost")?;
        bytes[*offset as usize..][..data.len()].copy_from_slice(data);
    }
    let word = bytes.get(lane as usize * 8..).and_then(<[u8]>::first_chunk);
    word.map(|word| u64::from_le_bytes(*word)).ok_or_else(|| "a short memory".to_owned())
}
