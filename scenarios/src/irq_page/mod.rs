#![doc = include_str!("../../../docs/scenarios/irq-page.md")]

pub mod abi;
mod client;
mod dext;

pub use dext::{Arm, End, Manners, PassThroughDriver, SecondWait};

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::kernel::MockSystem;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const SECOND_WAIT: &str = "second-wait";
    pub(super) const ARM: &str = "arm";
    pub(super) const END: &str = "end";
    pub(super) const CLIENT: &str = "client";
}

const PARAMETERS: &[Parameter] = &[
    Parameter::new(
        parameter::SECOND_WAIT,
        "replaces",
        "What a wait does while another one is outstanding: replaces it, or is refused as busy: \
         replaces or busy",
    ),
    Parameter::new(
        parameter::ARM,
        "looks",
        "Whether a wait completes at once where a vector is pending, or naively not: looks or blind",
    ),
    Parameter::new(
        parameter::END,
        "aborts",
        "Whether an outstanding wait is completed when the connection ends: aborts or silent",
    ),
    Parameter::new(
        parameter::CLIENT,
        "right",
        "Whether the client swaps the pending bits for none, or clears them once it has handled \
         them: right or late-clear",
    ),
];

/// The scenario `irq-page`.
pub const SCENARIO: Declared = Declared {
    name: "irq-page",
    about: "interrupts as bits of a shared page, and an asynchronous wait that is armed again and again",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "right", set: &[] },
        TapeSettings { name: "busy", set: &[("second-wait", "busy")] },
        TapeSettings { name: "blind", set: &[("arm", "blind")] },
        TapeSettings { name: "silent", set: &[("end", "silent")] },
        TapeSettings { name: "late-clear", set: &[("client", "late-clear")] },
    ],
    prepare: None,
    publish,
    client: client::run,
};

fn publish(parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    let second_waits = [("replaces", SecondWait::Replaces), ("busy", SecondWait::Busy)];
    let manners = Manners {
        second_wait: parameters.choice(parameter::SECOND_WAIT, &second_waits)?,
        arm: parameters.choice(parameter::ARM, &[("looks", Arm::Looks), ("blind", Arm::Blind)])?,
        end: parameters
            .choice(parameter::END, &[("aborts", End::Aborts), ("silent", End::Silent)])?,
    };
    PassThroughDriver::publish(manners, system)
        .map_err(ScenarioError::refused("publish PassThrough"))?;
    Ok(())
}
