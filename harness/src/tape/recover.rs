//! What is left of a tape that was cut off or damaged.

use super::error::{TapeError, TapeErrorKind};
use super::event::Event;
use super::header::Header;
use super::payload::{Digest, Payload};
use super::reader::TapeReader;
use super::tape_file::TapeFile;
use super::writer::{LoadBlob, TapeWriter};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What a recovery found.
#[derive(Debug)]
pub struct Recovery {
    /// Whole events, all of which were kept.
    pub events: u64,
    /// What stands in the way of the next one; `None` where the tape is whole, and nothing was
    /// written.
    pub trouble: Option<TapeError>,
}

impl Recovery {
    /// The note that goes into the provenance of the recovered tape.
    fn note(&self) -> String {
        let Some(trouble) = &self.trouble else { return "recovered".to_owned() };
        let what = if trouble.is_cut_off() { "cut off" } else { "damaged" };
        format!("recovered: {} events, {what} in line {}", self.events, trouble.line)
    }
}

/// Keeps the whole events of a tape up to the first place that cannot be read, and closes it there. An
/// operation that was in flight stays entered. `to` may be the same file.
///
/// A tape that is whole is left alone, and nothing is written.
///
/// # Errors
///
/// The file cannot be read, its header is not whole or of a version that is not readable, or `to`
/// cannot be written.
pub fn recover(from: &Path, to: &Path) -> Result<Recovery, TapeError> {
    let recovery = survey(TapeReader::open(from)?)?;
    if recovery.trouble.is_some() {
        let reader = TapeReader::open(from)?;
        let header = noted(&reader, &recovery);
        let mut file = TapeFile::create(to, &header)?;
        copy(reader, &recovery, |event, load| file.event_from(event, load))?;
        file.finish()?;
    }
    Ok(recovery)
}

/// As [`recover`], in memory: also gives the recovered tape's bytes; those that were given where the
/// tape is whole.
///
/// # Errors
///
/// The header is not whole, or of a version that is not readable.
pub fn recover_bytes(bytes: Arc<[u8]>) -> Result<(Recovery, Arc<[u8]>), TapeError> {
    let recovery = survey(TapeReader::from_bytes(bytes.clone())?)?;
    if recovery.trouble.is_none() {
        return Ok((recovery, bytes));
    }
    let reader = TapeReader::from_bytes(bytes)?;
    let header = noted(&reader, &recovery);
    let mut writer = TapeWriter::new(Vec::new(), &header)?;
    copy(reader, &recovery, |event, load| writer.event_from(event, load))?;
    Ok((recovery, writer.finish()?.into()))
}

fn noted(reader: &TapeReader, recovery: &Recovery) -> Header {
    let mut header = reader.header().clone();
    header.provenance.push(recovery.note());
    header
}

/// Counts the events that can be kept.
fn survey(mut reader: TapeReader) -> Result<Recovery, TapeError> {
    let mut whole = BTreeSet::new();
    let mut events = 0;
    while let Some(event) = reader.next() {
        let event = match event {
            Ok(event) => event,
            Err(error) if matches!(error.kind, TapeErrorKind::Io(_)) => return Err(error),
            Err(error) => return Ok(Recovery { events, trouble: Some(error) }),
        };
        if let Err(mut trouble) = check_blobs(&event, &reader, &mut whole) {
            trouble.line = reader.line();
            return Ok(Recovery { events, trouble: Some(trouble) });
        }
        events += 1;
    }
    Ok(Recovery { events, trouble: None })
}

/// Sees that the blobs of an event can be loaded.
fn check_blobs(
    event: &Event,
    reader: &TapeReader,
    whole: &mut BTreeSet<Digest>,
) -> Result<(), TapeError> {
    let mut outcome = Ok(());
    event.for_each_payload(|payload| {
        if let Payload::Blob { digest, .. } = payload
            && outcome.is_ok()
            && whole.insert(*digest)
        {
            outcome = reader.load(*digest).map(drop);
        }
    });
    outcome
}

fn copy(
    mut reader: TapeReader,
    recovery: &Recovery,
    mut write: impl FnMut(&Event, LoadBlob<'_>) -> Result<(), TapeError>,
) -> Result<(), TapeError> {
    for _ in 0..recovery.events {
        match reader.next() {
            Some(event) => write(&event?, &|digest| reader.load(digest))?,
            None => break,
        }
    }
    Ok(())
}
