//! Tapes of clients on the mock: the same bytes for the same seed, valid in either mode of time.

use dextape::connection::System;
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::schedule::{Schedule, TimeMode};
use dextape::strategies::{DextPlan, PlannedService, Program, SERVICE_CLASS, dext_plan, program};
use dextape::tape::{Tape, validate};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, SealReport, seal};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn record(schedule: &Schedule, plan: &DextPlan, program: &Program, journal: &Path) {
    let mock = MockSystem::new(schedule);
    let description = ServiceDescription::class(SERVICE_CLASS).property("Serial", "F00");
    mock.publish(description, Arc::new(PlannedService::new(plan.clone()))).unwrap();
    let session = RecordingSession::start(journal, RecordOptions::default()).unwrap();
    let system: Arc<dyn System> = mock;
    program.run(&session.wrap(system));
    session.finish();
}

fn sealed(journal: &Path) -> (PathBuf, SealReport) {
    let tape = journal.with_extension("tape.jsonl");
    let report = seal(journal, &tape, SealOptions::default()).unwrap();
    let validation = validate(&tape).unwrap();
    assert!(validation.is_valid(), "{validation}");
    (tape, report)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_same_seed_leaves_the_same_bytes(
        seed in any::<u64>(),
        plan in dext_plan(5, 3),
        program in program(3, 5, 3),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let text = |name: &str| {
            let journal = folder.path().join(name);
            Schedule::simulate(seed, |schedule| record(schedule, &plan, &program, &journal));
            let (tape, report) = sealed(&journal);
            assert_eq!((report.gaps, report.in_flight, report.unresolved), (0, 0, 0));
            std::fs::read_to_string(tape).unwrap()
        };
        prop_assert_eq!(text("one"), text("two"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..Default::default() })]

    #[test]
    fn four_free_threads_leave_a_valid_tape(
        plan in dext_plan(5, 3),
        threads in proptest::collection::vec(program(1, 5, 3), 4),
    ) {
        let threads = threads.into_iter().flat_map(|program| program.threads).collect();
        let program = Program { threads };
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("free");
        record(&Schedule::free(), &plan, &program, &journal);
        let (tape, report) = sealed(&journal);
        prop_assert_eq!((report.gaps, report.in_flight, report.unresolved), (0, 0, 0));
        let tape = Tape::read(&tape).unwrap();
        prop_assert_eq!(tape.header().time, TimeMode::Free);
        let lanes: BTreeSet<_> = tape.events().iter().map(|event| event.lane).collect();
        prop_assert!(lanes.is_superset(&(1..=4).collect()), "{:?}", lanes);
    }
}
