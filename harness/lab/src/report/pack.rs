//! Putting a report together, behind the gate.

use super::error::PackError;
use super::manifest::{FORMAT, FileEntry, Manifest, TapeEntry};
use super::{BUNDLE_MAX, DIGITS, REPORT_EVENTS_MAX, SEAL, TAPES_MAX, TEXT_MAX, UNPACKED_MAX};
use crate::REDACTION_PENDING;
use crate::redact::{PrivateValue, find_private, redact};
use dextape::redaction::{Pseudonym, RedactionPolicy};
use dextape::tape::{Body, Event, Header, NoteSubject, Tape};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write as _};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Leaks that are told.
const LEAKS_MAX: usize = 20;

/// What goes into a bundle.
#[derive(Debug, Default)]
pub struct Report {
    /// The tapes, with the names of their files.
    pub tapes: Vec<(String, Tape)>,
    /// What is known of client, machine and dext.
    pub environment: BTreeMap<String, String>,
    /// What the user says.
    pub note: String,
    /// Lines of a log.
    pub log: String,
}

/// What must not leave.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Places of private values, which get pseudonyms wherever they stand.
    pub policy: RedactionPolicy,
    /// Values known to be private: a bundle that holds one is refused.
    pub private: Vec<PrivateValue>,
    /// Puts pseudonyms in the place of those values, too.
    pub replaces_private: bool,
    /// Where pseudonyms come from.
    pub pseudonym: Pseudonym,
}

/// A bundle.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// Packs a report: redacts tapes and texts, and searches all that is to be written for private values.
///
/// # Errors
///
/// [`PackError`]: a private value is left, a tape cannot be read, or there is too much of something.
///
/// # Examples
///
/// ```
/// use dextape::redaction::{Pseudonym, RedactionPolicy};
/// use dextape::tape::{Body, Event, Header, Tape};
/// use dextape_lab::{Bundle, Gate, PrivateValue, Report, pack_report};
/// use std::io::Cursor;
///
/// let tape = || Tape::new(Header::mock(), vec![Event::new(1, 1, 1, Body::Queue { queue: 1 })]);
/// let report = |note: &str| Report {
///     tapes: vec![("a.tape.jsonl".to_owned(), tape())],
///     note: note.to_owned(),
///     ..Report::default()
/// };
/// let gate = Gate {
///     policy: RedactionPolicy::new(),
///     private: PrivateValue::of_text("C02XL0GYJGH5").into_iter().collect(),
///     replaces_private: false,
///     pseudonym: Pseudonym::new([1; 32]),
/// };
/// assert!(pack_report(report("on C02XL0GYJGH5"), &gate).is_err());
/// let packed = pack_report(report("it hangs"), &gate)?;
/// let bundle = Bundle::read(Cursor::new(packed.bytes))?;
/// assert_eq!(bundle.note(), "it hangs");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pack_report(mut report: Report, gate: &Gate) -> Result<Packed, PackError> {
    limited("a number of tapes", TAPES_MAX as u64, report.tapes.len() as u64)?;
    let events = report.tapes.iter().map(|(_, tape)| tape.events().len() as u64).sum();
    limited("a number of events", REPORT_EVENTS_MAX, events)?;
    for text in [&report.note, &report.log] {
        limited("a note or log in bytes", TEXT_MAX, text.len() as u64)?;
    }
    let mut known = BTreeSet::new();
    if gate.replaces_private {
        known.extend(gate.private.iter().cloned());
    }
    let listed = |known: &BTreeSet<PrivateValue>| known.iter().cloned().collect::<Vec<_>>();
    let mut manifest = Manifest {
        format: FORMAT,
        packed_by: concat!("dextape ", env!("CARGO_PKG_VERSION")).to_owned(),
        environment: report.environment,
        ..Manifest::default()
    };
    // What the policy names on one tape may stand anywhere on another, so all values are gathered first.
    if report.tapes.len() > 1 {
        let mut found = known.clone();
        for (called, tape) in &mut report.tapes {
            tape.inline_blobs()?;
            let mut copy = Tape::new(tape.header().clone(), tape.events().to_vec());
            let redacted = redact(&mut copy, &gate.policy, &listed(&known), &gate.pseudonym)
                .map_err(|error| PackError::Redact(called.clone(), error.into()))?;
            found.extend(redacted.values);
        }
        known = found;
    }
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (index, (called, tape)) in report.tapes.iter_mut().enumerate() {
        if tape.header().provenance.iter().any(|note| note.starts_with(REDACTION_PENDING)) {
            return Err(PackError::Pending(called.clone()));
        }
        let redacted = redact(tape, &gate.policy, &listed(&known), &gate.pseudonym)
            .map_err(|error| PackError::Redact(called.clone(), error.into()))?;
        known.extend(redacted.values);
        let places: u64 = redacted.replaced.values().sum::<u64>() + redacted.short;
        if places > 0 {
            manifest.redactions.push(format!("tape {}: {places} places", index + 1));
        }
        let computed = redacted.computed.into_iter();
        manifest.redactions.extend(
            computed.map(|place| format!("tape {}: the client computes with {place}", index + 1)),
        );
        let file = format!("tapes/{}.tape.jsonl", index + 1);
        let events = tape.events().len() as u64;
        manifest.tapes.push(TapeEntry { file: file.clone(), called: called.clone(), events });
        files.push((file, tape.write_to(Vec::new())?));
    }
    let mut texts: Vec<String> = manifest.texts().into_iter().map(|text| text.clone()).collect();
    texts.extend([std::mem::take(&mut report.note), std::mem::take(&mut report.log)]);
    texts.extend(manifest.environment.keys().cloned());
    let mut papers = papers(&texts);
    redact(&mut papers, &RedactionPolicy::new(), &listed(&known), &gate.pseudonym)
        .map_err(|error| PackError::Redact("note, log and environment".to_owned(), error.into()))?;
    let mut redacted = papers.events().iter().map(|event| match &event.body {
        Body::Note { reason, .. } => reason.clone(),
        _ => String::new(),
    });
    for (text, redacted) in manifest.texts().into_iter().zip(&mut redacted) {
        *text = redacted;
    }
    for (name, text) in ["note.txt", "log.txt"].into_iter().zip(&mut redacted) {
        if !text.is_empty() {
            files.push((name.to_owned(), text.into_bytes()));
        }
    }
    // Names of the environment can hold something, too.
    let values = std::mem::take(&mut manifest.environment).into_values();
    manifest.environment = redacted.zip(values).collect();
    let mut values = gate.private.clone();
    values.extend(known.into_iter().filter(|value| !gate.private.contains(value)));
    search(&files, &manifest, &mut papers, &values)?;
    seal(files, manifest)
}

