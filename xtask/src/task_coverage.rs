//! `coverage`: what a test run exercised, and what nobody did.

use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::place::fixtures;
use crate::table::Table;
use crate::task_tapes::used;
use crate::task_verify::collect;
use clap::Args;
use dextape::tape::Tape;
use dextape_lab::{Fact, facts_of};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What was exercised, and what is known.
#[derive(Debug, Args)]
pub(crate) struct Coverage {
    /// The tapes of a run, recorded or played, or their folders.
    tapes: Vec<PathBuf>,
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
    exercised: usize,
    missing: BTreeSet<String>,
}

/// Tells what was exercised.
pub(crate) fn run(asked: &Coverage, out: &mut Output) -> Result<(), Failure> {
    let mut run = Vec::new();
    asked.tapes.iter().try_for_each(|place| collect(place, &mut run))?;
    if let Some(folder) = &asked.used {
        run.extend(used(folder)?);
    }
    if run.is_empty() {
        return Err(Failure::environment(
            "find what was exercised: name tapes, or with --used what a test run noted",
        ));
    }
    let exercised = facts(&run)?;
    let places = if asked.known.is_empty() { vec![fixtures()] } else { asked.known.clone() };
    let mut tapes = Vec::new();
    for place in places.iter().filter(|place| !asked.known.is_empty() || place.is_dir()) {
        collect(place, &mut tapes)?;
    }
    let known = facts(&tapes)?;
    let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
    for fact in known.union(&exercised) {
        let share = shares.entry(kind(fact)).or_default();
        if exercised.contains(fact) {
            share.exercised += 1;
        } else {
            share.missing.insert(fact.to_string());
        }
    }
    if out.format() == Format::Json {
        for (kind, share) in &shares {
            let (exercised, missing) = (share.exercised, &share.missing);
            out.line(json!({ "kind": kind, "exercised": exercised, "never": missing }))?;
        }
        return Ok(());
    }
    let mut table = Table::new(&["kind", "exercised", "known", "share"]);
    for (kind, share) in &shares {
        let all = share.exercised + share.missing.len();
        table.row([
            (*kind).to_owned(),
            share.exercised.to_string(),
            all.to_string(),
            format!("{:.0} %", share.exercised as f64 * 100.0 / all.max(1) as f64),
        ]);
    }
    out.line(table)?;
    for (kind, share) in shares.iter().filter(|(_, share)| !share.missing.is_empty()) {
        let missing: Vec<_> = share.missing.iter().map(String::as_str).collect();
        out.line(format!("{kind} never exercised: {}", missing.join(", ")))?;
    }
    Ok(())
}

fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Selector { .. } => "selectors",
        Fact::Memory { .. } => "memory types",
        Fact::Result { .. } => "results",
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
