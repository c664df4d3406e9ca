#![doc = include_str!("../../../docs/scenarios/sbp2-commands.md")]

pub mod abi;
mod bus;
mod client;
mod dext;
mod disk;

pub use bus::{Lost, Target};
pub use dext::{FireWireDriver, Manners, Results};

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::kernel::MockSystem;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const LOST: &str = "lost";
    pub(super) const TARGET: &str = "target";
    pub(super) const RESULTS: &str = "results";
    pub(super) const CLIENT: &str = "client";
}

const PARAMETERS: &[Parameter] = &[
    Parameter::new(
        parameter::LOST,
        "told",
        "Whether a command that was under way at a reset fails, or never has a result: told or silent",
    ),
    Parameter::new(
        parameter::TARGET,
        "stays",
        "Whether the disk stays on the bus when it is told to eject, or leaves it: stays or leaves",
    ),
    Parameter::new(
        parameter::RESULTS,
        "descriptor",
        "Whether long results go through the client's memory, or naively inline as short ones: \
         descriptor or inline",
    ),
    Parameter::new(
        parameter::CLIENT,
        "right",
        "Whether the client heeds the sequence of the status and the generation of the bus, or takes \
         a torn status or a stale generation: right, torn or stale",
    ),
];

/// The scenario `sbp2-commands`.
pub const SCENARIO: Declared = Declared {
    name: "sbp2-commands",
    about: "commands that are submitted and polled for, with timeouts and resets of the bus",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "right", set: &[] },
        TapeSettings { name: "silent", set: &[("lost", "silent")] },
        TapeSettings { name: "leaves", set: &[("target", "leaves")] },
        TapeSettings { name: "inline", set: &[("results", "inline")] },
        TapeSettings { name: "torn", set: &[("client", "torn")] },
        TapeSettings { name: "stale", set: &[("client", "stale")] },
    ],
    prepare: None,
    publish,
    client: client::run,
};

fn publish(parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    let lost = [("told", Lost::Told), ("silent", Lost::Silent)];
    let target = [("stays", Target::Stays), ("leaves", Target::Leaves)];
    let results = [("descriptor", Results::Descriptor), ("inline", Results::Inline)];
    let manners = Manners {
        lost: parameters.choice(parameter::LOST, &lost)?,
        target: parameters.choice(parameter::TARGET, &target)?,
        results: parameters.choice(parameter::RESULTS, &results)?,
    };
    FireWireDriver::publish(manners, system)
        .map_err(ScenarioError::refused("publish FireWireBus"))?;
    Ok(())
}
