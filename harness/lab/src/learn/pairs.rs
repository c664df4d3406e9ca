//! Which operation of one run is which of another, once it is known how their fields are treated.

use super::align::{BEST, SAME_SHAPE, align_courses, alike};
use super::fields::{Treatment, Treatments};
use super::flow::Flows;
use super::operations::{CallData, Operation};
use super::place::inputs;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The values of symbols of another run, as the first run calls them.
#[derive(Debug, Default)]
pub(super) struct Renaming {
    ours: BTreeMap<(u32, u64), u64>,
    /// Values that the first run has, by set.
    taken: BTreeSet<(u32, u64)>,
}

impl Renaming {
    /// What is most often in the place of each value, in pairs of operations.
    fn vote(flows: &Flows, pairs: &[(&CallData, &CallData)], ours: &[Operation]) -> Self {
        let mut votes: BTreeMap<(u32, u64), BTreeMap<u64, u64>> = BTreeMap::new();
        for (own, their) in pairs {
            for ((place, set, their), (same, _, own)) in flows.of(their).zip(flows.of(own)) {
                if place == same && their != 0 {
                    *votes.entry((set, their)).or_default().entry(own).or_default() += 1;
                }
            }
        }
        // The clearest first, since each value of ours stands for one of theirs.
        let mut all: Vec<(u64, u32, u64, u64)> = Vec::new();
        for ((set, their), votes) in votes {
            all.extend(votes.into_iter().map(|(own, count)| (count, set, their, own)));
        }
        all.sort_by_key(|(count, set, their, own)| (u64::MAX - count, *set, *their, *own));
        let (mut map, mut used) = (BTreeMap::new(), BTreeSet::new());
        for (_, set, their, own) in all {
            if !map.contains_key(&(set, their)) && used.insert((set, own)) {
                map.insert((set, their), own);
            }
        }
        let calls = ours.iter().filter_map(|operation| operation.call.as_ref());
        let taken = calls.flat_map(|call| flows.of(call).map(|(_, set, value)| (set, value)));
        Self { ours: map, taken: taken.collect() }
    }

    fn get(&self, set: u32, value: u64) -> Option<u64> {
        if value == 0 { Some(0) } else { self.ours.get(&(set, value)).copied() }
    }

    /// What stands for a value of the other run; one that no run has where the first run has none.
    pub(super) fn name(&mut self, set: u32, value: u64) -> u64 {
        if let Some(known) = self.get(set, value) {
            return known;
        }
        let mut free = value;
        while free == 0 || self.taken.contains(&(set, free)) {
            // It has to fit where the value stood.
            free = if free >= u64::from(u32::MAX) { 1 } else { free + 1 };
        }
        self.taken.insert((set, free));
        self.ours.insert((set, value), free);
        free
    }
}

/// The operations that two runs have in common.
pub(super) struct Pairs {
    /// Theirs in order, each with ours.
    pub(super) pairs: Vec<(usize, usize)>,
    pub(super) renaming: Renaming,
}

/// Pairs operations that hand in the same, as far as that is compared: those of each course in its order,
/// then those that were moved. `None` where the runs differ over too long a stretch.
pub(super) fn pair(
    ours: &[Operation],
    theirs: &[Operation],
    flows: &Flows,
    treatments: &Treatments,
) -> Option<Pairs> {
    let rough = align_courses(ours, theirs, alike, BEST)?;
    let calls = rough.iter().filter_map(|(own, their)| {
        Some((ours[*own].call.as_ref()?, theirs[*their].call.as_ref()?))
    });
    let renaming = Renaming::vote(flows, &calls.collect::<Vec<_>>(), ours);
    let score = |own: &Operation, their: &Operation| {
        if own.shape != their.shape {
            return 0;
        }
        match (&own.call, &their.call) {
            (Some(own), Some(their)) => compare(own, their, treatments, &renaming),
            _ => BEST,
        }
    };
    let mut pairs = align_courses(ours, theirs, score, BEST)?;
    // What is left was moved, where it is anywhere.
    for least in [BEST, 1] {
        let (mut own, mut their) = (BTreeSet::new(), BTreeSet::new());
        for (left, right) in &pairs {
            own.insert(*left);
            their.insert(*right);
        }
        let mut left: HashMap<u32, Vec<usize>> = HashMap::new();
        for place in (0..ours.len()).rev().filter(|place| !own.contains(place)) {
            left.entry(ours[place].shape).or_default().push(place);
        }
        for (place, operation) in theirs.iter().enumerate() {
            let Some(left) = left.get_mut(&operation.shape) else { continue };
            if their.contains(&place) {
                continue;
            }
            let fits = |own: &usize| score(&ours[*own], operation) >= least;
            if let Some(found) = left.iter().rposition(fits) {
                pairs.push((left.remove(found), place));
            }
        }
    }
    pairs.sort_by_key(|(_, their)| *their);
    Some(Pairs { pairs, renaming })
}

/// Best where all that is compared is the same; less where only symbols are not; 0 for anything else.
fn compare(own: &CallData, their: &CallData, treatments: &Treatments, renaming: &Renaming) -> u32 {
    if own.scalars == their.scalars && own.input == their.input && renaming.ours.is_empty() {
        return BEST;
    }
    let mut score = BEST;
    for ((at, own_value), (_, their_value)) in inputs(own).zip(inputs(their)) {
        match treatments.get(&(own.kind, at)) {
            Some(Treatment::Symbol(set)) if renaming.get(*set, their_value) != Some(own_value) => {
                score = SAME_SHAPE;
            }
            Some(Treatment::Masked | Treatment::Symbol(_)) => {}
            None if own_value != their_value => return 0,
            None => {}
        }
    }
    score
}
