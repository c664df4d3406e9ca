//! Any program on any planned dext: recorded and then replayed it sees the same, and leaves the same
//! transcript; with one byte of the tape changed the replay names the place.

use dextape::call::Scalars;
use dextape::connection::System;
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::replay::{PatchTiming, Policy, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::strategies::{DextPlan, Observation, PlannedService, Program, SERVICE_CLASS};
use dextape::strategies::{dext_plan, program};
use dextape::tape::{Body, Event, Payload, Structure, Tape};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

type Seen = Vec<Vec<Observation>>;

fn mock(schedule: &Schedule, plan: &DextPlan) -> Arc<dyn System> {
    let mock = MockSystem::new(schedule);
    let description = ServiceDescription::class(SERVICE_CLASS).property("Serial", "F00");
    let service = Arc::new(PlannedService::new(plan.clone()));
    mock.publish(description, service).expect("the planned dext starts");
    mock
}

fn live(seed: u64, plan: &DextPlan, program: &Program) -> Seen {
    Schedule::simulate(seed, |schedule| program.run(&mock(schedule, plan)))
}

/// Runs the program in front of what `system` gives, recorded.
fn record(
    directory: &Path,
    seed: u64,
    program: &Program,
    system: impl Fn(&Schedule) -> Arc<dyn System>,
) -> (Seen, Tape) {
    let journal = directory.join("run.journal");
    let path = directory.join("run.tape.jsonl");
    let seen = Schedule::simulate(seed, |schedule| {
        let session = RecordingSession::start(&journal, RecordOptions::default())
            .expect("the journal can be made");
        let seen = program.run(&session.wrap(system(schedule)));
        session.finish();
        seen
    });
    seal(&journal, &path, SealOptions::default()).expect("the journal seals");
    std::fs::remove_file(&journal).expect("the journal is there");
    (seen, Tape::read(&path).expect("the tape reads"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 3000, ..Default::default() })]

    #[test]
    fn the_mock_is_deterministic(
        seed in any::<u64>(),
        plan in dext_plan(5, 3),
        program in program(3, 5, 3),
    ) {
        prop_assert_eq!(live(seed, &plan, &program), live(seed, &plan, &program));
    }

    #[test]
    fn a_recorded_program_replays(
        seed in any::<u64>(),
        plan in dext_plan(5, 3),
        program in program(3, 5, 3),
    ) {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let (seen, tape) = record(directory.path(), seed, &program, |schedule| mock(schedule, &plan));
        let tape = Arc::new(tape);
        let policies = if program.threads.len() == 1 {
            &Policy::ALL[..]
        } else {
            &[Policy::Exact, Policy::Lanes][..]
        };
        for policy in policies {
            let options = ReplayOptions::default().policy(*policy).patches(PatchTiming::AsRecorded);
            let replayer = Replayer::new(Arc::clone(&tape), options).expect("the tape loads");
            let again = Schedule::simulate(seed, |schedule| program.run(&replayer.system(schedule)));
            prop_assert_eq!(&again, &seen, "{} replay", policy);
            let report = replayer.finish();
            prop_assert!(report.as_ref().is_ok_and(|report| report.is_complete()), "{:?}", report);
        }
    }

    #[test]
    fn one_changed_byte_is_a_divergence_that_names_its_place(
        seed in any::<u64>(),
        plan in dext_plan(5, 3),
        program in program(1, 5, 3),
        choice in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        policy in prop::sample::select(&Policy::ALL[..]),
    ) {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let (_, mut tape) = record(directory.path(), seed, &program, |schedule| mock(schedule, &plan));
        tape.inline_blobs().expect("the blobs are there");
        let places = changeable(&tape);
        // The last call has an input and a reply, whatever the program.
        prop_assume!(!places.is_empty());
        let place = *choice.get(&places);
        let changed = change(&mut tape.events_mut()[place], byte);
        let sequence = tape.events()[place].sequence;
        let options = ReplayOptions::default().policy(policy).patches(PatchTiming::AsRecorded);
        let replayer = Replayer::new(Arc::new(tape), options).expect("the tape loads");
        let replayed = silently(|| {
            Schedule::simulate(seed, |schedule| program.run(&replayer.system(schedule)))
        });
        prop_assert!(replayed.is_err(), "a panic with the report");
        let divergence = replayer.finish().expect_err("the first report");
        let named = divergence.place.as_ref().map(|place| place.sequence);
        let keyed = matches!(policy, Policy::AnyOrder | Policy::Nearest);
        match changed {
            Changed::Input if keyed => {
                // Keyed: nothing says which event it would have been, but the nearest does.
                let nearest: Vec<_> =
                    divergence.candidates.iter().map(|nearest| nearest.place.sequence).collect();
                prop_assert!(nearest.contains(&sequence), "{divergence}");
            }
            Changed::Input => prop_assert_eq!(named, Some(sequence), "{}", divergence),
            // What the client saw differs, and so does the next input that it makes of it.
            Changed::Reply => {
                prop_assert!(keyed || named > Some(sequence), "{divergence}");
            }
        }
    }
}

/// What a change of one byte changed.
enum Changed {
    Input,
    Reply,
}

/// Events in which a byte that the client hands in or sees can be changed.
fn changeable(tape: &Tape) -> Vec<usize> {
    let events = tape.events().iter().enumerate();
    let fits = |body: &Body| match body {
        Body::Call(call) | Body::AsyncCall { call, .. } => {
            !call.scalars.is_empty()
                || matches!(&call.input, Structure::Bytes(bytes) if bytes.length() > 0)
        }
        Body::Return(reply) => !reply.scalars.is_empty(),
        _ => false,
    };
    let mut places: Vec<_> =
        events.filter(|(_, event)| fits(&event.body)).map(|(index, _)| index).collect();
    // The reply of the last call is no input of another one.
    if places.last().is_some_and(|last| matches!(tape.events()[*last].body, Body::Return(_))) {
        places.pop();
    }
    places
}

fn change(event: &mut Event, byte: prop::sample::Index) -> Changed {
    let flip = |scalars: &Scalars| {
        let mut values = scalars.to_vec();
        let place = byte.index(values.len() * 8);
        values[place / 8] ^= 1 << (place % 8 * 8);
        Scalars::clamped(&values)
    };
    match &mut event.body {
        Body::Call(call) | Body::AsyncCall { call, .. } => {
            match &mut call.input {
                Structure::Bytes(Payload::Bytes(bytes)) if !bytes.is_empty() => {
                    let mut copy = bytes.to_vec();
                    copy[byte.index(bytes.len())] ^= 1;
                    *bytes = copy.into();
                }
                _ => call.scalars = flip(&call.scalars),
            }
            Changed::Input
        }
        Body::Return(reply) => {
            reply.scalars = flip(&reply.scalars);
            Changed::Reply
        }
        other => unreachable!("{other:?} is not changeable"),
    }
}

/// Runs `body` and keeps its panic from the test's output.
fn silently<R>(body: impl FnOnce() -> R) -> std::thread::Result<R> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    std::panic::set_hook(hook);
    outcome
}
