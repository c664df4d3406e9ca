//! Schedules: when things happen.

use crate::perturb::{Deviation, Deviations, Point, Shift};
use crate::tape::{Body, Sequence, Tape};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;
use std::time::Duration;

/// When things happen in a run: the seed under which its tasks are simulated, and what is unusual about its
/// timing. What goes wrong is [`fault_plan`](super::fault_plan)'s.
///
/// `lanes` client threads make up to `operations` operations each, and at most `most` things are unusual.
/// Schedules shrink towards fewer, shorter and earlier ones, and towards the seed 0.
///
/// # Examples
///
/// ```
/// use dextape::strategies::schedule;
/// use proptest::strategy::{Strategy, ValueTree};
/// use proptest::test_runner::TestRunner;
///
/// let schedules = schedule(2, 20, 3);
/// let (_seed, unusual) = schedules.new_tree(&mut TestRunner::deterministic()).unwrap().current();
/// assert!(unusual.len() <= 3);
/// ```
pub fn schedule(
    lanes: u32,
    operations: u64,
    most: usize,
) -> impl Strategy<Value = (u64, Deviations)> + use<> {
    let lanes: BTreeMap<u32, u64> = (1..=lanes.max(1)).map(|lane| (lane, operations)).collect();
    of(thread(lanes).boxed(), most)
}

/// As [`schedule`], for runs that are derived from a tape: with as many lanes and operations as that has,
/// and with completions and changes of memory that come at other times.
///
/// # Panics
///
/// Never; a tape without any event gives no unusual things.
pub fn schedule_of(tape: &Tape, most: usize) -> impl Strategy<Value = (u64, Deviations)> + use<> {
    let mut lanes: BTreeMap<u32, u64> = BTreeMap::new();
    let (mut posts, mut patches): (Vec<Sequence>, Vec<Sequence>) = (Vec::new(), Vec::new());
    for event in tape.events() {
        match event.body {
            Body::Posted { .. } => posts.push(event.sequence),
            Body::Patch { .. } => patches.push(event.sequence),
            ref body if !body.is_leave() && event.lane > 0 => {
                *lanes.entry(event.lane).or_default() += 1;
            }
            _ => {}
        }
    }
    let mut all: Vec<(u32, BoxedStrategy<Deviation>)> = Vec::new();
    if !lanes.is_empty() {
        all.push((4, thread(lanes).boxed()));
    }
    if !posts.is_empty() {
        let post = (select(posts), time(), any::<bool>()).prop_map(|(event, time, early)| {
            let shift = if early { Shift::Early(time) } else { Shift::Late(time) };
            Deviation::Post { event, shift }
        });
        all.push((2, post.boxed()));
    }
    if !patches.is_empty() {
        let patch = (select(patches), time(), 0..3, 1_u64..64);
        let patch = patch.prop_map(|(event, by, which, at)| match which {
            0 => Deviation::PatchLate { event },
            1 => Deviation::PatchEarly { event, by },
            _ => Deviation::PatchSplit { event, at, by },
        });
        all.push((2, patch.boxed()));
    }
    match all.is_empty() {
        true => (any::<u64>(), Just(Deviations::NONE)).boxed(),
        false => of(proptest::strategy::Union::new_weighted(all).boxed(), most).boxed(),
    }
}

fn of(
    deviation: BoxedStrategy<Deviation>,
    most: usize,
) -> impl Strategy<Value = (u64, Deviations)> + use<> {
    (any::<u64>(), vec(deviation, 0..=most).prop_map(Deviations))
}

/// Lengths of time, such as patience is made of.
fn time() -> impl Strategy<Value = Duration> {
    let milliseconds = prop_oneof![4 => 1_u64..100, 2 => 100_u64..5_000, 1 => 5_000_u64..20_000];
    milliseconds.prop_map(Duration::from_millis)
}

/// What a client thread does at another time. `lanes` is not empty.
fn thread(lanes: BTreeMap<u32, u64>) -> impl Strategy<Value = Deviation> {
    let lanes: Vec<(u32, u64)> = lanes.into_iter().collect();
    let place =
        select(lanes).prop_flat_map(|(lane, operations)| (Just(lane), 1..=operations.max(1)));
    let place = place.boxed();
    let point = select(vec![Point::Before, Point::Within, Point::After]);
    prop_oneof![
        5 => (place.clone(), point, time()).prop_map(|((lane, operation), point, time)| {
            Deviation::Stall { lane, operation, point, time }
        }),
        2 => place.clone().prop_map(|(lane, operation)| Deviation::Wake { lane, operation }),
        2 => (place, time()).prop_map(|((lane, wait), late)| Deviation::Timer { lane, wait, late }),
        1 => (0_u64..1000).prop_map(|seed| Deviation::Priorities { seed }),
    ]
}
