//! That strategies give what they say, and that what they shrink to can be read.

use super::{
    TapePlan, TapeStep, dext_plan, edge_call, fault_plan, illegal_call, legal_call, program,
    schedule, schedule_of, structure, tape_plan,
};
use crate::battery::{Amount, Argument, Attempt, Contract, MethodContract};
use crate::connection::Matching;
use crate::perturb::{Check, Deviation};
use crate::protocol::Protocol;
use crate::replay::{Policy, ReplayOptions, Replayer};
use crate::schedule::Schedule;
use crate::tape::{Body, Tape};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::fmt::Debug;
use std::sync::Arc;

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// The smallest value that is found to be such.
fn smallest<S: Strategy>(strategy: S, is_such: impl Fn(&S::Value) -> bool) -> S::Value
where
    S::Value: Debug,
{
    let found = runner(4000).run(&strategy, |value| match is_such(&value) {
        true => Err(proptest::test_runner::TestCaseError::fail("such")),
        false => Ok(()),
    });
    match found {
        Err(TestError::Fail(_, value)) => value,
        other => panic!("none is such: {other:?}"),
    }
}

fn each<S: Strategy>(cases: u32, strategy: S, holds: impl Fn(S::Value) -> Result<(), String>)
where
    S::Value: Debug,
{
    let held = runner(cases)
        .run(&strategy, |value| holds(value).map_err(proptest::test_runner::TestCaseError::fail));
    if let Err(error) = held {
        panic!("{error}");
    }
}

fn protocol() -> Protocol {
    let text = r#"
        format = 1
        [selectors.1]
        name = "ask"
        input = "Request"
        [structures.Range]
        fields = [{ name = "from", type = "u16", endian = "big" }, { name = "to", type = "u16" }]
        [structures.Request]
        fields = [
            { name = "command", type = "u8", enum = "Command" },
            { name = "rights", type = "u8", flags = "Rights" },
            { name = "change", type = "i32" },
            { name = "name", type = "text", count = 8 },
            { name = "ranges", type = "Range", count = 2 },
            { name = "key", type = "u8", count = 4 },
        ]
        [enums.Command]
        read = 5
        write = 6
        [flags.Rights]
        look = 1
        touch = 0x80
    "#;
    Protocol::from_toml(text).unwrap()
}

fn contract() -> Contract {
    let length = Argument::Within { range: 1..=32, example: 4 };
    Contract::new(Matching::user_class("Planned"))
        .method(
            MethodContract::new(0)
                .arguments(&[Argument::Any(7), length])
                .wants_bytes(16)
                .bytes_out(Amount::Within(0..=64))
                .synchronous(),
        )
        .method(MethodContract::new(1).input(&[0; 28]).synchronous())
}

/// Whether the contract's own words allow it.
fn is_allowed(attempt: &Attempt) -> bool {
    crate::battery::moves::asked(attempt, &contract()).is_some()
}

