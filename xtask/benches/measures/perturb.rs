//! Runs made of one tape.

use super::case::{Case, Unit};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use dextape::perturb::Check;
use dextape::schedule::Schedule;
use dextape::tape::Tape;
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::{Parameters, Scenario, capture_ring, null_driver};
use std::sync::Arc;

pub(crate) fn cases() -> Vec<Case> {
    let one = record(&capture_ring::SCENARIO, &[("packets", "400")]);
    let two = record(&null_driver::SCENARIO, &[("part", "all"), ("threads", "4")]);
    vec![
        case("one thread", one, &capture_ring::SCENARIO).at_least(2_000.0),
        case("several threads", two, &null_driver::SCENARIO),
    ]
}

fn case(
    what: &str,
    (tape, parameters): (Tape, Parameters),
    scenario: &'static dyn Scenario,
) -> Case {
    let name = format!("runs of a tape of {} events, {what}", tape.events().len());
    Case::new("perturb", name, move |_| {
        let (check, parameters) =
            (Check::new(&tape).expect("the tape is whole"), parameters.clone());
        move |runs| {
            let client = |system: &Arc<dyn System>| {
                // Trouble is no failure here: what is measured is that it runs.
                let _told = scenario.client(&parameters, system, &mut std::io::sink());
            };
            let explored = check.schedules(runs).run(client).expect("the client holds");
            assert_eq!(explored.runs(), runs);
        }
    })
    .unit(Unit::Schedules, 400)
}

/// Records a scenario's client on its mock.
fn record(scenario: &dyn Scenario, set: &[(&str, &str)]) -> (Tape, Parameters) {
    let mut parameters = Parameters::of(scenario);
    for (name, value) in set {
        parameters.set(name, *value).expect("the scenario has the parameter");
    }
    scenario.prepare(&mut parameters).expect("the parameters can be used");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (journal, tape) = (folder.path().join("journal"), folder.path().join("run.tape.jsonl"));
    let session = RecordingSession::start(&journal, RecordOptions::default());
    let session = session.expect("the journal can be made");
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::builder(schedule).build();
        scenario.publish(&parameters, &mock).expect("the dext can be published");
        let system = session.wrap(mock as Arc<dyn System>);
        scenario.client(&parameters, &system, &mut std::io::sink()).expect("the client holds");
    });
    session.finish();
    seal(&journal, &tape, SealOptions::default()).expect("the journal seals");
    (Tape::read(&tape).expect("the tape reads"), parameters)
}
