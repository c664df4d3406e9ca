//! Why a report cannot be packed or read.

use super::{DIGITS, SEAL};
use crate::redact::{Leak, RedactError};
use dextape::tape::TapeError;

/// Why a report is not packed. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A tape cannot be read or written.
    #[error("{0}")]
    Tape(#[from] TapeError),
    /// A tape cannot be redacted.
    #[error("pack {0}: {1}")]
    Redact(String, Box<RedactError>),
    /// Somebody noted on a tape that something is still to be taken out.
    #[error(
        "pack {0}: redaction is pending; take out what must not be given away, then the note from its provenance"
    )]
    Pending(String),
    /// Private values are left.
    #[error("pack the report: {}; name their places in a policy, or have them replaced with --replace-private", listed(.0))]
    Leaks(Vec<(String, Leak)>),
    /// Too much of something.
    #[error("pack the report: expected {what} of at most {limit}, found {found}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What was found.
        found: u64,
    },
    /// The zip cannot be made.
    #[error("pack the report: {0}")]
    Zip(String),
}

fn listed(leaks: &[(String, Leak)]) -> String {
    leaks.iter().map(|(of, leak)| format!("{of}: {leak}")).collect::<Vec<_>>().join("; ")
}

/// Why a bundle is refused. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The file cannot be read.
    #[error("read the bundle: {0}")]
    Io(#[from] std::io::Error),
    /// It is no bundle, or was changed since it was packed.
    #[error(
        "read the bundle: expected a zip whose comment is {SEAL:?} and the {DIGITS} digits of its hash: {0}; \
         `cargo xtask report pack` makes one"
    )]
    Seal(&'static str),
    /// Something in it is not as it has to be.
    #[error("read {place} of the bundle: expected {expected}; have it packed and sent again")]
    Broken {
        /// Where.
        place: String,
        /// What was expected.
        expected: String,
    },
}

impl BundleError {
    pub(super) fn broken(place: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Broken { place: place.into(), expected: expected.into() }
    }
}
