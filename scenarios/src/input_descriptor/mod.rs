#![doc = include_str!("../../../docs/scenarios/input-descriptor.md")]

pub mod abi;
mod client;
mod device;
mod dext;

pub use dext::{Flags, InputDescriptorDriver};

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::driverkit::pci::Iommu;
use dextape::kernel::MockSystem;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const BUFFER: &str = "buffer";
    pub(super) const FLAGS: &str = "flags";
    pub(super) const IOMMU: &str = "iommu";
}

const PARAMETERS: &[Parameter] = &[
    Parameter::new(
        parameter::BUFFER,
        "output",
        "Which structure the client's buffer is: output, or naively input",
    ),
    Parameter::new(
        parameter::FLAGS,
        "ignored",
        "What the dext does with the flags of PrepareForDMA: ignored or checked",
    ),
    Parameter::new(
        parameter::IOMMU,
        "intel",
        "Whose Mac it is: intel, which refuses the device's writes, or apple, which lets them through",
    ),
];

/// The scenario `input-descriptor`.
pub const SCENARIO: Declared = Declared {
    name: "input-descriptor",
    about: "a buffer for the device to fill, as the structure that it can write and as the other one",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "output", set: &[] },
        TapeSettings { name: "input", set: &[("buffer", "input")] },
        TapeSettings { name: "input-apple", set: &[("buffer", "input"), ("iommu", "apple")] },
        TapeSettings { name: "input-checked", set: &[("buffer", "input"), ("flags", "checked")] },
    ],
    prepare: None,
    publish,
    client: client::run,
};

fn publish(parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    let flags = [("ignored", Flags::Ignored), ("checked", Flags::Checked)];
    let flags = parameters.choice(parameter::FLAGS, &flags)?;
    let iommus = [("intel", Iommu::Enforcing), ("apple", Iommu::Lenient)];
    let iommu = parameters.choice(parameter::IOMMU, &iommus)?;
    InputDescriptorDriver::publish(flags, iommu, system)
        .map_err(ScenarioError::refused("publish InputDescriptor"))?;
    Ok(())
}
