//! What one run suggests could differ: every single deviation that there is reason to try.

use super::operation::{Made, Operation};
use super::origin::Run;
use super::{Deviation, Point};
use crate::IoReturn;
use crate::boundary::OpenRefusal;
use crate::fault::{
    CallFault, CompletionFault, Ending, Fault, MapFault, OpenFault, UnmapFault, When,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// How long a thread stands still: shorter and longer than what a machine under load does to it.
const STALLS: [Duration; 5] = [ms(1), ms(5), ms(20), ms(60), ms(300)];

/// And how long at least to have the device and other threads do the next things that they do.
const DEVICE_NEXT: usize = 3;
const OTHERS_NEXT: usize = 2;
const BEYOND: Duration = Duration::from_micros(1);

/// How late a timer is.
const TIMERS: [Duration; 3] = [ms(1), ms(10), ms(30)];

/// How long a call takes.
const DELAYS: [Duration; 3] = [ms(30), ms(100), ms(300)];

/// How late a completion comes: four steps to the decade.
const LATE: [Duration; 14] = [
    ms(1),
    ms(3),
    ms(10),
    ms(30),
    ms(56),
    ms(100),
    ms(180),
    ms(320),
    ms(560),
    ms(1000),
    ms(1800),
    ms(3200),
    ms(7500),
    ms(17_800),
];

/// What a dext says when something is wrong.
const ERRORS: [IoReturn; 3] = [IoReturn::NO_DEVICE, IoReturn::NO_RESOURCES, IoReturn::TIMEOUT];

/// And with which status it completes what it could not do.
const COMPLETION_ERRORS: [IoReturn; 2] = [IoReturn::ABORTED, IoReturn::TIMEOUT];

/// Operations of one kind, and times, at which something happens: of a long run the first ones.
const SITES_MAX: usize = 60;

/// Runs under priorities of their own.
const PRIORITIES: u64 = 64;

/// Every single deviation of timing.
pub(super) fn timing(run: &Run) -> Vec<Deviation> {
    let mut found = Vec::new();
    for made in &run.made {
        let (lane, operation) = (made.lane, made.number);
        let mut points = vec![Point::Before];
        match made.operation {
            Operation::CopyOut(_, length) | Operation::CopyIn(_, length) if length > 8 => {
                points.push(Point::Within);
            }
            // What a client notes down once its call has returned stands between it and the next.
            other if other.is_call() => points.push(Point::After),
            Operation::Wait | Operation::WaitForNotice => {
                found.push(Deviation::Wake { lane, operation });
            }
            _ => {}
        }
        let times = stalls(run, made);
        for point in points {
            let stall = |time: &Duration| Deviation::Stall { lane, operation, point, time: *time };
            found.extend(times.iter().map(stall));
        }
    }
    for (lane, wait, _) in &run.timers {
        let timer = |late: &Duration| Deviation::Timer { lane: *lane, wait: *wait, late: *late };
        found.extend(TIMERS.iter().map(timer));
    }
    let lanes: BTreeSet<u32> = run.made.iter().map(|made| made.lane).collect();
    if lanes.len() > 1 {
        found.extend((1..=PRIORITIES).map(|seed| Deviation::Priorities { seed }));
    }
    found
}

/// How long a thread may stand still there: the usual times, and up to what others do next.
fn stalls(run: &Run, made: &Made) -> BTreeSet<Duration> {
    let after = |times: &mut dyn Iterator<Item = Duration>, count: usize| -> Vec<Duration> {
        let times: BTreeSet<Duration> = times.filter(|time| *time > made.began).collect();
        times.into_iter().take(count).map(|time| time - made.began + BEYOND).collect()
    };
    let others = run.made.iter().filter(|other| other.lane != made.lane);
    let others = after(&mut others.map(|other| other.began), OTHERS_NEXT);
    let device = after(&mut run.moments.iter().copied(), DEVICE_NEXT);
    STALLS.into_iter().chain(others).chain(device).collect()
}

/// Every single fault of a run in which so many completions came. Each of `outcomes`, counted from 1, is
/// how a request ended, and could as well have been an error.
pub(super) fn faults(run: &Run, posts: usize, outcomes: &[u64]) -> Vec<Deviation> {
    let mut found = Vec::new();
    let mut counts: BTreeMap<(u8, u32), u64> = BTreeMap::new();
    for made in &run.made {
        let site = match made.operation {
            Operation::Open => (0, 0),
            Operation::Call(selector) | Operation::AsyncCall(selector) => (1, selector),
            Operation::Map(memory_type) => (2, memory_type),
            Operation::Unmap(memory_type) => (3, memory_type),
            _ => continue,
        };
        let count = counts.entry(site).or_default();
        *count += 1;
        if *count > SITES_MAX as u64 {
            continue;
        }
        let when = When::Nth(*count);
        match site {
            (0, _) => open(when, &mut found),
            (1, selector) => call(Some(selector), when, &mut found),
            (2, memory_type) => map(Some(memory_type), when, &mut found),
            (_, memory_type) => unmap(Some(memory_type), when, &mut found),
        }
    }
    let posts = posts.min(SITES_MAX) as u64;
    for when in (1..=posts).map(When::Nth) {
        let whats = LATE.map(CompletionFault::Late).into_iter();
        let whats = whats.chain([CompletionFault::Lost, CompletionFault::Doubled]);
        found.extend(whats.map(|what| Fault::Completion { selector: None, when, what }));
    }
    for when in outcomes.iter().take(SITES_MAX).copied().map(When::Nth) {
        let whats = COMPLETION_ERRORS.map(CompletionFault::Fails);
        found.extend(whats.map(|what| Fault::Completion { selector: None, when, what }));
    }
    let times: BTreeSet<Duration> = run.made.iter().map(|made| made.began + BEYOND).collect();
    let step = times.len().div_ceil(SITES_MAX).max(1);
    for time in times.into_iter().step_by(step) {
        found.extend([Ending::Removed, Ending::Died].map(|what| Fault::At { time, what }));
    }
    found.into_iter().map(Deviation::Fault).collect()
}

fn open(when: When, found: &mut Vec<Fault>) {
    let whats = [
        OpenFault::Refused(OpenRefusal::NotEntitled),
        OpenFault::Fails(IoReturn::BUSY),
        OpenFault::Ends(Ending::Died),
    ];
    found.extend(whats.map(|what| Fault::Open { when, what }));
}

fn call(selector: Option<u32>, when: When, found: &mut Vec<Fault>) {
    let whats = (DELAYS.map(CallFault::Delay).into_iter())
        .chain(ERRORS.map(CallFault::Fails))
        .chain(ERRORS.map(CallFault::FailsAfter))
        .chain([Ending::Removed, Ending::Died].map(CallFault::Ends))
        .chain([Ending::Removed, Ending::Died].map(CallFault::EndsAfter));
    found.extend(whats.map(|what| Fault::Call { selector, when, what }));
}

fn map(memory_type: Option<u32>, when: When, found: &mut Vec<Fault>) {
    let whats = [
        MapFault::Refused,
        MapFault::Fails(IoReturn::NO_MEMORY),
        MapFault::Delay(DELAYS[0]),
        MapFault::Ends(Ending::Removed),
        MapFault::Ends(Ending::Died),
    ];
    found.extend(whats.map(|what| Fault::Map { memory_type, when, what }));
}

fn unmap(memory_type: Option<u32>, when: When, found: &mut Vec<Fault>) {
    let whats = [
        UnmapFault::Fails(IoReturn::NO_MEMORY),
        UnmapFault::Delay(DELAYS[0]),
        UnmapFault::Ends(Ending::Removed),
        UnmapFault::Ends(Ending::Died),
    ];
    found.extend(whats.map(|what| Fault::Unmap { memory_type, when, what }));
}
