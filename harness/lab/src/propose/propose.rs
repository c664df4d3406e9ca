//! A description put together.

use super::number::{Meaning, meaning};
use super::samples::{BYTES_MAX, Calls, Contents, Memory, Samples, calls_by_service};
use super::structure::{Found, What, fields};
use super::text::Writer;
use dextape::IoReturn;
use dextape::tape::{Tape, TapeError};
use std::collections::{BTreeMap, BTreeSet};

/// Fields of one structure that are proposed at most: more are no structure but data.
const FIELDS_MAX: usize = 256;

/// Result codes that are named at most.
const RESULTS_MAX: usize = 256;

/// A description that was guessed, as a file and with what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proposal {
    /// The file, with the evidence as comments.
    pub text: String,
    /// The service that it is for; empty where the tapes name none.
    pub service: String,
    /// Selectors that are described.
    pub selectors: usize,
    /// Structures that are described.
    pub structures: usize,
    /// Memory types that are described.
    pub memory_types: usize,
    /// Other services of the tapes, with their calls: each wants a description of its own.
    pub others: BTreeMap<String, u64>,
}

/// Why nothing is proposed. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Bytes of a tape cannot be read.
    #[error("{0}")]
    Tape(#[from] TapeError),
    /// The tapes know no such service.
    #[error("find connections to {wanted:?}: the tapes have {known}")]
    NoService {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
}

/// Proposes a description of what passed to and from `service`; where none is named, of the one with the most
/// calls.
///
/// # Errors
///
/// [`ProposeError`] where a tape cannot be read or none has the service.
///
/// # Examples
///
/// ```
/// use dextape::protocol::Protocol;
/// use dextape::tape::sample;
/// use dextape_lab::propose;
///
/// let proposal = propose(&[&sample::every_kind()], None)?;
/// let protocol = Protocol::from_toml(&proposal.text)?;
/// assert_eq!(protocol.selector_name(8), Some("selector_8"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn propose(tapes: &[&Tape], service: Option<&str>) -> Result<Proposal, ProposeError> {
    let mut services: BTreeMap<String, u64> = BTreeMap::new();
    for tape in tapes {
        for (service, calls) in calls_by_service(tape) {
            *services.entry(service).or_default() += calls;
        }
    }
    let service = match service {
        Some(wanted) if services.contains_key(wanted) => wanted.to_owned(),
        Some(wanted) => {
            let known: Vec<_> = services.keys().map(|name| format!("{name:?}")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(ProposeError::NoService { wanted: wanted.to_owned(), known });
        }
        // Of those with as many calls the first by name.
        None => services
            .iter()
            .max_by(|one, other| one.1.cmp(other.1).then(other.0.cmp(one.0)))
            .map_or_else(String::new, |(name, _)| name.clone()),
    };
    services.remove(&service);
    let mut samples = Samples::default();
    for tape in tapes {
        samples.add(tape, &service)?;
    }
    let mut writer = Writer::default();
    writer.begin(&service, tapes.iter().map(|tape| tape.events().len()).sum(), tapes.len());
    for (other, calls) in &services {
        writer.comment(&format!("Not described: {calls} calls of {other:?}, another service."));
    }
    let (mut selectors, mut memory_types) = (0, 0);
    for (selector, calls) in &samples.selectors {
        if writer.is_full() {
            break;
        }
        describe(*selector, calls, &mut writer);
        selectors += 1;
    }
    for (memory_type, memory) in &samples.memory {
        if writer.is_full() {
            break;
        }
        describe_memory(*memory_type, memory, &mut writer);
        memory_types += 1;
    }
    results(&samples, &mut writer);
    let left = samples.selectors.len() + samples.memory.len() - selectors - memory_types;
    if left > 0 {
        writer.comment(&format!("{left} more selectors and memory types are not described."));
    }
    Ok(Proposal {
        service,
        selectors,
        structures: writer.structures,
        memory_types,
        others: services,
        text: writer.finish(),
    })
}

fn describe(selector: u32, calls: &Calls, writer: &mut Writer) {
    let mut about = format!("{} calls", calls.count);
    if calls.asynchronous > 0 {
        about += &format!(", {} of them asynchronous", calls.asynchronous);
        about += &format!(" with {} completions", calls.completions);
    }
    let told: Vec<_> =
        calls.results.iter().map(|(code, count)| format!("{} {count}", IoReturn(*code))).collect();
    if !told.is_empty() {
        about += &format!("; results: {}", told.join(", "));
    }
    writer.table(&format!("selectors.{selector}"));
    writer.comment(&about);
    writer.text("name", &format!("selector_{selector}"));
    for (key, columns) in
        [("inputs", &calls.inputs), ("outputs", &calls.outputs), ("completion", &calls.completion)]
    {
        let scalars: Vec<_> = columns.iter().map(meaning).collect();
        let word = match key {
            "inputs" => "in",
            "outputs" => "out",
            _ => "argument",
        };
        writer.scalars(key, word, &format!("{selector}_{word}"), &scalars);
    }
    // One structure that goes and comes back: what both ways show is evidence of the same fields.
    let (both, alike) = calls.both_ways;
    let one = both > 0 && alike * 2 > both;
    let input = if calls.input.lengths.is_empty() { &calls.refused } else { &calls.input };
    let structures: &[(&str, Vec<&Contents>)] = &if one {
        vec![("both", vec![input, &calls.output])]
    } else {
        vec![("input", vec![input]), ("output", vec![&calls.output])]
    };
    let mut later = Vec::new();
    for (way, contents) in structures {
        let Some((structure, found)) = structure_of(contents) else { continue };
        let name = match *way {
            "input" => format!("Input{selector}"),
            "output" => format!("Output{selector}"),
            _ => format!("Structure{selector}"),
        };
        if *way != "output" {
            writer.text("input", &name);
        }
        if *way != "input" {
            writer.text("output", &name);
        }
        later.push((name, structure, found));
    }
    for (name, structure, found) in later {
        writer.structure(&name, structure.size, &structure.about, &found);
    }
}

/// The length that all contents of a structure have at least, and what else is known of it.
struct Seen {
    size: u64,
    about: String,
}

/// The fields of a structure, where any bytes of it are known. Where contents are of several lengths, what
/// the shortest one has stands in front of all.
fn structure_of(contents: &[&Contents]) -> Option<(Seen, Vec<Found>)> {
    let mut lengths: BTreeMap<u64, u64> = BTreeMap::new();
    for (length, count) in contents.iter().flat_map(|contents| &contents.lengths) {
        *lengths.entry(*length).or_default() += count;
    }
    lengths.remove(&0);
    let (size, _) = lengths.first_key_value()?;
    let looked_at = (*size).min(BYTES_MAX as u64) as usize;
    let mut different: Vec<&[u8]> = Vec::new();
    let mut known = BTreeSet::new();
    for bytes in contents.iter().flat_map(|contents| &contents.different) {
        if let Some(bytes) = bytes.get(..looked_at).filter(|bytes| known.insert(*bytes)) {
            different.push(bytes);
        }
    }
    let mut about = format!("{} different contents", different.len());
    if lengths.len() > 1 {
        let told: Vec<_> = lengths
            .iter()
            .take(8)
            .map(|(length, count)| format!("{length} ({count} times)"))
            .collect();
        about += &format!("; lengths that came: {}", told.join(", "));
        if lengths.len() > 8 {
            about += &format!(" and {} others", lengths.len() - 8);
        }
    }
    let found = looked_into(&different, *size, &mut about);
    Some((Seen { size: *size, about }, found))
}

/// The fields of contents, and what is to be said of them.
fn looked_into(different: &[&[u8]], size: u64, about: &mut String) -> Vec<Found> {
    let found = fields(different);
    let looked_at = different.first().map_or(0, |bytes| bytes.len());
    if size > looked_at as u64 {
        *about += &format!("; only the first {looked_at} bytes were looked at");
    }
    if found.is_empty() {
        *about += "; no byte of it was ever anything but 0";
    }
    if found.len() > FIELDS_MAX {
        *about += &format!("; data rather than a structure: {} numbers were found", found.len());
        return Vec::new();
    }
    found
}

fn describe_memory(memory_type: u32, memory: &Memory, writer: &mut Writer) {
    let lengths: Vec<_> =
        memory.lengths.iter().map(|length| format!("{length:#x} bytes")).collect();
    let mut about = format!("mapped {} times", memory.mapped);
    if !lengths.is_empty() {
        about += &format!(", {}", lengths.join(" or "));
    }
    writer.table(&format!("memory.{memory_type:#x}"));
    writer.comment(&about);
    writer.text("name", &format!("memory_{memory_type:#x}"));
    let different: Vec<&[u8]> = memory.contents.different.iter().map(Vec::as_slice).collect();
    let shortest = different.iter().map(|bytes| bytes.len()).min().unwrap_or(0);
    let different: Vec<&[u8]> = different.iter().map(|bytes| &bytes[..shortest]).collect();
    let size = memory.lengths.first().copied().unwrap_or(0);
    let mut about = format!("{} contents that the client saw", different.len());
    let mut found = looked_into(&different, size, &mut about);
    // A number that the client accessed as one is one.
    for (offset, (width, count)) in &memory.accesses {
        let (Ok(at), Ok(width)) = (usize::try_from(*offset), usize::try_from(*width)) else {
            continue;
        };
        if offset.checked_add(width as u64).is_none_or(|end| end > size) {
            continue;
        }
        found.retain(|field| field.at >= at + width || field.at + field.size <= at);
        let what = What::Number(Meaning::Plain, false);
        found.push(Found { at, size: width, what, evidence: format!("accessed {count} times") });
    }
    found.sort_by_key(|field| field.at);
    if !found.is_empty() {
        let name = format!("Memory{memory_type:x}");
        writer.text("layout", &name);
        writer.structure(&name, size, &about, &found);
    }
}

/// Codes without a name of Apple's are the dext's own.
fn results(samples: &Samples, writer: &mut Writer) {
    let mut own: BTreeMap<u32, u64> = BTreeMap::new();
    for (code, count) in samples.selectors.values().flat_map(|calls| &calls.results) {
        if IoReturn(*code).name().is_none() {
            *own.entry(*code).or_default() += count;
        }
    }
    if own.is_empty() {
        return;
    }
    writer.table("results");
    for (code, count) in own.into_iter().take(RESULTS_MAX) {
        writer.comment(&format!("{count} times"));
        writer.text(&format!("{code:#010x}"), &format!("result_{code:08x}"));
    }
}
