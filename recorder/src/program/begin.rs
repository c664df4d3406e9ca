//! The beginning of a program's recording.

use super::left::is_left;
use super::names::{journal_of, tape_of};
use crate::journal::JournalError;
use crate::recording::{RecordOptions, RecordingSession};
use crate::seal::{SealOptions, seal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Programs that one process becomes after each other, and has recorded under names of their own.
const PROGRAMS_MAX: usize = 64;

/// A recording that has begun.
#[derive(Debug)]
pub struct Begun {
    /// It.
    pub session: Arc<RecordingSession>,
    /// Where its tape is to be.
    pub tape: PathBuf,
    /// What there is to say to people, a line each.
    pub notes: Vec<String>,
}

/// Begins the recording of this process that is to become `tape`. Where another one is under that name,
/// of a program that this one came from, it gets a name with the number of this process beside it; what a
/// program left there that is gone is sealed first.
///
/// # Errors
///
/// Those of [`RecordingSession::start`].
pub fn begin(tape: &Path, options: impl Fn() -> RecordOptions) -> Result<Begun, JournalError> {
    let mut notes = Vec::new();
    let mut own = tape.to_owned();
    for place in 0..=PROGRAMS_MAX {
        let journal = journal_of(&own);
        match RecordingSession::start(&journal, options()) {
            Err(JournalError::Exists { .. }) if place < PROGRAMS_MAX => {
                notes.extend(seal_here(&journal, &own));
                own = tape_of(tape, std::process::id(), place);
            }
            started => {
                let session = started?;
                if place > 0 {
                    let (asked, own) = (tape.display(), own.display());
                    notes.push(format!(
                        "{asked} is another program's, so this one is recorded in {own}"
                    ));
                }
                return Ok(Begun { session, tape: own, notes });
            }
        }
    }
    Err(JournalError::Exists { path: journal_of(&own) })
}

/// Seals a journal that nobody writes to any more; what there is to say of that.
fn seal_here(journal: &Path, tape: &Path) -> Option<String> {
    if !is_left(journal) {
        return None;
    }
    let (name, shown) = (journal.display(), tape.display());
    let sealed = seal(journal, tape, SealOptions::default());
    Some(match sealed.map(|_| std::fs::remove_file(journal)) {
        Ok(Ok(())) => {
            format!("{name} was left by a program that did not come to its end: it is {shown} now")
        }
        Ok(Err(error)) => format!("sealed {shown}, but failed to remove {name}: {error}"),
        Err(error) => format!("failed to seal {name}, which a program left: {error}"),
    })
}
