//! The first line of a tape: what was recorded, where and how.

use super::error::TapeErrorKind;
use crate::limits::PAGE_SIZE;
use crate::schedule::TimeMode;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Version of the format that this crate writes.
///
/// - 1.0: the first.
/// - 0.9: synthetic, to prove that old files stay readable; never written by a release.
pub const FORMAT_VERSION: FormatVersion = FormatVersion { major: 1, minor: 0 };

/// Oldest version that is readable.
pub const OLDEST_VERSION: FormatVersion = FormatVersion { major: 0, minor: 9 };

/// Version of the tape format. A reader reads every older version, and a newer minor version of its
/// own major one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FormatVersion {
    /// Raised when an old reader could misread the tape.
    pub major: u32,
    /// Raised when fields or kinds are added.
    pub minor: u32,
}

/// How a version of the format can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readability {
    /// It is the version that this crate writes, or an older minor one.
    Current,
    /// It is older; reading upgrades it.
    Upgraded,
    /// It has a newer minor version: fields and kinds that this crate does not know are kept and passed
    /// over. Update dextape to see them.
    NewerMinor,
}

impl FormatVersion {
    /// How this version can be read.
    ///
    /// # Errors
    ///
    /// It is older than [`OLDEST_VERSION`], or of a newer major version than [`FORMAT_VERSION`].
    pub fn readability(self) -> Result<Readability, TapeErrorKind> {
        if self < OLDEST_VERSION {
            Err(TapeErrorKind::TooOld(self))
        } else if self.major > FORMAT_VERSION.major {
            Err(TapeErrorKind::TooNew(self))
        } else if self > FORMAT_VERSION {
            Ok(Readability::NewerMinor)
        } else if self.major < FORMAT_VERSION.major {
            Ok(Readability::Upgraded)
        } else {
            Ok(Readability::Current)
        }
    }
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for FormatVersion {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            if digits {
                text.parse().map_err(|_| ParseVersionError)
            } else {
                Err(ParseVersionError)
            }
        };
        let (major, minor) = text.split_once('.').ok_or(ParseVersionError)?;
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

/// A text that is no version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read a version of the format: expected two numbers such as 1.0")]
pub struct ParseVersionError;

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

impl Header {
    /// The header of a tape that was made on a mock, in simulated time, with nothing else to say.
    #[must_use]
    pub fn mock() -> Self {
        Self {
            format: FORMAT_VERSION,
            recorder: concat!("dextape ", env!("CARGO_PKG_VERSION")).to_owned(),
            host: Host::Mock,
            page_size: PAGE_SIZE,
            time: TimeMode::Simulated,
            seed: None,
            scenario: None,
            services: BTreeMap::new(),
            policy: None,
            rules: Vec::new(),
            redactions: Vec::new(),
            provenance: Vec::new(),
            extra: BTreeMap::new(),
        }
    }

    /// Key of [`extra`](Self::extra) that says what kind of driver answered, where it was no dext.
    pub const DRIVER: &str = "driver";

    /// Under [`DRIVER`](Self::DRIVER): a user client of a kernel extension, which may say that it wrote
    /// less than was asked for out of line, as no dext can (C4).
    pub const KERNEL_EXTENSION: &str = "kernel extension";

    /// Key of [`extra`](Self::extra) under which a minimised tape names the mock that answers what it does not
    /// hold: nothing else can.
    pub const BASELINE: &str = "baseline";

    /// True where the tape says that a kernel extension answered.
    #[must_use]
    pub fn is_of_kernel_extension(&self) -> bool {
        self.extra.get(Self::DRIVER).is_some_and(|driver| driver == Self::KERNEL_EXTENSION)
    }
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

impl ServiceIdentity {
    /// What the service is called: by its name, or else its class, or that of its dext.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        [&self.name, &self.class, &self.user_class].into_iter().find_map(|it| it.as_deref())
    }
}

/// A rule about one field of the calls of one selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRule {
    /// Selector of the calls; `None` for all.
    pub selector: Option<u32>,
    /// What the connection was opened as; `None` for all. Such a rule has a selector, and overrides
    /// those without it.
    pub on: Option<OpenedAs>,
    /// The field.
    pub field: Field,
    /// How it is compared.
    pub comparison: Comparison,
}

/// What a connection was opened as. Selectors mean what the user client of that service and type says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenedAs {
    /// The service: [`ServiceIdentity::label`].
    pub service: String,
    /// Type of the open.
    pub open_type: u32,
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
