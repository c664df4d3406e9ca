//! What is wrong with a tape of a suite.

use crate::iokit::LiveError;
use crate::journal::JournalError;
use crate::seal::SealError;
use dextape::replay::LoadError;
use dextape::tape::TapeError;
use std::path::PathBuf;

/// Why a run has no tape. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TapeForError {
    /// The variable names no mode.
    #[error("read DEXTAPE_MODE = {0:?}: expected none, once, new_episodes or all")]
    Mode(String),
    /// The variable asks for a device that this build cannot reach.
    #[error("record as DEXTAPE_MODE asks: {0}; or leave the variable out, to play tapes only")]
    Live(#[from] LiveError),
    /// There is no tape, and nothing is to be recorded.
    #[error("find the tape {}: it was never recorded; DEXTAPE_MODE=once records it, on a Mac", .0.display())]
    Missing(PathBuf),
    /// A date cannot be read.
    #[error("read the date {0:?}: expected one such as 2027-01-31")]
    Date(String),
    /// The tape cannot be read.
    #[error("{0}")]
    Tape(#[from] TapeError),
    /// The tape cannot be replayed.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// The recording cannot begin.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// The recording cannot become a tape.
    #[error("{0}")]
    Seal(#[from] SealError),
    /// The recorded tape is not valid.
    #[error("record {}: {finding}", path.display())]
    Invalid {
        /// The tape.
        path: PathBuf,
        /// What is wrong with it first.
        finding: String,
    },
    /// The machine refused a file.
    #[error("{0}")]
    File(std::io::Error),
}

impl From<std::io::Error> for TapeForError {
    fn from(error: std::io::Error) -> Self {
        // fs-err says itself that it failed.
        let text = error.to_string();
        let text = text.strip_prefix("failed to ").unwrap_or(&text).to_owned();
        Self::File(std::io::Error::new(error.kind(), text))
    }
}
