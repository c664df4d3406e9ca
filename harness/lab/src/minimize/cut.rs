//! A tape of some of the events of another.

use super::kept::Kept;
use super::units::Units;
use dextape::tape::{Body, Event, Sequence, Tape};
use std::collections::BTreeMap;

/// The tape of the units that are kept, with its numbers given out anew, and the number that each event
/// had before.
pub(super) fn cut(tape: &Tape, units: &Units, kept: &Kept) -> (Tape, Vec<Sequence>) {
    let mut places: Vec<u32> =
        kept.iter().flat_map(|unit| units.events[unit as usize].iter().copied()).collect();
    places.sort_unstable();
    let old = tape.events();
    let mut renumbered = Renumbered::new(old);
    let mut events = Vec::with_capacity(places.len());
    let mut before = Vec::with_capacity(places.len());
    for place in places {
        let event = &old[place as usize];
        before.push(event.sequence);
        events.push(renumbered.event(place as usize, event));
    }
    (Tape::new(tape.header().clone(), events), before)
}

struct Renumbered {
    /// New number of each event, by its place; 0 where it is gone.
    numbers: Vec<Sequence>,
    /// Places by old number: they have no holes, as there are no gaps.
    first: Sequence,
    positions: BTreeMap<u32, Lane>,
    ordinals: BTreeMap<Sequence, u64>,
    next: Sequence,
}

#[derive(Default)]
struct Lane {
    position: u64,
    /// Position that its last event had before.
    old: u64,
}

impl Renumbered {
    fn new(old: &[Event]) -> Self {
        Self {
            numbers: vec![0; old.len()],
            first: old.first().map_or(1, |event| event.sequence),
            positions: BTreeMap::new(),
            ordinals: BTreeMap::new(),
            next: 1,
        }
    }

    fn new_number(&self, old: Sequence) -> Option<Sequence> {
        let place = usize::try_from(old.checked_sub(self.first)?).ok()?;
        self.numbers.get(place).copied().filter(|number| *number > 0)
    }

    fn event(&mut self, place: usize, old: &Event) -> Event {
        let mut event = old.clone();
        event.sequence = self.next;
        self.numbers[place] = self.next;
        self.next += 1;
        let lane = self.positions.entry(event.lane).or_default();
        lane.position += 1;
        let follows = lane.old + 1 == old.position;
        lane.old = old.position;
        event.position = lane.position;
        event.cause = old.cause.and_then(|cause| self.new_number(cause));
        match &mut event.body {
            Body::Posted { ordinal, .. } => {
                let count = self.ordinals.entry(event.cause.unwrap_or(0)).or_default();
                *count += 1;
                *ordinal = *count;
            }
            Body::Patch { read, last_equal, .. } => {
                // Since which event reads are counted is another one now.
                if !follows {
                    *read = 1;
                }
                *last_equal = last_equal.and_then(|last| self.kept_before(last));
            }
            Body::Delivered { polls, .. } if !follows => *polls = 0,
            _ => {}
        }
        event
    }

    /// The last event up to `old` that is kept.
    fn kept_before(&self, old: Sequence) -> Option<Sequence> {
        let place = usize::try_from(old.checked_sub(self.first)?).ok()?;
        let numbers = self.numbers.get(..=place)?;
        numbers.iter().rev().copied().find(|number| *number > 0)
    }
}
