//! A process that is killed while several threads append: what it was told is kept, is kept.

use super::cost::append_small_call;
use crate::journal::{Journal, JournalOptions, Record, Stamp};
use crate::seal::{SealOptions, SealReport, seal};
use dextape::schedule::Generator;
use dextape::tape::{Body, Header, Tape, validate};
use std::error::Error;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The variable by which a process knows that it is to be killed; it holds the journal's path.
pub const VICTIM: &str = "DEXTAPE_EXAM_VICTIM";

/// Threads of a victim.
const THREADS: u32 = 4;

/// Where [`VICTIM`] is set: appends calls from four threads and tells of each finished one on the
/// standard output, 12 bytes each, until it is killed. Elsewhere it returns at once.
///
/// # Errors
///
/// Where the journal cannot be made or nobody reads the output any more.
pub fn be_the_victim() -> Result<(), Box<dyn Error + Send + Sync>> {
    let Some(path) = std::env::var_os(VICTIM).map(PathBuf::from) else { return Ok(()) };
    let options = JournalOptions {
        segment_size: 1 << 16,
        ahead: 4,
        wait: Duration::from_secs(20),
        ..JournalOptions::default()
    };
    let journal = Journal::create(&path, options)?;
    journal.append(Stamp::default(), &Record::Header(&Header::mock()));
    let opener = Stamp { lane: THREADS + 1, ..Stamp::default() };
    let cause = journal.append(opener, &Record::Open { service: 1, open_type: 0 });
    journal.append(Stamp { connection: Some(1), cause, ..opener }, &Record::Opened);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=THREADS)
            .map(|lane| {
                let journal = &journal;
                scope.spawn(move || -> std::io::Result<()> {
                    for time in (0..).step_by(2) {
                        if append_small_call(journal, lane, time) {
                            let mut line = [0; 12];
                            line[..4].copy_from_slice(&lane.to_le_bytes());
                            line[4..].copy_from_slice(&time.to_le_bytes());
                            let mut output = std::io::stdout().lock();
                            output.write_all(&line)?;
                            output.flush()?;
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(done) => done?,
                Err(_) => return Err("a thread of the victim panicked".into()),
            }
        }
        Ok(())
    })
}

/// Starts `victim` (a command that comes to [`be_the_victim`]) `times` times, kills it with SIGKILL at
/// a random moment, seals what it left, and looks for every call that it had told of. Gives the events
/// of all tapes and the sum of the reports' holes and calls in flight.
///
/// # Errors
///
/// Where a call is missing, a tape does not read back, or the victim cannot be started.
pub fn kill_at_random(
    folder: &Path,
    times: u64,
    seed: u64,
    victim: impl Fn() -> Command,
) -> Result<SealReport, Box<dyn Error>> {
    let mut generator = Generator::new(seed);
    let mut sum = SealReport::default();
    for round in 0..times {
        let journal = folder.join(format!("victim-{round}"));
        let tape = folder.join("victim.tape.jsonl");
        let told = kill_one(&journal, generator.below(3_000), victim())?;
        let report = seal(&journal, &tape, SealOptions::default())?;
        let validation = validate(&tape)?;
        if !validation.is_valid() {
            return Err(format!("round {round}: the tape is not valid: {validation}").into());
        }
        check(&Tape::read(&tape)?, &told).map_err(|what| format!("round {round}: {what}"))?;
        sum.events += report.events;
        sum.holes += report.holes;
        sum.in_flight += report.in_flight;
        sum.gaps += report.gaps;
        std::fs::remove_file(&journal)?;
    }
    Ok(sum)
}

/// Kills one victim after `micros` microseconds of work; gives the calls that each lane had told of.
fn kill_one(
    journal: &Path,
    micros: u64,
    mut command: Command,
) -> Result<[u64; THREADS as usize + 1], Box<dyn Error>> {
    command.env(VICTIM, journal).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut output = child.stdout.take().ok_or("the victim has no output")?;
    // A test harness may say something of its own first; the records begin behind it.
    let mut first = [0; 1];
    let mut banner = Vec::new();
    while banner.len() < 4096 && !banner.ends_with(&1_u32.to_le_bytes()) {
        output.read_exact(&mut first)?;
        banner.push(first[0]);
        if (2..=THREADS).any(|lane| banner.ends_with(&lane.to_le_bytes())) {
            break;
        }
    }
    let reader = std::thread::spawn(move || {
        let mut told = banner[banner.len().saturating_sub(4)..].to_vec();
        output.read_to_end(&mut told).map(|_| told)
    });
    std::thread::sleep(Duration::from_micros(micros));
    child.kill()?;
    child.wait()?;
    let told = reader.join().map_err(|_| "the reader panicked")??;
    let mut calls = [0; THREADS as usize + 1];
    for line in told.chunks_exact(12) {
        let (lane, time) = line.split_at(4);
        let lane = u32::from_le_bytes(lane.try_into()?) as usize;
        let time = u64::from_le_bytes(time.try_into()?);
        let calls = calls.get_mut(lane).ok_or("the victim told of a lane that it has not")?;
        if time != 2 * *calls {
            return Err(format!("lane {lane} told of {time} as call {calls}").into());
        }
        *calls += 1;
    }
    Ok(calls)
}

/// An error where a call that was told of is not on the tape, enter and leave.
fn check(tape: &Tape, told: &[u64]) -> Result<(), String> {
    for (lane, told) in told.iter().enumerate().skip(1) {
        let events: Vec<_> =
            tape.events().iter().filter(|event| event.lane == lane as u32).collect();
        if (events.len() as u64) < 2 * told {
            return Err(format!("lane {lane} told of {told} calls, {} events", events.len()));
        }
        for (index, event) in events.iter().enumerate() {
            let right = match &event.body {
                Body::Call(call) => index % 2 == 0 && call.scalars[0] == index as u64,
                Body::Return(_) => {
                    index % 2 == 1 && event.cause == Some(events[index - 1].sequence)
                }
                _ => false,
            };
            if !right || event.time != index as u64 {
                return Err(format!(
                    "lane {lane}: event {} is not the one recorded",
                    event.sequence
                ));
            }
        }
    }
    Ok(())
}
