#![doc = include_str!("../../../docs/scenarios/usb-bulk.md")]

pub mod abi;
mod client;
mod device;
mod dext;

pub use dext::{SmallReads, UsbBulkDriver};

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::kernel::MockSystem;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const SMALL_READS: &str = "small-reads";
}

const PARAMETERS: &[Parameter] = &[Parameter::new(
    parameter::SMALL_READS,
    "refused",
    "Whether the dext refuses reads of 4096 bytes or less, or naively loses their data: \
           refused or lost",
)];

/// The scenario `usb-bulk`.
pub const SCENARIO: Declared = Declared {
    name: "usb-bulk",
    about: "bulk transfers by asynchronous calls: copied or not, split, short, stalled, aborted",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "refused", set: &[] },
        TapeSettings { name: "lost", set: &[("small-reads", "lost")] },
    ],
    prepare: None,
    publish,
    client: |_, system, out| client::run(system, out),
};

fn publish(parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    let choices = [("refused", SmallReads::Refused), ("lost", SmallReads::Lost)];
    let small_reads = parameters.choice(parameter::SMALL_READS, &choices)?;
    UsbBulkDriver::publish(small_reads, system)
        .map_err(ScenarioError::refused("publish UsbBulk"))?;
    Ok(())
}
