//! Six more clients of our scenarios, each with five more seeded bugs. They are other programs than those of
//! the first exam: several threads, credits, a thread that keeps the time, two takes, masks.
//!
//! A client checks what it promises, and what must not be is a [`Failure`]; some bugs make it panic, or wait
//! for ever. Trouble that the driver makes is reported: [`Outcome::Reported`]. A right client keeps its
//! promises whatever comes; one with a bug does so where nothing disturbs it.
//!
//! Nothing in here knows how bugs are looked for.

mod bug;
mod capture_ring;
mod held;
mod irq_page;
mod null_driver;
mod nvme_pair;
mod nvme_rings;
mod shared_buffer;
mod usb_bulk;
mod verdict;

pub(crate) use bug::Bug;
pub(crate) use verdict::{Failure, Outcome};

use dextape::connection::System;
use dextape_scenarios::{
    Scenario, capture_ring as capture, irq_page as irq, null_driver as null, nvme_rings as nvme,
    shared_buffer as shared, usb_bulk as usb,
};
use std::sync::Arc;

/// Runs a client to its end, with one bug or none.
pub(crate) type RunFn = fn(&Arc<dyn System>, Option<Bug>) -> Result<Outcome, Failure>;

/// A client and what it runs against.
pub(crate) struct Candidate {
    /// Whose dext it drives.
    pub(crate) scenario: &'static dyn Scenario,
    /// The dext's settings that differ from their defaults.
    pub(crate) set: &'static [(&'static str, &'static str)],
    /// The client.
    pub(crate) run: RunFn,
    /// Its five bugs.
    pub(crate) bugs: [Bug; 5],
}

/// All six.
pub(crate) const CANDIDATES: [Candidate; 6] = [
    Candidate {
        scenario: &null::SCENARIO,
        set: &[],
        run: null_driver::run,
        bugs: Bug::OF_NULL_DRIVER,
    },
    Candidate {
        scenario: &shared::SCENARIO,
        set: &[],
        run: shared_buffer::run,
        bugs: Bug::OF_SHARED_BUFFER,
    },
    Candidate { scenario: &usb::SCENARIO, set: &[], run: usb_bulk::run, bugs: Bug::OF_USB_BULK },
    Candidate {
        scenario: &nvme::SCENARIO,
        set: &[],
        run: nvme_rings::run,
        bugs: Bug::OF_NVME_RINGS,
    },
    Candidate {
        scenario: &capture::SCENARIO,
        set: &[("packets", "64")],
        run: capture_ring::run,
        bugs: Bug::OF_CAPTURE_RING,
    },
    Candidate {
        scenario: &irq::SCENARIO,
        set: &[("second-wait", "busy")],
        run: irq_page::run,
        bugs: Bug::OF_IRQ_PAGE,
    },
];
