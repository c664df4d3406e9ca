//! Known values, looked for in a tape.

use super::apply::RedactError;
use super::cells::{At, walk};
use super::streams::{Cell, Look, Stream, streams};
use aho_corasick::{AhoCorasick, BuildError};
use dextape::redaction::{Encoded, PrivateValue, VALUE_MIN, encodings};
use dextape::tape::{Sequence, Tape};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A private value that a tape still holds. It says where, never what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// Which of the values that were looked for, from 0 on.
    pub value: usize,
    /// The event in which it begins; `None` for the header.
    pub event: Option<Sequence>,
    /// What of the event, in words.
    pub place: String,
    /// The form that it stands in.
    pub encoding: &'static str,
    /// It is spread over several places, and this is the first.
    pub spread: bool,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private value {} stands in {}", self.value + 1, self.place)?;
        if let Some(event) = self.event {
            write!(f, " of event {event}")?;
        }
        write!(f, ", as {}", self.encoding)?;
        if self.spread { write!(f, ", in pieces from there on") } else { Ok(()) }
    }
}

/// Where one of the values stands in a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) value: usize,
    pub(super) encoding: usize,
    pub(super) begin: usize,
}

/// Forms that are written, digit by digit.
const DIGITS: [&str; 5] = ["hex", "base64", "decimal", "decimal bytes", "UUID"];

/// The forms of some values, ready to be looked for.
pub(super) struct Search {
    pub(super) encoded: Vec<Vec<Encoded>>,
    /// Of whole values.
    forms: Patterns,
    /// Of those that nobody writes with the bytes of their words turned no more: all but digits and base64.
    plain: Patterns,
}

/// Value and form of each pattern.
struct Patterns {
    of: Vec<(usize, usize)>,
    automaton: AhoCorasick,
}

impl Search {
    pub(super) fn new(values: &[PrivateValue]) -> Result<Self, BuildError> {
        let encoded: Vec<_> = values.iter().map(encodings).collect();
        let forms = Patterns::new(&encoded, |_| true)?;
        let plain = Patterns::new(&encoded, |form| !DIGITS.contains(&form.name))?;
        Ok(Self { encoded, forms, plain })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.forms.of.is_empty()
    }

    /// Everything that is found in a stream, overlapping matches too.
    pub(super) fn find<'a>(&'a self, stream: &'a Stream) -> impl Iterator<Item = Found> + 'a {
        let patterns = if stream.turned.is_some() { &self.plain } else { &self.forms };
        patterns.automaton.find_overlapping_iter(&stream.bytes).map(|found| {
            let (value, encoding) = patterns.of[found.pattern().as_usize()];
            Found { value, encoding, begin: found.start() }
        })
    }
}

impl Search {
    /// Calls `look` with every stream, and with the ways to read it turned in which there is something.
    pub(super) fn readings(&self, cells: &[Cell], which: Look, look: &mut dyn FnMut(&Stream)) {
        streams(cells, which, &mut |stream| {
            look(stream);
            stream.turn(&|bytes| self.plain.automaton.is_match(bytes), look);
        });
    }

    /// The values that the lines of a text read like.
    pub(super) fn in_lines(&self, text: &[u8]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut look = |line: &Stream| found.extend(self.find(line).map(|found| found.value));
        for line in text.split(|byte| *byte == b'\n') {
            let line = Stream::alone(line);
            look(&line);
            line.turn(&|bytes| self.plain.automaton.is_match(bytes), &mut look);
        }
        found
    }
}

impl Patterns {
    fn new(
        encoded: &[Vec<Encoded>],
        is_taken: impl Fn(&Encoded) -> bool,
    ) -> Result<Self, BuildError> {
        let (mut of, mut bytes) = (Vec::new(), Vec::new());
        for (value, forms) in encoded.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for (encoding, form) in forms.iter().enumerate().filter(|(_, form)| is_taken(form)) {
                // What a value's form is too short for would be found by chance.
                if form.bytes.len() >= VALUE_MIN && seen.insert(&form.bytes) {
                    of.push((value, encoding));
                    bytes.push(&form.bytes);
                }
            }
        }
        Ok(Self { of, automaton: AhoCorasick::new(&bytes)? })
    }
}

/// All cells of a tape, whose blobs have been loaded.
pub(super) fn cells(tape: &mut Tape) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut header = tape.header().clone();
    walk(&mut header, tape.events_mut(), &mut |at, bytes| {
        cells.push(Cell { at, bytes: bytes.clone() });
    });
    cells
}

/// Looks for private values in every blob and number of a tape, in its texts, and in what follows upon
/// each other in one field, one structure or one place of a memory. At most `most` places are given.
///
/// # Errors
///
/// A blob of the tape cannot be read, or the values are too many to be looked for at once.
///
/// # Examples
///
/// ```
/// use dextape::registry::Value;
/// use dextape::tape::{Body, Event, Header, Tape};
/// use dextape_lab::{PrivateValue, find_private};
///
/// let key = Some("Serial".to_owned());
/// let outcome = Ok(Some(Value::from("no. C02XL0GYJGH5")));
/// let body = Body::Property { service: 1, key, outcome };
/// let mut tape = Tape::new(Header::mock(), vec![Event::new(1, 1, 1, body)]);
/// let values = [PrivateValue::of_text("C02XL0GYJGH5").unwrap()];
/// let leaks = find_private(&mut tape, &values, 10)?;
/// assert_eq!(
///     leaks[0].to_string(),
///     "private value 1 stands in property \"Serial\" of event 1, as text"
/// );
/// # Ok::<(), dextape_lab::RedactError>(())
/// ```
pub fn find_private(
    tape: &mut Tape,
    values: &[PrivateValue],
    most: usize,
) -> Result<Vec<Leak>, RedactError> {
    tape.inline_blobs()?;
    let cells = cells(tape);
    let search = Search::new(values)?;
    if search.is_empty() {
        return Ok(Vec::new());
    }
    // One leak a place, by the first of the forms that it can be read as.
    let mut leaks: BTreeMap<_, (usize, Leak)> = BTreeMap::new();
    let mut direct = BTreeSet::new();
    let mut turned = Vec::new();
    search.readings(&cells, Look::All, &mut |stream| {
        for found in search.find(stream) {
            let form = &search.encoded[found.value][found.encoding];
            let range = found.begin..found.begin + form.bytes.len();
            let Some(((first, _), (last, _))) = stream.ends(range.clone()) else { continue };
            let At { event, part, .. } = &cells[first].at;
            let leak = Leak {
                value: found.value,
                event: *event,
                place: part.to_string(),
                encoding: form.name,
                spread: first != last,
            };
            if stream.turned.is_some() {
                turned.push((first, Leak { encoding: "byte-swapped", ..leak }));
                continue;
            }
            let cells = range.filter_map(|index| Some((found.value, stream.origin(index)?.0)));
            direct.extend(cells);
            let place = (found.value, *event, leak.place.clone());
            let known = leaks.get(&place).map(|(encoding, _)| *encoding);
            if known.map_or(leaks.len() < most, |known| found.encoding < known) {
                leaks.insert(place, (found.encoding, leak));
            }
        }
    });
    // What stands there is no other leak where it can be read with the bytes of its words turned, too.
    turned.retain(|(cell, leak)| !direct.contains(&(leak.value, *cell)));
    for (_, leak) in turned {
        let place = (leak.value, leak.event, leak.place.clone());
        if leaks.len() < most {
            leaks.entry(place).or_insert((usize::MAX, leak));
        }
    }
    Ok(leaks.into_values().map(|(_, leak)| leak).collect())
}
