//! Pseudonyms in the place of private values.

use super::cells::{At, Part, walk};
use super::find::{Leak, Search, cells, find_private};
use super::streams::{Cell, Stream, streams};
use dextape::redaction::{
    Edges, Encoded, FieldPlace, Form, PolicyField, PrivateValue, Pseudonym, RedactionPolicy,
    encodings, trimmed,
};
use dextape::tape::{Body, Sequence, Structure, Tape, TapeError};
use std::collections::{BTreeMap, BTreeSet};

/// How often a tape is gone through.
const TURNS_MAX: u32 = 4;

/// Leaks that an error lists.
const LEAKS_SHOWN: usize = 20;

/// A tape that could not be redacted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedactError {
    /// A blob cannot be read.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// The values are too many or too long.
    #[error("look for the private values: {0}")]
    Search(#[from] aho_corasick::BuildError),
    /// Private values are still there.
    #[error("redact a tape: {}", listed(.0))]
    Left(Vec<Leak>),
}

fn listed(leaks: &[Leak]) -> String {
    leaks.iter().map(Leak::to_string).collect::<Vec<_>>().join("; ")
}

/// What was done to a tape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redacted {
    /// Values that were replaced: those found at places of the policy, and those given.
    pub values: Vec<PrivateValue>,
    /// Places that were changed, by the form that the value stood in.
    pub replaced: BTreeMap<&'static str, u64>,
    /// Values too short to be looked for, which were replaced at their own places only.
    pub short: u64,
    /// Places of which the client made another form of a value than the dext gave it: it computes with
    /// the value, so a replay of the redacted tape may diverge there.
    pub computed: Vec<String>,
    /// Forms that could not be made of the pseudonym, and have one of their own: equal values in two
    /// forms are not equal there any more.
    pub apart: BTreeSet<&'static str>,
}

/// Replaces every private value of a tape: those that stand at places of the policy, and those in
/// `known`, wherever on the tape they stand. Equal values stay equal, lengths stay, and the tape's header
/// says what was redacted. Afterwards the tape is searched again.
///
/// # Errors
///
/// A blob of the tape cannot be read, or a value is left, which is none of ours: see [`RedactError`].
///
/// # Examples
///
/// ```
/// use dextape::redaction::{Pseudonym, RedactionPolicy};
/// use dextape::registry::Value;
/// use dextape::tape::{Body, Event, Header, Tape};
/// use dextape_lab::redact;
///
/// let read = |text: &str| Body::Property {
///     service: 1,
///     key: Some("Serial".to_owned()),
///     outcome: Ok(Some(Value::from(text))),
/// };
/// let events = vec![Event::new(1, 1, 1, read("C02XL0GYJGH5"))];
/// let mut tape = Tape::new(Header::mock(), events);
/// let policy = RedactionPolicy::from_toml("format = 1\nproperties = ['Serial']").unwrap();
/// let report = redact(&mut tape, &policy, &[], &Pseudonym::new([1; 32]))?;
/// assert_eq!(report.replaced["text"], 1);
/// assert_ne!(tape.events()[0].body, read("C02XL0GYJGH5"));
/// # Ok::<(), dextape_lab::RedactError>(())
/// ```
pub fn redact(
    tape: &mut Tape,
    policy: &RedactionPolicy,
    known: &[PrivateValue],
    pseudonym: &Pseudonym,
) -> Result<Redacted, RedactError> {
    tape.inline_blobs()?;
    let mut report = Redacted::default();
    let mut cells = cells(tape);
    let places = places(tape, policy, &cells);
    let mut values: BTreeSet<PrivateValue> = known.iter().cloned().collect();
    for place in &places {
        let bytes = &cells[place.cell].bytes[place.from..place.to];
        values.extend(PrivateValue::of_bytes(bytes));
    }
    let values: Vec<PrivateValue> = values.into_iter().collect();
    // A value that is a part of another one is replaced last, in what is left of it.
    let mut by_length = values.clone();
    by_length.sort_by_key(|value| std::cmp::Reverse(value.bytes().len()));
    let search = Search::new(&by_length)?;
    let others: Vec<Vec<Encoded>> =
        by_length.iter().map(|value| encodings(&value.pseudonym(pseudonym))).collect();
    // What overlaps another place that changes is still there, or changed in part: it comes in a second turn.
    for _ in 0..TURNS_MAX {
        let changes = plan(&cells, &search, &others, pseudonym, &mut report);
        if changes.is_empty() {
            break;
        }
        for ((cell, index), byte) in changes {
            cells[cell].bytes[index] = byte;
        }
    }
    for place in &places {
        let part = trimmed(&cells[place.cell].bytes[place.from..place.to]);
        let range = place.from..place.from + part.len();
        let original = &place.original;
        // Too short to be looked for, or of one byte over and over.
        if part == trimmed(original) && part.iter().any(|byte| *byte != 0) {
            let form = Form::of(part);
            let bytes = &mut cells[place.cell].bytes[range];
            pseudonym.replace(bytes, form);
            // A text of nothing but marks has no other of its form.
            if bytes == trimmed(original) {
                pseudonym.replace(bytes, Form::Bytes);
            }
            report.short += 1;
        }
    }
    write_back(tape, &cells);
    if !places.is_empty() || !report.replaced.is_empty() {
        let redactions = &mut tape.header_mut().redactions;
        redactions.push(format!(
            "{} values at {} places of a policy, and wherever they stood",
            values.len(),
            places.len()
        ));
    }
    report.values = values;
    let left = find_private(tape, &report.values, LEAKS_SHOWN)?;
    if left.is_empty() { Ok(report) } else { Err(RedactError::Left(left)) }
}

