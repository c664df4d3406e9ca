//! What catches a mutant. Each test is named after the scenario of its client.

use crate::exam::{CANDIDATES, Outcome};
use dextape::kernel::MockSystem;
use dextape::perturb::Check;
use dextape::replay::{PatchTiming, Policy, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::Tape;
use dextape_scenarios::Parameters;
use std::path::Path;
use std::sync::Arc;

/// The seed of the runs in which nothing goes wrong.
const SEED: u64 = 1;

/// What the runs are that come now, for who reads what was printed.
fn stage(name: &str) {
    println!("\nstage: {name}");
}

/// The right client's tape, played to the client as it stands here; then what could as well have been,
/// first of the tape, then of the mock. At last the runs in which its seeded bugs are found: a check that
/// finds nothing any more does no other harm.
fn live_through(name: &str) {
    let candidate = CANDIDATES.iter().find(|candidate| candidate.scenario.name() == name).unwrap();
    let schedules = include_str!("schedules").parse().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tape = Arc::new(Tape::read(&folder.join(format!("{name}.tape.jsonl"))).unwrap());

    stage("replay");
    let options = ReplayOptions::default().policy(Policy::Exact).patches(PatchTiming::AsRecorded);
    let replayer = Replayer::new(Arc::clone(&tape), options).unwrap();
    let ended =
        Schedule::simulate(SEED, |schedule| (candidate.run)(&replayer.system(schedule), None));
    let report = replayer.finish().unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(ended, Ok(Outcome::Complete));

    stage("perturbed replay");
    let check = Check::new(&tape).unwrap().schedules(schedules);
    check.check(|system| (candidate.run)(system, None));

    stage("mock");
    let mut parameters = Parameters::of(candidate.scenario);
    for (name, value) in candidate.set {
        parameters.set(name, *value).unwrap();
    }
    candidate.scenario.prepare(&mut parameters).unwrap();
    let parameters = Arc::new(parameters);
    let mock = || {
        let parameters = Arc::clone(&parameters);
        Check::mock(SEED, move |schedule, faults| {
            let mock = MockSystem::builder(schedule).faults(faults).build();
            candidate.scenario.publish(&parameters, &mock).unwrap();
            mock
        })
    };
    mock().schedules(schedules).check(|system| (candidate.run)(system, None));

    stage("seeded bugs");
    for (name, needed) in include_str!("bugs").lines().map(|line| line.split_once(": ").unwrap()) {
        let bug = candidate.bugs.into_iter().find(|bug| format!("{bug:?}") == name);
        let Some(bug) = bug else { continue };
        let check = mock().deviations(needed.parse().unwrap());
        let found = check.run(|system| (candidate.run)(system, Some(bug)));
        assert!(found.is_err(), "{name} is no longer found");
    }
    stage("none");
}

#[test]
fn null_driver() {
    live_through("null-driver");
}

#[test]
fn shared_buffer() {
    live_through("shared-buffer");
}

#[test]
fn usb_bulk() {
    live_through("usb-bulk");
}

#[test]
fn nvme_rings() {
    live_through("nvme-rings");
}

#[test]
fn capture_ring() {
    live_through("capture-ring");
}

#[test]
fn irq_page() {
    live_through("irq-page");
}
