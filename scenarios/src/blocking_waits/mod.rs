#![doc = include_str!("../../../docs/scenarios/blocking-waits.md")]

pub mod abi;
mod client;
mod device;
mod dext;

pub use dext::{Parking, VideoBoardDriver};

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::kernel::MockSystem;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const PARKING: &str = "parking";
    pub(super) const CLIENT: &str = "client";
}

const PARAMETERS: &[Parameter] = &[
    Parameter::new(
        parameter::PARKING,
        "sleeps",
        "What a method does that waits: sleeps on a reentrant queue, keeps its serial queue, or \
         deafens the dext by handling interrupts on that queue, too: sleeps, keeps or deafens",
    ),
    Parameter::new(
        parameter::CLIENT,
        "right",
        "Whether the client maps before its threads wait and closes after they have ended: right, \
         late-map or early-close",
    ),
];

/// The scenario `blocking-waits`.
pub const SCENARIO: Declared = Declared {
    name: "blocking-waits",
    about: "calls that wait inside the dext for an interrupt, on several threads of one connection",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "right", set: &[] },
        TapeSettings { name: "keeps", set: &[("parking", "keeps")] },
        TapeSettings { name: "deafens", set: &[("parking", "deafens")] },
        TapeSettings { name: "late-map", set: &[("client", "late-map")] },
        TapeSettings { name: "early-close", set: &[("client", "early-close")] },
    ],
    prepare: None,
    publish,
    client: client::run,
};

fn publish(parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    let choices =
        [("sleeps", Parking::Sleeps), ("keeps", Parking::Keeps), ("deafens", Parking::Deafens)];
    let parking = parameters.choice(parameter::PARKING, &choices)?;
    VideoBoardDriver::publish(parking, system)
        .map_err(ScenarioError::refused("publish VideoBoard"))?;
    Ok(())
}
