//! Tapes that cannot be driven.

/// Why a tape cannot play the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DriveError {
    /// It begins in the middle, or events are missing.
    #[error(
        "drive the tape: event {0} is a {1}, and what the dext did before it is not known; drive a tape that was \
         recorded without a ring"
    )]
    Incomplete(u64, &'static str),
    /// It is of several processes.
    #[error("drive the tape: event {0} is of process {1}; drive the tape of one process")]
    Processes(u64, u32),
    /// A kind of event that this version does not know.
    #[error("drive the tape: event {0} is of the kind {1:?}, which this version does not know")]
    Unknown(u64, String),
    /// The plan of faults in its provenance cannot be read.
    #[error("carry out the faults that the tape was recorded with: {0}")]
    Faults(String),
}
