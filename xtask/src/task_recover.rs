//! `recover`: makes a whole tape of a journal that was left behind, or of a tape that is cut off.

use crate::exit::Failure;
use crate::output::Output;
use crate::place::shown;
use clap::Args;
use dextape::tape::recover;
use dextape_recorder::seal::{SealOptions, seal};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a file compressed with zstd begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What is recovered.
#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// The journal, or the tape.
    file: PathBuf,
    /// Where the tape goes: beside a journal, or in the place of a tape, by default.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Recovers what is whole. A journal stays as it is; a whole tape is left alone.
pub(crate) fn run(asked: &Recover, out: &mut Output) -> Result<(), Failure> {
    if looks_like_a_tape(&asked.file).map_err(Failure::environment)? {
        let tape = asked.out.as_ref().unwrap_or(&asked.file);
        from_tape(&asked.file, tape, out)
    } else {
        let tape = asked.out.clone().unwrap_or_else(|| asked.file.with_extension("tape.jsonl"));
        from_journal(&asked.file, &tape, out)
    }
}

/// True where the file begins as a tape does, compressed or not. A journal whose first bytes are
/// damaged is still one.
fn looks_like_a_tape(file: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    fs_err::File::open(file)?.take(4).read_to_end(&mut start)?;
    Ok(start.starts_with(b"{") || start == ZSTD)
}

fn from_journal(journal: &Path, tape: &Path, out: &mut Output) -> Result<(), Failure> {
    let report = seal(journal, tape, SealOptions::default()).map_err(Failure::invalid)?;
    let (journal, tape) = (shown(journal), shown(tape));
    out.result(
        || {
            format!(
                "sealed {journal}: {} events, {} in flight, {} gaps\n{tape}",
                report.events, report.in_flight, report.gaps
            )
        },
        || {
            json!({
                "journal": journal,
                "tape": tape,
                "events": report.events,
                "in_flight": report.in_flight,
                "gaps": report.gaps,
                "holes": report.holes,
            })
        },
    )
}

fn from_tape(from: &Path, to: &Path, out: &mut Output) -> Result<(), Failure> {
    let recovery = recover(from, to).map_err(|error| Failure::tape(&error))?;
    let (from, to) = (shown(from), shown(to));
    let trouble = recovery.trouble.as_ref().map(ToString::to_string);
    out.result(
        || match &trouble {
            None => format!("{from} is whole: {} events, nothing written", recovery.events),
            Some(trouble) => {
                format!("kept {} events; after them: {trouble}\n{to}", recovery.events)
            }
        },
        || json!({ "tape": to, "events": recovery.events, "trouble": trouble }),
    )
}
