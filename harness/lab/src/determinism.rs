//! Two runs that should be one: where they part, and what is likely to be the reason.

use dextape::schedule::TimeMode;
use dextape::tape::{Body, Call, Event, Sequence, Structure, Tape, render_event};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Events after the first difference in which operations are looked for that only changed their places.
const WINDOW: usize = 512;

/// Where addresses of a program lie on 64-bit systems: above what 32 bits hold, below 47 bits.
const ADDRESSES: std::ops::Range<u64> = 1 << 32..1 << 47;

/// Bits of an address that no random layout of a program changes.
const PAGE_MASK: u64 = 0xfff;

/// What two runs of one seed are likely to differ for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// A clock of the machine was read.
    Time,
    /// An address went to the driver, or decided something.
    Address,
    /// Threads that the schedule does not know raced.
    Thread,
    /// Something was iterated that has no order of its own, such as a `HashMap`.
    HashOrder,
    /// None of these can be seen: random numbers, files, the environment.
    Unknown,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => {
                "time: a clock of the machine was read; ask the system's schedule instead"
            }
            Self::Address => "an address: number things instead of using where they lie",
            Self::Thread => "threads: they race; spawn them on the system's schedule",
            Self::HashOrder => "hash order: iterate something sorted instead",
            Self::Unknown => "something else: random numbers, a file, the environment",
        })
    }
}

/// The first event in which two runs differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parting {
    /// Number of the event in the first run; where that has ended, one more than its last.
    pub sequence: Sequence,
    /// The event in the first run, as a line.
    pub one: String,
    /// The event in the second run.
    pub other: String,
    /// The likely source.
    pub source: Source,
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, one, other, source } = self;
        write!(f, "the runs part at event {sequence}\n  one:   {one}\n  other: {other}\n")?;
        write!(f, "  likely source: {source}")
    }
}

/// Where two recordings of runs with the same seed part: `None` where they are the same. In simulated time
/// they are compared as they are. In free time determinism is promised for each lane by itself, and times
/// are the machine's, so only that is compared.
///
/// The source is the likeliest one, by what differs: it can be wrong.
///
/// # Examples
///
/// ```
/// use dextape::tape::{Body, Event, Header, Tape};
/// use dextape_lab::{Source, parting};
///
/// let run = |keys: [&str; 2]| {
///     let read = |(place, key): (usize, &&str)| {
///         let number = place as u64 + 1;
///         let key = Some((*key).to_owned());
///         Event::new(number, 1, number, Body::Property { service: 1, key, outcome: Ok(None) })
///     };
///     Tape::new(Header::mock(), keys.iter().enumerate().map(read).collect())
/// };
/// let parted = parting(&run(["a", "b"]), &run(["b", "a"])).unwrap();
/// assert_eq!((parted.sequence, parted.source), (1, Source::HashOrder));
/// assert_eq!(parting(&run(["a", "b"]), &run(["a", "b"])), None);
/// ```
#[must_use]
pub fn parting(one: &Tape, other: &Tape) -> Option<Parting> {
    let is_free = one.header().time == TimeMode::Free;
    if is_free {
        let (ones, others) = (lanes(one), lanes(other));
        let numbers: std::collections::BTreeSet<u32> =
            ones.keys().chain(others.keys()).copied().collect();
        let none = Vec::new();
        let parted = numbers.into_iter().filter_map(|lane| {
            let of = |lanes: &BTreeMap<u32, Vec<Event>>| lanes.get(&lane).unwrap_or(&none).clone();
            first(&of(&ones), &of(&others))
        });
        let mut parted = parted.min_by_key(|parting| parting.sequence)?;
        let contents = |lanes: BTreeMap<u32, Vec<Event>>| {
            let mut all: Vec<String> = lanes.into_values().map(|events| text(&events)).collect();
            all.sort();
            all
        };
        if contents(ones) == contents(others) {
            parted.source = Source::Thread;
        }
        return Some(parted);
    }
    first(one.events(), other.events())
}

/// The events of each lane, without what free time and other lanes decide.
fn lanes(tape: &Tape) -> BTreeMap<u32, Vec<Event>> {
    let mut lanes: BTreeMap<u32, Vec<Event>> = BTreeMap::new();
    for event in tape.events().iter().filter(|event| event.lane > 0) {
        let mut event = event.clone();
        (event.time, event.cause) = (0, None);
        match &mut event.body {
            Body::Patch { last_equal, read, .. } => (*last_equal, *read) = (None, 1),
            Body::Delivered { polls, .. } => *polls = 0,
            _ => {}
        }
        lanes.entry(event.lane).or_default().push(event);
    }
    lanes
}

