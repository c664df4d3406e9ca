//! What two lists have in common, in their order.
//!
//! Time is in proportion to the length of the lists, whatever stands in them. Long lists are held together by
//! what each has just once, first by single items, then by runs of items, as far as that is in order, and in
//! between anew. Short ones are left to a search by what is rare, which takes its square where everything stands
//! alone. Long ones without anything that stands alone, such as those of a client that polls, are gone through from
//! their beginnings, with a bounded look ahead: a search for the best would take the square of what differs.

use super::order::in_order;
use imara_diff::{Algorithm, Diff, InternedInput};
use std::collections::HashMap;

/// Items of each list from which on they are long.
const LONG: usize = 1024;

/// Lengths of the runs that hold lists together.
const RUNS: [usize; 3] = [1, 8, 64];

/// How often what stands in between is held together anew. Each time takes as long as all of the lists.
const DEPTH_MAX: u32 = 16;

/// How many removed and inserted items are looked ahead, and how many of them are kept of what was found.
const AHEAD: usize = 128;
const KEPT: usize = AHEAD / 2;

/// A long common subsequence of two lists, as pairs of places.
pub(super) fn common(one: &[u64], other: &[u64]) -> Vec<(usize, usize)> {
    let mut common = Common { one, other, pairs: Vec::with_capacity(one.len().min(other.len())) };
    common.within([0, one.len()], [0, other.len()], DEPTH_MAX);
    common.pairs
}

struct Common<'a> {
    one: &'a [u64],
    other: &'a [u64],
    pairs: Vec<(usize, usize)>,
}

impl Common<'_> {
    /// Pairs what is common within these parts.
    fn within(
        &mut self,
        [mut here, mut end]: [usize; 2],
        [mut there, mut last]: [usize; 2],
        depth: u32,
    ) {
        while here < end && there < last && self.one[here] == self.other[there] {
            self.pairs.push((here, there));
            (here, there) = (here + 1, there + 1);
        }
        let behind = (end, last);
        while here < end && there < last && self.one[end - 1] == self.other[last - 1] {
            (end, last) = (end - 1, last - 1);
        }
        self.between([here, end], [there, last], depth);
        self.pairs.extend((end..behind.0).zip(last..));
    }

    /// The same, where neither the first nor the last items are equal.
    fn between(&mut self, [here, end]: [usize; 2], [there, last]: [usize; 2], depth: u32) {
        let (one, other) = (&self.one[here..end], &self.other[there..last]);
        if one.is_empty() || other.is_empty() {
            return;
        }
        if one.len().saturating_mul(other.len()) < LONG * LONG {
            let found = by_rarity(one, other);
            self.pairs.extend(found.into_iter().map(|(x, y)| (here + x, there + y)));
            return;
        }
        let anchors = match depth {
            0 => Vec::new(),
            _ => RUNS
                .iter()
                .map(|run| alone(one, other, *run))
                .find(|it| !it.is_empty())
                .unwrap_or_default(),
        };
        if anchors.is_empty() {
            return self.ahead([here, end], [there, last]);
        }
        let (mut from, mut beyond) = (here, there);
        for (x, y) in anchors {
            let (x, y) = (here + x, there + y);
            self.within([from, x], [beyond, y], depth - 1);
            self.pairs.push((x, y));
            (from, beyond) = (x + 1, y + 1);
        }
        self.within([from, end], [beyond, last], depth - 1);
    }

    /// Pairs what is equal along the way on which the least is removed and inserted, as far as it can be seen
    /// from each place.
    fn ahead(&mut self, [mut here, end]: [usize; 2], [mut there, last]: [usize; 2]) {
        let mut search = Search::default();
        while here < end && there < last {
            let (one, other) = (&self.one[here..end], &self.other[there..last]);
            let (x, y) = search.run(one, other);
            let found = search.way.iter().rev().flat_map(|(x, y, length)| {
                (0..*length).map(move |at| (here + x + at, there + y + at))
            });
            self.pairs.extend(found);
            (here, there) = (here + x, there + y);
        }
    }
}

