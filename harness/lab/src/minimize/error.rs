//! Tapes that cannot be minimised.

use dextape::tape::{Sequence, TapeError};

/// Why a tape cannot be minimised. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MinimizeError {
    /// It begins in the middle, or events are missing.
    #[error(
        "minimise the tape: event {0} is a {1}, and what the dext did before it is not known; for a dext give a \
         tape that was recorded without a ring, for a client leave out --against"
    )]
    Incomplete(Sequence, &'static str),
    /// It is of several processes.
    #[error("minimise the tape: event {0} is of process {1}; give the tape of one process")]
    Processes(Sequence, u32),
    /// A kind of event that this version does not know and must.
    #[error("minimise the tape: event {0} is of the kind {1:?}, which this version does not know")]
    Unknown(Sequence, String),
    /// It is not valid, so nothing that is cut from it would be.
    #[error("minimise the tape: it is not valid: {0}; `cargo xtask verify` tells more")]
    Invalid(String),
    /// Bytes of it cannot be read.
    #[error("{0}")]
    Tape(#[from] TapeError),
    /// A mock brings it about with nothing imposed on it.
    #[error(
        "minimise the tape: the mock brings about {0} with nothing of the tape and no deviation; a run of \
         the client on the mock shows it"
    )]
    Bare(String),
    /// The mended client fails alike with every tape that was met.
    #[error(
        "tell the client from the mended one: both bring about {0} with all of the tape, and with every part \
         of it that was tried"
    )]
    Alike(String),
    /// What is looked for does not happen with the whole tape.
    #[error("minimise the tape: the whole of it does not bring about {0}")]
    NotSeen(String),
}
