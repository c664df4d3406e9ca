#![doc = include_str!("../../../docs/scenarios/hid-frames.md")]

pub mod abi;
mod client;
mod dext;
mod host;
mod message;

pub use dext::{Delivery, HidFramesDriver, Manners};

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::kernel::MockSystem;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const DELIVERY: &str = "delivery";
    pub(super) const CLIENT: &str = "client";
    pub(super) const DEXT: &str = "dext";
    pub(super) const PING: &str = "ping";
    pub(super) const BURST: &str = "burst";
}

const PARAMETERS: &[Parameter] = &[
    Parameter::new(
        parameter::DELIVERY,
        "scalars",
        "How frames get to the client: scalars of a completion, or fetched after a notice-of-each or \
         a notice-of-first",
    ),
    Parameter::new(
        parameter::CLIENT,
        "right",
        "How the client listens: right, or wrong: late, one-a-notice",
    ),
    Parameter::new(
        parameter::DEXT,
        "right",
        "Whether the dext gives completions back and stops when told to: right or naive",
    ),
    Parameter::new(parameter::PING, "100", "Bytes that the host pings with, 0 to 7609"),
    Parameter::new(
        parameter::BURST,
        "12",
        "Reports that the host sends while the client is busy, 0 to 100000",
    ),
];

/// The scenario `hid-frames`.
pub const SCENARIO: Declared = Declared {
    name: "hid-frames",
    about: "frames of a virtual HID device both ways, in completions or fetched after a notice",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "scalars", set: &[] },
        TapeSettings { name: "notice-of-each", set: &[("delivery", "notice-of-each")] },
        TapeSettings { name: "notice-of-first", set: &[("delivery", "notice-of-first")] },
        TapeSettings {
            name: "one-a-notice",
            set: &[("delivery", "notice-of-first"), ("client", "one-a-notice")],
        },
        TapeSettings { name: "late", set: &[("client", "late")] },
        TapeSettings { name: "naive", set: &[("dext", "naive")] },
    ],
    prepare: None,
    publish,
    client: client::run,
};

const DELIVERIES: [(&str, Delivery); 3] = [
    ("scalars", Delivery::Scalars),
    ("notice-of-each", Delivery::NoticeOfEach),
    ("notice-of-first", Delivery::NoticeOfFirst),
];

fn publish(parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    let manners = [("right", Manners::Right), ("naive", Manners::Naive)];
    let driver = HidFramesDriver {
        delivery: parameters.choice(parameter::DELIVERY, &DELIVERIES)?,
        manners: parameters.choice(parameter::DEXT, &manners)?,
        ping: parameters.number(parameter::PING, 0..=message::LENGTH_MAX as u64)? as usize,
        burst: parameters.number(parameter::BURST, 0..=100_000)? as u32,
    };
    driver.publish(system).map_err(ScenarioError::refused("publish HidFrames"))?;
    Ok(())
}
