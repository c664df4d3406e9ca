//! Journals that are cut or changed: sealed or refused, and never anything else.

use super::kinds::{append_body, every_kind};
use crate::journal::{Journal, JournalError, JournalOptions, Record, Stamp};
use crate::seal::{SealOptions, Sealing};
use dextape::schedule::Generator;
use dextape::tape::{Body, Header, Tape, TapeWriter};
use std::error::Error;
use std::path::Path;

/// What became of damaged journals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Damaged journals tried.
    pub runs: u64,
    /// Those that sealed to a tape that reads back whole.
    pub recovered: u64,
    /// Those that were refused with an error.
    pub refused: u64,
    /// Most events that one of the recovered ones lost.
    pub lost_most: u64,
}

/// Writes a journal with `rounds` times every kind of event, and a header. Events carry their index
/// as their time. Gives its bytes and the bodies.
///
/// # Errors
///
/// Where the file cannot be written.
pub fn sample_journal(
    folder: &Path,
    rounds: usize,
) -> Result<(Vec<u8>, Vec<Body>), Box<dyn Error>> {
    let path = folder.join("sample.journal");
    let options = JournalOptions {
        segment_size: 4096,
        ahead: 1,
        wait: std::time::Duration::from_secs(20),
        ..JournalOptions::default()
    };
    let journal = Journal::create(&path, options)?;
    journal.append(Stamp::default(), &Record::Header(&Header::mock()));
    let mut bodies = Vec::new();
    for body in std::iter::repeat_n(every_kind(), rounds).flatten() {
        let time = bodies.len() as u64;
        let stamp = Stamp { lane: 1 + time as u32 % 3, time, ..Stamp::default() };
        let token = append_body(&journal, stamp, &body).ok_or("a record was dropped")?;
        if time % 20 == 7 {
            journal.leave_hole(Stamp::default(), time % 100, time % 40 == 7);
        }
        // The next ones refer to something that is there.
        let cause = Stamp { cause: Some(token), time: time + 1, ..stamp };
        bodies.push(body);
        journal.append(cause, &Record::Queue { queue: 9 }).ok_or("a record was dropped")?;
        bodies.push(Body::Queue { queue: 9 });
    }
    drop(journal);
    let bytes = std::fs::read(&path)?;
    std::fs::remove_file(&path)?;
    Ok((bytes, bodies))
}

/// Cuts a journal of at most 32 KiB with every kind of event at every `step`-th byte.
///
/// # Errors
///
/// Where a cut journal gives what it should not: an event that was not recorded, another order, a
/// tape that does not read back; or where the disk fails.
pub fn cut_at_every_byte(folder: &Path, step: usize) -> Result<Tally, Box<dyn Error>> {
    let (bytes, bodies) = sample_journal(folder, 1)?;
    if bytes.len() > 32 << 10 {
        return Err(format!("the sample has {} bytes", bytes.len()).into());
    }
    let mut tally = Tally::default();
    for end in (0..=bytes.len()).step_by(step.max(1)) {
        tally.count(folder, &bytes[..end], &bodies, Check::Beginning)?;
    }
    Ok(tally)
}

/// Flips single bits of a larger journal, and cuts it, at random places drawn from `seed`.
///
/// # Errors
///
/// As [`cut_at_every_byte`], or where one flipped bit costs more than one record.
pub fn flip_and_cut(
    folder: &Path,
    flips: u64,
    cuts: u64,
    seed: u64,
) -> Result<Tally, Box<dyn Error>> {
    let (mut bytes, bodies) = sample_journal(folder, 8)?;
    let mut generator = Generator::new(seed);
    let mut tally = Tally::default();
    for _ in 0..flips {
        let (at, bit) = (generator.below(bytes.len() as u64) as usize, generator.below(8));
        bytes[at] ^= 1 << bit;
        tally.count(folder, &bytes, &bodies, Check::AllButOne)?;
        bytes[at] ^= 1 << bit;
    }
    for _ in 0..cuts {
        let end = generator.below(bytes.len() as u64) as usize;
        tally.count(folder, &bytes[..end], &bodies, Check::Beginning)?;
    }
    Ok(tally)
}

/// What must be left of a journal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    /// A beginning of its events, and at most one gap behind them.
    Beginning,
    /// All of its events but one.
    AllButOne,
}

impl Tally {
    fn count(
        &mut self,
        folder: &Path,
        bytes: &[u8],
        bodies: &[Body],
        check: Check,
    ) -> Result<(), Box<dyn Error>> {
        self.runs += 1;
        let path = folder.join("damaged.journal");
        std::fs::write(&path, bytes)?;
        match sealed(&path) {
            Ok(tape) => {
                self.recovered += 1;
                let lost = compare(&tape, bodies, check)
                    .map_err(|what| format!("{what} (journal of {} bytes)", bytes.len()))?;
                self.lost_most = self.lost_most.max(lost);
                Ok(())
            }
            Err(error) if error.downcast_ref::<JournalError>().is_some() => {
                self.refused += 1;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Seals a journal in memory and reads the tape back.
fn sealed(path: &Path) -> Result<Tape, Box<dyn Error>> {
    let mut sealing = match Sealing::open(path, SealOptions::default()) {
        Ok(sealing) => sealing,
        Err(crate::seal::SealError::Journal(error)) => return Err(error.into()),
        Err(error) => return Err(error.into()),
    };
    let mut writer = TapeWriter::new(Vec::new(), sealing.header())?;
    while let Some(event) = sealing.next_event()? {
        writer.event(&event)?;
    }
    let mut tape = Tape::from_bytes(writer.finish()?)?;
    tape.inline_blobs()?;
    Ok(tape)
}

/// How many events are missing; an error where one is there that should not be.
fn compare(tape: &Tape, bodies: &[Body], check: Check) -> Result<u64, String> {
    let mut next = 0;
    let mut kept = 0;
    let mut gaps = 0;
    for (index, event) in tape.events().iter().enumerate() {
        if event.sequence != index as u64 + 1 {
            return Err(format!("event {} stands at {}", event.sequence, index + 1));
        }
        if event.cause.is_some_and(|cause| cause >= event.sequence) {
            return Err(format!("event {} is its own cause's cause", event.sequence));
        }
        let expected = usize::try_from(event.time).ok().and_then(|time| bodies.get(time));
        if event.lane == 0 && matches!(event.body, Body::Gap { .. }) {
            gaps += 1;
        } else if event.time < next || expected.is_none_or(|body| !same(body, &event.body)) {
            return Err(format!("event {} was never recorded so", event.sequence));
        } else {
            next = event.time + 1;
            kept += 1;
        }
    }
    let lost = bodies.len() as u64 - kept;
    match check {
        Check::Beginning if next != kept || gaps > 1 => Err("the cut left a hole".to_owned()),
        Check::AllButOne if lost > 1 => Err(format!("one flipped bit cost {lost} events")),
        _ => Ok(lost),
    }
}

/// True where the tape's body is the recorded one, but for the numbers that sealing changes.
fn same(recorded: &Body, sealed: &Body) -> bool {
    match (recorded, sealed) {
        (Body::Patch { data, .. }, Body::Patch { data: sealed, .. }) => data == sealed,
        (Body::Keyframe(recorded), Body::Keyframe(sealed)) => {
            recorded.memories == sealed.memories && recorded.connections == sealed.connections
        }
        (Body::Fork { .. }, Body::Fork { .. }) => true,
        _ => recorded == sealed,
    }
}
