//! What the client copied of what the dext gave it.

use super::choose::{BYTE, Candidate, points};
use super::hits::Change;
use super::streams::{Cell, Look, Origin, Reading, Stream, streams};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// The fewest bytes of a copy; what is shorter is found as the value that it is.
const COPY_MIN: usize = 8;

/// The fewest bytes of a copy of a part: a word may stand in a value and elsewhere.
const PART_MIN: usize = 16;

/// The points that a copy loses for each of its ends that is not where the value's is: as three bytes.
const CUT: u64 = 3 * BYTE;

/// Places of one eight bytes that are tried.
const TRIED_MAX: usize = 32;

/// The most bytes that are kept of what was given.
const GIVEN_MAX: usize = 4 << 20;

/// A value, and the name of the form in which it stands somewhere.
pub(super) type Of = (usize, &'static str);

/// A copy that was found in a stream.
#[derive(Clone, Copy)]
pub(super) struct Copied {
    run: usize,
    at: usize,
    /// It begins and ends where values do.
    pub(super) is_whole: bool,
}

/// A range of what the dext gave in which everything was looked at: as it was, and as it is now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    old: Vec<u8>,
    new: Vec<u8>,
    of: Of,
    /// For each byte, and behind the last one: true where a value or another one begins.
    begins: Vec<bool>,
}

impl Run {
    /// The bytes from the first to the last that is another one now: those around them may be padding, which
    /// a copy need not have. `None` where all are what they were.
    fn changed(&self) -> Option<Range<usize>> {
        let differs = |index: &usize| self.old[*index] != self.new[*index];
        let first = (0..self.old.len()).find(differs)?;
        let last = (0..self.old.len()).rfind(differs)?;
        Some(first..last + 1)
    }
}

/// The replaced ranges of what the dext gave, ready to be looked for.
#[derive(Default)]
pub(super) struct Given {
    runs: Vec<Run>,
    /// The bytes of each run that have to be in a copy of the whole.
    changed: Vec<Range<usize>>,
    /// Run and place of each eight bytes.
    places: HashMap<[u8; COPY_MIN], Vec<(usize, usize)>>,
    /// True for the first two bytes of one of them.
    begins: Vec<bool>,
}

impl Given {
    /// Gathers what was replaced: `covered` has each such byte, and what it is a part of.
    pub(super) fn gather(before: &[Cell], covered: &BTreeMap<Origin, Change>) -> Self {
        let mut runs: BTreeSet<Run> = BTreeSet::new();
        let mut size = 0;
        let mut add = |run: &mut Option<Run>| {
            if let Some(mut run) = run.take()
                && run.changed().is_some_and(|changed| changed.len() >= COPY_MIN)
                && size + run.old.len() <= GIVEN_MAX
            {
                size += run.old.len();
                run.begins.push(true);
                runs.insert(run);
            }
        };
        let mut look = |stream: &Stream| {
            if stream.reading != Reading::Alone {
                return;
            }
            let mut run: Option<Run> = None;
            let mut hit = None;
            for (index, old) in stream.bytes.iter().enumerate() {
                let origin = stream.origin(index);
                match (origin, origin.and_then(|origin| covered.get(&origin))) {
                    (Some(_), Some(change)) => {
                        let of = change.of;
                        let empty = || Run { old: vec![], new: vec![], of, begins: vec![] };
                        let run = run.get_or_insert_with(empty);
                        run.begins.push(run.old.is_empty() || hit != Some(change.hit));
                        run.old.push(*old);
                        run.new.push(change.byte);
                        hit = Some(change.hit);
                    }
                    // A zero byte that stands in no cell, in the midst of a value.
                    (None, _) if run.is_some() && continues(stream, index, covered) => {
                        if let Some(run) = &mut run {
                            run.old.push(0);
                            run.new.push(0);
                            run.begins.push(false);
                        }
                    }
                    _ => add(&mut run),
                }
            }
            add(&mut run);
        };
        if !covered.is_empty() {
            streams(before, Look::Given, &mut look);
        }
        let runs: Vec<Run> = runs.into_iter().collect();
        let mut places: HashMap<[u8; COPY_MIN], Vec<(usize, usize)>> = HashMap::new();
        let mut begins = vec![false; 1 << 16];
        for (index, run) in runs.iter().enumerate() {
            for (at, window) in run.old.windows(COPY_MIN).enumerate() {
                let Ok(window) = <[u8; COPY_MIN]>::try_from(window) else { continue };
                let known = places.entry(window).or_default();
                if known.len() < TRIED_MAX {
                    known.push((index, at));
                    begins[begin(&window)] = true;
                }
            }
        }
        let changed = runs.iter().map(|run| run.changed().unwrap_or_default()).collect();
        Self { runs, changed, places, begins }
    }

    /// What stands now where a copy was copied from, from its first byte on, and the value there.
    pub(super) fn now(&self, copied: Copied) -> (&[u8], Of) {
        let run = &self.runs[copied.run];
        (&run.new[copied.at..], run.of)
    }

    /// The copies that begin at each place of a stream.
    pub(super) fn in_stream(&self, stream: &Stream) -> Vec<Candidate<Copied>> {
        let mut candidates = Vec::new();
        if self.runs.is_empty() || !stream.is_in_order() {
            return candidates;
        }
        for (begin_at, window) in stream.bytes.windows(COPY_MIN).enumerate() {
            if !self.begins[begin(window)] {
                continue;
            }
            let places = self.places.get(window).map(Vec::as_slice).unwrap_or_default();
            let rest = &stream.bytes[begin_at..];
            for &(run, at) in places {
                let Run { old, begins: beginnings, .. } = &self.runs[run];
                let old = &old[at..];
                let length = rest.iter().zip(old).take_while(|(one, other)| one == other).count();
                let changed = &self.changed[run];
                let end = at + length;
                let (begins, ends) =
                    (at <= changed.start || beginnings[at], end >= changed.end || beginnings[end]);
                let is_whole = begins && ends;
                if length < PART_MIN && !is_whole {
                    continue;
                }
                // What begins and ends where a value does goes before what only looks like its form, and before what
                // can be put together of parts of several values that have them in common.
                let cut = 2 - (u64::from(begins) + u64::from(ends));
                let score = points(&old[..length]).saturating_sub(1 + cut * CUT).max(1);
                let range = begin_at..begin_at + length;
                candidates.push(Candidate { range, score, what: Copied { run, at, is_whole } });
            }
        }
        candidates
    }
}

/// True where behind a hole that begins at `index` the value goes on.
fn continues(stream: &Stream, index: usize, covered: &BTreeMap<Origin, Change>) -> bool {
    let next = (index..stream.bytes.len()).find_map(|index| stream.origin(index));
    next.is_some_and(|origin| covered.contains_key(&origin))
}

fn begin(window: &[u8]) -> usize {
    usize::from(window[0]) << 8 | usize::from(window[1])
}
