//! Tapes that cannot answer leniently.

use dextape::tape::TapeError;

/// Why a tape cannot be a baseline. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LenientError {
    /// What its header says of ordinary answers cannot be read.
    #[error(
        "read the ordinary answers in the tape's header: {0}; take the key `ordinary` out, and \
         `cargo xtask minimize` makes it again"
    )]
    Ordinary(String),
    /// Bytes of it cannot be read.
    #[error("{0}")]
    Tape(#[from] TapeError),
}
