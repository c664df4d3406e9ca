//! Rings that are cut, changed, or forged: what is left of them is a tape, or they are refused.

use super::damage::Tally;
use super::kinds::{append_body, every_kind};
use crate::journal::layout::{HEADER_SIZE, Sum, u32_at, u64_at};
use crate::journal::walk::{Piece, Walk};
use crate::journal::{Data, Journal, JournalOptions, JournalReader, Record, RingOptions, Stamp};
use crate::seal::{SealError, SealOptions, seal};
use dextape::schedule::Generator;
use dextape::tape::{Header, Tape};
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// First bytes of a saved state, and bytes in front of its body.
const STATE: &[u8; 8] = b"dxtstate";
const STATE_HEAD: usize = 40;

/// Flips single bits of a ring, cuts it, and forges its records, its headers and its saved states, with
/// checksums made right again; each `times` times, at places that `seed` decides.
///
/// # Errors
///
/// Where the ring gives a tape that does not read back, or fails otherwise than by being refused.
pub fn damage_ring(folder: &Path, times: u64, seed: u64) -> Result<Tally, Box<dyn Error>> {
    let (ring, segment) = sample_ring(folder)?;
    let mut generator = Generator::new(seed);
    let mut tally = Tally::default();
    for round in 0..5 * times {
        let mut bytes = ring.clone();
        let at = generator.below(bytes.len() as u64) as usize;
        match round % 5 {
            0 => bytes[at] ^= 1 << generator.below(8),
            1 => bytes.truncate(at),
            2 => forge_state(&mut bytes, &mut generator),
            3 => forge_record(&mut bytes, segment, &mut generator),
            _ => forge_header(&mut bytes, segment, &mut generator),
        }
        let path = folder.join("damaged.journal");
        std::fs::write(&path, &bytes)?;
        tally.runs += 1;
        let tape = folder.join("damaged.tape.jsonl");
        match seal(&path, &tape, SealOptions::default()) {
            Ok(_) => {
                let mut tape = Tape::read(&tape)?;
                tape.inline_blobs().map_err(|error| format!("round {round}: {error}"))?;
                tally.recovered += 1;
            }
            Err(SealError::Journal(_)) => tally.refused += 1,
            Err(error) => return Err(format!("round {round}: {error}").into()),
        }
    }
    Ok(tally)
}

/// A ring that was written around, with every kind of event in it and in what was given up; its bytes and the
/// size of its segments.
fn sample_ring(folder: &Path) -> Result<(Vec<u8>, usize), Box<dyn Error>> {
    let path = folder.join("sample.ring");
    let options = JournalOptions { wait: Duration::from_secs(20), ..JournalOptions::default() };
    let ring = RingOptions::of_size(1 << 20).sticky(3);
    let journal = Journal::create(&path, options.ring(ring))?;
    journal.append(Stamp::default(), &Record::Header(&Header::mock()));
    let mut time = 0;
    for round in 0..10 {
        for body in every_kind() {
            time += 1;
            let stamp = Stamp { lane: 1 + time as u32 % 3, time, ..Stamp::default() };
            append_body(&journal, stamp, &body).ok_or("a record was dropped")?;
        }
        // Few, so that sealing is quick, and some of them in chunks.
        let data = vec![7; if round % 2 == 0 { 3_500 } else { 30_000 }];
        for at in 0..if round % 2 == 0 { 30 } else { 3 } {
            time += 1;
            let (offset, data) = (at * 100, Data::Bytes(&data));
            let write = Record::Write { memory: 1, offset, width: None, data };
            journal.append(Stamp { lane: 1, time, ..Stamp::default() }, &write);
        }
    }
    drop(journal);
    let segment = JournalReader::open(&path)?.segment_size() as usize;
    let bytes = std::fs::read(&path)?;
    std::fs::remove_file(&path)?;
    Ok((bytes, segment))
}

/// Numbers are lengths, counts and references most of all: large ones, small ones, and near ones.
fn forge(bytes: &mut [u8], generator: &mut Generator) {
    for _ in 0..=generator.below(4) {
        let at = generator.below(bytes.len() as u64) as usize;
        let end = (at + [1, 4, 8][generator.below(3) as usize]).min(bytes.len());
        match generator.below(3) {
            0 => bytes[at..end].fill(0xff),
            1 => bytes[at..end].fill(0),
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
    }
}

fn forge_state(bytes: &mut [u8], generator: &mut Generator) {
    let starts: Vec<usize> = (0..bytes.len() / 4096)
        .map(|page| page * 4096)
        .filter(|at| bytes[*at..].starts_with(STATE))
        .collect();
    for start in starts {
        let end = start + STATE_HEAD + u64_at(bytes, start + 32) as usize;
        let state = &mut bytes[start..end];
        // Most of it is pinned records and pages; what leads to them stands at its beginning.
        let near = state.len().min(STATE_HEAD + 400);
        let from = if generator.below(2) == 0 { near } else { state.len() };
        forge(&mut state[16..from], generator);
        let sum = crc32fast::hash(&state[12..]);
        state[8..12].copy_from_slice(&sum.to_le_bytes());
    }
}

fn forge_record(bytes: &mut [u8], segment: usize, generator: &mut Generator) {
    for _ in 0..=generator.below(20) {
        let place = generator.below((bytes.len() / segment) as u64) as usize;
        let whole = &mut bytes[place * segment..(place + 1) * segment];
        let base = u64_at(whole, 24).wrapping_mul(segment as u64);
        let mut walk = Walk::new(base, segment);
        let mut found = Vec::new();
        while let Some(piece) = walk.next(whole) {
            if let Piece::Record(record) = piece {
                found.push(record);
            }
        }
        if found.is_empty() {
            continue;
        }
        let chosen = found[generator.below(found.len() as u64) as usize];
        let record = &mut whole[chosen.offset..chosen.offset + chosen.length];
        forge(&mut record[16..], generator);
        record[4] = if generator.below(3) == 0 { generator.next_u64() as u8 } else { record[4] };
        let position = base + chosen.offset as u64;
        let sum = Sum::new(position, u64_at(record, 0)).finish(&record[16..]);
        record[8..16].copy_from_slice(&sum.to_le_bytes());
    }
}

fn forge_header(bytes: &mut [u8], segment: usize, generator: &mut Generator) {
    // One of them, or all alike: those that differ are left out.
    let places = bytes.len() / segment;
    let chosen = generator.below(places as u64 + 1) as usize;
    let seed = generator.next_u64();
    for place in (0..places).filter(|place| chosen == places || *place == chosen) {
        let header = &mut bytes[place * segment..][..HEADER_SIZE];
        if u32_at(header, 8) == 0 {
            continue;
        }
        forge(&mut header[12..HEADER_SIZE - 4], &mut Generator::new(seed));
        let sum = crc32fast::hash(&header[..HEADER_SIZE - 4]);
        header[HEADER_SIZE - 4..].copy_from_slice(&sum.to_le_bytes());
    }
}
