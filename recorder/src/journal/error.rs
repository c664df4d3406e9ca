//! What can go wrong with a journal.

use std::io;
use std::path::PathBuf;

/// Why a journal could not be made or read. Messages complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There is a file of that name already; a journal never overwrites one.
    #[error("create journal {0}: the file exists, left by a recording that did not come to its end, or of \
             one that goes on; where none does, `cargo xtask recover {0}` makes its tape; then remove it",
            path.display())]
    Exists {
        /// The journal.
        path: PathBuf,
    },
    /// The file system or the memory map refused.
    #[error("{action} journal {}: {source}", path.display())]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// The journal.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a journal.
    #[error("read journal {}: no segment in it is whole ({reason}); is it a journal of dextape?", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The file was written by a later version.
    #[error("read journal {}: it has format {found}, this version reads up to {known}; use a newer dextape", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Format of the file.
        found: u32,
        /// Newest format that can be read.
        known: u32,
    },
}
