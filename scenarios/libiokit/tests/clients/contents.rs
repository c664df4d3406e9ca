//! What two tapes say of shared memory, where one was recorded access by access and the other at sync points.

use dextape::tape::{Body, Event, Payload, Tape};
use std::collections::BTreeMap;
use std::ops::Range;

/// A byte of a memory: which, and where.
type Place = (u32, u64);

/// The bytes of the memories of a tape, as far as it tells them.
#[derive(Default)]
pub(crate) struct Contents {
    /// `None` where only a hash is known.
    bytes: BTreeMap<Place, Option<u8>>,
}

impl Contents {
    fn get(&self, place: Place) -> Option<u8> {
        // Memory begins as zeros.
        self.bytes.get(&place).copied().unwrap_or(Some(0))
    }

    fn put(&mut self, tape: &Tape, memory: u32, offset: u64, data: &Payload) -> Vec<Place> {
        let bytes = tape.bytes(data).unwrap();
        let mut changed = Vec::new();
        for index in 0..data.length() {
            let place = (memory, offset + index);
            let byte = bytes.as_ref().map(|bytes| bytes[index as usize]);
            if self.get(place) != byte {
                changed.push(place);
            }
            self.bytes.insert(place, byte);
        }
        changed
    }

    /// Takes an event, and gives the places that it says others than the client have changed.
    fn take(&mut self, tape: &Tape, event: &Event) -> Vec<Place> {
        match &event.body {
            Body::Patch { memory, offset, data, .. } => self.put(tape, *memory, *offset, data),
            Body::Write { memory, offset, data, .. } => {
                self.put(tape, *memory, *offset, data);
                Vec::new()
            }
            Body::Update { memory, offset, width, update } => {
                let places = || (0..width.bytes()).map(|index| (*memory, offset + index));
                let old = places().map(|place| self.get(place)).collect::<Option<Vec<_>>>();
                let new = old.map(|bytes| update.apply(word(&bytes), *width).to_le_bytes());
                for (index, place) in places().enumerate() {
                    self.bytes.insert(place, new.map(|new| new[index]));
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Compares what the client in Rust saw that others had changed with what stands on the tape of the
    /// one in C before the next event of its lane that both have; gives how many bytes that were.
    ///
    /// A place that the client itself wrote before that event is left out: on the tape of the one in C
    /// stands what others wrote. So is what lies in `times`, where the dext notes the time.
    #[track_caller]
    pub(crate) fn compare(
        (in_c, c_events): (&Tape, &[&Event]),
        (in_rust, rust_events): (&Tape, &[&Event]),
        times: &Range<u64>,
    ) -> usize {
        let mut lanes: BTreeMap<u32, Vec<BTreeMap<Place, u8>>> = BTreeMap::new();
        let mut rust = Self::default();
        for event in rust_events {
            let lane = lanes.entry(event.lane).or_insert_with(|| vec![BTreeMap::new()]);
            if is_of_both(event) {
                lane.push(BTreeMap::new());
                continue;
            }
            let seen = lane.last_mut().unwrap();
            let changed = rust.take(in_rust, event);
            if changed.is_empty() {
                // Written by the client since.
                seen.retain(|place, byte| rust.get(*place) == Some(*byte));
            }
            let changed = changed.into_iter().filter(|(_, offset)| !times.contains(offset));
            seen.extend(changed.filter_map(|place| Some((place, rust.get(place)?))));
        }
        let mut c = Self::default();
        let mut at: BTreeMap<u32, usize> = BTreeMap::new();
        let mut compared = 0;
        for event in c_events {
            c.take(in_c, event);
            if !is_of_both(event) {
                continue;
            }
            let at = at.entry(event.lane).or_default();
            let seen = lanes.get(&event.lane).and_then(|lane| lane.get(*at));
            for (place, byte) in seen.into_iter().flatten() {
                let there = c.get(*place);
                assert_eq!(there, Some(*byte), "at {place:?} before {event:?}");
                compared += 1;
            }
            *at += 1;
        }
        compared
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// True for the events that both tapes have in the same places.
fn is_of_both(event: &Event) -> bool {
    !matches!(
        event.body,
        Body::Write { .. }
            | Body::Update { .. }
            | Body::Patch { .. }
            | Body::Wait { .. }
            | Body::Woke { .. }
            | Body::Queue { .. }
    )
}
