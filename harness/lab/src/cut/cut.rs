//! The cut itself.

use super::kept::pinned;
use super::standing::Standing;
use dextape::tape::{Body, Event, Sequence, Tape, TapeError};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What is kept.
///
/// # Examples
///
/// ```
/// use dextape_lab::CutOptions;
///
/// let options = CutOptions::default().calls(8).tail(200).sticky([1]);
/// assert_eq!(options.tail, 200);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutOptions {
    /// First calls of each connection; 0 keeps its open and what it maps before its first call.
    pub calls: u64,
    /// Last events.
    pub tail: usize,
    /// Selectors whose calls are kept wherever they stand.
    pub sticky: BTreeSet<u32>,
}

impl Default for CutOptions {
    /// 16 calls, 256 events, and no sticky selectors.
    fn default() -> Self {
        Self { calls: 16, tail: 256, sticky: BTreeSet::new() }
    }
}

impl CutOptions {
    /// Sets how many calls of each connection are kept.
    #[must_use]
    pub fn calls(mut self, calls: u64) -> Self {
        self.calls = calls;
        self
    }

    /// Sets how many events are kept at the end.
    #[must_use]
    pub fn tail(mut self, tail: usize) -> Self {
        self.tail = tail;
        self
    }

    /// Adds selectors whose calls are kept wherever they stand.
    #[must_use]
    pub fn sticky(mut self, selectors: impl IntoIterator<Item = u32>) -> Self {
        self.sticky.extend(selectors);
        self
    }
}

/// Why a tape cannot be cut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// The tape has been cut before.
    #[error(
        "cut the tape: event {sequence} is a {kind}, so events are missing already; cut a whole recording"
    )]
    Incomplete {
        /// The gap or keyframe.
        sequence: Sequence,
        /// Which of both.
        kind: &'static str,
    },
    /// Bytes of the tape cannot be read.
    #[error(transparent)]
    Tape(#[from] TapeError),
}

/// Makes of a whole tape the one that a flight recorder would have cut at its end: the beginning of each
/// connection, calls with sticky selectors, calls that may still complete and completions that nobody has
/// taken, gaps where events are missing, the keyframe, and the last events. Numbers, positions and times
/// stay as they are: a gap has those of the first event that is missing there, the keyframe those of the
/// last. Where fewer than two events would be missing before the tail, the tape stays whole.
///
/// Bytes are in their events afterwards.
///
/// # Errors
///
/// [`CutError`] where the tape has a gap already, or bytes of it cannot be read.
///
/// # Examples
///
/// ```
/// use dextape::tape::{Body, Event, Header, Tape};
/// use dextape_lab::{CutOptions, cut};
///
/// let events = (1..=100).map(|at| Event::new(at, 1, at, Body::Queue { queue: at as u32 }));
/// let whole = Tape::new(Header::mock(), events.collect());
/// let tape = cut(&whole, &CutOptions::default().tail(10))?;
/// let kinds: Vec<&str> = tape.events().iter().map(|event| event.body.name()).collect();
/// assert_eq!(kinds[..3], ["gap", "keyframe", "queue"]);
/// assert_eq!(tape.events().len(), 12);
/// assert!(tape.validate().is_valid());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn cut(whole: &Tape, options: &CutOptions) -> Result<Tape, CutError> {
    let events = whole.events();
    if let Some(event) =
        events.iter().find(|it| matches!(it.body, Body::Gap { .. } | Body::Keyframe(_)))
    {
        let kind = event.body.kind().map_or("gap", |kind| kind.name());
        return Err(CutError::Incomplete { sequence: event.sequence, kind });
    }
    let asked = events.len().saturating_sub(options.tail);
    let Some(Place { tail, kept, standing }) = place_the_tail(whole, options, asked)? else {
        return Ok(rebuilt(whole, events.to_vec())?);
    };
    let completing = completing(&events[tail..]);
    let keyframe = standing.keyframe(|call| completing.contains(&call));

    let mut left: Vec<Event> = Vec::new();
    let mut place = 0;
    while place < tail {
        let run = kept[place..tail].iter().take_while(|kept| !**kept).count();
        if run == 0 {
            left.push(events[place].clone());
            place += 1;
            continue;
        }
        let last = place + run == tail;
        let missing = run as u64;
        let reason = "the flight recorder keeps beginnings and the end";
        let gap = Body::Gap { events: Some(missing), reason: reason.to_owned() };
        left.push(in_place_of(&events[place], gap));
        if last {
            left.push(in_place_of(&events[tail - 1], Body::Keyframe(keyframe.clone())));
        }
        place += run;
    }
    left.extend_from_slice(&events[tail..]);
    let mut tape = rebuilt(whole, left)?;
    let note = format!(
        "trimmed: first {} calls of each connection and last {} events",
        options.calls,
        events.len() - tail
    );
    tape.header_mut().provenance.push(note);
    Ok(tape)
}

/// Where a tape is cut.
struct Place {
    /// Where the tail begins: the two events before it are missing.
    tail: usize,
    /// Which of the events before it are kept.
    kept: Vec<bool>,
    /// What stands there.
    standing: Standing,
}

/// Finds the place; `None` where nothing would be missing.
fn place_the_tail(
    whole: &Tape,
    options: &CutOptions,
    asked: usize,
) -> Result<Option<Place>, CutError> {
    let events = whole.events();
    let enters = enters(events);
    let mut standing = Standing::default();
    let mut taken = 0;
    let pinned = pinned(whole, options, events.len());
    let tails = if asked < 2 { 0..0 } else { asked..events.len() };
    for tail in tails {
        while taken < tail {
            let enter = events[taken].cause.and_then(|cause| enters.get(&cause));
            standing.event(whole, taken, enter.map(|enter| &events[*enter]))?;
            taken += 1;
        }
        if pinned[tail - 1] || pinned[tail - 2] {
            continue;
        }
        let completing = completing(&events[tail..]);
        let under_way = standing.under_way(whole, |call| completing.contains(&call));
        if under_way.contains(&(tail - 1)) || under_way.contains(&(tail - 2)) {
            continue;
        }
        let mut kept = pinned[..tail].to_vec();
        under_way.into_iter().for_each(|place| kept[place] = true);
        return Ok(Some(Place { tail, kept, standing }));
    }
    Ok(None)
}

/// Places of enters by their numbers.
fn enters(events: &[Event]) -> HashMap<Sequence, usize> {
    let enters = events.iter().enumerate().filter(|(_, event)| event.body.is_enter());
    enters.map(|(place, event)| (event.sequence, place)).collect()
}

/// Calls that have a completion among these events.
fn completing(events: &[Event]) -> HashSet<Sequence> {
    let posted = events.iter().filter(|event| matches!(event.body, Body::Posted { .. }));
    posted.filter_map(|event| event.cause).collect()
}

/// An event that has the number, place and time of one that is missing.
fn in_place_of(missing: &Event, body: Body) -> Event {
    let Event { sequence, process, lane, position, time, .. } = *missing;
    Event { process, time, ..Event::new(sequence, lane, position, body) }
}

/// A tape of these events, with the bytes of the whole one in them.
fn rebuilt(whole: &Tape, mut events: Vec<Event>) -> Result<Tape, TapeError> {
    for event in &mut events {
        event.try_visit_payloads(|payload| {
            if let dextape::tape::Payload::Blob { digest, .. } = payload {
                *payload = dextape::tape::Payload::Bytes(whole.load(*digest)?);
            }
            Ok::<(), TapeError>(())
        })?;
    }
    Ok(Tape::new(whole.header().clone(), events))
}
