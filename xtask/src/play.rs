//! Playing a tape to the client of its scenario.

use crate::exit::Failure;
use dextape::connection::System;
use dextape::replay::{ReplayOptions, ReplayReport, Replayer};
use dextape::schedule::{Schedule, TimeMode};
use dextape::tape::{Sequence, Tape};
use dextape_scenarios::{Parameters, Registry, Scenario, ScenarioError};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Arc;

/// What a replay came to.
pub(crate) struct Played {
    /// What was used of the tape.
    pub(crate) report: ReplayReport,
    /// What the client printed.
    pub(crate) output: Vec<u8>,
}

/// The scenario that a tape was recorded from, with the parameters that it was recorded with.
pub(crate) fn scenario_of<'a>(
    registry: &'a Registry,
    tape: &Tape,
) -> Result<(&'a dyn Scenario, Parameters), Failure> {
    let Some(recorded) = &tape.header().scenario else {
        return Err(Failure::environment(
            "find the client of the tape: its header names no scenario, so only its own test can \
             replay it",
        ));
    };
    let scenario = registry.find(&recorded.name).map_err(Failure::environment)?;
    let mut parameters = Parameters::of(scenario);
    parameters.take_recorded(&recorded.parameters).map_err(Failure::environment)?;
    Ok((scenario, parameters))
}

/// Replays `tape` to the scenario's client, in the mode of time that it was recorded in. Operations of
/// the tape that the client did not make count as a divergence.
pub(crate) fn play(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    tape: &Arc<Tape>,
    options: ReplayOptions,
) -> Result<Played, Failure> {
    play_behind(scenario, parameters, tape, options, |system| system)
}

/// As [`play`], with what `wrap` gives between client and tape.
pub(crate) fn play_behind(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    tape: &Arc<Tape>,
    options: ReplayOptions,
    wrap: impl Fn(Arc<dyn System>) -> Arc<dyn System>,
) -> Result<Played, Failure> {
    let replayer = Replayer::new(Arc::clone(tape), options).map_err(Failure::invalid)?;
    let client = |schedule: &Schedule| -> Result<Vec<u8>, ScenarioError> {
        let system: Arc<dyn System> = wrap(replayer.system(schedule));
        let mut output = Vec::new();
        scenario.client(parameters, &system, &mut output)?;
        Ok(output)
    };
    let header = tape.header();
    let outcome = quietly(|| match header.time {
        TimeMode::Simulated => Schedule::simulate(header.seed.unwrap_or_default(), client),
        TimeMode::Free => client(&Schedule::free()),
    });
    // A divergence is the reason for whatever else went wrong.
    let report = replayer.finish().map_err(Failure::invalid)?;
    let output = match outcome {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(client_failed(scenario, &error)),
        Err(panic) => return Err(client_failed(scenario, &message(&*panic))),
    };
    if report.is_complete() {
        Ok(Played { report, output })
    } else {
        Err(Failure::Invalid(format!("use the whole tape: {report}")))
    }
}

/// Where a replay of `tape` to the scenario's client diverges, by the number of the event, and why; `None`
/// where it does not.
pub(crate) fn divergence(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    tape: &Arc<Tape>,
) -> Result<Option<(Option<Sequence>, String)>, Failure> {
    let options = ReplayOptions::default();
    let replayer = Replayer::new(Arc::clone(tape), options).map_err(Failure::invalid)?;
    let client = |schedule: &Schedule| {
        let system: Arc<dyn System> = replayer.system(schedule);
        scenario.client(parameters, &system, &mut Vec::new())
    };
    let header = tape.header();
    // How the client took it is no matter here.
    let _ = quietly(|| match header.time {
        TimeMode::Simulated => Schedule::simulate(header.seed.unwrap_or_default(), client),
        TimeMode::Free => client(&Schedule::free()),
    });
    Ok(match replayer.finish() {
        Err(found) => Some((found.place.map(|place| place.sequence), found.message.clone())),
        Ok(report) if report.is_complete() => None,
        Ok(report) => Some((None, format!("the client did not use the whole tape: {report}"))),
    })
}

fn client_failed(scenario: &dyn Scenario, error: &dyn std::fmt::Display) -> Failure {
    Failure::Invalid(format!("run the client of {} to its end: {error}", scenario.name()))
}

/// What `run` gives, or the panic that ended it, which the caller reports in its own way.
pub(crate) fn quietly<R>(run: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(run));
    set_hook(hook);
    outcome
}

/// What a panic says.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}