/// A place of the policy.
struct Place {
    cell: usize,
    from: usize,
    to: usize,
    original: Vec<u8>,
}

fn places(tape: &Tape, policy: &RedactionPolicy, cells: &[Cell]) -> Vec<Place> {
    let mut memory_types = BTreeMap::new();
    let mut maps = BTreeMap::new();
    let mut inputs: BTreeMap<Sequence, &[u8]> = BTreeMap::new();
    for event in tape.events() {
        match &event.body {
            Body::Map { memory_type, .. } => {
                maps.insert(event.sequence, *memory_type);
            }
            Body::Mapped { outcome: Ok(mapped) } => {
                if let Some(of) = event.cause.and_then(|cause| maps.get(&cause)) {
                    memory_types.insert(mapped.memory, *of);
                }
            }
            Body::Keyframe(keyframe) => memory_types
                .extend(keyframe.memories.iter().map(|memory| (memory.memory, memory.memory_type))),
            Body::Call(call) | Body::AsyncCall { call, .. } => {
                if let Structure::Bytes(data) | Structure::Shared { data, .. } = &call.input {
                    inputs.extend(data.as_bytes().map(|bytes| (event.sequence, bytes)));
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let mut add = |from: usize, to: usize| {
            if from < to {
                let original = cell.bytes[from..to].to_vec();
                found.push(Place { cell: index, from, to, original });
            }
        };
        let length = cell.bytes.len();
        match &cell.at.part {
            Part::Property(key) if policy.properties.contains(key) => add(0, length),
            Part::Write(memory) | Part::Patch(memory) | Part::Keyframe(memory) => {
                let Some(of) = memory_types.get(memory) else { continue };
                for range in policy.memory.iter().filter(|range| range.memory_type == *of) {
                    let covered =
                        |at: usize| at < length && range.covers(cell.at.offset + at as u64);
                    let mut at = 0;
                    while at < length {
                        let end = (at..length).find(|at| !covered(*at)).unwrap_or(length);
                        add(at, end);
                        at = (end + 1..length).find(|at| covered(*at)).unwrap_or(length);
                    }
                }
            }
            part => {
                let call = cell.at.call.and_then(|call| inputs.get(&call)).copied().unwrap_or(&[]);
                for field in &policy.fields {
                    if let Some((from, to)) = range(field, part, call, length) {
                        add(from, to);
                    }
                }
            }
        }
    }
    found
}

/// The bytes of a cell that a field of the policy means.
fn range(field: &PolicyField, part: &Part, input: &[u8], length: usize) -> Option<(usize, usize)> {
    let index = usize::try_from(field.at).ok()?;
    let (selector, whole) = match (field.place, part) {
        (FieldPlace::Input, Part::Input(selector))
        | (FieldPlace::Output, Part::Output(selector)) => (selector, false),
        (FieldPlace::ScalarInput, Part::ScalarInput(selector, at))
        | (FieldPlace::ScalarOutput, Part::ScalarOutput(selector, at))
        | (FieldPlace::Completion, Part::Completion(selector, at))
            if *at == index =>
        {
            (selector, true)
        }
        _ => return None,
    };
    let chosen = field.selector.is_none_or(|wanted| wanted == *selector)
        && field.when.as_ref().is_none_or(|when| when.holds(input));
    if !chosen {
        return None;
    }
    if whole {
        return Some((0, length));
    }
    let end = field.length.and_then(|length| usize::try_from(length).ok());
    let end = end.map_or(length, |end| index.saturating_add(end).min(length));
    (index < end).then_some((index, end))
}

/// The bytes that change, by cell and place in it.
fn plan(
    cells: &[Cell],
    search: &Search,
    others: &[Vec<Encoded>],
    pseudonym: &Pseudonym,
    report: &mut Redacted,
) -> BTreeMap<(usize, usize), u8> {
    let mut changes = BTreeMap::new();
    let mut done: BTreeSet<(usize, usize, usize, usize)> = BTreeSet::new();
    // In which forms the dext gave a value, and in which the client did.
    let mut given: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    let mut made: BTreeMap<usize, BTreeSet<(String, &str)>> = BTreeMap::new();
    streams(cells, &mut |stream| {
        let mut found: Vec<_> = search.find(stream).collect();
        // The longest values first, and of one value the earliest form.
        found.sort_by_key(|found| (found.value, found.encoding, found.begin));
        for found in found {
            let form = &search.encoded[found.value][found.encoding];
            let range = found.begin..found.begin + form.bytes.len();
            let Some(((cell, from), (last_cell, last))) = stream.ends(range.clone()) else {
                continue;
            };
            if !done.insert((cell, from, last_cell, last)) {
                continue;
            }
            let part = &cells[cell].at.part;
            if part.is_client() {
                made.entry(found.value).or_default().insert((part.to_string(), form.name));
            } else {
                given.entry(found.value).or_default().insert(form.name);
            }
            let mut bytes = form.bytes.clone();
            match &others[found.value][found.encoding] {
                other if other.bytes.len() == bytes.len() => bytes.copy_from_slice(&other.bytes),
                _ => {
                    report.apart.insert(form.name);
                    pseudonym.replace(&mut bytes, Form::Text);
                }
            }
            let origins: Vec<_> = range.map(|index| stream.origin(index)).collect();
            // Half of it has just become something else, so it is no longer there.
            if origins.iter().flatten().any(|origin| changes.contains_key(origin)) {
                continue;
            }
            for (origin, byte) in origins.into_iter().zip(bytes.iter().copied()) {
                // Where nothing stands on the tape nothing can be changed: zero stays zero there.
                let Some((cell, index)) = origin else { continue };
                changes.insert((cell, index), byte);
                changes.extend(stream.echoes(cell).map(|echo| ((echo, index), byte)));
            }
            if let Some(edges) = others[found.value][found.encoding].edges {
                share(stream, found.begin, found.begin + bytes.len(), edges, &mut changes);
            }
            *report.replaced.entry(form.name).or_default() += 1;
        }
    });
    for (value, places) in made {
        let Some(given) = given.get(&value) else { continue };
        let computed = places.into_iter().filter(|(_, form)| !given.contains(form));
        report.computed.extend(computed.map(|(place, form)| format!("{place}, as {form}")));
    }
    report.computed.sort();
    report.computed.dedup();
    changes
}

/// The characters of base64 before and behind a value that hold some of its bits.
fn share(
    stream: &Stream,
    begin: usize,
    end: usize,
    edges: Edges,
    changes: &mut BTreeMap<(usize, usize), u8>,
) {
    let mut change = |index: usize, other: &dyn Fn(u8) -> Option<u8>| {
        // At the end of the stream there is no such character, and nothing that it could come from.
        if let Some(character) = stream.bytes.get(index).and_then(|character| other(*character))
            && let Some(origin) = stream.origin(index)
        {
            changes.entry(origin).or_insert(character);
        }
    };
    if begin > 0 {
        change(begin - 1, &|character| edges.before(character));
    }
    change(end, &|character| edges.behind(character));
}

fn write_back(tape: &mut Tape, cells: &[Cell]) {
    let mut header = tape.header().clone();
    let mut index = 0;
    walk(&mut header, tape.events_mut(), &mut |_: At, bytes| {
        bytes.clone_from(&cells[index].bytes);
        index += 1;
    });
    *tape.header_mut() = header;
}
