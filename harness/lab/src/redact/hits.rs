//! Where values stand, and what they become there.

use super::apply::Redacted;
use super::choose::{Candidate, LIKELY, choose, points};
use super::copies::{Copied, Given, Of};
use super::find::{Found, Search};
use super::streams::{Cell, Look, Origin, Stream};
use dextape::redaction::{Edges, Encoded, Form, Pseudonym};
use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// A byte that changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// What it becomes.
    pub(super) byte: u8,
    /// What it is a part of.
    pub(super) of: Of,
    /// Which of the places that were found.
    pub(super) hit: usize,
}

pub(super) type Changes = BTreeMap<Origin, Change>;

/// The values of a tape, and what stands in the place of each.
pub(super) struct Hits<'a> {
    search: &'a Search,
    /// The forms of each value's pseudonym.
    others: Vec<Vec<Encoded>>,
    pseudonym: &'a Pseudonym,
    /// Places that were changed so far.
    count: usize,
    /// In which forms the dext gave a value, and in which the client made it.
    given: BTreeMap<usize, BTreeSet<&'static str>>,
    made: BTreeMap<usize, BTreeSet<(String, &'static str)>>,
}

/// What a place was found to be.
#[derive(Clone, Copy)]
enum What {
    /// A copy of what was given.
    Copy(Copied),
    /// A form of a value.
    Form(Found),
}

/// A place that changes.
struct Hit {
    what: What,
    /// The value that stands there, or where it is copied from.
    of: Of,
    /// How many of its bytes are not zero.
    length: usize,
    /// How far the reading is from what stands there.
    rank: u8,
    /// How often it goes over from one event to another, and how often from one cell to another.
    seams: (usize, usize),
    /// Its bytes that stand in cells, and what they become.
    bytes: Vec<(Origin, u8)>,
    /// Bytes of cells that repeat one of these.
    echoes: Vec<(Origin, u8)>,
    /// Characters of base64 beside it that hold some of its bits.
    shared: Vec<(Origin, u8)>,
}

impl Hit {
    /// In which order they are taken: the longest values first, since a shorter one may be a part of them; of one
    /// value copies of the whole before those of a part, and these before what only looks like it; what stands there
    /// before what can be read there, then what stands in one event or in one piece.
    fn order(&self) -> impl Ord + use<> {
        let first = self.bytes.first().copied();
        let (likely, encoding) = match self.what {
            What::Copy(Copied { is_whole, .. }) => (u8::from(!is_whole), None),
            What::Form(found) => (2, Some(found.encoding)),
        };
        (self.of.0, likely, self.rank, self.seams, Reverse(self.length), encoding, first)
    }
}

impl<'a> Hits<'a> {
    pub(super) fn new(
        search: &'a Search,
        others: Vec<Vec<Encoded>>,
        pseudonym: &'a Pseudonym,
    ) -> Self {
        let (given, made) = (BTreeMap::new(), BTreeMap::new());
        Self { search, others, pseudonym, count: 0, given, made }
    }

    /// What changes on one side of a tape as it now is, where these copies stand on it. Only what stood there
    /// `before` does: what came there since reads like a value by chance.
    pub(super) fn plan(
        &mut self,
        before: &[Cell],
        cells: &[Cell],
        side: Look,
        copies: &Given,
        report: &mut Redacted,
    ) -> Changes {
        let mut hits: BTreeMap<_, Hit> = BTreeMap::new();
        let search = self.search;
        search.readings(cells, side, &mut |stream| {
            for candidate in self.in_stream(cells, stream, copies) {
                let stood = |index| {
                    stream
                        .origin(index)
                        .is_none_or(|(cell, at)| before[cell].bytes[at] == cells[cell].bytes[at])
                };
                if !candidate.range.clone().all(stood) {
                    continue;
                }
                let begin = candidate.range.start;
                let hit = match candidate.what {
                    What::Copy(copied) => {
                        let (now, of) = copies.now(copied);
                        let now = &now[..candidate.range.len()];
                        Hit::new(cells, stream, begin, now, candidate.what, of)
                    }
                    What::Form(found) => self.form(cells, stream, found, report),
                };
                let ends = (hit.bytes.first().copied(), hit.bytes.last().copied());
                let form = match hit.what {
                    What::Copy(_) => None,
                    What::Form(found) => Some((found.value, found.encoding)),
                };
                // Of a value in one cell the character beside it may stand in the next one.
                let in_order = stream.is_in_order();
                match hits.entry((form, ends)) {
                    Entry::Vacant(entry) => drop(entry.insert(hit)),
                    Entry::Occupied(mut entry) => {
                        let known = entry.get_mut();
                        known.rank = known.rank.min(hit.rank);
                        if in_order {
                            known.shared.extend(hit.shared);
                        }
                    }
                }
            }
        });
        let mut hits: Vec<Hit> = hits.into_values().collect();
        hits.sort_by_cached_key(Hit::order);
        let mut changes = Changes::new();
        for mut hit in hits {
            // Half of it has just become something else, so it is no longer there.
            if hit.bytes.iter().any(|(origin, _)| changes.contains_key(origin)) {
                continue;
            }
            if let (Look::Made, What::Form(found)) = (side, hit.what) {
                let part = &cells[hit.bytes[0].0.0].at.part;
                self.made.entry(found.value).or_default().insert((part.to_string(), hit.of.1));
            }
            self.keep_text(cells, &changes, &mut hit, report);
            self.count += 1;
            let (of, number) = (hit.of, self.count);
            for (origin, byte) in hit.bytes.into_iter().chain(hit.echoes).chain(hit.shared) {
                changes.entry(origin).or_insert(Change { byte, of, hit: number });
            }
            *report.replaced.entry(hit.of.1).or_default() += 1;
        }
        changes
    }

