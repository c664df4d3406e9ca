//! `drive`: the tape plays the client, and a dext is asked.

use crate::exit::Failure;
use crate::output::Output;
use crate::place::shown;
use crate::play::{message, quietly};
use crate::task_record::{name_and_value, no_live};
use crate::{Registry, progress};
use clap::Args;
use dextape::connection::System;
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use dextape::tape::Tape;
use dextape_lab::{DriveOptions, DriveReport, drive, planned_faults};
use dextape_recorder::iokit::IoKitSystem;
use dextape_scenarios::{Parameters, Scenario};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// What drives, and what is driven.
#[derive(Debug, Args)]
pub(crate) struct Drive {
    /// The tape.
    tape: PathBuf,
    /// The scenario whose mock dext answers, with the parameters and faults of the tape where that was
    /// recorded from it; `list` shows them.
    #[arg(
        long,
        value_name = "SCENARIO",
        required_unless_present = "live",
        conflicts_with = "live"
    )]
    against: Option<String>,
    /// The service of this Mac answers.
    #[arg(long)]
    live: bool,
    /// Set a parameter of the scenario.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value, conflicts_with = "live")]
    parameters: Vec<(String, String)>,
    /// Seed of the simulated run; the tape's own by default.
    #[arg(long, conflicts_with = "live")]
    seed: Option<u64>,
}

/// Drives a dext by a tape. Where it answers anything else than the tape says, that is a difference.
pub(crate) fn run(registry: &Registry, asked: &Drive, out: &mut Output) -> Result<(), Failure> {
    let tape = Arc::new(Tape::read(&asked.tape).map_err(|error| Failure::tape(&error))?);
    let spinner = progress::spinner(format!("drive {}", shown(&asked.tape)));
    let report = match &asked.against {
        Some(scenario) => {
            let scenario = registry.scenarios.find(scenario).map_err(Failure::environment)?;
            on_mock(scenario, &tape, asked)?
        }
        None => on_this_mac(&tape)?,
    };
    spinner.finish_and_clear();
    tell(asked, &report, out)?;
    if report.is_same() {
        Ok(())
    } else {
        Err(Failure::Invalid(format!(
            "have {} answered as it was: see the differences",
            shown(&asked.tape)
        )))
    }
}

fn on_mock(
    scenario: &dyn Scenario,
    tape: &Arc<Tape>,
    asked: &Drive,
) -> Result<DriveReport, Failure> {
    let mut parameters = Parameters::of(scenario);
    let recorded = tape.header().scenario.as_ref();
    if let Some(recorded) = recorded.filter(|recorded| recorded.name == scenario.name()) {
        parameters.take_recorded(&recorded.parameters).map_err(Failure::environment)?;
    }
    for (name, value) in &asked.parameters {
        parameters.set(name, value).map_err(Failure::environment)?;
    }
    scenario.prepare(&mut parameters).map_err(Failure::environment)?;
    let faults = planned_faults(tape).map_err(Failure::environment)?;
    let seed = asked.seed.or(tape.header().seed).unwrap_or_default();
    let driven = quietly(|| {
        Schedule::simulate(seed, |schedule| {
            let mock = MockSystem::builder(schedule).faults(faults).build();
            scenario.publish(&parameters, &mock).map_err(Failure::environment)?;
            let system: Arc<dyn System> = mock;
            drive(tape, &system, DriveOptions::default()).map_err(Failure::environment)
        })
    });
    driven.unwrap_or_else(|panic| {
        Err(Failure::Invalid(format!(
            "drive the dext of {}: {}",
            scenario.name(),
            message(&*panic)
        )))
    })
}

fn on_this_mac(tape: &Arc<Tape>) -> Result<DriveReport, Failure> {
    let system: Arc<dyn System> = IoKitSystem::open().map_err(|error| no_live(error, "drive"))?;
    drive(tape, &system, DriveOptions::default()).map_err(Failure::environment)
}

fn tell(asked: &Drive, report: &DriveReport, out: &mut Output) -> Result<(), Failure> {
    let (tape, against) = (shown(&asked.tape), asked.against.as_deref().unwrap_or("this Mac"));
    out.result(
        || format!("{report} between {tape} and {against}"),
        || {
            json!({
                "tape": tape,
                "against": against,
                "same": report.is_same(),
                "operations": report.operations,
                "symbols": report.symbols,
                "left_out": report.left_out,
                "differences": report.differences,
            })
        },
    )
}
