//! What the device waits for, as little as the tape shows.
//!
//! A tape has the edges that were recorded: a completion has its call. All else that the client did before
//! may have brought a deed about, and [`settle`](super::script) has the deed wait for all of it. Here it
//! waits for what shows: see [`Deviation::Ahead`](crate::perturb::Deviation::Ahead).

use super::script::{Deed, Key, OperationIndex, Recorded, Script, What};
use std::collections::HashMap;

/// So often at least a deed and a call come, each after one of the other, until that is no chance.
const PAIRS_MIN: usize = 3;

/// Deeds of which one comes as often as the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Stream<'a> {
    /// Completions of calls that ask for the same.
    Posts(&'a Key),
    /// Changes at one place.
    Patches(u32, u64),
}

/// Of each deed the operations that it waits for.
pub(super) fn causes(script: &Script) -> Vec<Vec<OperationIndex>> {
    let Script { operations, deeds, by_key, .. } = script;
    let mut key_of: Vec<Option<&Key>> = vec![None; operations.len()];
    for (key, of) in by_key {
        for operation in of {
            key_of[*operation] = Some(key);
        }
    }
    let is_store = |operation: OperationIndex| {
        matches!(key_of[operation], Some(Key::Write { .. } | Key::Update { .. }))
    };
    let mut calls_of = with_their_calls(script, &key_of);
    // What has happened at one place of the tape has happened together.
    let mut from = 0;
    while from < deeds.len() {
        let same = |deed: &&Deed| deed.position == deeds[from].position;
        let to = from + deeds[from..].iter().take_while(same).count();
        let mut all: Vec<OperationIndex> = calls_of[from..to].iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        calls_of[from..to].fill(all);
        from = to;
    }
    let (mut calls, mut stores) = (Lasts::default(), Lasts::default());
    let store_places: Vec<usize> = (operations.iter().enumerate())
        .filter(|(number, operation)| operation.heard && is_store(*number))
        .map(|(_, operation)| operation.enter)
        .collect();
    let mut causes = Vec::with_capacity(deeds.len());
    for (deed, own) in deeds.iter().zip(calls_of) {
        calls.advance(operations, deed.position, |operation| !is_store(operation));
        stores.advance(operations, answered_before(deeds, &store_places, deed.position), is_store);
        let mut of = stores.all();
        of.extend(if own.is_empty() { calls.all() } else { own });
        if let What::Post { call, .. } = deed.what
            && !of.contains(&call)
        {
            of.push(call);
        }
        causes.push(of);
    }
    causes
}

/// The place of the tape before which the stores stand that what is at `position` waits for: those that
/// the device knew of when it did what the last store answers.
fn answered_before(deeds: &[Deed], stores: &[usize], position: usize) -> usize {
    let last = stores.partition_point(|store| *store < position).checked_sub(1);
    let answered =
        last.map_or(0, |last| deeds.partition_point(|deed| deed.position < stores[last]));
    answered.checked_sub(1).map_or(0, |deed| deeds[deed].position)
}

/// To each deed the calls that it goes with, one by one.
fn with_their_calls(script: &Script, key_of: &[Option<&Key>]) -> Vec<Vec<OperationIndex>> {
    let Script { operations, deeds, by_key, .. } = script;
    let mut streams: HashMap<Stream<'_>, Vec<usize>> = HashMap::new();
    for (number, deed) in deeds.iter().enumerate() {
        let stream = match &deed.what {
            What::Post { call, .. } => key_of[*call].map(Stream::Posts),
            What::Patch { memory, offset, .. } => Some(Stream::Patches(*memory, *offset)),
            What::Notice { .. } => None,
        };
        if let Some(stream) = stream {
            streams.entry(stream).or_default().push(number);
        }
    }
    let mut calls_of = vec![Vec::new(); deeds.len()];
    for stream in streams.values().filter(|stream| stream.len() >= PAIRS_MIN) {
        for (key, calls) in by_key {
            let goes_with = matches!(key, Key::Call { .. })
                && calls.len() == stream.len()
                && (calls.iter().zip(stream))
                    .all(|(call, deed)| operations[*call].enter < deeds[*deed].position);
            if goes_with {
                for (call, deed) in calls.iter().zip(stream) {
                    calls_of[*deed].push(*call);
                }
            }
        }
    }
    calls_of
}

/// The last operations of each lane before a place.
#[derive(Default)]
struct Lasts {
    of_lanes: Vec<(u32, OperationIndex)>,
    next: usize,
}

impl Lasts {
    fn advance(
        &mut self,
        operations: &[Recorded],
        position: usize,
        counts: impl Fn(OperationIndex) -> bool,
    ) {
        while let Some(operation) = operations.get(self.next).filter(|it| it.enter < position) {
            if operation.heard && counts(self.next) {
                self.of_lanes.retain(|(lane, _)| *lane != operation.lane);
                self.of_lanes.push((operation.lane, self.next));
            }
            self.next += 1;
        }
    }

    fn all(&self) -> Vec<OperationIndex> {
        self.of_lanes.iter().map(|(_, operation)| *operation).collect()
    }
}
