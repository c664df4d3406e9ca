//! Why a journal could not be sealed.

use crate::journal::JournalError;
use dextape::tape::TapeError;
use std::io;
use std::path::PathBuf;

/// Why a journal could not be sealed. Messages complete "failed to ...". The journal is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The tape could not be written.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// The file system refused.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
