//! Whether a tape tells a story that can have happened: its structure, and the rules of the boundary
//! that a tape can show.

mod call;
mod finding;
mod lanes;
mod other;
mod resources;
#[cfg(test)]
mod tests;
mod validator;

pub use finding::{Broken, FINDINGS_MAX, TapeFinding, Validation};
pub use validator::Validator;

use super::error::{TapeError, TapeErrorKind};
use super::payload::Payload;
use super::reader::TapeReader;
use super::whole::Tape;
use crate::boundary::Rules;
use std::collections::BTreeSet;
use std::path::Path;

/// Reads a tape to its end and reports everything that is wrong with it, with lines. Blobs are loaded
/// and compared with their hashes, one at a time.
///
/// # Errors
///
/// The file cannot be read, or its header is of no version that is readable. What is wrong after the
/// header is a finding, not an error.
pub fn validate(path: &Path) -> Result<Validation, TapeError> {
    validate_reader(TapeReader::open(path)?)
}

/// As [`validate`], for a tape that has been opened.
///
/// # Errors
///
/// As there.
pub fn validate_reader(mut reader: TapeReader) -> Result<Validation, TapeError> {
    let mut validator = Validator::new(reader.header(), Rules::all());
    let mut loaded = BTreeSet::new();
    while let Some(event) = reader.next() {
        let event = match event {
            Ok(event) => event,
            Err(error) if matches!(error.kind, TapeErrorKind::Io(_)) => return Err(error),
            Err(error) => {
                validator.unreadable(&error);
                break;
            }
        };
        let line = reader.line();
        event.for_each_payload(|payload| {
            if let Payload::Blob { digest, .. } = payload
                && loaded.insert(*digest)
                && let Err(error) = reader.load(*digest)
            {
                validator.unreadable(&error);
            }
        });
        validator.event(Some(line), &event);
    }
    Ok(validator.finish())
}

impl Tape {
    /// Reports everything that is wrong with the events. Lines are not known.
    #[must_use]
    pub fn validate(&self) -> Validation {
        let mut validator = Validator::new(self.header(), Rules::all());
        for event in self.events() {
            validator.event(None, event);
        }
        validator.finish()
    }
}
