//! Memory that client and dext share, in the right way and in the naive one.
//!
//! | memory type | what |
//! |---|---|
//! | 0 | a buffer of 128 bytes, 8-aligned, which both sides write |
//! | 1 | a status of 16 bytes, which the client may only read |
//! | other | left to super, which does not support it |
//!
//! | selector | what |
//! |---|---|
//! | 0 | turns the text in the buffer to capitals |
//! | 1 | sets the flag in the buffer some milliseconds later, for the client to poll |
//! | 2 | adds to the counter in the buffer, which the client adds to as well |
//!
//! The naive dext makes a buffer each time it is asked for one. All seems well until the client
//! unmaps: the kernel asks the dext for the memory again, gets another buffer, and finds no mapping
//! of it.
//!
//! Source: the most read public answer on how to map memory of a dext (field notes, section 3, row
//! 12), and the kernel's rules F4 to F20.

pub mod abi;
mod client;
mod dext;

pub use dext::{Buffers, SharedBufferDriver};

use crate::{Parameter, Parameters, Scenario, ScenarioError};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use std::io::Write;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const BUFFERS: &str = "buffers";
    pub(super) const DELAY: &str = "delay";
}

const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: parameter::BUFFERS,
        default: "kept",
        help: "Whether the dext keeps its buffer or naively makes a fresh one each time: kept or fresh",
        local: false,
    },
    Parameter {
        name: parameter::DELAY,
        default: "35",
        help: "After how many milliseconds the dext sets the flag, 0 to 1000",
        local: false,
    },
];

/// The scenario `shared-buffer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SharedBufferScenario;

impl Scenario for SharedBufferScenario {
    fn name(&self) -> &str {
        "shared-buffer"
    }

    fn about(&self) -> &str {
        "memory that both sides write, polled and counted in, mapped rightly or naively"
    }

    fn parameters(&self) -> &[Parameter] {
        PARAMETERS
    }

    fn publish(
        &self,
        parameters: &Parameters,
        system: &Arc<MockSystem>,
    ) -> Result<(), ScenarioError> {
        let choices = [("kept", Buffers::Kept), ("fresh", Buffers::Fresh)];
        let buffers = parameters.choice(parameter::BUFFERS, &choices)?;
        SharedBufferDriver::publish(buffers, system)
            .map_err(ScenarioError::refused("publish SharedBuffer"))?;
        Ok(())
    }

    fn client(
        &self,
        parameters: &Parameters,
        system: &Arc<dyn System>,
        out: &mut dyn Write,
    ) -> Result<(), ScenarioError> {
        client::run(parameters, system, out)
    }
}
