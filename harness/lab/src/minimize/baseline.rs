//! The mock that answers what a minimised tape does not hold, and what differs in its run.

use super::Failure;
use crate::lenient::{imposed, inlined};
use dextape::connection::System;
use dextape::fault::FaultPlan;
use dextape::perturb::{Deviations, Ended, describe_on_mock, run_on_mock};
use dextape::schedule::Schedule;
use dextape::tape::{Header, Tape, TapeError};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fmt::Display;
use std::sync::Arc;

/// Makes the mock of one run, in the run's schedule and with faults that strike in it.
pub type MakeBaseline<'a> = dyn Fn(&Schedule, FaultPlan) -> Arc<dyn System> + Sync + 'a;

/// What a tape over a mock says of its run: the mock of a scenario, with the parameters of the tape's header
/// and under its seed, answers all that the tape does not hold, and the run differs from the mock's own by
/// these deviations.
///
/// # Examples
///
/// ```
/// use dextape::tape::Header;
/// use dextape_lab::Baseline;
///
/// let baseline = Baseline { mock: "irq-page".into(), deviations: "lane 1 before #3: stall 5ms".parse()?, places: vec![] };
/// let mut header = Header::mock();
/// baseline.enter(&mut header);
/// assert_eq!(Baseline::of_header(&header)?, Some(baseline));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Name of the scenario whose mock it is.
    pub mock: String,
    /// In what the run differs from the mock's own.
    #[serde(default, skip_serializing_if = "Deviations::is_empty")]
    pub deviations: Deviations,
    /// To each deviation what stood at its place when it was found, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
}

impl Baseline {
    /// The one that a header names.
    ///
    /// # Errors
    ///
    /// What is wrong with how it stands there, completing "failed to ...".
    pub fn of_header(header: &Header) -> Result<Option<Self>, String> {
        let Some(told) = header.extra.get(Header::BASELINE) else { return Ok(None) };
        let read = serde_json::from_value(told.clone());
        read.map(Some).map_err(|error| format!("read `baseline` in the tape's header: {error}"))
    }

    /// Writes it into a header.
    pub fn enter(&self, header: &mut Header) {
        // Texts only: JSON has a form for all of it.
        if let Ok(value) = serde_json::to_value(self) {
            header.extra.insert(Header::BASELINE.to_owned(), value);
        }
    }
}

/// Runs a client in Rust on a mock, which `make` builds, with what a tape holds imposed on it and with the
/// deviations of the tape's [`Baseline`]: what a trial over a mock does. How it ends is a function of the
/// tape and the mock alone. That it never comes to an end is no failure of the client's.
///
/// # Errors
///
/// [`TapeError`] where bytes of the tape cannot be read.
///
/// # Panics
///
/// Where the header says something that is no baseline; [`Baseline::of_header`] tells.
pub fn answered_over<T, E: Display>(
    tape: &Arc<Tape>,
    make: &MakeBaseline<'_>,
    client: impl FnOnce(&Arc<dyn System>) -> Result<T, E>,
) -> Result<Option<Failure>, TapeError> {
    let (tape, deviations) = ready(tape)?;
    let seed = tape.header().seed.unwrap_or_default();
    let make = |schedule: &Schedule, faults: FaultPlan| imposed(make(schedule, faults), &tape);
    let client = Cell::new(Some(client));
    let ended = run_on_mock(seed, &make, &deviations, |system| match client.take() {
        Some(client) => client(system).map(drop).map_err(|error| error.to_string()),
        None => Ok(()),
    });
    Ok(match ended {
        Ended::Well | Ended::Left(_) => None,
        Ended::Failed(what) => Some(Failure::of_run(&what)),
    })
}

/// To each deviation of a tape's [`Baseline`] what stands at its place in the run, for people; empty where
/// nothing does.
///
/// # Errors
///
/// [`TapeError`] where bytes of the tape cannot be read.
///
/// # Panics
///
/// As [`answered_over`].
pub fn places_over<T, E: Display>(
    tape: &Arc<Tape>,
    make: &MakeBaseline<'_>,
    client: impl Fn(&Arc<dyn System>) -> Result<T, E>,
) -> Result<Vec<String>, TapeError> {
    let (tape, deviations) = ready(tape)?;
    let seed = tape.header().seed.unwrap_or_default();
    let make = |schedule: &Schedule, faults: FaultPlan| imposed(make(schedule, faults), &tape);
    Ok(describe_on_mock(seed, &make, &deviations, |system| client(system).map(drop)))
}

/// Imposes what a tape holds on a mock: what a run over a mock is made of, but for the deviations of the tape's
/// [`Baseline`], which strike where the mock is made (faults) and in simulated time (all others).
///
/// # Errors
///
/// [`TapeError`] where bytes of the tape cannot be read.
pub fn lay_over(tape: &Arc<Tape>, mock: Arc<dyn System>) -> Result<Arc<dyn System>, TapeError> {
    Ok(imposed(mock, &whole(tape)?))
}

/// The tape with all bytes in its events.
fn whole(tape: &Arc<Tape>) -> Result<Arc<Tape>, TapeError> {
    Ok(if tape.blobs().is_empty() { Arc::clone(tape) } else { Arc::new(inlined(tape)?) })
}

fn ready(tape: &Arc<Tape>) -> Result<(Arc<Tape>, Deviations), TapeError> {
    let tape = whole(tape)?;
    let baseline = Baseline::of_header(tape.header());
    let baseline = baseline.unwrap_or_else(|error| panic!("failed to {error}"));
    Ok((tape, baseline.unwrap_or_default().deviations))
}
