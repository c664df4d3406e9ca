#![doc = include_str!("../../../docs/scenarios/smc.md")]

pub mod abi;
mod client;
mod dext;
mod dump;
mod line;
mod serials;

pub use dext::SmcService;
pub use dump::{DUMP_MAX, Dump, DumpError, DumpedKey, SMALL, SMALL_MODEL};
pub use line::{CODE_OF_A_FAILED_CALL, KeyLine, LineError, Reading, join_keys, split_keys};
pub use serials::Serials;

use crate::{Declared, Parameter, Parameters, ScenarioError, TapeSettings};
use dextape::kernel::MockSystem;
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
    pub(super) const SERIALS: &str = "serials";
}

const PARAMETERS: &[Parameter] = &[
    Parameter::local(
        parameter::DUMP,
        "",
        "Key dump that the service answers from; a small built-in one where none is given",
    ),
    Parameter::new(
        parameter::MODEL,
        "",
        "Name of the machine, for people; the dump's file name where none is given",
    ),
    Parameter::new(
        parameter::HIDDEN,
        "",
        "Keys to read by name, with commas between; the dump's hidden ones where none is given",
    ),
    Parameter::new(
        parameter::WRITE,
        "",
        "Key to write at the end and its value in hex, such as F0Mn=1450",
    ),
    // With its seed, whoever has the tape would have them.
    Parameter::local(
        parameter::SERIALS,
        "",
        "Seed of serial numbers that the machine and its parts have in keys; none where none is given",
    ),
];

/// The scenario `smc`.
pub const SCENARIO: Declared = Declared {
    name: "smc",
    about: "AppleSMC key/value service loaded from a key dump, and a key dumper",
    parameters: PARAMETERS,
    tapes: &[
        TapeSettings { name: "small", set: &[] },
        TapeSettings { name: "write", set: &[("write", "F0Mn=3200")] },
    ],
    prepare: Some(prepare),
    publish,
    client: client::run,
};

fn dump(parameters: &Parameters) -> Result<Dump, ScenarioError> {
    let mut dump = match parameters.get(parameter::DUMP) {
        "" => Dump::small(),
        path => Dump::read(Path::new(path)).map_err(|error| ScenarioError::Other(error.into()))?,
    };
    if !parameters.get(parameter::SERIALS).is_empty() {
        Serials::of_seed(parameters.number(parameter::SERIALS, 0..=u64::MAX)?).plant(&mut dump);
    }
    Ok(dump)
}

fn prepare(parameters: &mut Parameters) -> Result<(), ScenarioError> {
    if parameters.get(parameter::HIDDEN).is_empty() {
        parameters.set(parameter::HIDDEN, dump(parameters)?.hidden_names())?;
    }
    if parameters.get(parameter::MODEL).is_empty() {
        let path = parameters.get(parameter::DUMP);
        let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        parameters.set(parameter::MODEL, stem.unwrap_or_else(|| SMALL_MODEL.to_owned()))?;
    }
    Ok(())
}

fn publish(parameters: &Parameters, system: &Arc<MockSystem>) -> Result<(), ScenarioError> {
    SmcService::publish(&dump(parameters)?, system)
        .map_err(ScenarioError::refused("publish AppleSMC"))?;
    Ok(())
}
