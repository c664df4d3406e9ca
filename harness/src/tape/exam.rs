//! The long proofs of the tape: cut anywhere and flipped anywhere, a tape is read, recovered or refused,
//! and never more. Tests run a sample; [`ExamPlan::FULL`] is the whole count.

use super::event::Event;
use super::reader::TapeReader;
use super::recover::recover_bytes;
use super::sample::{self, Script};
use super::tape_file::compress_bytes;
use super::transcript::{Transcript, TranscriptOptions};
use super::validate::validate_reader;
use super::whole::Tape;
use super::{Body, Header, Payload, Structure};
use crate::schedule::Generator;
use std::sync::Arc;

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExamPlan {
    /// The small tape is cut at every so many-th byte.
    pub step: usize,
    /// Random flips of the larger tape.
    pub flips: u32,
    /// Random cuts of the larger tape.
    pub cuts: u32,
    /// Where the random ones come from.
    pub seed: u64,
}

impl ExamPlan {
    /// Every byte, 10,000 flips and 2,000 cuts.
    pub const FULL: Self = Self { step: 1, flips: 10_000, cuts: 2_000, seed: 1 };
    /// What an ordinary test run tries.
    pub const SAMPLE: Self = Self { step: 7, flips: 500, cuts: 100, seed: 1 };
}

/// What became of the tapes that were tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExamTally {
    /// Tapes that were cut.
    pub cuts: u64,
    /// Tapes of which bits were flipped.
    pub flips: u64,
    /// Of both: read to the end with the right checksum.
    pub whole: u64,
    /// Of both: recovered up to some event.
    pub recovered: u64,
    /// Of both: refused with an error.
    pub refused: u64,
}

impl ExamTally {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Whole => self.whole += 1,
            Outcome::Recovered => self.recovered += 1,
        }
    }
}

/// What became of a tape that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Whole,
    Recovered,
}

/// Cuts a tape of at most 32 KiB that holds every kind at every byte of its text and of its compressed
/// form, and flips and cuts a larger one at random.
///
/// # Errors
///
/// What went wrong, and with which cut or flip.
///
/// # Panics
///
/// Where reading a broken tape panics: what the exam is there to find.
pub fn cut_and_flip(plan: ExamPlan) -> Result<ExamTally, String> {
    let mut tally = ExamTally::default();
    let small = sample::every_kind();
    let text: Arc<[u8]> = to_bytes(&small)?;
    if text.len() > 32 << 10 {
        return Err(format!("the small tape has {} bytes", text.len()));
    }
    let compressed = compress_bytes(&text);
    for bytes in [&text, &compressed] {
        let whole = small_events(bytes)?;
        for end in (0..bytes.len()).step_by(plan.step.max(1)) {
            cut(bytes, end, &whole, &mut tally)?;
        }
    }

    let mut random = Generator::new(plan.seed);
    let large = to_bytes(&large_tape(plan.seed))?;
    let compressed = compress_bytes(&large);
    let whole = small_events(&large)?;
    for number in 0..plan.cuts {
        let bytes = if number % 4 == 0 { &compressed } else { &large };
        let end = random.below(bytes.len() as u64) as usize;
        cut(bytes, end, &whole, &mut tally)?;
    }
    for number in 0..plan.flips {
        let bytes = if number % 4 == 0 { &compressed } else { &large };
        let mut flipped = bytes.to_vec();
        let at = random.below(bytes.len() as u64 * 8);
        flipped[(at / 8) as usize] ^= 1 << (at % 8);
        let outcome = examine(flipped.into()).map_err(|error| format!("bit {at}: {error}"))?;
        tally.flips += 1;
        match outcome {
            Some((outcome, _)) => tally.count(outcome),
            None => tally.refused += 1,
        }
    }
    Ok(tally)
}

fn to_bytes(tape: &Tape) -> Result<Arc<[u8]>, String> {
    let bytes = tape.write_to(Vec::new()).map_err(|error| error.to_string())?;
    Ok(bytes.into())
}

