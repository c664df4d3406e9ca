//! Journals whose checksums are right and whose contents are not: made to mislead.

use super::damage::{Tally, sample_journal};
use crate::journal::JournalError;
use crate::journal::layout::{HEADER_SIZE, RECORD_HEAD, Sum, u64_at};
use crate::journal::walk::{Found, Piece, Walk};
use crate::seal::{SealError, SealOptions, seal};
use dextape::schedule::Generator;
use dextape::tape::Tape;
use std::error::Error;
use std::path::Path;

/// Segment size of the sample.
const SEGMENT: usize = 4096;

/// Changes bytes of one to eight records of a journal, in what stands before the body or in the body,
/// makes their checksums right again, and seals it; `times` times.
///
/// # Errors
///
/// Where sealing gives a tape that does not read back, or fails otherwise than by refusing the
/// journal.
pub fn forge(folder: &Path, times: u64, seed: u64) -> Result<Tally, Box<dyn Error>> {
    let (sample, _) = sample_journal(folder, 1)?;
    let records = records(&sample);
    let mut generator = Generator::new(seed);
    let mut tally = Tally::default();
    let (journal, tape) = (folder.join("forged.journal"), folder.join("forged.tape.jsonl"));
    for _ in 0..times {
        let mut bytes = sample.clone();
        for _ in 0..=generator.below(8) {
            let (segment, found) = &records[generator.below(records.len() as u64) as usize];
            change(&mut bytes, *segment, found, &mut generator);
        }
        std::fs::write(&journal, &bytes)?;
        tally.runs += 1;
        match seal(&journal, &tape, SealOptions::default()) {
            Ok(_) => {
                Tape::read(&tape)?.inline_blobs()?;
                tally.recovered += 1;
            }
            Err(SealError::Journal(JournalError::NotAJournal { .. })) => tally.refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(tally)
}

/// All records: number of the segment, and where in it.
fn records(bytes: &[u8]) -> Vec<(usize, Found)> {
    let mut records = Vec::new();
    for (number, segment) in bytes.chunks(SEGMENT).enumerate() {
        let mut walk = Walk::new((number * SEGMENT) as u64, SEGMENT);
        while let Some(piece) = walk.next(segment) {
            if let Piece::Record(found) = piece {
                records.push((number, found));
            }
        }
    }
    records
}

fn change(bytes: &mut [u8], segment: usize, found: &Found, generator: &mut Generator) {
    let start = segment * SEGMENT + found.offset;
    let record = &mut bytes[start..start + found.length];
    for _ in 0..=generator.below(3) {
        // Kind, flags, and what follows word 1; numbers of several bytes most of all, since lengths,
        // counts and references are.
        let at = match generator.below(8) {
            0 => 4,
            1 => 5,
            2 => 16 + generator.below(RECORD_HEAD as u64 - 16) as usize,
            _ => 16 + generator.below(found.length as u64 - 16) as usize,
        };
        let value = match generator.below(4) {
            0 => 0,
            1 => 0xff,
            2 => record[at].wrapping_add(1),
            _ => generator.next_u64() as u8,
        };
        let run = if at >= 16 && generator.below(3) == 0 { 8 } else { 1 };
        let end = (at + run).min(found.length);
        record[at..end].fill(value);
    }
    let position = (segment * SEGMENT + found.offset) as u64;
    debug_assert!(found.offset >= HEADER_SIZE);
    let sum = Sum::new(position, u64_at(record, 0)).finish(&record[16..]);
    record[8..16].copy_from_slice(&sum.to_le_bytes());
}
