//! `tapes`: which tapes of a test suite nobody asks for any more, and which have expired.

use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::place::shown;
use crate::table::Table;
use crate::task_verify::collect;
use clap::Args;
use dextape::tape::TapeReader;
use dextape_recorder::suite::{Date, expiry};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Longest list of one process that is read, in bytes.
const LIST_MAX: u64 = 16 << 20;

/// Which tapes, and who asked for them.
#[derive(Debug, Args)]
pub(crate) struct Tapes {
    /// The tapes of the suite, or their folders.
    #[arg(required = true)]
    tapes: Vec<PathBuf>,
    /// Folder in which a whole test run noted what it asked for: it ran with `DEXTAPE_TAPES_USED` set to it.
    #[arg(long, value_name = "FOLDER")]
    used: Option<PathBuf>,
    /// Exit with code 1 where a tape is an orphan or has expired.
    #[arg(long)]
    strict: bool,
}

/// Tells of orphans and of tapes that have expired.
pub(crate) fn run(asked: &Tapes, out: &mut Output) -> Result<(), Failure> {
    let mut tapes = Vec::new();
    for place in &asked.tapes {
        collect(place, &mut tapes)?;
    }
    let used = asked.used.as_deref().map(used).transpose()?;
    let today = Date::today();
    let mut table = Table::new(&["tape", "expires<", "trouble<"]);
    let mut trouble = 0;
    for path in &tapes {
        let reader = TapeReader::open(path).map_err(|error| Failure::tape(&error))?;
        let last =
            expiry(reader.header()).map_err(|error| Failure::invalid(error).about(&shown(path)))?;
        let is_orphan = used.as_ref().is_some_and(|used| !used.contains(&whole(path)));
        let has_expired = last.is_some_and(|last| today > last);
        let told = match (is_orphan, has_expired) {
            (false, false) => "",
            (true, false) => "no test asked for it",
            (false, true) => "has expired",
            (true, true) => "no test asked for it, and it has expired",
        };
        trouble += usize::from(is_orphan || has_expired);
        let last = last.map_or_else(|| "-".to_owned(), |last| last.to_string());
        match out.format() {
            Format::Text => table.row([shown(path), last, told.to_owned()]),
            Format::Json => out.line(json!({
                "tape": shown(path),
                "expires": last,
                "expired": has_expired,
                "orphan": is_orphan,
            }))?,
        }
        if !told.is_empty() {
            eprintln!("warning: {}: {told}", shown(path));
        }
    }
    if out.format() == Format::Text {
        out.line(table)?;
    }
    match trouble {
        0 => Ok(()),
        _ if !asked.strict => Ok(()),
        _ => Err(Failure::Invalid(format!("keep {} tapes: {trouble} have trouble", tapes.len()))),
    }
}

/// The path that a test would name, however it does.
fn whole(path: &Path) -> PathBuf {
    fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The tapes that were asked for.
pub(crate) fn used(folder: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    let mut used = BTreeSet::new();
    for entry in fs_err::read_dir(folder).map_err(Failure::environment)? {
        let path = entry.map_err(Failure::environment)?.path();
        if path.extension().is_none_or(|ending| ending != "tapes") {
            continue;
        }
        let length = fs_err::metadata(&path).map_err(Failure::environment)?.len();
        if length > LIST_MAX {
            return Err(Failure::environment(format!(
                "read {}: expected at most {LIST_MAX} bytes, found {length}",
                shown(&path)
            )));
        }
        let text = fs_err::read_to_string(&path).map_err(Failure::environment)?;
        used.extend(text.lines().map(|line| whole(Path::new(line))));
    }
    Ok(used)
}