    /// Has a text stay one. Where a form that is none stands in a text with what is beside it, as bytes of characters with
    /// the last one first, these become other characters.
    fn keep_text(&self, cells: &[Cell], changes: &Changes, hit: &mut Hit, report: &mut Redacted) {
        let touched: BTreeSet<usize> = hit.bytes.iter().map(|((cell, _), _)| *cell).collect();
        for index in touched.into_iter().filter(|index| cells[*index].at.is_text) {
            let Ok(text) = std::str::from_utf8(&cells[index].bytes) else { continue };
            let mut after = text.as_bytes().to_vec();
            let earlier = changes.range((index, 0)..(index + 1, 0));
            earlier.for_each(|((_, at), change)| after[*at] = change.byte);
            let here = || hit.bytes.iter().filter(|((cell, _), _)| *cell == index);
            here().for_each(|((_, at), byte)| after[*at] = *byte);
            if std::str::from_utf8(&after).is_ok() {
                continue;
            }
            let places = here().map(|((_, at), _)| *at);
            let (Some(first), Some(last)) = (places.clone().min(), places.max()) else { continue };
            let from = (0..=first).rfind(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let to = (last + 1..=text.len()).find(|at| text.is_char_boundary(*at));
            let mut other = text.as_bytes()[from..to.unwrap_or(text.len())].to_vec();
            self.pseudonym.replace(&mut other, Form::Bytes);
            hit.bytes.retain(|((cell, _), _)| *cell != index);
            hit.bytes.extend((from..).map(|at| (index, at)).zip(other));
            report.apart.insert(hit.of.1);
        }
    }

    /// Where the client made another form of a value than the dext gave it.
    pub(super) fn computed(&self) -> Vec<String> {
        let mut computed = BTreeSet::new();
        for (value, places) in &self.made {
            let Some(given) = self.given.get(value) else { continue };
            let places = places.iter().filter(|(_, form)| !given.contains(form));
            computed.extend(places.map(|(place, form)| format!("{place}, as {form}")));
        }
        computed.into_iter().collect()
    }

    /// What is taken of everything that is found in a stream.
    fn in_stream(
        &mut self,
        cells: &[Cell],
        stream: &Stream,
        copies: &Given,
    ) -> Vec<Candidate<What>> {
        let copies = copies.in_stream(stream).into_iter();
        let mut candidates: Vec<Candidate<What>> = copies
            .map(|Candidate { range, score, what }| Candidate {
                range,
                score,
                what: What::Copy(what),
            })
            .collect();
        for found in self.search.find(stream) {
            let form = &self.search.encoded[found.value][found.encoding];
            let range = found.begin..found.begin + form.bytes.len();
            let Some(((cell, _), _)) = stream.ends(range.clone()) else { continue };
            if !cells[cell].at.part.is_client() {
                self.given.entry(found.value).or_default().insert(form.name);
            }
            let score = points(&stream.bytes[range.clone()])
                .saturating_sub(2 + (found.encoding as u64).min(LIKELY));
            candidates.push(Candidate { score, range, what: What::Form(found) });
        }
        choose(candidates)
    }

    fn form(&self, cells: &[Cell], stream: &Stream, found: Found, report: &mut Redacted) -> Hit {
        let form = &self.search.encoded[found.value][found.encoding];
        let other = &self.others[found.value][found.encoding];
        let mut becomes = form.bytes.clone();
        if other.bytes.len() == becomes.len() {
            becomes.copy_from_slice(&other.bytes);
        } else {
            report.apart.insert(form.name);
            self.pseudonym.replace(&mut becomes, Form::Text);
        }
        let mut hit = Hit::new(
            cells,
            stream,
            found.begin,
            &becomes,
            What::Form(found),
            (found.value, form.name),
        );
        if let Some(edges) = other.edges {
            hit.shared = shared(stream, found.begin, found.begin + becomes.len(), edges);
        }
        hit
    }
}

impl Hit {
    fn new(
        cells: &[Cell],
        stream: &Stream,
        begin: usize,
        becomes: &[u8],
        what: What,
        of: Of,
    ) -> Self {
        // Zero bytes are the same in both.
        let length = becomes.iter().filter(|byte| **byte != 0).count();
        let (mut bytes, mut echoes) = (Vec::with_capacity(becomes.len()), Vec::new());
        let (mut seams, mut last): (_, Option<usize>) = ((0, 0), None);
        for (index, byte) in (begin..).zip(becomes) {
            // Where nothing stands on the tape nothing can be changed: zero stays zero there.
            let Some((cell, at)) = stream.origin(index) else { continue };
            if let Some(last) = last.replace(cell).filter(|last| *last != cell) {
                seams.0 += usize::from(cells[last].at.event != cells[cell].at.event);
                seams.1 += 1;
            }
            bytes.push(((cell, at), *byte));
            echoes.extend(stream.echoes(cell).map(|echo| ((echo, at), *byte)));
        }
        let rank = stream.rank();
        Self { what, of, length, rank, seams, bytes, echoes, shared: Vec::new() }
    }
}

/// The characters of base64 before and behind a value that hold some of its bits.
fn shared(stream: &Stream, begin: usize, end: usize, edges: Edges) -> Vec<(Origin, u8)> {
    let mut shared = Vec::new();
    let mut change = |index: usize, other: &dyn Fn(u8) -> Option<u8>| {
        // At the end of the stream there is no such character, and nothing that it could come from.
        if let Some(character) = stream.bytes.get(index).and_then(|character| other(*character))
            && let Some(origin) = stream.origin(index)
        {
            shared.push((origin, character));
        }
    };
    if begin > 0 {
        change(begin - 1, &|character| edges.before(character));
    }
    change(end, &|character| edges.behind(character));
    shared
}
