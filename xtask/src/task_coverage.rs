//! `coverage`: what a test run exercised, and what nobody did.

use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::place::{fixtures, shown};
use crate::table::Table;
use crate::task_tapes::used;
use crate::task_verify::collect;
use clap::Args;
use dextape::boundary::Rule;
use dextape::coverage::Note;
use dextape::tape::Tape;
use dextape_lab::{Fact, facts_of};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// Longest notes of one process that are read, in bytes.
const NOTES_MAX: u64 = 64 << 20;

/// Longest line of them, in bytes.
const LINE_MAX: u64 = 64 << 10;

/// What was exercised, and what is known.
#[derive(Debug, Args)]
pub(crate) struct Coverage {
    /// The tapes of a run, recorded or played, or their folders; and folders in which the processes of a
    /// test run noted what their mock systems exercised, which ran with `DEXTAPE_COVERAGE` set to it.
    places: Vec<PathBuf>,
    /// Folder in which a whole test run noted the tapes that it asked for: it ran with
    /// `DEXTAPE_TAPES_USED` set to it.
    #[arg(long, value_name = "FOLDER")]
    used: Option<PathBuf>,
    /// Tapes, or folders with tapes, that tell what there is to be exercised; the folder `fixtures` where
    /// none is given.
    #[arg(long, value_name = "TAPES")]
    known: Vec<PathBuf>,
}

/// What there is of one kind.
#[derive(Default)]
struct Share {
    exercised: Vec<String>,
    missing: Vec<String>,
}

/// What was put together.
#[derive(Default)]
struct Found {
    tapes: Vec<PathBuf>,
    exercised: BTreeSet<Fact>,
    known: BTreeSet<Fact>,
    /// Processes that noted something.
    processes: usize,
}

/// Tells what was exercised.
pub(crate) fn run(asked: &Coverage, out: &mut Output) -> Result<(), Failure> {
    let mut found = Found::default();
    for place in &asked.places {
        collect(place, &mut found.tapes)?;
        if place.is_dir() {
            notes(place, &mut found)?;
        }
    }
    if let Some(folder) = &asked.used {
        found.tapes.extend(used(folder)?);
    }
    if found.tapes.is_empty() && found.processes == 0 {
        return Err(Failure::environment(
            "find what was exercised: name tapes, a folder that a test run had as DEXTAPE_COVERAGE, or \
             with --used one that it had as DEXTAPE_TAPES_USED",
        ));
    }
    let mut exercised = facts(&found.tapes)?;
    exercised.append(&mut found.exercised);
    let places = if asked.known.is_empty() { vec![fixtures()] } else { asked.known.clone() };
    let mut tapes = Vec::new();
    for place in places.iter().filter(|place| !asked.known.is_empty() || place.is_dir()) {
        collect(place, &mut tapes)?;
    }
    let mut known = facts(&tapes)?;
    known.append(&mut found.known);
    known.extend(Rule::ALL.iter().copied().map(Fact::Rule));
    let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
    for fact in known.union(&exercised) {
        let share = shares.entry(kind(fact)).or_default();
        if exercised.contains(fact) {
            share.exercised.push(fact.to_string());
        } else {
            share.missing.push(fact.to_string());
        }
    }
    if out.format() == Format::Json {
        for (kind, share) in &shares {
            let (exercised, missing) = (&share.exercised, &share.missing);
            let count = exercised.len();
            out.line(json!({
                "kind": kind, "exercised": count, "list": exercised, "never": missing,
            }))?;
        }
        return Ok(());
    }
    let mut table = Table::new(&["kind", "exercised", "known", "share"]);
    for (kind, share) in &shares {
        let exercised = share.exercised.len();
        let all = exercised + share.missing.len();
        table.row([
            (*kind).to_owned(),
            exercised.to_string(),
            all.to_string(),
            format!("{:.0} %", exercised as f64 * 100.0 / all.max(1) as f64),
        ]);
    }
    out.line(table)?;
    if let Some(rules) = shares.get(RULES).filter(|rules| !rules.exercised.is_empty()) {
        out.line(format!("{RULES} exercised: {}", rules.exercised.join(", ")))?;
    }
    for (kind, share) in shares.iter().filter(|(_, share)| !share.missing.is_empty()) {
        out.line(format!("{kind} never exercised: {}", share.missing.join(", ")))?;
    }
    Ok(())
}

/// What rules of the boundary are called.
const RULES: &str = "rules";

/// Reads what the processes of a test run noted, in a folder and those in it.
fn notes(folder: &Path, found: &mut Found) -> Result<(), Failure> {
    let mut entries = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(Failure::environment)? {
        entries.push(entry.map_err(Failure::environment)?);
    }
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let path = entry.path();
        // Links are left alone: they can lead round in a circle.
        if entry.file_type().map_err(Failure::environment)?.is_dir() {
            notes(&path, found)?;
        } else if entry.file_name().to_string_lossy().ends_with(".coverage.jsonl") {
            notes_of_process(&path, found)?;
            found.processes += 1;
        }
    }
    Ok(())
}

fn notes_of_process(path: &Path, found: &mut Found) -> Result<(), Failure> {
    let length = fs_err::metadata(path).map_err(Failure::environment)?.len();
    if length > NOTES_MAX {
        return Err(Failure::environment(format!(
            "read {}: expected at most {NOTES_MAX} bytes, found {length}",
            shown(path)
        )));
    }
    let mut reader = BufReader::new(fs_err::File::open(path).map_err(Failure::environment)?);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let mut limited = std::io::Read::take(&mut reader, LINE_MAX);
        limited.read_until(b'\n', &mut line).map_err(Failure::environment)?;
        // A process that was killed may have left half a line.
        if line.last() != Some(&b'\n') && (line.len() as u64) < LINE_MAX {
            break;
        }
        match serde_json::from_slice(&line) {
            Ok(Note::Exercised(fact)) => found.exercised.insert(fact),
            Ok(Note::Known(fact)) => found.known.insert(fact),
            Ok(_) => false,
            Err(error) => {
                return Err(Failure::Invalid(format!(
                    "read {}, line {number}: expected what a process has noted: {error}; remove the \
                     file and run the tests again",
                    shown(path)
                )));
            }
        };
    }
    Ok(())
}

fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Selector { .. } => "selectors",
        Fact::Memory { .. } => "memory types",
        Fact::Result { .. } => "results",
        Fact::Rule(_) => RULES,
        _ => "completions",
    }
}

/// What tapes hold.
fn facts(tapes: &[PathBuf]) -> Result<BTreeSet<Fact>, Failure> {
    let mut facts = BTreeSet::new();
    for path in tapes {
        let tape = Tape::read(path).map_err(|error| Failure::tape(&error))?;
        facts.extend(facts_of(tape.header(), tape.events()));
    }
    Ok(facts)
}
