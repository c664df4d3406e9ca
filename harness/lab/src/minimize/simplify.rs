//! Making what is left of a tape simpler: bytes to zero, repeats to first times, durations to nothing.

use super::options::Control;
use dextape::call::Scalars;
use dextape::tape::{Body, Event, Payload, Tape};
use std::ops::Range;

/// Trials for the bytes of one event.
const BYTES_TRIALS_MAX: usize = 64;

/// Something that can be simpler.
#[derive(Clone, Debug)]
enum Spot {
    /// All times, which become 0.
    Times,
    /// How long after the event before it the event comes: not at all.
    Pause(usize),
    /// How often an operation was made before: not at all.
    Occurrence(usize),
    /// A word that the driver gave: 0.
    Word(usize, usize),
}

/// The tape with all that can be made simpler while `fails` holds, and whether anything was.
pub(super) fn simplify(
    mut tape: Tape,
    control: &Control<'_>,
    fails: &(dyn Fn(Tape) -> Option<Tape> + Sync),
) -> (Tape, bool) {
    let mut changed = false;
    let mut spots = vec![Spot::Times];
    for (place, event) in tape.events().iter().enumerate() {
        if event.extra.contains_key(crate::lenient::OCCURRENCE) {
            spots.push(Spot::Occurrence(place));
        }
        spots.extend((0..words(event).map_or(0, <[u64]>::len)).map(|word| Spot::Word(place, word)));
    }
    spots.extend((0..tape.events().len()).map(Spot::Pause));
    for spot in spots {
        if control.is_over() {
            return (tape, changed);
        }
        let mut candidate = copy(&tape);
        if apply(&mut candidate, &spot) {
            control.count(1, 0);
            if let Some(simpler) = fails(candidate) {
                (tape, changed) = (simpler, true);
            }
        }
    }
    for place in 0..tape.events().len() {
        changed |= bytes(&mut tape, place, control, fails);
    }
    (tape, changed)
}

fn copy(tape: &Tape) -> Tape {
    Tape::new(tape.header().clone(), tape.events().to_vec())
}

/// False where it is that simple already.
fn apply(tape: &mut Tape, spot: &Spot) -> bool {
    let events = tape.events_mut();
    match *spot {
        Spot::Times => {
            let had = events.iter().any(|event| event.time > 0);
            events.iter_mut().for_each(|event| event.time = 0);
            had
        }
        Spot::Pause(place) => {
            let before = place.checked_sub(1).map_or(0, |before| events[before].time);
            let pause = events[place].time.saturating_sub(before);
            events[place..].iter_mut().for_each(|it| it.time = it.time.saturating_sub(pause));
            pause > 0
        }
        Spot::Occurrence(place) => events[place].extra.remove(crate::lenient::OCCURRENCE).is_some(),
        Spot::Word(place, word) => {
            let Some(words) = words(&events[place]) else { return false };
            let mut words = words.to_vec();
            let had = std::mem::take(&mut words[word]) != 0;
            set_words(&mut events[place], &words);
            had
        }
    }
}

/// The words that the driver gave.
fn words(event: &Event) -> Option<&[u64]> {
    match &event.body {
        Body::Return(returned) => Some(&returned.scalars),
        Body::Posted { arguments, .. } => Some(arguments),
        _ => None,
    }
}

fn set_words(event: &mut Event, words: &[u64]) {
    if let Body::Return(dextape::tape::Return { scalars: to, .. })
    | Body::Posted { arguments: to, .. } = &mut event.body
    {
        *to = Scalars::clamped(words);
    }
}

/// Zeros as many bytes as can be, halves of halves.
fn bytes(
    tape: &mut Tape,
    place: usize,
    control: &Control<'_>,
    fails: &(dyn Fn(Tape) -> Option<Tape> + Sync),
) -> bool {
    let length = given(&tape.events()[place]).map_or(0, <[u8]>::len);
    let whole: Range<usize> = 0..length;
    let (mut open, mut changed) = (vec![whole], false);
    let mut trials = 0;
    while let Some(range) = open.pop() {
        let is_zero = |bytes: &[u8]| bytes[range.clone()].iter().all(|byte| *byte == 0);
        if range.is_empty() || given(&tape.events()[place]).is_none_or(is_zero) {
            continue;
        }
        if control.is_over() || trials >= BYTES_TRIALS_MAX {
            break;
        }
        let mut candidate = copy(tape);
        zero(&mut candidate.events_mut()[place], &range);
        trials += 1;
        control.count(1, 0);
        if let Some(simpler) = fails(candidate) {
            (*tape, changed) = (simpler, true);
        } else if range.len() > 1 {
            let middle = range.start + range.len() / 2;
            open.extend([middle..range.end, range.start..middle]);
        }
    }
    changed
}

/// The bytes that the driver gave.
fn given(event: &Event) -> Option<&[u8]> {
    match &event.body {
        Body::Return(returned) => returned.structure.as_ref()?.as_bytes(),
        Body::Patch { data, .. } => data.as_bytes(),
        _ => None,
    }
}

fn zero(event: &mut Event, range: &Range<usize>) {
    let Some(bytes) = given(event) else { return };
    let mut bytes = bytes.to_vec();
    bytes[range.clone()].fill(0);
    match &mut event.body {
        Body::Return(returned) => returned.structure = Some(Payload::bytes(&bytes)),
        Body::Patch { data, .. } => *data = Payload::bytes(&bytes),
        _ => {}
    }
}
