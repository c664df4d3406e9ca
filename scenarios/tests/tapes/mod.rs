//! Recording a scenario on the mock and replaying the tape, for every test that needs both.

use dextape::replay::{ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{self, Tape};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::{Live, Parameters, Scenario, Time, registry, run_on_mock};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// Records a run on the mock and leaves its tape at `tape`.
pub(crate) fn record(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    seed: u64,
    tape: &Path,
) -> Result<Live, Box<dyn Error>> {
    let journals = tempfile::tempdir()?;
    let journal = journals.path().join("journal");
    let identity =
        tape::Scenario { name: scenario.name().to_owned(), parameters: parameters.recorded() };
    let options = RecordOptions { scenario: Some(identity), ..RecordOptions::default() };
    let session = RecordingSession::start(&journal, options)?;
    let time = Time::Simulated { seed };
    let live = run_on_mock(scenario, parameters, time, |system| session.wrap(system))?;
    session.finish();
    seal(&journal, tape, SealOptions::default())?;
    Ok(live)
}

/// Validates a tape, replays its scenario's client from it, and gives what the client printed. All
/// that the client needs stands on the tape.
pub(crate) fn replay(tape: &Path) -> Result<String, Box<dyn Error>> {
    let tape = Arc::new(Tape::read(tape)?);
    let validation = tape.validate();
    if !validation.is_valid() {
        return Err(format!("the tape is not valid: {validation:?}").into());
    }
    let header = tape.header();
    let identity = header.scenario.as_ref().ok_or("the tape names no scenario")?;
    let registry = registry();
    let scenario = registry.find(&identity.name)?;
    let mut parameters = Parameters::of(scenario);
    parameters.take_recorded(&identity.parameters)?;
    let seed = header.seed.ok_or("the tape is of no simulated run")?;

    let replayer = Replayer::new(Arc::clone(&tape), ReplayOptions::default())?;
    let mut output = Vec::new();
    Schedule::simulate(seed, |schedule| {
        let system = replayer.system(schedule);
        scenario.client(&parameters, &system, &mut output)
    })?;
    let report = replayer.finish()?;
    if !report.is_complete() {
        return Err(format!("the replay left something over: {report:?}").into());
    }
    Ok(String::from_utf8(output)?)
}
