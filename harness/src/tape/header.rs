//! The first line of a tape: what was recorded, where and how.

use crate::schedule::TimeMode;
use std::collections::BTreeMap;

/// Version of the format that this crate writes.
///
/// - 1.0: the first.
/// - 0.9: synthetic, to prove that old files stay readable; never written by a release.
pub const FORMAT_VERSION: FormatVersion = FormatVersion { major: 1, minor: 0 };

/// Version of the tape format. A reader reads every older version, and a newer minor version of its
/// own major one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FormatVersion {
    /// Raised when an old reader could misread the tape.
    pub major: u32,
    /// Raised when fields or kinds are added.
    pub minor: u32,
}

/// The header of a tape.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Version of the format.
    pub format: FormatVersion,
    /// Name and version of what recorded it.
    pub recorder: String,
    /// The recorded machine; `mock` for a mock, so that fixtures are the same on every machine.
    pub host: Host,
    /// Page size of the recorded system, in bytes.
    pub page_size: u64,
    /// Mode of time.
    pub time: TimeMode,
    /// Seed of a simulated run.
    pub seed: Option<u64>,
    /// Scenario that it was recorded from, with its parameters.
    pub scenario: Option<Scenario>,
    /// Services that the client saw, by their numbers on the tape.
    pub services: BTreeMap<u32, ServiceIdentity>,
    /// How a replay should match, where the recording suggests it.
    pub policy: Option<String>,
    /// Fields that a replay does not compare, or compares as symbols.
    pub rules: Vec<FieldRule>,
    /// Redactions that were applied.
    pub redactions: Vec<String>,
    /// What was done to the tape since: `edited`, `trimmed`, `learned from ...`.
    pub provenance: Vec<String>,
    /// Fields that this version does not know; kept by a rewrite.
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// The recorded machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A mock of this crate.
    Mock,
    /// A Mac.
    Mac {
        /// Hardware model.
        model: String,
        /// Version and build of macOS.
        system: String,
    },
}

/// Scenario of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Its parameters, without paths of a machine.
    pub parameters: BTreeMap<String, String>,
}

/// A service as far as the client could see which one it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceIdentity {
    /// Class in the registry.
    pub class: Option<String>,
    /// Name in the registry.
    pub name: Option<String>,
    /// Class of the dext (`IOUserClass`).
    pub user_class: Option<String>,
    /// Bundle identifier of the dext.
    pub bundle_id: Option<String>,
    /// Version of the dext.
    pub version: Option<String>,
}

/// A rule about one field of the calls of one selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRule {
    /// Selector of the calls; `None` for all.
    pub selector: Option<u32>,
    /// The field.
    pub field: Field,
    /// How it is compared.
    pub comparison: Comparison,
}

/// A field of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A scalar handed in.
    ScalarInput(usize),
    /// A range of the structure handed in: offset and length in bytes.
    StructureInput(u64, u64),
    /// A scalar returned.
    ScalarOutput(usize),
    /// A range of the structure returned.
    StructureOutput(u64, u64),
    /// An entry of the asynchronous reference.
    Reference(usize),
    /// A range of what the client writes to a memory of this memory type.
    Write {
        /// Memory type.
        memory_type: u32,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
}

/// How a field is compared on replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Not at all.
    Masked,
    /// As a symbol that the client makes: first use binds, later uses must agree. Rules with the
    /// same name share their symbols.
    Symbol(String),
}
