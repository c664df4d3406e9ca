#![doc = include_str!("../../../docs/scenarios/null-driver.md")]

pub mod abi;
mod client;
mod dext;

pub use dext::NullDriver;

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::kernel::MockSystem;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const PART: &str = "part";
    pub(super) const THREADS: &str = "threads";
    pub(super) const CONNECTIONS: &str = "connections";
    pub(super) const ROUNDS: &str = "rounds";
}

const PARAMETERS: &[Parameter] = &[
    Parameter::new(parameter::PART, "all", "Which calls the client makes: all, sync or async"),
    Parameter::new(
        parameter::THREADS,
        "1",
        "Client threads that make the synchronous calls at the same time, 1 to 16",
    ),
    Parameter::new(
        parameter::CONNECTIONS,
        "one",
        "Whether all threads use one connection, or each its own: one or each",
    ),
    Parameter::new(
        parameter::ROUNDS,
        "1",
        "How often each thread makes the synchronous calls, 1 to 1000000",
    ),
];

/// The scenario `null-driver`.
pub const SCENARIO: Declared = Declared {
    name: "null-driver",
    about: "the six selectors of Apple's sample: scalars, structures, dispatch checks, completions",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "null-driver", set: &[] },
        TapeSettings { name: "threads", set: &[("part", "sync"), ("threads", "3")] },
        TapeSettings {
            name: "connections",
            set: &[("part", "sync"), ("threads", "3"), ("connections", "each")],
        },
    ],
    prepare: None,
    publish,
    client: client::run,
};

fn publish(_parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    NullDriver::publish(system).map_err(ScenarioError::refused("publish NullDriver"))?;
    Ok(())
}
