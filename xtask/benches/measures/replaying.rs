//! Replay of one call of 24 bytes in and 64 out, in order and keyed, beside the peers.

use super::case::Case;
use super::peers::{self, OUTPUT, input};
use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::connection::{
    Connection, Matching, MethodInput, MethodOutput, StructureInput, StructureOutput,
};
use dextape::replay::{Policy, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Call, Event, Header, OutputKind, Payload, Return, Structure, Tape};
use std::cell::OnceCell;
use std::hint::black_box;
use std::sync::Arc;

/// Sizes at which a keyed replay is measured.
const SIZES: [u64; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];

pub(crate) fn strict() -> Vec<Case> {
    let group = "replay-strict";
    vec![
        Case::new(group, "dextape, ordered", |prepared| replay(Policy::Ordered, prepared))
            .at_most(20.0),
        Case::new(group, "dextape, exact", |prepared| replay(Policy::Exact, prepared)),
        Case::new(group, "dextape, lanes", |prepared| replay(Policy::Lanes, prepared)),
        Case::new(group, "embedded-hal-mock", peers::embedded_hal_mock),
        Case::new(group, "floor: a vector in order", peers::vector),
    ]
}

pub(crate) fn keyed() -> Vec<Case> {
    let group = "replay-keyed";
    let mut cases = Vec::new();
    for size in SIZES {
        let ours = format!("dextape, any_order, {size} events");
        let theirs = format!("floor: std HashMap, {size} entries");
        let tape = OnceCell::new();
        let ours = Case::new(group, ours, move |prepared| {
            let tape = Arc::clone(tape.get_or_init(|| Arc::new(tape_of(size))));
            replay_all(&tape, Policy::AnyOrder, size, prepared)
        });
        let theirs = Case::new(group, theirs, move |_| peers::hash_map(size));
        let limit = size.clamp(1 << 12, 1 << 17);
        cases.extend([ours.limit(limit), theirs.limit(limit)]);
        if size <= 1_000 {
            let name = format!("mockall, {size} expectations");
            cases.push(Case::new(group, name, move |_| peers::mockall(size)));
        }
    }
    cases
}

/// A tape of one connection and so many calls.
fn tape_of(calls: u64) -> Tape {
    let mut events = Vec::new();
    let mut add = |connection, cause, body| {
        let sequence = events.len() as u64 + 1;
        events.push(Event { connection, cause, ..Event::new(sequence, 1, sequence, body) });
        sequence
    };
    let matching = Matching::service("Bench");
    add(None, None, Body::Matched { matching, outcome: Ok(vec![1]) });
    let open = add(None, None, Body::Open { service: 1, open_type: 0 });
    add(Some(1), Some(open), Body::Opened);
    for call in 0..calls {
        let body = Body::Call(Call {
            selector: 2,
            scalars: Scalars::EMPTY,
            scalar_count: 0,
            input: Structure::Bytes(Payload::bytes(&input(call))),
            scalars_asked: 0,
            output: OutputKind::Bytes { size: OUTPUT as u64 },
        });
        let enter = add(Some(1), None, body);
        let reply = Return {
            result: IoReturn::SUCCESS,
            scalars: Scalars::EMPTY,
            structure_size: Some(OUTPUT as u64),
            structure: Some(Payload::bytes(&[2; OUTPUT])),
        };
        add(Some(1), Some(enter), Body::Return(reply));
    }
    Tape::new(Header::mock(), events)
}

/// Replays calls in the recorded order, through `dyn Connection`.
fn replay(policy: Policy, calls: u64) -> impl FnOnce(u64) {
    replay_all(&Arc::new(tape_of(calls)), policy, calls, calls)
}

/// As many replays of a tape of `size` calls as it takes for `calls` calls.
fn replay_all(tape: &Arc<Tape>, policy: Policy, size: u64, calls: u64) -> impl FnOnce(u64) + use<> {
    let replays: Vec<_> = (0..calls.div_ceil(size))
        .map(|_| {
            let options = ReplayOptions::default().policy(policy);
            let replayer = Replayer::new(Arc::clone(tape), options).expect("the tape is sound");
            let system = replayer.system(&Schedule::free());
            let matching = Matching::service("Bench");
            let service = system.first_service(&matching).expect("it is on the tape");
            (replayer, system.open(service, 0).expect("it opens on the tape"))
        })
        .collect();
    let inputs: Vec<_> = (0..size).map(input).collect();
    move |iterations| {
        let mut left = iterations as usize;
        for (_, connection) in &replays {
            let connection: &dyn Connection = &**black_box(connection);
            let mut reply = [0; OUTPUT];
            for input in inputs.iter().take(left) {
                let input = MethodInput { scalars: &[], structure: StructureInput::Bytes(input) };
                let mut output = MethodOutput::new(&mut [], StructureOutput::Bytes(&mut reply));
                assert!(connection.call_method(2, black_box(&input), &mut output).is_success());
            }
            left = left.saturating_sub(inputs.len());
        }
        // Taking it all down is not what is measured.
        std::mem::forget(replays);
    }
}
