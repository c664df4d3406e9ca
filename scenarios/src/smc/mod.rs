//! AppleSMC: a key/value service whose whole protocol is one selector and one structure.
//!
//! Selector 2 takes and returns a structure of 80 bytes. Its command byte says what is wanted: a key by
//! its index, what a key is, its value, or a new value for it. What is refused is told in-band, in a
//! result byte of a call that worked; some keys of some machines make the call itself fail, because
//! the caller is not privileged or the value is longer than the structure can carry.
//!
//! The service answers what a dump of a real machine says, and the client prints a dump: both have the
//! same lines. What the dump does not know stays unknown: where it says `NOT READABLE` and no code,
//! the service answers the general error, which states no reason.
//!
//! Source: what public clients of AppleSMC agree on (field notes, scenario 9), and the format of the
//! dumps that VirtualSMC's key dumper prints.

pub mod abi;
mod client;
mod dext;
mod dump;
mod line;

pub use dext::SmcService;
pub use dump::{DUMP_MAX, Dump, DumpError, DumpedKey, SMALL, SMALL_MODEL};
pub use line::{CODE_OF_A_FAILED_CALL, KeyLine, LineError, Reading, join_keys, split_keys};

use crate::{Parameter, Parameters, Scenario, ScenarioError};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Property of the mock's service that holds the dump's line of the system's version. A dumper on a
/// Mac asks the system itself.
pub const HOST_SYSTEM: &str = "HostSystem";

/// Names of the parameters.
mod parameter {
    pub(super) const DUMP: &str = "dump";
    pub(super) const MODEL: &str = "model";
    pub(super) const HIDDEN: &str = "hidden";
    pub(super) const WRITE: &str = "write";
}

const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: parameter::DUMP,
        default: "",
        help: "Key dump that the service answers from; a small built-in one where none is given",
        local: true,
    },
    Parameter {
        name: parameter::MODEL,
        default: "",
        help: "Name of the machine, for people; the dump's file name where none is given",
        local: false,
    },
    Parameter {
        name: parameter::HIDDEN,
        default: "",
        help: "Keys to read by name, with commas between; the dump's hidden ones where none is given",
        local: false,
    },
    Parameter {
        name: parameter::WRITE,
        default: "",
        help: "Key to write at the end and its value in hex, such as F0Mn=1450",
        local: false,
    },
];

/// The scenario `smc`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Smc;

impl Smc {
    fn dump(parameters: &Parameters) -> Result<Dump, ScenarioError> {
        match parameters.get(parameter::DUMP) {
            "" => Ok(Dump::small()),
            path => Dump::read(Path::new(path)).map_err(|error| ScenarioError::Other(error.into())),
        }
    }
}

impl Scenario for Smc {
    fn name(&self) -> &str {
        "smc"
    }

    fn about(&self) -> &str {
        "AppleSMC key/value service loaded from a key dump, and a key dumper"
    }

    fn parameters(&self) -> &[Parameter] {
        PARAMETERS
    }

    fn prepare(&self, parameters: &mut Parameters) -> Result<(), ScenarioError> {
        if parameters.get(parameter::HIDDEN).is_empty() {
            parameters.set(parameter::HIDDEN, Self::dump(parameters)?.hidden_names())?;
        }
        if parameters.get(parameter::MODEL).is_empty() {
            let path = parameters.get(parameter::DUMP);
            let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
            parameters.set(parameter::MODEL, stem.unwrap_or_else(|| SMALL_MODEL.to_owned()))?;
        }
        Ok(())
    }

    fn publish(
        &self,
        parameters: &Parameters,
        system: &Arc<MockSystem>,
    ) -> Result<(), ScenarioError> {
        SmcService::publish(&Self::dump(parameters)?, system)
            .map_err(ScenarioError::refused("publish AppleSMC"))?;
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
