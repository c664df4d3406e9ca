//! What regressions of our scenarios run.

use dextape::connection::System;
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use dextape_lab::{Regression, RegressionError};
use dextape_scenarios::{Parameters, Registry, Scenario, registry};
use std::fmt::Display;
use std::sync::Arc;

/// The scenario with the parameters of the tape.
fn with<R>(
    regression: &Regression,
    name: &str,
    run: impl FnOnce(&dyn Scenario, Parameters) -> R,
) -> R {
    let registry: Registry = registry();
    let scenario = registry.find(name).unwrap();
    let mut parameters = Parameters::of(scenario);
    if let Some(recorded) = &regression.tape().header().scenario {
        parameters.take_recorded(&recorded.parameters).unwrap();
    }
    run(scenario, parameters)
}

/// Runs the scenario's client: over its mock, where the tape asks for one.
pub(crate) fn client(regression: &Regression, scenario: &str) -> Result<(), RegressionError> {
    with(regression, scenario, |scenario, parameters| {
        let client =
            |system: &Arc<dyn System>| scenario.client(&parameters, system, &mut std::io::sink());
        match regression.baseline() {
            Some(_) => client_over(regression, client),
            None => regression.client(client),
        }
    })
}

/// Runs a client over the mock that the tape asks for.
pub(crate) fn client_over<T, E: Display>(
    regression: &Regression,
    client: impl FnOnce(&Arc<dyn System>) -> Result<T, E>,
) -> Result<(), RegressionError> {
    let mock = &regression.baseline().expect("a tape over a mock").mock;
    with(regression, mock, |scenario, mut parameters| {
        scenario.prepare(&mut parameters).unwrap();
        let make = |schedule: &Schedule, faults| -> Arc<dyn System> {
            let mock = MockSystem::builder(schedule).faults(faults).build();
            scenario.publish(&parameters, &mock).unwrap();
            mock
        };
        regression.client_over(&make, client)
    })
}

/// Drives the scenario's dext.
pub(crate) fn dext(regression: &Regression, scenario: &str) -> Result<(), RegressionError> {
    with(regression, scenario, |scenario, mut parameters| {
        scenario.prepare(&mut parameters).unwrap();
        regression.dext(|mock| scenario.publish(&parameters, mock))
    })
}

/// What is run here is what the tape was recorded from: it is told apart from what fails.
#[test]
fn clients_and_dexts_are_told_apart_from_those_that_fail() {
    use dextape::tape::Tape;
    use dextape_lab::Failure;

    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut tape = Tape::read(&fixtures.join("null-driver/null-driver.tape.jsonl")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.tape.jsonl");
    let mut kept_for = |failure: Failure| {
        failure.enter(tape.header_mut());
        tape.write(&path).unwrap();
        Regression::read(&path).unwrap()
    };
    let well = kept_for(Failure::client("error", "it never says so"));
    client(&well, "null-driver").unwrap();
    let refused = kept_for(Failure::client("error", "find SharedBuffer: kIOReturnNotFound"));
    assert!(client(&refused, "null-driver").is_ok());
    // The dext answers so, and will again.
    let result = "kIOReturnBadArgument (0xe00002c2)".to_owned();
    let answered = kept_for(Failure::Reply { selector: 2, result });
    assert!(matches!(dext(&answered, "null-driver"), Err(RegressionError::StillThere(..))));
    let result = "kIOReturnBusy (0xe00002d5)".to_owned();
    dext(&kept_for(Failure::Reply { selector: 2, result }), "null-driver").unwrap();
}
