//! Where cut tapes go.

use crate::program::stem;
use crate::seal::SealError;
use std::io;
use std::path::{Path, PathBuf};

/// Numbers that are tried at most, of which others may be taken by earlier recordings.
const NUMBERS_MAX: u32 = 100_000;

/// The tapes of one recording: `NAME-cut-1.tape.jsonl` and so on, beside its own.
#[derive(Debug)]
pub(super) struct Tapes {
    tape: PathBuf,
    number: u32,
    made: Vec<PathBuf>,
}

/// The tape with a number beside the one of the whole recording.
fn numbered(tape: &Path, number: u32) -> PathBuf {
    tape.with_file_name(format!("{}-cut-{number}.tape.jsonl", stem(tape)))
}

impl Tapes {
    pub(super) fn new(tape: &Path) -> Self {
        Self { tape: tape.to_owned(), number: 0, made: Vec::new() }
    }

    pub(super) fn made(&self) -> &[PathBuf] {
        &self.made
    }

    /// Makes the next one by `cut`, under the first number that nothing has. What is there already stays,
    /// also what somebody else puts there at the same time.
    pub(super) fn make(
        &mut self,
        cut: impl FnOnce(&Path) -> Result<(), SealError>,
    ) -> Result<(), SealError> {
        let failed = |source| SealError::Io { action: "cut tape", path: self.tape.clone(), source };
        let folder = self.tape.parent().filter(|folder| !folder.as_os_str().is_empty());
        let made = tempfile::Builder::new()
            .prefix(".dextape-")
            .suffix(".tape.jsonl")
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(failed)?;
        let mut made = made.into_temp_path();
        cut(&made)?;
        while self.number < NUMBERS_MAX {
            self.number += 1;
            let path = numbered(&self.tape, self.number);
            match made.persist_noclobber(&path) {
                Ok(()) => {
                    self.made.push(path);
                    return Ok(());
                }
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                    made = error.path;
                }
                Err(error) => return Err(failed(error.error)),
            }
        }
        Err(failed(io::Error::other("there are too many tapes of earlier recordings; remove some")))
    }
}

/// The tapes that were cut of a recording which became, or is to become, `tape`: in the order of their
/// numbers, with those of earlier recordings of that name.
///
/// # Errors
///
/// Where the folder cannot be read.
pub fn cut_tapes(tape: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = tape.parent().filter(|folder| !folder.as_os_str().is_empty());
    let begins = format!("{}-cut-", stem(tape));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&begins));
        let number = number.and_then(|name| name.strip_suffix(".tape.jsonl"));
        if let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) {
            found.push((number, tape.with_file_name(&name)));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, tape)| tape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path) -> Result<(), SealError> {
        std::fs::write(path, "cut").map_err(|source| SealError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        })
    }

    #[test]
    fn what_is_there_stays_and_numbers_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let tape = folder.path().join("a.tape.jsonl");
        let named = |number| folder.path().join(format!("a-cut-{number}.tape.jsonl"));
        std::fs::write(named(1), "old").unwrap();
        let mut tapes = Tapes::new(&tape);
        tapes.make(write).unwrap();
        tapes.make(write).unwrap();
        assert_eq!(tapes.made(), [named(2), named(3)]);
        assert_eq!(std::fs::read_to_string(named(1)).unwrap(), "old");
        assert_eq!(cut_tapes(&tape).unwrap(), [named(1), named(2), named(3)]);
        // And nothing else is left in the folder.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_cannot_be_cut_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut tapes = Tapes::new(&folder.path().join("a.tape.jsonl"));
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let cut = |path: &Path| {
            Err(SealError::Io { action: "write", path: path.to_owned(), source: full() })
        };
        assert!(tapes.make(cut).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(tapes.made().is_empty());
        let mut lost = Tapes::new(&folder.path().join("no/a.tape.jsonl"));
        assert!(lost.make(write).is_err());
    }
}
