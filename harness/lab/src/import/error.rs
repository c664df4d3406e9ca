//! Why a log cannot be imported.

use dextape::tape::TapeError;
use std::path::PathBuf;

/// Why a log cannot be imported. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The log cannot be read.
    #[error("read {}: {error}", path.display())]
    Read {
        /// The log.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("read line {line}, column {column}: {problem}")]
    Line {
        /// The line, from 1 on.
        line: u64,
        /// The byte of the line, from 1 on.
        column: u64,
        /// What was expected, and what to do.
        problem: String,
    },
    /// The tape cannot be written.
    #[error("{0}")]
    Tape(#[from] TapeError),
}

/// What is wrong at a byte of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// From 1 on.
    pub(super) column: u64,
    pub(super) problem: String,
}

impl Wrong {
    pub(super) fn new(column: usize, problem: impl Into<String>) -> Self {
        Self { column: column as u64 + 1, problem: problem.into() }
    }
}