#[test]
fn structures_shrink_to_the_field_that_matters() {
    let layout = &protocol().structures["Request"];
    let shown = |is_such: &dyn Fn(&[u8]) -> bool| {
        format!("{:?}", smallest(structure(layout), |value| is_such(value.bytes())))
    };
    let to = |bytes: &[u8]| u16::from_le_bytes([bytes[22], bytes[23]]);
    insta::assert_snapshot!(shown(&|_| true), @"Request {command: read (5)}");
    insta::assert_snapshot!(shown(&|bytes| to(bytes) > 1000), @"Request {command: read (5), ranges[1].to: 32767}");
    insta::assert_snapshot!(shown(&|bytes| bytes[1] & 0x80 != 0 && bytes[0] != 5), @"Request {command: write (6), rights: touch}");
    insta::assert_snapshot!(shown(&|bytes| bytes[4..8] == (-1_i32).to_le_bytes()), @"Request {command: read (5), change: -1}");
    insta::assert_snapshot!(shown(&|bytes| bytes[15] != 0), @r#"Request {command: read (5), name: "aaaaaaaa"}"#);
}

#[test]
fn structures_have_named_values_edges_and_others() {
    let layout = &protocol().structures["Request"];
    let is_met = |is_such: &dyn Fn(&[u8]) -> bool| {
        drop(smallest(structure(layout), |value| is_such(value.bytes())));
    };
    is_met(&|bytes| bytes[0] == 6 && bytes[1] == 0x81);
    is_met(&|bytes| ![5, 6].contains(&bytes[0]));
    is_met(&|bytes| bytes[4..8] == i32::MIN.to_le_bytes());
    is_met(&|bytes| bytes[20..22] == [0xff, 0xff]);
    is_met(&|bytes| bytes[16..20] == [0, 1, 0, 0]);
}

#[test]
fn calls_are_what_they_are_called() {
    let (contract, protocol) = (contract(), protocol());
    let allowed = |expected: bool| {
        move |attempt: Attempt| match is_allowed(&attempt) == expected {
            true => Ok(()),
            false => Err(attempt.to_string()),
        }
    };
    each(300, legal_call(&contract, &protocol), allowed(true));
    each(300, edge_call(&contract), allowed(true));
    each(300, illegal_call(&contract), allowed(false));
    // Edges are met, and so is a structure by its layout.
    let ends = [1, 32].map(|length| {
        smallest(edge_call(&contract), |it| it.scalars.get(1) == Some(&length)).scalars
    });
    insta::assert_snapshot!(format!("{ends:?}"), @"[[7, 1], [7, 32]]");
    let big =
        smallest(edge_call(&contract), |it| it.selector == 0 && it.to_string().contains("64"));
    insta::assert_snapshot!(big, @"selector 0 is called with 2 scalars in, 64 bytes out");
    let touching = smallest(
        legal_call(&contract, &protocol),
        |it| matches!(&it.input, crate::battery::Input::Bytes(bytes) if bytes.get(1) == Some(&0x81)),
    );
    insta::assert_snapshot!(format!("{:?}", touching.input), @"Bytes([5, 129, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])");
    let wrong = smallest(illegal_call(&contract), |it| it.selector == 1);
    insta::assert_snapshot!(wrong, @"selector 1 is called with 1 scalars in, 28 bytes in");
}

#[test]
fn programs_dexts_and_faults_shrink_to_the_step_that_matters() {
    let program = smallest(program(2, 3, 2), |it| {
        it.threads.iter().flatten().any(|step| matches!(step, super::Step::Unmap(_)))
    });
    insta::assert_snapshot!(format!("{program:?}"), @"Program { threads: [[Unmap(0)]] }");
    let dext = smallest(dext_plan(2, 1), |it| {
        it.methods.iter().any(|method| method.completions.len() > 1)
    });
    insta::assert_snapshot!(format!("{dext:?}"), @"DextPlan { methods: [MethodPlan { scalar_offset: 0, scalar_count: None, structure: None, changes: None, completions: [(0, 0), (0, 0)], result: kIOReturnSuccess (0x00000000) }], memories: [MemoryPlan { capacity: 8, read_only: false, fresh: false, error: None, ticks: None }], refuse_open: None }");
    let faults = smallest(fault_plan(3, 2, 4), |it| {
        it.faults.iter().any(|fault| fault.to_string().contains("dext dies"))
    });
    insta::assert_snapshot!(faults, @"at 0s: dext dies");
}

#[test]
fn schedules_shrink_to_the_one_thing_that_matters() {
    let stalls = |it: &(u64, crate::perturb::Deviations)| {
        it.1.0.iter().any(|it| matches!(it, Deviation::Stall { lane: 2, .. }))
    };
    let (seed, unusual) = smallest(schedule(2, 40, 4), stalls);
    insta::assert_snapshot!(format!("seed {seed}: {unusual}"), @"seed 0: lane 2 before #1: stall 1ms");
    // What is unusual can be told, and read again.
    each(200, schedule(3, 40, 4), |(_, unusual)| match unusual.to_string().parse() {
        Ok(again) if unusual == again => Ok(()),
        other => Err(format!("{unusual}: {other:?}")),
    });
}

/// A plan with everything that a tape can have.
fn whole() -> TapePlan {
    let call = TapeStep::Call {
        selector: 1,
        scalars: vec![2],
        input: vec![3],
        answer: Ok((vec![4], vec![5, 6])),
    };
    let calls = TapeStep::AsyncCall { selector: 9, completions: vec![vec![1], vec![]] };
    let steps = vec![
        TapeStep::Map(1),
        call,
        calls,
        TapeStep::Read(1, 8, vec![1, 2]),
        TapeStep::Wait,
        TapeStep::Write(1, 0, vec![9]),
        TapeStep::Wait,
        TapeStep::Unmap(1),
    ];
    TapePlan { steps }
}

#[test]
fn schedules_of_a_tape_are_about_its_events() {
    let tape = whole().tape();
    let check = Check::new(&tape).unwrap();
    let of = |event: u64| &tape.event(event).unwrap().body;
    each(60, schedule_of(&tape, 3), |(_, unusual)| {
        for deviation in &unusual.0 {
            let fits = match deviation {
                Deviation::Post { event, .. } => matches!(of(*event), Body::Posted { .. }),
                Deviation::PatchLate { event }
                | Deviation::PatchEarly { event, .. }
                | Deviation::PatchSplit { event, .. } => matches!(of(*event), Body::Patch { .. }),
                Deviation::Stall { lane, .. } => *lane == 1,
                _ => true,
            };
            if !fits {
                return Err(deviation.to_string());
            }
        }
        // The run that could as well have been is a valid tape again.
        let run = check.record(&unusual, |system| drop(whole().run(&**system))).unwrap();
        match run.validate() {
            valid if valid.is_valid() => Ok(()),
            broken => Err(format!("{unusual}: {broken}")),
        }
    });
    let empty = Tape::new(tape.header().clone(), Vec::new());
    each(5, schedule_of(&empty, 3), |(_, unusual)| match unusual.is_empty() {
        true => Ok(()),
        false => Err(unusual.to_string()),
    });
}

/// Tapes are valid, stay what they are as text, and replay to their own client, by every policy.
#[test]
fn tapes_are_valid_and_replay() {
    each(120, tape_plan(12), |plan| {
        let tape = plan.tape();
        let validation = tape.validate();
        if !validation.is_valid() {
            return Err(validation.to_string());
        }
        let text = tape.to_text().map_err(|error| error.to_string())?;
        let mut again = Tape::from_bytes(text.into_bytes()).map_err(|error| error.to_string())?;
        again.inline_blobs().map_err(|error| error.to_string())?;
        if again.events() != tape.events() {
            return Err("it is another tape when it is read again".to_owned());
        }
        let tape = Arc::new(tape);
        for policy in [Policy::Exact, Policy::Ordered, Policy::Lanes, Policy::AnyOrder] {
            let options = ReplayOptions::default().policy(policy);
            let replayer =
                Replayer::new(Arc::clone(&tape), options).map_err(|it| it.to_string())?;
            Schedule::simulate(1, |schedule| plan.run(&*replayer.system(schedule)))?;
            let report = replayer.finish().map_err(|divergence| divergence.to_string())?;
            if !report.is_complete() {
                return Err(report.to_string());
            }
        }
        Ok(())
    });
}

/// A client that does something else is told apart.
#[test]
fn another_client_diverges() {
    let replayer = Replayer::new(Arc::new(whole().tape()), ReplayOptions::default()).unwrap();
    let mut other = whole();
    other.steps.swap(0, 1);
    other.steps.remove(2);
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Schedule::simulate(1, |schedule| other.run(&*replayer.system(schedule)))
    }));
    let finished = replayer.finish().map(drop);
    assert!(ran.is_err() && finished.is_err(), "{ran:?}, {finished:?}");
}

#[test]
fn tapes_shrink_to_the_step_that_matters() {
    let shown = |is_such: &dyn Fn(&Tape) -> bool| {
        let plan = smallest(tape_plan(20), |plan| is_such(&plan.tape()));
        format!("{:?}", plan.steps)
    };
    let has = |tape: &Tape, is_such: fn(&Body) -> bool| {
        tape.events().iter().any(|event| is_such(&event.body))
    };
    let delivered = shown(&|tape| has(tape, |it| matches!(it, Body::Delivered { .. })));
    insta::assert_snapshot!(delivered, @"[AsyncCall { selector: 8, completions: [[]] }, Wait]");
    let patched = shown(&|tape| has(tape, |it| matches!(it, Body::Patch { .. })));
    insta::assert_snapshot!(patched, @"[Map(2), Read(2, 0, [1])]");
    let failed = shown(&|tape| {
        has(tape, |it| matches!(it, Body::Return(returned) if !returned.result.is_success()))
    });
    insta::assert_snapshot!(failed, @"[Call { selector: 0, scalars: [], input: [], answer: Err(kIOReturnBusy (0xe00002d5)) }]");
}
