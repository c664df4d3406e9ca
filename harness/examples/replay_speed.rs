//! How long one replayed call of 24 bytes takes, and one keyed call beside a bare hash map.
//!
//! `cargo run --release -p dextape --example replay_speed [CALLS]`

use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::connection::{
    Connection, Matching, MethodInput, MethodOutput, StructureInput, StructureOutput,
};
use dextape::replay::{Policy, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Call, Event, Header, OutputKind, Payload, Return, Structure, Tape};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The input of a call: a number in 24 bytes.
fn input(call: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&call.to_le_bytes());
    bytes[16..].copy_from_slice(&(call.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes());
    bytes
}

/// A tape of one connection and so many calls.
fn tape(calls: u64) -> Arc<Tape> {
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
        let bytes = input(call);
        let enter = add(
            Some(1),
            None,
            Body::Call(Call {
                selector: 2,
                scalars: Scalars::EMPTY,
                scalar_count: 0,
                input: Structure::Bytes(Payload::bytes(&bytes)),
                scalars_asked: 0,
                output: OutputKind::Bytes { size: 24 },
            }),
        );
        let reply = Return {
            result: IoReturn::SUCCESS,
            scalars: Scalars::EMPTY,
            structure_size: Some(24),
            structure: Some(Payload::bytes(&bytes)),
        };
        add(Some(1), Some(enter), Body::Return(reply));
    }
    Arc::new(Tape::new(Header::mock(), events))
}

/// The time of one call, over a whole tape.
fn replay(tape: &Arc<Tape>, policy: Policy, calls: u64) -> Duration {
    let options = ReplayOptions::default().policy(policy);
    let replayer = match Replayer::new(Arc::clone(tape), options) {
        Ok(replayer) => replayer,
        Err(error) => panic!("failed to {error}"),
    };
    let system = replayer.system(&Schedule::free());
    let service = system.first_service(&Matching::service("Bench")).unwrap_or_else(|_| exit());
    let connection = system.open(service, 0).unwrap_or_else(|_| exit());
    let connection: &dyn Connection = &*black_box(connection);
    let mut reply = [0; 24];
    let start = Instant::now();
    for call in 0..calls {
        let bytes = input(call);
        let input = MethodInput { scalars: &[], structure: StructureInput::Bytes(&bytes) };
        let mut output = MethodOutput::new(&mut [], StructureOutput::Bytes(&mut reply));
        black_box(connection.call_method(2, &input, &mut output).is_success());
    }
    let passed = start.elapsed();
    assert!(replayer.finish().is_ok_and(|report| report.is_complete()));
    passed
}

/// A hash map from keys to replies, asked in the same order, with the standard hasher.
fn bare_map(calls: u64) -> Duration {
    let map: HashMap<[u8; 24], [u8; 24]> =
        (0..calls).map(|call| (input(call), input(call))).collect();
    let mut reply = [0; 24];
    let start = Instant::now();
    for call in 0..calls {
        let bytes = input(call);
        if let Some(found) = map.get(black_box(&bytes)) {
            reply.copy_from_slice(found);
        }
        black_box(&mut reply);
    }
    start.elapsed()
}

fn exit() -> ! {
    panic!("the tape of this example has a service that opens")
}

fn main() {
    let given = std::env::args().nth(1).and_then(|calls| calls.parse().ok());
    let sizes = given.map_or(vec![10, 1000, 100_000, 1_000_000], |calls| vec![calls]);
    println!(
        "{:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "calls", "ordered", "lanes", "exact", "any_order", "bare map"
    );
    for calls in sizes {
        let tape = tape(calls);
        let rounds = (200_000 / calls).clamp(5, 2000);
        let best = |run: &dyn Fn() -> Duration| {
            let least = (0..rounds).map(|_| run()).min().unwrap_or_default();
            least.as_nanos() as f64 / calls as f64
        };
        let policy = |policy| best(&|| replay(&tape, policy, calls));
        println!(
            "{calls:>9} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
            policy(Policy::Ordered),
            policy(Policy::Lanes),
            policy(Policy::Exact),
            policy(Policy::AnyOrder),
            best(&|| bare_map(calls)),
        );
    }
}
