//! Pseudonyms in the place of private values.

use super::cells::{At, Part, walk};
use super::copies::Given;
use super::find::{Leak, Search, cells, find_private};
use super::hits::{Change, Hits};
use super::places::{Place, places};
use super::streams::{Cell, Look};
use dextape::redaction::{Form, PrivateValue, Pseudonym, RedactionPolicy, encodings, trimmed};
use dextape::tape::{Body, Payload, Tape, TapeError};
use std::collections::{BTreeMap, BTreeSet};

/// How often each side of a tape is gone through.
const TURNS_MAX: u32 = 4;

/// Pseudonyms that are tried of one tape, where they read like a value themselves.
const TRIES_MAX: u32 = 3;

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
/// says what was redacted. Afterwards the tape is searched again: where a pseudonym happens to read like a private
/// value, others are tried, which then are not those of other tapes.
///
/// What the dext gave is replaced first. Of what the client handed in, the longest copies of that are replaced
/// by the same bytes of what stands there now, also where they are parts of a value or in pieces; so a
/// client that does nothing but copy and compare does the same against the redacted tape. Then follows what else
/// the client made of a value. Where a value was replaced, the hashes of long writes are taken out.
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
    let original = (tape.header().clone(), tape.events().to_vec());
    let before = cells(tape);
    let places = places(tape, policy, &before);
    let mut values: BTreeSet<PrivateValue> = known.iter().cloned().collect();
    for place in &places {
        let bytes = &before[place.cell].bytes[place.from..place.to];
        values.extend(PrivateValue::of_bytes(bytes));
    }
    let values: Vec<PrivateValue> = values.into_iter().collect();
    // A value that is a part of another one is replaced last, in what is left of it.
    let mut by_length = values.clone();
    by_length.sort_by_key(|value| std::cmp::Reverse(value.bytes().len()));
    let search = Search::new(&by_length)?;
    let mut tries = 0;
    loop {
        // One pseudonym may happen to read like another value. Others hardly do so, too.
        let pseudonym = match tries {
            0 => pseudonym.clone(),
            _ => pseudonym.apart(format!("once more {tries}").as_bytes()),
        };
        let (cells, mut report) = replaced(&before, &places, &by_length, &search, &pseudonym);
        write_back(tape, &cells);
        if !report.replaced.is_empty() {
            forget_hashes(tape);
        }
        if !places.is_empty() || !report.replaced.is_empty() {
            let note = note(values.len(), places.len(), &search);
            tape.header_mut().redactions.push(note);
        }
        let left = find_private(tape, &values, LEAKS_SHOWN)?;
        tries += 1;
        if tries < TRIES_MAX && (!left.is_empty() || reads_like_one(tape, &search)?) {
            tape.header_mut().clone_from(&original.0);
            tape.events_mut().clone_from_slice(&original.1);
            continue;
        }
        report.values = values;
        return if left.is_empty() { Ok(report) } else { Err(RedactError::Left(left)) };
    }
}

/// The cells with other values in the place of these.
fn replaced(
    before: &[Cell],
    places: &[Place],
    values: &[PrivateValue],
    search: &Search,
    pseudonym: &Pseudonym,
) -> (Vec<Cell>, Redacted) {
    let mut report = Redacted::default();
    let mut cells = before.to_vec();
    let others = values.iter().map(|value| encodings(&value.pseudonym(pseudonym))).collect();
    let mut hits = Hits::new(search, others, pseudonym);
    let mut given = BTreeMap::new();
    // No value that is looked for, so behind all of those.
    let short = (values.len(), "short");
    for side in [Look::Given, Look::Made] {
        let mut copies = match side {
            Look::Made => Given::gather(before, &given),
            _ => Given::default(),
        };
        // What overlaps another place that changes is still there, or changed in part: it comes in a second turn.
        for _ in 0..TURNS_MAX {
            let changes =
                hits.plan(before, &cells, side, &std::mem::take(&mut copies), &mut report);
            if changes.is_empty() {
                break;
            }
            for (origin, change) in changes {
                cells[origin.0].bytes[origin.1] = change.byte;
                if side == Look::Given {
                    given.insert(origin, change);
                }
            }
        }
        for (index, place) in places.iter().enumerate() {
            if !side.takes(&cells[place.cell].at.part) {
                continue;
            }
            let bytes = &mut cells[place.cell].bytes[place.from..place.to];
            let done = replace_short(bytes, place, pseudonym);
            report.short += u64::from(done > 0);
            if side == Look::Given {
                for (at, byte) in (place.from..).zip(&bytes[..done]) {
                    let change = Change { byte: *byte, of: short, hit: usize::MAX - index };
                    given.insert((place.cell, at), change);
                }
            }
        }
    }
    report.computed = hits.computed();
    repeat_references(before, &mut cells);
    (cells, report)
}

