#![doc = include_str!("../../../docs/scenarios/pcie-bar.md")]

pub mod abi;
mod client;
mod device;
mod dext;

pub use dext::{PcieBarDriver, Unplug};

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::kernel::MockSystem;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const UNPLUG: &str = "unplug";
}

const PARAMETERS: &[Parameter] = &[Parameter::new(
    parameter::UNPLUG,
    "never",
    "Whether the device is pulled out in the middle of a command: never or hung",
)];

/// The scenario `pcie-bar`.
pub const SCENARIO: Declared = Declared {
    name: "pcie-bar",
    about: "a PCIe device driven from the client: configuration, BARs, reset, DMA, removal",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "run", set: &[] },
        TapeSettings { name: "unplugged", set: &[("unplug", "hung")] },
    ],
    prepare: None,
    publish,
    client: |_, system, out| client::run(system, out),
};

fn publish(parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    let choices = [("never", Unplug::Never), ("hung", Unplug::WhenHung)];
    let unplug = parameters.choice(parameter::UNPLUG, &choices)?;
    PcieBarDriver::publish(unplug, system).map_err(ScenarioError::refused("publish PcieBar"))?;
    Ok(())
}
