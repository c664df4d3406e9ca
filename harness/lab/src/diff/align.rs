//! Which item of one tape is which of the other.

use super::common::common;
use super::item::{Item, Pairing, Side};
use std::collections::{BTreeMap, HashMap};

/// What a pair that says the same scores, and what one of the same shape. A whole that says less in more
/// places is worse than one that says more in fewer.
const SAME: u64 = 3;
const ALIKE: u64 = 2;

/// The items that belong together, by their places in the lists of items, in the order of the first.
pub(super) fn align(a: &Side<'_>, b: &Side<'_>) -> Vec<(u32, u32)> {
    let mut partner = vec![None; a.items.len()];
    let (lanes, others) = (lanes(&a.items), lanes(&b.items));
    for (lane, ours) in &lanes {
        let theirs = others.get(lane).map_or(&[][..], Vec::as_slice);
        for (one, other) in align_lane(&a.items, ours, &b.items, theirs) {
            partner[one as usize] = Some(other);
        }
    }
    moved_elsewhere(a, b, &mut partner);
    // Completions stand behind what brought them about, so their calls are paired by now, and posted
    // ones before delivered ones.
    let completions: HashMap<(bool, u32, u64), u32> = (0_u32..)
        .zip(&b.items)
        .filter_map(|(index, item)| Some((completion(item)?, index)))
        .collect();
    for index in 0..a.items.len() {
        let Some((delivered, of, ordinal)) = completion(&a.items[index]) else { continue };
        if let Some(theirs) = partner[of as usize] {
            partner[index] = completions.get(&(delivered, theirs, ordinal)).copied();
        }
    }
    (0..).zip(partner).filter_map(|(one, other)| Some((one, other?))).collect()
}

fn completion(item: &Item) -> Option<(bool, u32, u64)> {
    match item.pairing {
        Pairing::Lane => None,
        Pairing::Call(call, ordinal) => Some((false, call, ordinal)),
        Pairing::Posted(posted) => Some((true, posted, 0)),
    }
}

/// The items of each lane that are paired by their place in it.
fn lanes(items: &[Item]) -> BTreeMap<(u32, u32), Vec<u32>> {
    let mut lanes: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    for (index, item) in (0..).zip(items).filter(|(_, item)| item.pairing == Pairing::Lane) {
        lanes.entry(item.lane).or_default().push(index);
    }
    lanes
}

/// Pairs what says the same first and, in between, what has the same shape; or all by shape, where that
/// leaves less over: a value that differs in every call leaves nothing else to hold on to.
fn align_lane(ours: &[Item], our: &[u32], theirs: &[Item], their: &[u32]) -> Vec<(u32, u32)> {
    let exact = |items: &[Item], index: u32| items[index as usize].exact;
    let shape = |items: &[Item], index: u32| items[index as usize].shape;
    let tokens = |items: &[Item], of: &[u32], key: fn(&[Item], u32) -> u64| -> Vec<u64> {
        of.iter().map(|index| key(items, *index)).collect()
    };
    let (our_exact, their_exact) = (tokens(ours, our, exact), tokens(theirs, their, exact));
    let same = common(&our_exact, &their_exact);
    if same.len() == our.len() && same.len() == their.len() {
        return same.into_iter().map(|(one, other)| (our[one], their[other])).collect();
    }
    let (our_shape, their_shape) = (tokens(ours, our, shape), tokens(theirs, their, shape));
    let mut pairs = Vec::with_capacity(same.len());
    let (mut one, mut other) = (0, 0);
    for (next, there) in same.iter().copied().chain([(our.len(), their.len())]) {
        let between = common(&our_shape[one..next], &their_shape[other..there]);
        pairs.extend(between.into_iter().map(|(x, y)| (one + x, other + y)));
        if next < our.len() || there < their.len() {
            pairs.push((next, there));
        }
        (one, other) = (next + 1, there + 1);
    }
    let by_shape = common(&our_shape, &their_shape);
    let score = |pairs: &[(usize, usize)]| -> u64 {
        let worth = |(one, other): &(usize, usize)| {
            if our_exact[*one] == their_exact[*other] { SAME } else { ALIKE }
        };
        pairs.iter().map(worth).sum()
    };
    let better = if score(&by_shape) > score(&pairs) { by_shape } else { pairs };
    better.into_iter().map(|(one, other)| (our[one], their[other])).collect()
}

/// Pairs what is left over on both tapes and says the same, where there is one of it on each: it moved.
fn moved_elsewhere(a: &Side<'_>, b: &Side<'_>, partner: &mut [Option<u32>]) {
    let mut taken = vec![false; b.items.len()];
    partner.iter().flatten().for_each(|other| taken[*other as usize] = true);
    let mut left: HashMap<u64, [Vec<u32>; 2]> = HashMap::new();
    let ours = (0_u32..).zip(&a.items).filter(|(index, _)| partner[*index as usize].is_none());
    for (index, item) in ours.filter(|(_, item)| item.pairing == Pairing::Lane) {
        left.entry(item.exact).or_default()[0].push(index);
    }
    let theirs = (0_u32..).zip(&b.items).filter(|(index, _)| !taken[*index as usize]);
    for (index, item) in theirs.filter(|(_, item)| item.pairing == Pairing::Lane) {
        left.entry(item.exact).or_default()[1].push(index);
    }
    for [ours, theirs] in left.values() {
        if let ([one], [other]) = (ours.as_slice(), theirs.as_slice()) {
            partner[*one as usize] = Some(*other);
        }
    }
}