/// What the header says, in words unless one of these reads like a value itself.
fn note(values: usize, places: usize, search: &Search) -> String {
    let words = format!("{values} values at {places} places of a policy, and wherever they stood");
    match search.in_lines(words.as_bytes()).is_empty() {
        true => words,
        false => format!("{values} / {places}"),
    }
}

/// Takes out the hashes of long writes: what they are of may have held a value, so nobody could hand it in again, and
/// whoever guesses the value could try.
fn forget_hashes(tape: &mut Tape) {
    for event in tape.events_mut() {
        if let Body::Write { data, .. } = &mut event.body
            && let Payload::Hash { length, .. } = *data
        {
            *data = Payload::Redacted { length };
        }
    }
}

/// True where a text of the tape and what the format writes beside it read like one of the values together, which the
/// places of the tape do not tell. What the format writes alone stands on every tape.
fn reads_like_one(tape: &Tape, search: &Search) -> Result<bool, TapeError> {
    let mut found = search.in_lines(&blank(tape, true)?);
    if !found.is_empty() {
        let of_format = search.in_lines(&blank(tape, false)?);
        found.retain(|value| !of_format.contains(value));
    }
    Ok(!found.is_empty())
}

/// The text of a tape with nothing but zero in its bytes and numbers, and with its texts or without.
fn blank(tape: &Tape, keeps_texts: bool) -> Result<Vec<u8>, TapeError> {
    let mut blank = Tape::new(tape.header().clone(), tape.events().to_vec());
    let mut header = blank.header().clone();
    walk(&mut header, blank.events_mut(), &mut |at, bytes| match at.is_text {
        true if keeps_texts => {}
        true => bytes.fill(b' '),
        false => bytes.fill(0),
    });
    *blank.header_mut() = header;
    blank.write_to(Vec::new())
}

/// Replaces what is too short to be looked for, or of one byte over and over. Gives how many bytes it had.
fn replace_short(bytes: &mut [u8], place: &Place, pseudonym: &Pseudonym) -> usize {
    let original = trimmed(&place.original);
    let part = trimmed(bytes);
    if part != original || part.iter().all(|byte| *byte == 0) {
        return 0;
    }
    let (form, length) = (Form::of(part), part.len());
    let bytes = &mut bytes[..length];
    pseudonym.replace(bytes, form);
    // A text of nothing but marks has no other of its form.
    if bytes == original {
        pseudonym.replace(bytes, Form::Bytes);
    }
    length
}

/// Has each completion repeat the reference of its call, as the kernel does.
fn repeat_references(before: &[Cell], cells: &mut [Cell]) {
    let mut entries = BTreeMap::new();
    for index in 0..cells.len() {
        let At { part, event, call, .. } = &before[index].at;
        if !matches!(part, Part::Reference(..)) {
            continue;
        }
        if event == call {
            entries.insert((*call, part), index);
        } else if let Some(of) = entries.get(&(*call, part))
            && before[*of].bytes == before[index].bytes
        {
            cells[index].bytes = cells[*of].bytes.clone();
        }
    }
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
