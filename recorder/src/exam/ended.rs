//! A recorded client in C that ends at a random point, in any of the ways in which a process ends without
//! its exit handlers: what it had finished is on the tape.

use crate::seal::{SealOptions, SealReport, seal};
use dextape::schedule::Generator;
use dextape::tape::{Body, Sequence, Tape, validate};
use std::collections::BTreeMap;
use std::error::Error;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Threads of the client.
const THREADS: usize = 4;

/// Bytes between the counts of two threads in the file in which the client counts.
const APART: usize = 64;

/// Units that every thread finishes first: one of each kind.
const BEGUN: u64 = 8;

/// Most microseconds from the moment when all threads have begun to the end.
const DELAY_MAX: u64 = 6_000;

/// How long a client may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGKILL from the process that started it.
    Kill,
    /// `abort`.
    Abort,
    /// A write through a null pointer.
    NullWrite,
    /// `_exit`.
    Exit,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kill, Self::Abort, Self::NullWrite, Self::Exit];

    /// The client's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Abort => "abort",
            Self::NullWrite => "null",
            Self::Exit => "exit",
        }
    }

    /// Whether a process with this status has ended so.
    fn is(self, status: ExitStatus) -> bool {
        match self {
            Self::Kill => status.signal() == Some(libc::SIGKILL),
            Self::Abort => status.signal() == Some(libc::SIGABRT),
            Self::NullWrite => status.signal() == Some(libc::SIGSEGV),
            Self::Exit => status.code() == Some(42),
        }
    }
}

/// Runs the client `times` times to such an end, seals the journal that each left, and looks for every
/// unit that the client had counted: at least 32 in every run. Gives the sum of the reports.
///
/// `client` gives the command that records into the tape of that name, whose journal ends in `.journal`
/// instead of `.tape.jsonl`. The program is `ended.c`, beside the tests of `libIOKit.so`; it gets three
/// arguments here: the file in which it counts, the way in which it ends, and when.
///
/// # Errors
///
/// Where a unit is missing, a tape does not read back, the client ends otherwise, or a tape is there
/// before it is sealed here.
pub fn end_at_random(
    folder: &Path,
    times: u64,
    seed: u64,
    end: End,
    client: impl Fn(&Path) -> Command,
) -> Result<SealReport, Box<dyn Error>> {
    let mut generator = Generator::new(seed);
    let mut sum = SealReport::default();
    for round in 0..times {
        let tape = folder.join(format!("{}-{round}.tape.jsonl", end.name()));
        let journal = folder.join(format!("{}-{round}.journal", end.name()));
        let at = |error: Box<dyn Error>| format!("{} {round}: {error}", end.name());
        let counts = folder.join("counts");
        std::fs::write(&counts, [0; THREADS * APART])?;
        let told = end_one(&counts, generator.below(DELAY_MAX), end, client(&tape)).map_err(at)?;
        if tape.exists() {
            return Err(at("there is a tape, and nobody sealed it".into()).into());
        }
        let report = seal(&journal, &tape, SealOptions::default())?;
        let validation = validate(&tape)?;
        if !validation.is_valid() {
            return Err(at(format!("the tape is not valid: {validation}").into()).into());
        }
        check(&Tape::read(&tape)?, told).map_err(|what| at(what.into()))?;
        sum.events += report.events;
        sum.holes += report.holes;
        sum.in_flight += report.in_flight;
        sum.gaps += report.gaps;
        std::fs::remove_file(&journal)?;
        std::fs::remove_file(&tape)?;
    }
    Ok(sum)
}

/// Runs one client to its end; gives the units that each thread had counted.
fn end_one(
    counts: &Path,
    micros: u64,
    end: End,
    mut command: Command,
) -> Result<[u64; THREADS], Box<dyn Error>> {
    command.arg(counts).arg(end.name()).arg(micros.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if end == End::Kill {
        let begun = wait_until_begun(&mut child, counts);
        std::thread::sleep(Duration::from_micros(micros));
        child.kill()?;
        begun?;
    }
    let output = child.wait_with_output()?;
    if !end.is(output.status) {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the client ended with {}: {said}", output.status).into());
    }
    read_counts(counts)
}

/// Returns when every thread has begun.
fn wait_until_begun(child: &mut Child, counts: &Path) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    while read_counts(counts)?.iter().any(|told| *told < BEGUN) {
        if child.try_wait()?.is_some() {
            return Err("the client ended by itself".into());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("the client has not begun in {PATIENCE:?}").into());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

fn read_counts(path: &Path) -> Result<[u64; THREADS], Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let mut counts = [0; THREADS];
    for (thread, count) in counts.iter_mut().enumerate() {
        let word = bytes.get(thread * APART..).and_then(|rest| rest.first_chunk());
        *count = u64::from_ne_bytes(*word.ok_or("the file with the counts is too short")?);
    }
    Ok(counts)
}

/// An error where a unit that a thread has counted is not on the tape from its first event to its last,
/// or more of them are than it can have begun.
fn check(tape: &Tape, told: [u64; THREADS]) -> Result<(), String> {
    let mut lanes: BTreeMap<u32, Lane> = BTreeMap::new();
    for event in tape.events() {
        let lane = lanes.entry(event.lane).or_default();
        lane.take(event.sequence, event.cause, &event.body);
    }
    for (thread, told) in told.into_iter().enumerate() {
        let lane = lanes.values().find(|lane| lane.thread == Some(thread as u64));
        let finished = lane.map_or(&[][..], |lane| &lane.finished);
        // It may have ended between a unit and its count.
        let count = finished.len() as u64;
        if told < BEGUN || !(told..=told + 1).contains(&count) {
            return Err(format!("thread {thread} counted {told} units, {count} are on the tape"));
        }
        if let Some(place) = (0..).zip(finished).position(|(number, found)| number != *found) {
            return Err(format!("thread {thread}: unit {} at {place}", finished[place]));
        }
    }
    Ok(())
}

/// What the tape tells of one thread.
#[derive(Default)]
struct Lane {
    thread: Option<u64>,
    /// Units in the order in which they were finished.
    finished: Vec<u64>,
    /// The call that was entered last, its unit, and whether a completion belongs to it.
    call: Option<(Sequence, u64, bool)>,
}

impl Lane {
    fn take(&mut self, sequence: Sequence, cause: Option<Sequence>, body: &Body) {
        match body {
            Body::Call(call) => {
                if let [_, thread, unit] = call.scalars[..] {
                    self.thread.get_or_insert(thread);
                    self.call = Some((sequence, unit, false));
                }
            }
            Body::AsyncCall { call, .. } => {
                if let [_, _, _, unit] = call.scalars[..] {
                    self.call = Some((sequence, unit, true));
                }
            }
            Body::Return(_) => match self.call {
                Some((call, unit, false)) if cause == Some(call) => self.finished.push(unit),
                _ => {}
            },
            Body::Delivered { .. } => {
                if let Some((_, unit, true)) = self.call {
                    self.finished.push(unit);
                }
            }
            // It has no number; its place says which unit it is.
            Body::Unmapped { result } if result.is_success() => {
                self.finished.push(self.finished.len() as u64);
            }
            _ => {}
        }
    }
}