/// Looks for private values in what is going to be written, read again.
fn search(
    files: &[(String, Vec<u8>)],
    manifest: &Manifest,
    papers: &mut Tape,
    values: &[PrivateValue],
) -> Result<(), PackError> {
    let mut leaks = Vec::new();
    for (tape, (_, text)) in manifest.tapes.iter().zip(files) {
        let mut again = Tape::from_bytes(text.clone())?;
        let found = find_private(&mut again, values, LEAKS_MAX)
            .map_err(|error| PackError::Redact(tape.called.clone(), error.into()))?;
        leaks.extend(found.into_iter().map(|leak| (tape.file.clone(), leak)));
    }
    let found = find_private(papers, values, LEAKS_MAX)
        .map_err(|error| PackError::Redact("note, log and environment".to_owned(), error.into()))?;
    let of = "note, log or environment";
    leaks.extend(found.into_iter().map(|leak| (of.to_owned(), leak)));
    leaks.truncate(LEAKS_MAX);
    if leaks.is_empty() { Ok(()) } else { Err(PackError::Leaks(leaks)) }
}

/// Texts as a tape, so that they are redacted and searched as one.
fn papers(texts: &[String]) -> Tape {
    let event = |(number, text): (u64, &String)| {
        let (subject, reason) = (NoteSubject::Trigger, text.clone());
        Event::new(number, 1, number, Body::Note { subject, memory: None, reason })
    };
    Tape::new(Header::mock(), (1..).zip(texts).map(event).collect())
}

fn limited(what: &'static str, limit: u64, found: u64) -> Result<(), PackError> {
    if found > limit { Err(PackError::Limit { what, limit, found }) } else { Ok(()) }
}

/// Writes the zip, and the hash of all of it into its comment.
fn seal(files: Vec<(String, Vec<u8>)>, mut manifest: Manifest) -> Result<Packed, PackError> {
    let entry = |(name, bytes): &(String, Vec<u8>)| FileEntry {
        name: name.clone(),
        size: bytes.len() as u64,
        blake3: blake3::hash(bytes).to_hex().to_string(),
    };
    manifest.files = files.iter().map(entry).collect();
    let unpacked = manifest.files.iter().map(|file| file.size).sum();
    limited("all files in bytes", UNPACKED_MAX, unpacked)?;
    let text = serde_json::to_vec_pretty(&manifest).map_err(|it| PackError::Zip(it.to_string()))?;
    limited("a manifest in bytes", TEXT_MAX, text.len() as u64)?;
    let mut bytes = write(&text, &files).map_err(|error| PackError::Zip(error.to_string()))?;
    limited("a bundle in bytes", BUNDLE_MAX, bytes.len() as u64)?;
    let sealed = bytes.len() - DIGITS;
    let hash = blake3::hash(&bytes[..sealed]).to_hex();
    bytes[sealed..].copy_from_slice(hash.as_bytes());
    Ok(Packed { bytes, manifest })
}

fn write(manifest: &[u8], files: &[(String, Vec<u8>)]) -> zip::result::ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.set_comment(format!("{SEAL}{}", "0".repeat(DIGITS)))?;
    let all = std::iter::once(("manifest.json", manifest));
    for (name, bytes) in all.chain(files.iter().map(|(name, bytes)| (&**name, &**bytes))) {
        zip.start_file(name, options)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}
