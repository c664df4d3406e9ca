//! How many of the exam's bugs are found, by whom, and after how many runs.

#[path = "../bug_exam/exam/mod.rs"]
mod exam;

use dextape::kernel::MockSystem;
use dextape::perturb::Check;
use dextape::schedule::Schedule;
use dextape::tape::Tape;
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::Parameters;
use exam::{CANDIDATES, Candidate};

/// The seed of the runs in which every bug hides.
const SEED: u64 = 1;

fn mock(candidate: &'static Candidate) -> Check {
    let scenario = candidate.scenario;
    let mut parameters = Parameters::of(scenario);
    for (name, value) in candidate.set {
        parameters.set(name, *value).unwrap();
    }
    scenario.prepare(&mut parameters).unwrap();
    Check::mock(SEED, move |schedule, faults| {
        let mock = MockSystem::builder(schedule).faults(faults).build();
        scenario.publish(&parameters, &mock).unwrap();
        mock
    })
}

/// Records a client on the mock.
fn record(candidate: &'static Candidate, bug: Option<exam::Bug>) -> Tape {
    let folder = tempfile::tempdir().unwrap();
    let (journal, tape) = (folder.path().join("journal"), folder.path().join("run.tape.jsonl"));
    let scenario = candidate.scenario;
    let mut parameters = Parameters::of(scenario);
    for (name, value) in candidate.set {
        parameters.set(name, *value).unwrap();
    }
    scenario.prepare(&mut parameters).unwrap();
    let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
    Schedule::simulate(SEED, |schedule| {
        let mock = MockSystem::builder(schedule).build();
        scenario.publish(&parameters, &mock).unwrap();
        let _ = (candidate.run)(&session.wrap(mock), bug);
    });
    session.finish();
    seal(&journal, &tape, SealOptions::default()).unwrap();
    Tape::read(&tape).unwrap()
}

#[test]
fn bugs_are_found_and_right_clients_hold() {
    let schedules =
        std::env::var("DEXTAPE_BUG_EXAM").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let only = std::env::var("BUG").ok();
    let tapes = std::env::var("TAPES").is_ok();
    let mut missed = 0;
    for candidate in &CANDIDATES {
        let bugs = candidate.bugs.iter().map(|bug| Some(*bug)).chain([None]);
        for bug in bugs {
            if only.as_ref().is_some_and(|only| !format!("{bug:?}").contains(only)) {
                continue;
            }
            let start = std::time::Instant::now();
            let check =
                if tapes { Check::new(&record(candidate, bug)).unwrap() } else { mock(candidate) };
            let found = check.schedules(schedules).run(|system| (candidate.run)(system, bug));
            let took = start.elapsed();
            match found {
                Ok(explored) => {
                    println!("{} {bug:?}: NONE {explored} {took:?}", candidate.scenario.name());
                    missed += usize::from(bug.is_some());
                }
                Err(failure) => {
                    assert!(
                        bug.is_some(),
                        "the right client of {}: {failure}",
                        candidate.scenario.name()
                    );
                    println!(
                        "{} {bug:?}: #{} {} | {} {took:?}",
                        candidate.scenario.name(),
                        failure.schedule,
                        failure.deviations,
                        failure.what
                    );
                }
            }
        }
    }
    assert!(missed <= 15, "{missed} of 30 are missed");
}

#[test]
fn debug_baseline() {
    for candidate in &CANDIDATES {
        let tape = record(candidate, None);
        let check = Check::new(&tape).unwrap();

        let own = check
            .record(&dextape::perturb::Deviations::NONE, |system| {
                let ended = (candidate.run)(system, None);

                println!("{:?}", ended);
                ended
            })
            .unwrap();

        println!(
            "{} events {} vs {}; {}",
            candidate.scenario.name(),
            tape.events().len(),
            own.events().len(),
            own.validate()
        );
        let mut shown = 0;
        for (a, b) in tape.events().iter().zip(own.events()) {
            if a != b {
                println!("recorded {a:?}\n     own {b:?}");
                shown += 1;
                if shown > 3 {
                    break;
                }
            }
        }
    }
}
