//! Where the journal of a tape is.

use std::path::{Path, PathBuf};

/// The journal beside a tape.
///
/// ```
/// use dextape_recorder::program::journal_of;
/// use std::path::Path;
///
/// assert_eq!(journal_of(Path::new("tapes/smc.tape.jsonl")), Path::new("tapes/smc.journal"));
/// ```
#[must_use]
pub fn journal_of(tape: &Path) -> PathBuf {
    tape.with_file_name(format!("{}.journal", stem(tape)))
}

/// The tape of the `place`-th program, from 0 on, that process `process` has become, beside the one that
/// was asked for.
pub(super) fn tape_of(tape: &Path, process: u32, place: usize) -> PathBuf {
    let stem = stem(tape);
    tape.with_file_name(match place {
        0 => format!("{stem}-{process}.tape.jsonl"),
        _ => format!("{stem}-{process}-{place}.tape.jsonl"),
    })
}

/// The tape of a journal beside that tape which is the same one's or another process's; `None` for
/// another file.
pub(super) fn tape_of_journal(tape: &Path, journal: &Path) -> Option<PathBuf> {
    if journal == journal_of(tape) {
        return Some(tape.to_owned());
    }
    let name = journal.file_name()?.to_str()?.strip_suffix(".journal")?;
    is_others(tape, name).then(|| tape.with_file_name(format!("{name}.tape.jsonl")))
}

/// True for the stem of another process's files beside that tape.
fn is_others(tape: &Path, name: &str) -> bool {
    let numbers = name.strip_prefix(&stem(tape)).and_then(|rest| rest.strip_prefix('-'));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|numbers| numbers.split('-').all(is_number))
}

/// The folder of a tape.
pub(super) fn folder_of(tape: &Path) -> &Path {
    match tape.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The tapes of other processes beside that tape, sorted.
///
/// # Errors
///
/// Where the folder cannot be read.
pub fn tapes_of_others(tape: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder_of(tape))? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".tape.jsonl"));
        if stem.is_some_and(|stem| is_others(tape, stem)) {
            found.push(tape.with_file_name(&name));
        }
    }
    found.sort();
    Ok(found)
}

/// The name of a tape without what says that it is one.
pub(crate) fn stem(tape: &Path) -> String {
    let name = tape.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| "recording".to_owned());
    [".zst", ".jsonl", ".tape"]
        .iter()
        .fold(&name[..], |stem, suffix| stem.strip_suffix(suffix).unwrap_or(stem))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_stands_beside_the_tape() {
        let named = |tape| journal_of(Path::new(tape));
        assert_eq!(named("a/smc.tape.jsonl"), Path::new("a/smc.journal"));
        assert_eq!(named("smc.tape.jsonl.zst"), Path::new("smc.journal"));
        assert_eq!(named("smc"), Path::new("smc.journal"));
    }

    #[test]
    fn another_process_has_files_of_its_own() {
        let tape = Path::new("a/smc.tape.jsonl");
        for (place, name) in [(0, "a/smc-7.tape.jsonl"), (1, "a/smc-7-1.tape.jsonl")] {
            let own = tape_of(tape, 7, place);
            assert_eq!(own, Path::new(name));
            assert_eq!(tape_of_journal(tape, &journal_of(&own)), Some(own));
        }
        assert_eq!(tape_of_journal(tape, &journal_of(tape)).as_deref(), Some(tape));
        for other in
            ["a/smc-seven.journal", "a/smc-.journal", "a/smc-7", "a/sm.journal", "b/smc.journal"]
        {
            assert_eq!(tape_of_journal(tape, Path::new(other)), None, "{other}");
        }
    }
}
