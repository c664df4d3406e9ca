//! Any program on any planned dext: recorded and then replayed it sees the same, and leaves the same
//! transcript; with one byte of the tape changed the replay names the place.

use dextape::connection::System;
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::replay::{PatchTiming, Policy, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::strategies::{DextPlan, Observation, PlannedService, Program, SERVICE_CLASS};
use dextape::strategies::{dext_plan, program};
use dextape::tape::Tape;
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
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, max_shrink_iters: 400, ..Default::default() })]

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
}
