#![doc = include_str!("../../../docs/scenarios/capture-ring.md")]

pub mod abi;
mod client;
mod clock;
mod dext;

pub use dext::{CaptureRingDriver, Full};

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::kernel::MockSystem;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const CLIENT: &str = "client";
    pub(super) const FULL: &str = "full";
    pub(super) const CAPACITY: &str = "capacity";
    pub(super) const PACKETS: &str = "packets";
    pub(super) const RESET: &str = "reset";
    pub(super) const VERSION: &str = "version";
}

const PARAMETERS: &[Parameter] = &[
    Parameter::new(
        parameter::CLIENT,
        "right",
        "How the client reads: right, slow (right, too), or wrong: trusting, no-release, \
         wrapped-index, early-release",
    ),
    Parameter::new(
        parameter::FULL,
        "drop-new",
        "What the dext does with a record when the ring is full: drop-new or overwrite",
    ),
    Parameter::new(parameter::CAPACITY, "8", "Records that the ring holds, 2 to 1024"),
    Parameter::new(parameter::PACKETS, "28", "Packets that the source sends, 1 to 100000"),
    Parameter::new(
        parameter::RESET,
        "0",
        "The packet before which the bus is reset, which ends the capture; 0 for never",
    ),
    Parameter::new(
        parameter::VERSION,
        "1",
        "Version of the ring's layout that the dext has; the client knows 1",
    ),
];

/// The scenario `capture-ring`.
pub const SCENARIO: Declared = Declared {
    name: "capture-ring",
    about: "a stream captured into a ring in shared memory, with overruns and a clock",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "right", set: &[] },
        TapeSettings { name: "slow", set: &[("client", "slow")] },
        TapeSettings { name: "overwrite", set: &[("client", "slow"), ("full", "overwrite")] },
        TapeSettings { name: "trusting", set: &[("client", "trusting")] },
        TapeSettings { name: "early-release", set: &[("client", "early-release")] },
        TapeSettings { name: "reset", set: &[("reset", "10")] },
    ],
    prepare: None,
    publish,
    client: client::run,
};

const FULL: [(&str, Full); 2] = [("drop-new", Full::DropNew), ("overwrite", Full::Overwrite)];

fn publish(parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    let driver = CaptureRingDriver {
        capacity: parameters.number(parameter::CAPACITY, 2..=1024)? as u32,
        full: parameters.choice(parameter::FULL, &FULL)?,
        packets: parameters.number(parameter::PACKETS, 1..=100_000)? as u32,
        reset: parameters.number(parameter::RESET, 0..=100_000)? as u32,
        version: parameters.number(parameter::VERSION, 1..=9)? as u16,
    };
    driver.publish(system).map_err(ScenarioError::refused("publish CaptureRing"))?;
    Ok(())
}
