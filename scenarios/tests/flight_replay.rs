//! A scenario's client, recorded for long in a ring, and played from the tape that is cut of it.
//!
//! The client of `null-driver` makes its calls round after round, the last but two of which fails as planned.
//! The ring keeps its beginning and the newest events; a client that is started anew plays the tape, over all
//! that is missing, to the failure. `cargo xtask prove flight-replay` does so with 10,000,000 events and a ring
//! of 64 MiB.

use dextape::connection::System;
use dextape::fault::FaultPlan;
use dextape::kernel::MockSystem;
use dextape::replay::{CrossingReport, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Event, Tape};
use dextape_recorder::journal::{JournalOptions, RingOptions};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, SealReport, seal};
use dextape_scenarios::{Parameters, registry};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Events of the client beside its rounds: it looks for the service, opens and closes, and makes one call after
/// that.
const BESIDE: u64 = 7;

/// Calls of a round, two events each, and those among them that the fault counts: of the selector with checked structures.
const CALLS: u64 = 14;
const CHECKED: u64 = 4;

const SEED: u64 = 1;

/// What the mock answers to the planned call, and never otherwise.
const PLANTED: &str = "NoBandwidth";

/// Lines that are kept of what a client prints.
const KEPT: usize = 10_000;

/// The end of what a client prints, and how much it was; it may look around with every so many lines.
struct Printed<'a> {
    lines: u64,
    last: VecDeque<String>,
    /// The first line that tells of the failure.
    failed: Option<(u64, String)>,
    look: &'a mut dyn FnMut(),
}

impl<'a> Printed<'a> {
    fn new(look: &'a mut dyn FnMut()) -> Self {
        Self { lines: 0, last: VecDeque::new(), failed: None, look }
    }
}

impl Write for Printed<'_> {
    /// Clients write whole lines.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in String::from_utf8_lossy(bytes).lines() {
            self.lines += 1;
            if self.failed.is_none() && line.contains(PLANTED) {
                self.failed = Some((self.lines, line.to_owned()));
            }
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back(line.to_owned());
            if self.lines.is_multiple_of(10_000) {
                (self.look)();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a client printed.
struct Told {
    lines: u64,
    last: VecDeque<String>,
    failed: Option<(u64, String)>,
}

impl From<Printed<'_>> for Told {
    fn from(printed: Printed<'_>) -> Self {
        Self { lines: printed.lines, last: printed.last, failed: printed.failed }
    }
}

struct Flight {
    rounds: u64,
    parameters: Parameters,
    faults: String,
    ring: u64,
    journal: PathBuf,
}

/// What a recording took at most, in bytes.
#[derive(Debug, Default)]
struct Taken {
    file: u64,
    disk: u64,
    /// By how much the process grew, mock and client with it; 0 where this system does not tell.
    memory: u64,
}

impl Flight {
    /// At least so many events: two for each call.
    fn of(events: u64, ring: u64, folder: &Path) -> Self {
        let rounds = events.div_ceil(2 * CALLS);
        let registry = registry();
        let mut parameters = Parameters::of(registry.find("null-driver").unwrap());
        parameters.set("part", "sync").unwrap();
        parameters.set("rounds", rounds.to_string()).unwrap();
        let faults = format!("call 3 #{}: error {PLANTED}", CHECKED * rounds - 1);
        Self { rounds, parameters, faults, ring, journal: folder.join("flight.journal") }
    }

    fn record(&self) -> (Told, Taken) {
        let plan: FaultPlan = self.faults.parse().unwrap();
        let ring = Some(RingOptions::of_size(self.ring));
        let journal = JournalOptions { ring, ..JournalOptions::default() };
        let options = RecordOptions { journal, ..RecordOptions::default() };
        let (mut taken, before) = (Taken::default(), resident());
        let mut look = || {
            let file = std::fs::metadata(&self.journal).unwrap();
            taken.file = taken.file.max(file.len());
            taken.disk = taken.disk.max(file.blocks() * 512);
            taken.memory = taken.memory.max(resident().saturating_sub(before));
        };
        let mut printed = Printed::new(&mut look);
        let session = RecordingSession::start(&self.journal, options).unwrap();
        Schedule::simulate(SEED, |schedule| {
            let registry = registry();
            let scenario = registry.find("null-driver").unwrap();
            let mock = MockSystem::builder(schedule).faults(plan).build();
            scenario.publish(&self.parameters, &mock).unwrap();
            let system = session.wrap(Arc::clone(&mock) as Arc<dyn System>);
            scenario.client(&self.parameters, &system, &mut printed).unwrap();
            mock.settle();
        });
        session.finish();
        let told = printed.into();
        look();
        (told, taken)
    }