fn small_events(bytes: &Arc<[u8]>) -> Result<Vec<Event>, String> {
    let tape = Tape::from_bytes(bytes.clone()).map_err(|error| error.to_string())?;
    Ok(tape.events().to_vec())
}

/// Cuts a tape off and sees that what is recovered are its first events, all whole ones of them.
fn cut(
    bytes: &Arc<[u8]>,
    end: usize,
    whole: &[Event],
    tally: &mut ExamTally,
) -> Result<(), String> {
    let part: Arc<[u8]> = bytes[..end].into();
    let examined = examine(part.clone()).map_err(|error| format!("cut at {end}: {error}"))?;
    tally.cuts += 1;
    let Some((outcome, recovered)) = examined else {
        tally.refused += 1;
        return Ok(());
    };
    tally.count(outcome);
    let events = recovered.events().len() as u64;
    let kept = whole.get(..events as usize).ok_or_else(|| format!("cut at {end}: too many"))?;
    if recovered.events() != kept {
        return Err(format!("cut at {end}: the recovered events are others"));
    }
    // In the text itself the whole events can be counted.
    if part.starts_with(b"{") {
        let lines = part.split_inclusive(|byte| *byte == b'\n');
        let is_whole = |line: &&[u8]| line.starts_with(b"{\"seq\"") && line.ends_with(b"}\n");
        let least = lines.filter(is_whole).count() as u64;
        if events < least || events > least + 1 {
            return Err(format!("cut at {end}: {events} events recovered of {least} whole ones"));
        }
    }
    Ok(())
}

/// Reads, validates, shows and recovers a tape, whatever it is. `None` where it is refused.
fn examine(bytes: Arc<[u8]>) -> Result<Option<(Outcome, Tape)>, String> {
    let Ok(reader) = TapeReader::from_bytes(bytes.clone()) else { return Ok(None) };
    // In memory nothing but the bytes can be at fault.
    validate_reader(reader).map_err(|error| format!("validation: {error}"))?;
    show(bytes.clone())?;
    let (recovery, recovered) =
        recover_bytes(bytes).map_err(|error| format!("recovery: {error}"))?;
    let tape = Tape::from_bytes(recovered).map_err(|error| format!("recovered: {error}"))?;
    if tape.events().len() as u64 != recovery.events {
        return Err("the recovery counted wrong".to_owned());
    }
    let outcome = if recovery.trouble.is_none() { Outcome::Whole } else { Outcome::Recovered };
    Ok(Some((outcome, tape)))
}

fn show(bytes: Arc<[u8]>) -> Result<(), String> {
    let mut reader = TapeReader::from_bytes(bytes).map_err(|error| error.to_string())?;
    let options = TranscriptOptions { hex: true, ..TranscriptOptions::default() };
    let mut transcript = Transcript::new(options);
    let mut out = String::new();
    while let Some(Ok(event)) = reader.next() {
        transcript.event_from(&event, &|digest| reader.load(digest), &mut out);
        out.clear();
    }
    transcript.finish(&mut out);
    Ok(())
}

/// A larger tape: calls with random bytes, a tenth of them blobs.
fn large_tape(seed: u64) -> Tape {
    let mut script = Script::new();
    let open = script.event(1, None, None, Body::Open { service: 1, open_type: 0 });
    script.event(1, Some(1), Some(open), Body::Opened);
    let mut random = Generator::new(seed);
    for number in 0..120_u32 {
        let length = if number % 10 == 0 { 300 + random.below(600) } else { random.below(64) };
        let bytes = sample::noise(number as u8, length as usize);
        let call = super::Call {
            input: Structure::Bytes(Payload::Bytes(bytes)),
            ..sample::call(number % 7, &[random.below(u64::MAX)])
        };
        script.operation(1, 1, Body::Call(call), Body::Return(sample::success()));
    }
    Tape::new(Header::mock(), script.into_events())
}