/// The places where a run of items begins that each list has just once, as far as they are in order.
fn alone(one: &[u64], other: &[u64], run: usize) -> Vec<(usize, usize)> {
    if one.len().min(other.len()) < run {
        return Vec::new();
    }
    // Of each run, how often either list has it, and where last.
    let mut seen: HashMap<u64, [(u32, usize); 2]> = HashMap::new();
    for (side, list) in [one, other].into_iter().enumerate() {
        for (place, hash) in runs(list, run).enumerate() {
            let seen = &mut seen.entry(hash).or_default()[side];
            *seen = (seen.0.saturating_add(1), place);
        }
    }
    let both = runs(one, run).filter_map(|hash| match seen.get(&hash)? {
        [(1, here), (1, there)] => Some((*here, *there)),
        _ => None,
    });
    let is_same = |(here, there): &(usize, usize)| one[*here..][..run] == other[*there..][..run];
    let both: Vec<(usize, usize)> = both.filter(is_same).collect();
    let seconds: Vec<u32> = both.iter().map(|(_, there)| *there as u32).collect();
    let kept = in_order(&seconds);
    // Runs of few values are alike by chance as well: then hardly any two of them are in order.
    if run > 1 && kept.iter().filter(|kept| **kept).count() * 2 < both.len() {
        return Vec::new();
    }
    both.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(pair, _)| pair).collect()
}

/// A hash of each run of so many items, which for one item is the item.
fn runs(list: &[u64], run: usize) -> impl Iterator<Item = u64> {
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    let leaves = (1..run).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let begin = list.iter().take(run - 1);
    let mut hash = begin.fold(0_u64, |hash, item| hash.wrapping_mul(BASE).wrapping_add(*item));
    (run - 1..list.len()).map(move |last| {
        let whole = hash.wrapping_mul(BASE).wrapping_add(list[last]);
        hash = whole.wrapping_sub(list[last + 1 - run].wrapping_mul(leaves));
        whole
    })
}

/// What is common by what is rare (histogram), with an end to the search where nothing is.
fn by_rarity(one: &[u64], other: &[u64]) -> Vec<(usize, usize)> {
    let mut input = InternedInput::default();
    input.update_before(one.iter().copied());
    input.update_after(other.iter().copied());
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let mut pairs = Vec::with_capacity(one.len().min(other.len()));
    let (mut here, mut there) = (0_usize, 0_usize);
    for hunk in diff.hunks() {
        pairs.extend((here..hunk.before.start as usize).zip(there..));
        (here, there) = (hunk.before.end as usize, hunk.after.end as usize);
    }
    pairs.extend((here..one.len()).zip(there..other.len()));
    pairs
}

/// Where nobody comes with so few edits.
const NOWHERE: isize = -1;

/// A search for the way with the fewest edits (Myers), up to [`AHEAD`] of them.
#[derive(Default)]
struct Search {
    /// For each number of edits, the furthest place of the first list on each diagonal.
    furthest: Vec<[isize; 2 * AHEAD + 3]>,
    /// The equal parts on the way, the last first: where they begin, and how long they are.
    way: Vec<(usize, usize, usize)>,
}

/// Place of a diagonal: the difference of the places in the two lists.
const fn index(diagonal: isize) -> usize {
    (diagonal + AHEAD as isize + 1) as usize
}

impl Search {
    /// Finds the way that comes furthest, keeps its first half, or all of it where it comes to the end, and
    /// gives where that ends.
    fn run(&mut self, one: &[u64], other: &[u64]) -> (usize, usize) {
        let ends = (one.len() as isize, other.len() as isize);
        self.furthest.clear();
        self.way.clear();
        let (mut best, mut kept) = (0, KEPT);
        'search: for edits in 0..=AHEAD {
            let mut layer = [NOWHERE; 2 * AHEAD + 3];
            let (mut most, edits) = (NOWHERE, edits as isize);
            for diagonal in (-edits..=edits).step_by(2) {
                let from = self.furthest.last().map_or(0, |before| begin(before, diagonal, ends));
                if from == NOWHERE {
                    continue;
                }
                let (ours, theirs) = (&one[from as usize..], &other[(from - diagonal) as usize..]);
                let equal = ours.iter().zip(theirs).take_while(|(one, other)| one == other).count();
                let to = from + equal as isize;
                layer[index(diagonal)] = to;
                if 2 * to - diagonal > most {
                    (most, best) = (2 * to - diagonal, diagonal);
                }
                if (to, to - diagonal) == ends {
                    (best, kept) = (diagonal, edits as usize);
                    self.furthest.push(layer);
                    break 'search;
                }
            }
            self.furthest.push(layer);
        }
        // Back along the way.
        let mut diagonal = best;
        let mut end = (0, 0);
        for edits in (0..self.furthest.len()).rev() {
            let to = self.furthest[edits][index(diagonal)];
            let before = edits.checked_sub(1).map(|before| &self.furthest[before]);
            let from = before.map_or(0, |before| begin(before, diagonal, ends));
            if edits == kept {
                end = (to as usize, (to - diagonal) as usize);
            }
            if edits <= kept && from < to {
                self.way.push((from as usize, (from - diagonal) as usize, (to - from) as usize));
            }
            let removed = before.map_or(NOWHERE, |before| before[index(diagonal - 1)]);
            let removes = removed != NOWHERE && removed + 1 == from;
            diagonal += if removes { -1 } else { 1 };
        }
        end
    }
}

