#![doc = include_str!("../../../docs/scenarios/nvme-rings.md")]

pub mod abi;
mod client;
mod dext;
mod disk;
mod host_buffer;
mod host_queue;
mod ring;
mod worker;

pub use dext::{DataBuffers, NvmeDriver};

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::kernel::MockSystem;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const BUFFERS: &str = "buffers";
    pub(super) const CLIENT: &str = "client";
    pub(super) const DEPTH: &str = "depth";
    pub(super) const BLOCKS: &str = "blocks";
    pub(super) const QUEUES: &str = "queues";
}

const PARAMETERS: &[Parameter] = &[
    Parameter::new(
        parameter::BUFFERS,
        "dext",
        "Whose memory holds the data: dext, or naively the client's structure input: client",
    ),
    Parameter::new(
        parameter::CLIENT,
        "right",
        "How the client uses the rings: right, phase (right, too), or wrong: stuck-phase, \
         stale-head, silent-head, overfill, delete-first",
    ),
    Parameter::new(parameter::DEPTH, "4", "Entries of each ring, 2 to 64"),
    Parameter::new(parameter::BLOCKS, "6", "Blocks that each queue writes and reads, 1 to 16"),
    Parameter::new(
        parameter::QUEUES,
        "1",
        "Queue pairs, each with a client thread of its own, 1 to 4",
    ),
];

/// The scenario `nvme-rings`.
pub const SCENARIO: Declared = Declared {
    name: "nvme-rings",
    about: "submission and completion rings in shared memory, with a doorbell",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "right", set: &[] },
        TapeSettings {
            name: "phase",
            set: &[("client", "phase"), ("queues", "2"), ("blocks", "4")],
        },
        TapeSettings { name: "client-buffers", set: &[("buffers", "client")] },
        TapeSettings { name: "stuck-phase", set: &[("client", "stuck-phase")] },
        TapeSettings { name: "overfill", set: &[("client", "overfill")] },
    ],
    prepare: None,
    publish,
    client: client::run,
};

const BUFFERS: [(&str, DataBuffers); 2] =
    [("dext", DataBuffers::Dext), ("client", DataBuffers::Client)];

fn publish(parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    let buffers = parameters.choice(parameter::BUFFERS, &BUFFERS)?;
    NvmeDriver::publish(buffers, system).map_err(ScenarioError::refused("publish NvmeRings"))?;
    Ok(())
}
