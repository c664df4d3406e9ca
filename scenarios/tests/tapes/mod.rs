//! Recording a scenario on the mock and replaying the tape, for every test that needs both.

use dextape::fault::FaultPlan;
use dextape::replay::{PatchTiming, Policy, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{self, Tape};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::{Live, Parameters, Scenario, Time, registry, run_on_faulty_mock};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// Records a run on the mock and leaves its tape at `tape`.
pub(crate) fn record(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    time: Time,
    tape: &Path,
) -> Result<Live, Box<dyn Error>> {
    record_faulty(scenario, parameters, time, FaultPlan::default(), tape)
}

/// As [`record`], where everything goes wrong that is planned.
pub(crate) fn record_faulty(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    time: Time,
    faults: FaultPlan,
    tape: &Path,
) -> Result<Live, Box<dyn Error>> {
    let journals = tempfile::tempdir()?;
    let journal = journals.path().join("journal");
    let identity =
        tape::Scenario { name: scenario.name().to_owned(), parameters: parameters.recorded() };
    let options = RecordOptions { scenario: Some(identity), ..RecordOptions::default() };
    let session = RecordingSession::start(&journal, options)?;
    let live =
        run_on_faulty_mock(scenario, parameters, time, faults, |system| session.wrap(system))?;
    session.finish();
    seal(&journal, tape, SealOptions::default())?;
    Ok(live)
}

/// Validates a tape, replays its scenario's client from it, and gives what the client printed. All
/// that the client needs stands on the tape. A simulated run is replayed in the strictest way, too.
pub(crate) fn replay(tape: &Path) -> Result<String, Box<dyn Error>> {
    let tape = Arc::new(Tape::read(tape)?);
    let identity = tape.header().scenario.clone().ok_or("the tape names no scenario")?;
    let registry = registry();
    let scenario = registry.find(&identity.name)?;
    let mut parameters = Parameters::of(scenario);
    parameters.take_recorded(&identity.parameters)?;
    let output = replay_client(scenario, &parameters, &tape)?;
    if tape.header().seed.is_some() {
        let strictest =
            ReplayOptions::default().policy(Policy::Exact).patches(PatchTiming::AsRecorded);
        let strict = play(scenario, &parameters, &tape, strictest)?;
        if strict != output {
            return Err(format!("replayed strictly:\n{strict}\nand not:\n{output}").into());
        }
    }
    Ok(output)
}

/// As [`replay`], with a client that the tape need not name.
pub(crate) fn replay_client(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    tape: &Arc<Tape>,
) -> Result<String, Box<dyn Error>> {
    let validation = tape.validate();
    if !validation.is_valid() {
        return Err(format!("the tape is not valid:\n{validation}").into());
    }
    play(scenario, parameters, tape, ReplayOptions::default())
}

fn play(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    tape: &Arc<Tape>,
    options: ReplayOptions,
) -> Result<String, Box<dyn Error>> {
    let replayer = Replayer::new(Arc::clone(tape), options)?;
    let mut output = Vec::new();
    let mut client =
        |schedule: &Schedule| scenario.client(parameters, &replayer.system(schedule), &mut output);
    match tape.header().seed {
        Some(seed) => Schedule::simulate(seed, client)?,
        None => client(&Schedule::free())?,
    }
    let report = replayer.finish()?;
    if !report.is_complete() {
        return Err(format!("the replay left something over: {report}").into());
    }
    Ok(String::from_utf8(output)?)
}
