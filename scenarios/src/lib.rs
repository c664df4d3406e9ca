//! Mock dexts and the clients that drive them.
//!
//! A [`Scenario`] is a named pair of both, with [`Parameters`]; a [`Registry`] holds those that a
//! program knows, and [`registry`] ours. Another crate registers its own beside them:
//!
//! ```
//! # use dextape_scenarios::smc::SCENARIO as OWN;
//! let registry = dextape_scenarios::registry().with(OWN);
//! ```
//!
//! A scenario is mostly a constant, a [`Declared`]; the example there is a whole one.
//!
//! A map of the code, one folder a scenario, each with what passes between both sides (`abi`), the
//! mock (`dext`) and what drives it (`client`):
//!
//! - [`blocking_waits`]: calls that wait inside the dext.
//! - [`capture_ring`]: a stream in a ring, with overruns and a clock.
//! - [`hid_frames`]: frames of a virtual HID device, in completions or fetched.
//! - [`irq_page`]: interrupts as bits of a page, and a wait that is armed again and again.
//! - [`input_descriptor`]: a buffer for the device to fill, as the wrong structure.
//! - [`null_driver`]: the six selectors of Apple's sample.
//! - [`nvme_rings`]: submission and completion rings with a doorbell.
//! - [`pcie_bar`]: a PCIe device driven from the client, until it is pulled out.
//! - [`sbp2_commands`]: commands that are submitted and polled for, over resets of a bus.
//! - [`shared_buffer`]: memory that both sides write.
//! - [`smc`]: AppleSMC, from a key dump.
//! - [`usb_bulk`]: transfers through the pipes of a USB interface.

#![forbid(unsafe_code)]

mod declared;
mod dext;
mod error;
mod live;
mod open;
mod other_dext;
mod parameter;
mod print;
mod registry;
mod scenario;

pub mod blocking_waits;
pub mod capture_ring;
pub mod hid_frames;
pub mod input_descriptor;
pub mod irq_page;
pub mod null_driver;
pub mod nvme_rings;
pub mod pcie_bar;
pub mod sbp2_commands;
pub mod shared_buffer;
pub mod smc;
pub mod usb_bulk;

pub use declared::{ClientFn, Declared, PrepareFn, PublishFn};
pub use error::ScenarioError;
pub use live::{Live, Time, run_on_faulty_mock, run_on_mock};
pub use open::open;
pub use other_dext::OtherDext;
pub use parameter::{Parameter, ParameterError, Parameters};
pub use registry::{Registry, UnknownScenario};
pub use scenario::{Scenario, TapeSettings};

/// The scenarios of this crate.
#[must_use]
pub fn registry() -> Registry {
    Registry::empty()
        .with(blocking_waits::SCENARIO)
        .with(capture_ring::SCENARIO)
        .with(hid_frames::SCENARIO)
        .with(irq_page::SCENARIO)
        .with(input_descriptor::SCENARIO)
        .with(null_driver::SCENARIO)
        .with(nvme_rings::SCENARIO)
        .with(pcie_bar::SCENARIO)
        .with(sbp2_commands::SCENARIO)
        .with(shared_buffer::SCENARIO)
        .with(smc::SCENARIO)
        .with(usb_bulk::SCENARIO)
}
