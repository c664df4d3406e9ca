//! What is wrong with a description.

use std::path::PathBuf;

/// A file that is no protocol description.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// It cannot be read.
    #[error("read {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is larger than a description can be.
    #[error("read a protocol description of more than {max} bytes")]
    TooLarge {
        /// The most bytes.
        max: u64,
    },
    /// It is not the TOML of a description.
    #[error("read line {line}, column {column} of a protocol description: {message}")]
    Syntax {
        /// The line, from 1 on.
        line: usize,
        /// The column, from 1 on.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// Something in it contradicts itself.
    #[error("understand {place} of a protocol description: {message}")]
    Meaning {
        /// Where, such as `structures.Request.fields.key`.
        place: String,
        /// What is wrong there.
        message: String,
    },
}

impl ProtocolError {
    pub(super) fn meaning(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Meaning { place: place.into(), message: message.into() }
    }
}
