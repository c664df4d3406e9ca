//! The second exam for bug finding: that its questions are fair.
//!
//! The clients are in `exam`. Here stands that the right ones hold whatever happens, and that each bug hides
//! where nothing does. Nothing here was written with a look at how bugs are found.

mod exam;
mod proofs;
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

/// A client on a mock of its own, and what the dext has leaked then.
fn live(
    candidate: &Candidate,
    bug: Option<Bug>,
    seed: u64,
    faults: &str,
    wrap: impl FnOnce(Arc<dyn System>) -> Arc<dyn System>,
) -> (Ended, Vec<Leak>) {
    let mut parameters = Parameters::of(candidate.scenario);
    for (name, value) in candidate.set {
        parameters.set(name, *value).unwrap();
    }
    candidate.scenario.prepare(&mut parameters).unwrap();
    let faults: FaultPlan = faults.parse().unwrap();
    Schedule::simulate(seed, |schedule| {
        let mock = MockSystem::builder(schedule).faults(faults).build();
        candidate.scenario.publish(&parameters, &mock).unwrap();
        let system = wrap(Arc::clone(&mock) as Arc<dyn System>);
        let ended = (candidate.run)(&system, bug);
        drop(system);
        mock.settle();
        (ended, mock.leaks())
    })
}

/// The tape of a client on the mock, with what the client came to.
fn record(candidate: &Candidate, bug: Option<Bug>, seed: u64) -> (Ended, Arc<Tape>) {
    let folder = tempfile::tempdir().unwrap();
    let (journal, sealed) = (folder.path().join("journal"), folder.path().join("run.tape.jsonl"));
    let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
    let (ended, _) = live(candidate, bug, seed, "", |system| session.wrap(system));
    session.finish();
    seal(&journal, &sealed, SealOptions::default()).unwrap();
    let tape = Tape::read(&sealed).unwrap();
    let validation = tape.validate();
    assert!(validation.is_valid(), "{validation}");
    (ended, Arc::new(tape))
}

/// A client on a tape, which has to be used up.
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

/// Every bug with its client.
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
        let name = candidate.scenario.name();
        for seed in 0..12 {
            let (ended, leaks) = live(candidate, None, seed, "", |system| system);
            assert_eq!(ended, Ok(Outcome::Complete), "{name}, seed {seed}");
            assert!(leaks.is_empty(), "{name}, seed {seed}: {leaks:?}");
        }
    }
}

#[test]
fn right_clients_pass_in_replay() {
    for candidate in &CANDIDATES {
        let name = candidate.scenario.name();
        for seed in [SEED, 7] {
            let (ended, tape) = record(candidate, None, seed);
            assert_eq!(ended, Ok(Outcome::Complete), "{name}, seed {seed}");
            for options in [strict(), ReplayOptions::default()] {
                let replayed = replay(candidate, None, &tape, options);
                assert_eq!(replayed, Ok(Outcome::Complete), "{name}, seed {seed}");
            }
        }
    }
}

/// A thread may stand still anywhere, for longer than a ring lasts.
#[test]
fn right_clients_stand_a_thread_that_stands_still() {
    for candidate in &CANDIDATES {
        let name = candidate.scenario.name();
        for place in (1..150).step_by(17) {
            for pause in [1, 6, 45, 400] {
                let luck = Luck::Still(Place::Any, place, pause);
                let (ended, _) = live(candidate, None, SEED, "", |system| unlucky(system, luck));
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
            let luck = Luck::Spurious(wait);
            let (ended, _) = live(candidate, None, SEED, "", |system| unlucky(system, luck));
            assert_eq!(ended, Ok(Outcome::Complete), "{name}, wait {wait}");
        }
    }
}

/// Whatever the driver does wrong, a right client breaks no promise, and leaves nothing of its own.
#[test]
fn right_clients_report_faults() {
    let called = [
        "error Timeout",
        "error BadArgument",
        "error Busy",
        "error NoDevice afterwards",
        "delay 30ms",
        "delay 700ms",
        "device removed",
        "device removed afterwards",
        "dext dies",
        "dext dies afterwards",
    ];
    let completed = [
        "lost",
        "doubled",
        "error Aborted",
        "late 3ms",
        "late 70ms",
        "late 1500ms",
        "late 9s",
        "late 17s",
    ];
    let mapped = ["error NoMemory", "delay 30ms", "device removed", "dext dies"];
    let places: [(&str, u32, usize, &[&str]); 4] = [
        ("call", 17, 4, &called),
        ("completion", 7, 3, &completed),
        ("map", 5, 2, &mapped),
        ("unmap", 5, 2, &mapped),
    ];
    let mut plans: Vec<String> =
        ["refuse Offline", "error Busy", "dext dies"].map(|what| format!("open: {what}")).into();
    for (place, most, step, whats) in places {
        for number in (1..=most).step_by(step) {
            plans.extend(whats.iter().map(|what| format!("{place} * #{number}: {what}")));
        }
    }
    for time in (1..130).step_by(12) {
        plans.push(format!("at {time}ms: device removed"));
        plans.push(format!("at {time}ms: dext dies"));
    }
    for candidate in &CANDIDATES {
        let name = candidate.scenario.name();
        for plan in &plans {
            let (ended, _) = live(candidate, None, SEED, plan, |system| system);
            let is_refused = plan.starts_with("open") || plan == "call * #1: error Timeout";
            let is_reported = matches!(ended, Ok(Outcome::Reported(_)));
            assert!(ended.is_ok() && (is_reported || !is_refused), "{name}, {plan}: {ended:?}");
        }
    }
}

/// So it is at its author's desk: recorded, and replayed as recorded, all is well.
#[test]
fn each_bug_hides_where_nothing_disturbs() {
    for (candidate, bug) in bugs() {
        let (ended, tape) = record(candidate, Some(bug), SEED);
        assert_eq!(ended, Ok(Outcome::Complete), "{bug:?} recorded");
        let replayed = replay(candidate, Some(bug), &tape, strict());
        assert_eq!(replayed, Ok(Outcome::Complete), "{bug:?} replayed");
    }
}
