#![doc = include_str!("../../../docs/scenarios/shared-buffer.md")]

pub mod abi;
mod client;
mod dext;

pub use dext::{Buffers, SharedBufferDriver};

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::kernel::MockSystem;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const BUFFERS: &str = "buffers";
    pub(super) const DELAY: &str = "delay";
}

const PARAMETERS: &[Parameter] = &[
    Parameter::new(
        parameter::BUFFERS,
        "kept",
        "Whether the dext keeps its buffer or naively makes a fresh one each time: kept or fresh",
    ),
    Parameter::new(
        parameter::DELAY,
        "35",
        "After how many milliseconds the dext sets the flag, 0 to 1000",
    ),
];

/// The scenario `shared-buffer`.
pub const SCENARIO: Declared = Declared {
    name: "shared-buffer",
    about: "memory that both sides write, polled and counted in, mapped rightly or naively",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "kept", set: &[] },
        TapeSettings { name: "fresh", set: &[("buffers", "fresh")] },
    ],
    prepare: None,
    publish,
    client: client::run,
};

fn publish(parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    let choices = [("kept", Buffers::Kept), ("fresh", Buffers::Fresh)];
    let buffers = parameters.choice(parameter::BUFFERS, &choices)?;
    SharedBufferDriver::publish(buffers, system)
        .map_err(ScenarioError::refused("publish SharedBuffer"))?;
    Ok(())
}
