//! What a flight recorder takes of memory and disk, however long it runs.

use super::flight::Flight;
use crate::journal::{Journal, JournalOptions, RingOptions};
use crate::seal::{SealOptions, SealReport, cut};
use dextape::tape::{Body, Event, Tape, validate};
use std::error::Error;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a flight took.
#[derive(Clone, Debug, Default)]
pub struct FlightCost {
    /// Events recorded.
    pub events: u64,
    /// Seconds for them, the made-up client's own work included.
    pub seconds: f64,
    /// The longest the file was, and the most that it took of the disk, in bytes.
    pub file: u64,
    pub disk: u64,
    /// By how many bytes the process's memory grew at most, mapped pages of the file included: in the first
    /// half of the flight, and in all of it. `None` where this system does not tell.
    pub memory: Option<(u64, u64)>,
    /// Of the tape that was cut at the end.
    pub tape: SealReport,
}

/// Records so many events in a ring, cuts a tape at the end, and sees to it that the tape is valid and accounts
/// for every event.
///
/// # Errors
///
/// Where the ring stops taking events, or its tape is not right.
pub fn fly(folder: &Path, ring: RingOptions, events: u64) -> Result<FlightCost, Box<dyn Error>> {
    let path = folder.join("flight.journal");
    let options = JournalOptions { wait: Duration::from_secs(60), ..JournalOptions::default() };
    let before = resident();
    let journal = Journal::create(&path, options.ring(ring))?;
    let mut flight = Flight::new(&[&journal], 1);
    let mut cost = FlightCost::default();
    let mut most = 0;
    let start = Instant::now();
    let steps = 100;
    for step in 1..=steps {
        if !flight.run(events * step / steps) {
            return Err("the ring takes no more events".into());
        }
        let file = std::fs::metadata(&path)?;
        cost.file = cost.file.max(file.len());
        cost.disk = cost.disk.max(file.blocks() * 512);
        if let (Some(before), Some(now)) = (before, resident()) {
            most = most.max(now.saturating_sub(before));
            let first_half = cost.memory.map_or(0, |(half, _)| half);
            cost.memory = Some((if step <= steps / 2 { most } else { first_half }, most));
        }
    }
    cost.seconds = start.elapsed().as_secs_f64();
    cost.events = flight.events();
    let tape = folder.join("flight.tape.jsonl");
    cost.tape = cut(&journal, &tape, SealOptions::default())?;
    let validation = validate(&tape)?;
    if !validation.is_valid() {
        return Err(format!("the tape is not valid: {validation}").into());
    }
    let counted: u64 = Tape::read(&tape)?.events().iter().map(counts_as).sum();
    if counted != cost.events {
        return Err(format!("the tape accounts for {counted} of {} events", cost.events).into());
    }
    drop(journal);
    std::fs::remove_file(&path)?;
    std::fs::remove_file(&tape)?;
    Ok(cost)
}

/// How many recorded events an event of the tape speaks of.
fn counts_as(event: &Event) -> u64 {
    match &event.body {
        Body::Gap { events, .. } => events.unwrap_or(0),
        Body::Keyframe(_) | Body::Note { .. } => 0,
        _ => 1,
    }
}

/// Bytes of this process that are in memory.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}
