//! Strategies over plans of faults.

use crate::IoReturn;
use crate::boundary::OpenRefusal;
use crate::fault::{
    CallFault, CompletionFault, Ending, Fault, FaultPlan, MapFault, OpenFault, UnmapFault, When,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::time::Duration;

/// Plans of up to `most` faults for a dext of so many methods and memory types. They shrink towards fewer
/// faults, each towards one that strikes once, early, and only in its own place.
pub fn fault_plan(
    methods: u32,
    memories: u32,
    most: usize,
) -> impl Strategy<Value = FaultPlan> + use<> {
    (0_u64..4, vec(fault(methods, memories), 0..=most))
        .prop_map(|(seed, faults)| FaultPlan { seed, faults })
}

fn fault(methods: u32, memories: u32) -> impl Strategy<Value = Fault> {
    let selector = || number(methods);
    let memory_type = || number(memories);
    prop_oneof![
        4 => (selector(), when(), call()).prop_map(|(selector, when, what)| {
            Fault::Call { selector, when, what }
        }),
        3 => (selector(), when(), completion()).prop_map(|(selector, when, what)| {
            Fault::Completion { selector, when, what }
        }),
        2 => (memory_type(), when(), map()).prop_map(|(memory_type, when, what)| {
            Fault::Map { memory_type, when, what }
        }),
        2 => (memory_type(), when(), unmap()).prop_map(|(memory_type, when, what)| {
            Fault::Unmap { memory_type, when, what }
        }),
        2 => (when(), open()).prop_map(|(when, what)| Fault::Open { when, what }),
        1 => (time(), ending()).prop_map(|(time, what)| Fault::At { time, what }),
    ]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        4 => (1_u64..5).prop_map(When::Nth),
        2 => (1_u64..5).prop_map(When::From),
        1 => (2_u64..4).prop_map(When::Every),
        1 => (0_u8..=100).prop_map(When::Chance),
    ]
}

fn number(below: u32) -> impl Strategy<Value = Option<u32>> {
    prop_oneof![4 => (0..=below).prop_map(Some), 1 => Just(None)]
}

/// Codes of no other's making, and those that the boundary makes itself: a dext may return them, too.
fn code() -> impl Strategy<Value = IoReturn> {
    select(vec![
        IoReturn(0xe3ff_8002),
        IoReturn::TIMEOUT,
        IoReturn::NO_MEMORY,
        IoReturn::BAD_ARGUMENT,
        IoReturn::MIG_SERVER_DIED,
        IoReturn(1),
    ])
}

fn time() -> impl Strategy<Value = Duration> {
    (0_u64..40).prop_map(Duration::from_millis)
}

fn ending() -> impl Strategy<Value = Ending> {
    select(vec![Ending::Removed, Ending::Died])
}

fn open() -> impl Strategy<Value = OpenFault> {
    prop_oneof![
        2 => time().prop_map(OpenFault::Delay),
        3 => select(OpenRefusal::ALL.to_vec()).prop_map(OpenFault::Refused),
        2 => code().prop_map(OpenFault::Fails),
        1 => ending().prop_map(OpenFault::Ends),
    ]
}

fn call() -> impl Strategy<Value = CallFault> {
    prop_oneof![
        6 => code().prop_map(CallFault::Fails),
        3 => code().prop_map(CallFault::FailsAfter),
        4 => time().prop_map(CallFault::Delay),
        2 => ending().prop_map(CallFault::EndsAfter),
        2 => ending().prop_map(CallFault::Ends),
        1 => Just(CallFault::NeverReturns),
    ]
}

fn completion() -> impl Strategy<Value = CompletionFault> {
    prop_oneof![
        code().prop_map(CompletionFault::Fails),
        Just(CompletionFault::Lost),
        Just(CompletionFault::Doubled),
        time().prop_map(CompletionFault::Late),
    ]
}

fn map() -> impl Strategy<Value = MapFault> {
    prop_oneof![
        3 => Just(MapFault::Refused),
        3 => code().prop_map(MapFault::Fails),
        1 => time().prop_map(MapFault::Delay),
        1 => ending().prop_map(MapFault::Ends),
    ]
}

fn unmap() -> impl Strategy<Value = UnmapFault> {
    prop_oneof![
        3 => code().prop_map(UnmapFault::Fails),
        1 => time().prop_map(UnmapFault::Delay),
        1 => ending().prop_map(UnmapFault::Ends),
    ]
}