    /// Plays the tape to a client that knows nothing of the run.
    fn replay(&self, tape: Tape) -> (Told, CrossingReport) {
        let replayer = Replayer::new(Arc::new(tape), ReplayOptions::default()).unwrap();
        let mut look = || ();
        let mut printed = Printed::new(&mut look);
        Schedule::simulate(SEED, |schedule| {
            let system: Arc<dyn System> = replayer.system(schedule);
            let registry = registry();
            let scenario = registry.find("null-driver").unwrap();
            scenario.client(&self.parameters, &system, &mut printed).unwrap();
        });
        let report = replayer.finish().unwrap();
        assert!(report.is_complete(), "{report}");
        assert!(report.unused.is_empty(), "{report}");
        (printed.into(), report.crossing.unwrap())
    }
}

/// How many recorded events an event of the tape speaks of.
fn counts_as(event: &Event) -> u64 {
    match &event.body {
        Body::Gap { events, .. } => events.unwrap_or(0),
        Body::Keyframe(_) | Body::Note { .. } => 0,
        _ => 1,
    }
}

/// Bytes of this process that are in memory; 0 where this system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    kilobytes.unwrap_or(0_u64) << 10
}

fn fly(events: u64, ring: u64) {
    let folder = tempfile::tempdir().unwrap();
    let flight = Flight::of(events, ring, folder.path());
    let start = Instant::now();
    let (told, taken) = flight.record();
    let recorded = start.elapsed().as_secs_f64();
    let path = folder.path().join("flight.tape.jsonl");
    let SealReport { events: on_tape, bytes, .. } =
        seal(&flight.journal, &path, SealOptions::default()).unwrap();
    let tape = Tape::read(&path).unwrap();
    let validation = tape.validate();
    assert!(validation.is_valid(), "{validation}");
    let counted: u64 = tape.events().iter().map(counts_as).sum();
    let after_failure = told.lines - told.failed.as_ref().unwrap().0;

    let start = Instant::now();
    let (again, crossing) = flight.replay(tape);
    println!(
        "figures: a ring of {} MiB: a client's {counted} events in {recorded:.0} s; file {} bytes, {} on disk; the \
         process grew by {} bytes; tape of {on_tape} events, {bytes} bytes; replayed in {:.0} s: {crossing}",
        ring >> 20,
        taken.file,
        taken.disk,
        taken.memory,
        start.elapsed().as_secs_f64(),
    );
    assert!(counted >= events, "{counted}");
    assert_eq!(counted, 2 * CALLS * flight.rounds + BESIDE, "the tape accounts for them all");
    assert!(taken.file <= ring, "{taken:?}");
    // A file system counts a little for itself.
    assert!(taken.disk <= ring + (256 << 10), "{taken:?}");
    // The ring's segments in use and what is kept, and what the client and the mock take themselves.
    assert!(taken.memory <= ring / 4 + (16 << 20), "{taken:?}");

    // Most of the run is missing.
    assert!(on_tape * 5 < counted && crossing.lenient > events / 4, "{crossing}");
    assert!(crossing.not_reached.is_empty(), "{crossing}");
    assert_eq!(crossing.after_end, 0, "{crossing}");
    // The failure comes in the same line, and all that is behind the gap is told alike.
    assert_eq!(again.failed, told.failed);
    assert_eq!(again.lines, told.lines);
    assert!(after_failure > 0);
    let same = told.last.iter().rev().zip(again.last.iter().rev()).take_while(|(a, b)| a == b);
    // Two events a call, and 15 lines a round.
    let behind = on_tape / 2 / CALLS * 15;
    assert!(same.count() as u64 >= (behind / 2).min(KEPT as u64), "{crossing}");
}

/// Events: a sample, or as many as the full proof asks for.
fn events() -> Option<u64> {
    std::env::var("DEXTAPE_FLIGHT_REPLAY").ok()?.parse().ok()
}

/// One after the other, since what is measured is the whole process.
#[test]
fn a_long_flight_replays_up_to_its_failure() {
    let asked = events();
    if asked.is_none() {
        println!("a sample; the full count is made by `cargo xtask prove flight-replay`");
    }
    let events = asked.unwrap_or(20_000);
    fly(events, if events > 1_000_000 { 64 << 20 } else { 1 << 20 });
}
