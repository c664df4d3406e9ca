//! Where the journal of a tape is.

use std::path::{Path, PathBuf};

/// The journal beside a tape. That of another process has the process's number in its name.
#[must_use]
pub fn journal_of(tape: &Path, process: Option<u32>) -> PathBuf {
    tape.with_file_name(format!("{}.journal", stem(tape, process)))
}

/// The tape of another process beside the one that was asked for.
#[must_use]
pub fn tape_of(tape: &Path, process: u32) -> PathBuf {
    tape.with_file_name(format!("{}.tape.jsonl", stem(tape, Some(process))))
}

fn stem(tape: &Path, process: Option<u32>) -> String {
    let name = tape.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| "recording".to_owned());
    let stem = [".zst", ".jsonl", ".tape"]
        .iter()
        .fold(&name[..], |stem, suffix| stem.strip_suffix(suffix).unwrap_or(stem));
    process.map_or_else(|| stem.to_owned(), |process| format!("{stem}-{process}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_stands_beside_the_tape() {
        let named = |tape| journal_of(Path::new(tape), None);
        assert_eq!(named("a/smc.tape.jsonl"), Path::new("a/smc.journal"));
        assert_eq!(named("smc.tape.jsonl.zst"), Path::new("smc.journal"));
        assert_eq!(named("smc"), Path::new("smc.journal"));
    }

    #[test]
    fn another_process_has_files_of_its_own() {
        let tape = Path::new("a/smc.tape.jsonl");
        assert_eq!(journal_of(tape, Some(7)), Path::new("a/smc-7.journal"));
        assert_eq!(tape_of(tape, 7), Path::new("a/smc-7.tape.jsonl"));
    }
}