/// Where one comes to on a diagonal by one edit more, before what is equal there.
fn begin(
    before: &[isize; 2 * AHEAD + 3],
    diagonal: isize,
    (ours, theirs): (isize, isize),
) -> isize {
    let removed = before[index(diagonal - 1)];
    let removed = if removed == NOWHERE || removed == ours { NOWHERE } else { removed + 1 };
    let inserted = before[index(diagonal + 1)];
    let inserted = if inserted - diagonal > theirs { NOWHERE } else { inserted };
    removed.max(inserted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(mut state: u64) -> impl FnMut(u64) -> u64 {
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) % below
        }
    }

    /// The most that two lists can have in common, by trying all.
    fn most(one: &[u64], other: &[u64]) -> usize {
        let mut row = vec![0; other.len() + 1];
        for ours in one {
            let mut before = 0;
            for (at, theirs) in other.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if ours == theirs { before + 1 } else { above.max(row[at]) };
                before = above;
            }
        }
        row[other.len()]
    }

    /// What is found, of what there is.
    #[track_caller]
    fn found(one: &[u64], other: &[u64]) -> (usize, usize) {
        let pairs = common(one, other);
        assert!(pairs.iter().all(|(here, there)| one[*here] == other[*there]));
        assert!(pairs.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
        (pairs.len(), most(one, other))
    }

    #[test]
    fn what_is_common_is_found_in_order() {
        assert_eq!(common(&[1, 2, 3, 4], &[1, 9, 3, 4]), [(0, 0), (2, 2), (3, 3)]);
        assert_eq!(common(&[1, 2], &[3, 4]), []);
        assert_eq!(common(&[], &[3, 4]), []);
        assert_eq!(common(&[5, 6], &[4, 5, 5, 6, 7]).len(), 2);
        assert_eq!(common(&[7; 9], &[7; 4]).len(), 4);
    }

    #[test]
    fn long_lists_are_held_together_by_what_stands_alone() {
        let one: Vec<u64> = (0..2 * LONG as u64).collect();
        let other: Vec<u64> = one.iter().flat_map(|it| [it + (1 << 40), *it]).collect();
        assert_eq!(common(&one, &other).len(), one.len());
        // What comes again and again in between is paired, too.
        let third = |it: u64| if it.is_multiple_of(3) { it } else { 7 };
        let one: Vec<u64> = (0..2 * LONG as u64).map(third).collect();
        assert_eq!(common(&one, &one[3..]).len(), one.len() - 3);
    }

    /// Runs stand alone where items do not: a long part that one list has more is found as one.
    #[test]
    fn a_long_part_is_left_out_as_one() {
        let mut random = random(3);
        let one: Vec<u64> = (0..3 * LONG).map(|_| random(40)).collect();
        let mut other = one.clone();
        other.splice(LONG..LONG, (0..5 * AHEAD).map(|_| random(40)).collect::<Vec<_>>());
        assert_eq!(common(&one, &other).len(), one.len());
    }

    /// A client that polls, another number of times: nothing stands alone, and runs do not either.
    #[test]
    fn long_lists_of_the_same_again_and_again_are_gone_through() {
        let polls = |period: u64| -> Vec<u64> {
            let step = |at: u64| {
                if at.is_multiple_of(period) { at / period % 11 } else { 20 + at % period % 2 }
            };
            (0..3 * LONG as u64).map(step).collect()
        };
        let (few, many) = (polls(5), polls(7));
        for (one, other) in [(&few, &many), (&many, &few)] {
            let (found, most) = found(one, other);
            assert!(found * 100 >= most * 98, "{found} of {most}");
        }
    }

    #[test]
    fn of_any_lists_most_is_found() {
        let mut random = random(7);
        for (values, least) in [(4, 95), (40, 85), (300, 75)] {
            let mut list = || -> Vec<u64> { (0..2 * LONG).map(|_| random(values)).collect() };
            let (one, other) = (list(), list());
            let (found, most) = found(&one, &other);
            assert!(found * 100 >= most * least, "{values} values: {found} of {most}");
        }
    }
}