/// What an event does, whoever does it and when.
fn deed(event: &Event) -> String {
    format!("{:?} {:?}", event.connection, event.body)
}

fn text(events: &[Event]) -> String {
    events.iter().map(deed).collect::<Vec<_>>().join("\n")
}

/// The same event of both, but for its number in free time.
fn same(one: &Event, other: &Event) -> bool {
    (one.lane, one.connection, one.time, &one.body)
        == (other.lane, other.connection, other.time, &other.body)
}

fn first(ones: &[Event], others: &[Event]) -> Option<Parting> {
    let place = ones.iter().zip(others).position(|(one, other)| !same(one, other));
    let place = match place {
        Some(place) => place,
        None if ones.len() == others.len() => return None,
        None => ones.len().min(others.len()),
    };
    let (one, other) = (ones.get(place), others.get(place));
    let shown = |event: Option<&Event>| {
        event.map_or_else(
            || "it has ended".to_owned(),
            |event| render_event(event).trim().to_owned(),
        )
    };
    let last = ones.last().map_or(0, |event| event.sequence);
    let source = match (one, other) {
        (Some(one), Some(other)) => source(one, other, &ones[place..], &others[place..]),
        _ => Source::Unknown,
    };
    Some(Parting {
        sequence: one.map_or(last + 1, |one| one.sequence),
        one: shown(one),
        other: shown(other),
        source,
    })
}

fn source(one: &Event, other: &Event, ones: &[Event], others: &[Event]) -> Source {
    if one.lane != other.lane {
        return Source::Thread;
    }
    if (one.connection, &one.body) == (other.connection, &other.body) {
        // Only when.
        return Source::Time;
    }
    let is_there = |event: &Event, events: &[Event]| {
        let deed = deed(event);
        events
            .iter()
            .take(WINDOW)
            .any(|other| other.lane == event.lane && self::deed(other) == deed)
    };
    if is_there(one, others) && is_there(other, ones) {
        return Source::HashOrder;
    }
    let (one, other) = (words(one), words(other));
    let differing: Vec<(u64, u64)> = one
        .iter()
        .copied()
        .zip(other.iter().copied())
        .filter(|(one, other)| one != other)
        .collect();
    if one.len() != other.len() || differing.is_empty() {
        return Source::Unknown;
    }
    let sorted = |words: &[u64]| {
        let mut words = words.to_vec();
        words.sort_unstable();
        words
    };
    if differing.len() > 1 && sorted(&one) == sorted(&other) {
        return Source::HashOrder;
    }
    if differing.iter().all(|(one, other)| is_address(*one, *other)) {
        return Source::Address;
    }
    if differing.iter().all(|(one, other)| is_time(*one, *other)) {
        return Source::Time;
    }
    Source::Unknown
}

/// Both lie where addresses do, and either have the same place in their pages or lie far apart.
fn is_address(one: u64, other: u64) -> bool {
    let both = ADDRESSES.contains(&one) && ADDRESSES.contains(&other);
    both && (one & PAGE_MASK == other & PAGE_MASK || one.abs_diff(other) > 1 << 24)
}

/// The second is a little later than the first, whatever the unit: runs follow each other.
fn is_time(one: u64, other: u64) -> bool {
    one > 1000 && one < other && other - one < one / 8
}

/// The words that a client hands in.
fn words(event: &Event) -> Vec<u64> {
    let bytes_of = |bytes: &[u8]| -> Vec<u64> {
        let word =
            |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        bytes.chunks(8).map(word).collect()
    };
    match &event.body {
        Body::Call(Call { scalars, input, .. })
        | Body::AsyncCall { call: Call { scalars, input, .. }, .. } => {
            let mut words = scalars.to_vec();
            if let Structure::Bytes(data) | Structure::Shared { data, .. } = input {
                words.extend(data.as_bytes().map(bytes_of).unwrap_or_default());
            }
            words
        }
        Body::Write { data, .. } => data.as_bytes().map(bytes_of).unwrap_or_default(),
        Body::Wait { timeout, .. } => timeout.iter().copied().collect(),
        _ => Vec::new(),
    }
}
