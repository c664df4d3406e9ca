//! NullDriver: the six selectors of Apple's sample of a dext and its client.
//!
//! | selector | what |
//! |---|---|
//! | 0 | 16 scalars come back one more |
//! | 1 | a structure comes back with `foo` + 1 and `bar` + 10: 16 bytes in the message, or 4104 through memory descriptors |
//! | 2, 3 | the same through dispatch entries, which refuse any other count or size |
//! | 4 | the dext keeps the completion, answers at once, and completes later with 3 arguments |
//! | 5 | 5 seconds later the kept completion is fired with 2, `foo` and `bar` |
//!
//! A request before any registration fails with `kIOReturnError`, as Apple's dext answers it, although
//! Apple's client expects `kIOReturnNotReady`.
//!
//! Source: "Communicating between a DriverKit extension and a client app", as described in section 3
//! of the list of Apple's own tests. Nothing of it is copied.

pub mod abi;
mod client;
mod dext;

pub use dext::NullDriver;

use crate::{Parameter, Parameters, Scenario, ScenarioError};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use std::io::Write;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const PART: &str = "part";
    pub(super) const THREADS: &str = "threads";
    pub(super) const CONNECTIONS: &str = "connections";
    pub(super) const ROUNDS: &str = "rounds";
}

const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: parameter::PART,
        default: "all",
        help: "Which calls the client makes: all, sync or async",
        local: false,
    },
    Parameter {
        name: parameter::THREADS,
        default: "1",
        help: "Client threads that make the synchronous calls at the same time, 1 to 16",
        local: false,
    },
    Parameter {
        name: parameter::CONNECTIONS,
        default: "one",
        help: "Whether all threads use one connection, or each its own: one or each",
        local: false,
    },
    Parameter {
        name: parameter::ROUNDS,
        default: "1",
        help: "How often each thread makes the synchronous calls, 1 to 1000000",
        local: false,
    },
];

/// The scenario `null-driver`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullDriverScenario;

impl Scenario for NullDriverScenario {
    fn name(&self) -> &str {
        "null-driver"
    }

    fn about(&self) -> &str {
        "the six selectors of Apple's sample: scalars, structures, dispatch checks, completions"
    }

    fn parameters(&self) -> &[Parameter] {
        PARAMETERS
    }

    fn publish(
        &self,
        _parameters: &Parameters,
        system: &Arc<MockSystem>,
    ) -> Result<(), ScenarioError> {
        NullDriver::publish(system).map_err(ScenarioError::refused("publish NullDriver"))?;
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
