//! What programs leave that crashed, were killed, or became another program.

use super::names::{folder_of, journal_of, tape_of_journal};
use crate::seal::{SealError, SealOptions, SealReport, seal};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// A journal that was left, and what became of it.
#[derive(Debug)]
pub struct Left {
    /// The journal. It is gone where it was sealed.
    pub journal: PathBuf,
    /// Where its tape is to be.
    pub tape: PathBuf,
    /// What came of sealing it.
    pub sealed: Result<SealReport, SealError>,
}

/// True where a journal is there that no living process writes to: whoever does holds a lock on it. What
/// cannot be told, as on a file system without locks, counts as written to.
#[must_use]
pub fn is_left(journal: &Path) -> bool {
    let Ok(file) = File::open(journal) else { return false };
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

/// Seals what was left of a recording that was to become `tape`: the program's own, and those of its
/// children beside it. Journals that are written to stay.
///
/// # Errors
///
/// Where the folder cannot be read.
pub fn seal_left(tape: &Path) -> std::io::Result<Vec<Left>> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(folder_of(tape))? {
        // As the caller names the tape, so that names compare.
        let journal = tape.with_file_name(entry?.file_name());
        let Some(own) = tape_of_journal(tape, &journal).filter(|_| is_left(&journal)) else {
            continue;
        };
        let sealed = seal(&journal, &own, SealOptions::default());
        if sealed.is_ok() {
            std::fs::remove_file(&journal)?;
        }
        left.push(Left { journal, tape: own, sealed });
    }
    let first = journal_of(tape);
    left.sort_by_key(|left| (left.journal != first, left.journal.clone()));
    Ok(left)
}
