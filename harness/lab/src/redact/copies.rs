//! What the client copied of what the dext gave it.

use super::choose::{BYTE, Candidate};
use super::streams::{Cell, Look, Origin, Reading, Stream, streams};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// The fewest bytes of a copy; what is shorter is found as the value that it is.
const COPY_MIN: usize = 8;

/// The fewest bytes of a copy of a part: a word may stand in a value and elsewhere.
const PART_MIN: usize = 16;

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
}

/// A range of what the dext gave in which everything was looked at: as it was, and as it is now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    old: Vec<u8>,
    new: Vec<u8>,
    of: Of,
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
    pub(super) fn gather(before: &[Cell], after: &[Cell], covered: &BTreeMap<Origin, Of>) -> Self {
        let mut runs: BTreeSet<Run> = BTreeSet::new();
        let mut size = 0;
        let mut add = |run: &mut Option<Run>| {
            if let Some(run) = run.take()
                && run.changed().is_some_and(|changed| changed.len() >= COPY_MIN)
                && size + run.old.len() <= GIVEN_MAX
            {
                size += run.old.len();
                runs.insert(run);
            }
        };
        let mut look = |stream: &Stream| {
            if stream.reading != Reading::Alone {
                return;
            }
            let mut run: Option<Run> = None;
            for (index, old) in stream.bytes.iter().enumerate() {
                let origin = stream.origin(index);
                let of = origin.and_then(|origin| covered.get(&origin));
                match (origin, of) {
                    (Some((cell, at)), Some(of)) => {
                        let empty = || Run { old: Vec::new(), new: Vec::new(), of: *of };
                        let run = run.get_or_insert_with(empty);
                        run.old.push(*old);
                        run.new.push(after[cell].bytes[at]);
                    }
                    // A zero byte that stands in no cell, in the midst of a value.
                    (None, _) if run.is_some() && continues(stream, index, covered) => {
                        if let Some(run) = &mut run {
                            run.old.push(0);
                            run.new.push(0);
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

    /// The copies that begin at each place of a stream, with [`BYTE`] points a byte.
    pub(super) fn in_stream(&self, stream: &Stream) -> Vec<Candidate<Copied>> {
        let mut candidates = Vec::new();
        if self.runs.is_empty() || stream.reading == Reading::Other {
            return candidates;
        }
        for (begin_at, window) in stream.bytes.windows(COPY_MIN).enumerate() {
            if !self.begins[begin(window)] {
                continue;
            }
            let places = self.places.get(window).map(Vec::as_slice).unwrap_or_default();
            let rest = &stream.bytes[begin_at..];
            for &(run, at) in places {
                let old = &self.runs[run].old[at..];
                let length = rest.iter().zip(old).take_while(|(one, other)| one == other).count();
                let changed = &self.changed[run];
                let (begins, ends) = (at <= changed.start, at + length >= changed.end);
                if length < PART_MIN && !(begins && ends) {
                    continue;
                }
                // What begins and ends where a value does goes before what only covers as much.
                let ends = u64::from(begins) + u64::from(ends);
                let score = BYTE * length as u64 + 2 * ends - 1;
                let range = begin_at..begin_at + length;
                candidates.push(Candidate { range, score, what: Copied { run, at } });
            }
        }
        candidates
    }
}

/// True where behind a hole that begins at `index` the value goes on.
fn continues(stream: &Stream, index: usize, covered: &BTreeMap<Origin, Of>) -> bool {
    let next = (index..stream.bytes.len()).find_map(|index| stream.origin(index));
    next.is_some_and(|origin| covered.contains_key(&origin))
}

fn begin(window: &[u8]) -> usize {
    usize::from(window[0]) << 8 | usize::from(window[1])
}
