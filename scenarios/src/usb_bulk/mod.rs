//! Bulk transfers: what the kernel does with a structure of an asynchronous call, as a USB driver
//! meets it.
//!
//! | the client's buffer | reaches the dext as | goes to the device |
//! |---|---|---|
//! | OUT, up to 4096 bytes | `OSData`, a copy | from a buffer of `CreateIOBuffer` into which it is copied again |
//! | OUT, more | a descriptor of the client's memory | as it is, through `IOUSBHostPipe::AsyncIO` |
//! | IN, more than 4096 bytes | a descriptor of the client's memory | is filled when the data comes, after the call has returned |
//! | IN, up to 4096 bytes | room in the reply of the call | cannot be filled later: the reply is gone by then |
//!
//! The pipe splits what is longer than a packet of 512 bytes; a shorter packet ends a read. A stall
//! halts a pipe until it is cleared, and an abort completes what is pending. The naive dext takes small
//! reads all the same: its client gets zeros, a completion that speaks of data, and never the data.
//!
//! Source: no public client covers it whole. The sizes are those of field notes, scenario 10, the
//! paths are the kernel's rules B3, B4, B8 and C3, the device is our own.

pub mod abi;
mod client;
mod device;
mod dext;

pub use dext::{SmallReads, UsbBulkDriver};

use crate::{Parameter, Parameters, Scenario, ScenarioError};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use std::io::Write;
use std::sync::Arc;

/// Names of the parameters.
mod parameter {
    pub(super) const SMALL_READS: &str = "small-reads";
}

const PARAMETERS: &[Parameter] = &[Parameter {
    name: parameter::SMALL_READS,
    default: "refused",
    help: "Whether the dext refuses reads of 4096 bytes or less, or naively loses their data: \
           refused or lost",
    local: false,
}];

/// The scenario `usb-bulk`.
#[derive(Clone, Copy, Debug, Default)]
pub struct UsbBulkScenario;

impl Scenario for UsbBulkScenario {
    fn name(&self) -> &str {
        "usb-bulk"
    }

    fn about(&self) -> &str {
        "bulk transfers by asynchronous calls: copied or not, split, short, stalled, aborted"
    }

    fn parameters(&self) -> &[Parameter] {
        PARAMETERS
    }

    fn publish(
        &self,
        parameters: &Parameters,
        system: &Arc<MockSystem>,
    ) -> Result<(), ScenarioError> {
        let choices = [("refused", SmallReads::Refused), ("lost", SmallReads::Lost)];
        let small_reads = parameters.choice(parameter::SMALL_READS, &choices)?;
        UsbBulkDriver::publish(small_reads, system)
            .map_err(ScenarioError::refused("publish UsbBulk"))?;
        Ok(())
    }

    fn client(
        &self,
        _parameters: &Parameters,
        system: &Arc<dyn System>,
        out: &mut dyn Write,
    ) -> Result<(), ScenarioError> {
        client::run(system, out)
    }
}
