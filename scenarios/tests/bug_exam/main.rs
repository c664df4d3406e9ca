//! The exam for bug finding: that its questions are fair.
//!
//! The clients are in `exam`. Here stands that the right ones hold whatever happens, that each bug
//! hides where nothing does, and for each bug one piece of bad luck that shows it.

mod exam;
mod nvme_gone;
mod proofs;
mod shrinks;
mod unlucky;

use dextape::connection::System;
use dextape::driverkit::Leak;
use dextape::fault::FaultPlan;
use dextape::kernel::MockSystem;
use dextape::replay::{PatchTiming, Policy, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::Tape;
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::Parameters;
use exam::{Bug, CANDIDATES, Candidate, Failure, Outcome};
use std::collections::BTreeSet;
use std::sync::Arc;
use unlucky::{Luck, Place, unlucky};

/// The seed of the runs in which every bug hides.
const SEED: u64 = 1;

/// What a client comes to.
type Ended = Result<Outcome, Failure>;

/// Runs a client on the mock, and gives what the dext leaked, too.
fn live(
    candidate: &Candidate,
    bug: Option<Bug>,
    seed: u64,
    faults: &str,
    wrap: impl FnOnce(Arc<dyn System>) -> Arc<dyn System>,
) -> (Ended, Vec<Leak>) {
    let scenario = candidate.scenario;
    let mut parameters = Parameters::of(scenario);
    for (name, value) in candidate.set {
        parameters.set(name, *value).unwrap();
    }
    scenario.prepare(&mut parameters).unwrap();
    let faults: FaultPlan = faults.parse().unwrap();
    Schedule::simulate(seed, |schedule| {
        let mock = MockSystem::builder(schedule).faults(faults).build();
        scenario.publish(&parameters, &mock).unwrap();
        let system = wrap(Arc::clone(&mock) as Arc<dyn System>);
        let ended = (candidate.run)(&system, bug);
        drop(system);
        mock.settle();
        (ended, mock.leaks())
    })
}

/// Records a client on the mock.
fn record(candidate: &Candidate, bug: Option<Bug>, seed: u64) -> (Ended, Arc<Tape>) {
    let folder = tempfile::tempdir().unwrap();
    let (journal, tape) = (folder.path().join("journal"), folder.path().join("run.tape.jsonl"));
    let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
    let (ended, _) = live(candidate, bug, seed, "", |system| session.wrap(system));
    session.finish();
    seal(&journal, &tape, SealOptions::default()).unwrap();
    let tape = Tape::read(&tape).unwrap();
    let validation = tape.validate();
    assert!(validation.is_valid(), "{validation}");
    (ended, Arc::new(tape))
}

/// Replays a client, and wants the tape used up.
fn replay(
    candidate: &Candidate,
    bug: Option<Bug>,
    tape: &Arc<Tape>,
    options: ReplayOptions,
) -> Ended {
    let replayer = Replayer::new(Arc::clone(tape), options).unwrap();
    let seed = tape.header().seed.unwrap();
    let ended =
        Schedule::simulate(seed, |schedule| (candidate.run)(&replayer.system(schedule), bug));
    let report = replayer.finish().unwrap();
    assert!(report.is_complete(), "{bug:?}: {report}");
    ended
}

fn strict() -> ReplayOptions {
    ReplayOptions::default().policy(Policy::Exact).patches(PatchTiming::AsRecorded)
}

/// Every bug with the client that has it.
fn bugs() -> impl Iterator<Item = (&'static Candidate, Bug)> {
    CANDIDATES.iter().flat_map(|candidate| candidate.bugs.map(|bug| (candidate, bug)))
}

#[test]
fn there_are_thirty_bugs() {
    let all: BTreeSet<Bug> = bugs().map(|(_, bug)| bug).collect();
    assert_eq!(all.len(), 30);
}

#[test]
fn right_clients_pass_under_every_seed_and_leave_nothing() {
    for candidate in &CANDIDATES {
        for seed in 0..12 {
            let (ended, leaks) = live(candidate, None, seed, "", |system| system);
            assert_eq!(ended, Ok(Outcome::Complete), "{} {seed}", candidate.scenario.name());
            assert!(leaks.is_empty(), "{} {seed}: {leaks:?}", candidate.scenario.name());
        }
    }
}

#[test]
fn right_clients_pass_in_replay() {
    for candidate in &CANDIDATES {
        for seed in [SEED, 7] {
            let (ended, tape) = record(candidate, None, seed);
            assert_eq!(ended, Ok(Outcome::Complete));
            for options in [strict(), ReplayOptions::default()] {
                let replayed = replay(candidate, None, &tape, options);
                assert_eq!(replayed, Ok(Outcome::Complete), "{}", candidate.scenario.name());
            }
        }
    }
}

/// A thread may stand still anywhere, for as long as a client's patience allows or longer than a ring
/// lasts.
#[test]
fn right_clients_stand_a_thread_that_stands_still() {
    for candidate in &CANDIDATES {
        let name = candidate.scenario.name();
        for place in (1..90).step_by(4) {
            for pause in [1, 7, 45, 400] {
                let luck = [Luck::Pause(Place::Anywhere, place, pause)];
                let (ended, _) = live(candidate, None, SEED, "", |system| unlucky(system, &luck));
                assert_eq!(ended, Ok(Outcome::Complete), "{name}, {pause} ms at {place}");
            }
        }
    }
}

#[test]
fn right_clients_stand_a_wait_that_ends_for_no_reason() {
    for candidate in &CANDIDATES {
        let name = candidate.scenario.name();
        for wait in 1..=12 {
            let luck = [Luck::Spurious(wait)];
            let (ended, _) = live(candidate, None, SEED, "", |system| unlucky(system, &luck));
            assert_eq!(ended, Ok(Outcome::Complete), "{name}, wait {wait}");
        }
    }
}

/// Whatever the driver does wrong, a right client fails no check of its own; what it cannot do without,
/// it reports.
#[test]
fn right_clients_report_faults() {
    let everywhere = ["call *", "completion *", "map *", "unmap *"];
    let called = [
        "error Timeout",
        "error BadArgument",
        "error NoDevice afterwards",
        "delay 30ms",
        "delay 700ms",
        "device removed",
        "device removed afterwards",
        "dext dies",
        "dext dies afterwards",
    ];
    let completed = ["lost", "doubled", "late 3ms", "late 70ms", "late 1500ms", "late 17s"];
    let mapped = ["error NoMemory", "delay 30ms", "device removed", "dext dies"];
    let whats: [&[&str]; 4] = [&called, &completed, &mapped, &mapped];
    let mut plans: Vec<String> =
        ["refuse Offline", "error Busy", "dext dies"].map(|what| format!("open: {what}")).into();
    for (place, whats) in everywhere.iter().zip(whats) {
        let numbers = if place.contains("map") { 1..=3 } else { 1..=9 };
        for (number, what) in
            numbers.flat_map(|number| whats.iter().map(move |what| (number, what)))
        {
            plans.push(format!("{place} #{number}: {what}"));
        }
    }
    for time in (1..60).step_by(4) {
        plans.push(format!("at {time}ms: device removed"));
        plans.push(format!("at {time}ms: dext dies"));
    }
    for candidate in &CANDIDATES {
        let name = candidate.scenario.name();
        for plan in &plans {
            let (ended, _) = live(candidate, None, SEED, plan, |system| system);
            let refused = plan.starts_with("open") || plan == "call * #1: error Timeout";
            let reported = matches!(ended, Ok(Outcome::Reported(_)));
            assert!(ended.is_ok() && (reported || !refused), "{name}, {plan}: {ended:?}");
        }
    }
}

/// So is it in the field: recorded, and replayed as recorded, nothing is wrong.
#[test]
fn each_bug_hides_in_the_recorded_run_and_in_its_plain_replay() {
    for (candidate, bug) in bugs() {
        let (ended, tape) = record(candidate, Some(bug), SEED);
        assert_eq!(ended, Ok(Outcome::Complete), "{bug:?} recorded");
        let replayed = replay(candidate, Some(bug), &tape, strict());
        assert_eq!(replayed, Ok(Outcome::Complete), "{bug:?} replayed");
    }
}
