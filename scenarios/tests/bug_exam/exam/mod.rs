//! Six clients of our scenarios, each with five seeded bugs: the material of the exam that bug finding
//! has to sit.
//!
//! A client checks itself, as a careful author of tests would have it: what it must not see, count or
//! leave behind is a [`Failure`]. Trouble that the driver makes, such as a refused call or a device
//! that is gone, is no failure where it is reported: [`Outcome::Reported`]. A client that has a bug
//! fails a check once the timing or a fault is unlucky, and passes when nothing disturbs it.
//!
//! Nothing in here knows how bugs are looked for.

mod bug;
mod capture_ring;
mod irq_page;
mod ledger;
mod null_driver;
mod nvme_rings;
mod shared_buffer;
mod stop;
mod usb_bulk;
mod waiting;

pub(crate) use bug::Bug;
pub(crate) use stop::{Failure, Outcome};

use dextape::connection::System;
use dextape_scenarios::Scenario;
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
        scenario: &dextape_scenarios::null_driver::SCENARIO,
        set: &[],
        run: null_driver::run,
        bugs: Bug::OF_NULL_DRIVER,
    },
    Candidate {
        scenario: &dextape_scenarios::shared_buffer::SCENARIO,
        set: &[],
        run: shared_buffer::run,
        bugs: Bug::OF_SHARED_BUFFER,
    },
    Candidate {
        scenario: &dextape_scenarios::usb_bulk::SCENARIO,
        set: &[],
        run: usb_bulk::run,
        bugs: Bug::OF_USB_BULK,
    },
    Candidate {
        scenario: &dextape_scenarios::nvme_rings::SCENARIO,
        set: &[],
        run: nvme_rings::run,
        bugs: Bug::OF_NVME_RINGS,
    },
    Candidate {
        scenario: &dextape_scenarios::capture_ring::SCENARIO,
        set: &[],
        run: capture_ring::run,
        bugs: Bug::OF_CAPTURE_RING,
    },
    Candidate {
        scenario: &dextape_scenarios::irq_page::SCENARIO,
        set: &[("arm", "blind")],
        run: irq_page::run,
        bugs: Bug::OF_IRQ_PAGE,
    },
];
