//! `verify`: reads, validates and replays tapes.

use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::place::{fixtures, shown};
use crate::play::{play, scenario_of};
use crate::table::Table;
use crate::{Registry, progress};
use clap::Args;
use dextape::replay::ReplayOptions;
use dextape::tape::{Tape, validate};
use dextape_lab::{Failure as Wanted, is_marked};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is verified.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Tapes, and folders with tapes; the folder `fixtures` where none is given.
    tapes: Vec<PathBuf>,
}

/// What is known of a tape that is in order.
struct Verified {
    events: u64,
    /// Operations that were replayed; `None` where the tape has no client here.
    operations: Option<u64>,
}

/// Verifies tapes, all of them even where one is broken.
pub(crate) fn run(registry: &Registry, asked: &Verify, out: &mut Output) -> Result<(), Failure> {
    let places = if asked.tapes.is_empty() { vec![fixtures()] } else { asked.tapes.clone() };
    let mut tapes = Vec::new();
    for place in &places {
        collect(place, &mut tapes)?;
    }
    if tapes.is_empty() {
        let places: Vec<_> = places.iter().map(|place| shown(place)).collect();
        let places = places.join(", ");
        return Err(Failure::environment(format!(
            "find a tape in {places}: expected files named *.tape.jsonl or *.tape.jsonl.zst"
        )));
    }
    let bar = progress::bar("verify", tapes.len() as u64);
    let mut table = Table::new(&["tape", "events", "operations", "verdict<"]);
    let mut broken = 0;
    for path in &tapes {
        let outcome = verify(registry, path);
        let shown = shown(path);
        let verdict = match &outcome {
            Ok(Verified { operations: Some(_), .. }) => "valid, replayed",
            Ok(Verified { operations: None, .. }) => "valid, no client here",
            Err(_) => "INVALID",
        };
        let (events, operations) = match &outcome {
            Ok(verified) => (Some(verified.events), verified.operations),
            Err(_) => (None, None),
        };
        match out.format() {
            Format::Text => {
                let number = |number: Option<u64>| number.map_or("-".to_owned(), |n| n.to_string());
                table.row([shown, number(events), number(operations), verdict.to_owned()]);
            }
            Format::Json => out.line(json!({
                "tape": shown,
                "valid": outcome.is_ok(),
                "events": events,
                "operations": operations,
                "trouble": outcome.as_ref().err().map(Failure::text),
            }))?,
        }
        if let Err(failure) = outcome {
            broken += 1;
            bar.suspend(|| eprintln!("error: failed to {}", failure.text()));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if out.format() == Format::Text {
        out.line(table)?;
    }
    match broken {
        0 => Ok(()),
        _ => Err(Failure::Invalid(format!("verify {broken} of {} tapes", tapes.len()))),
    }
}

fn verify(registry: &Registry, path: &Path) -> Result<Verified, Failure> {
    // A tape that cannot be read whole still says all that is wrong with it.
    let validation = validate(path).map_err(|error| Failure::tape(&error))?;
    if !validation.is_valid() {
        return Err(Failure::Invalid(format!("validate {}: {validation}", shown(path))));
    }
    let tape = Arc::new(Tape::read(path).map_err(|error| Failure::tape(&error))?);
    let events = tape.events().len() as u64;
    // Most of what its client asks is no longer on it.
    let is_kept = Wanted::of_header(tape.header()).map_err(Failure::Invalid)?.is_some();
    if is_kept || is_marked(tape.header()) {
        return Ok(Verified { events, operations: None });
    }
    let Some(recorded) = &tape.header().scenario else {
        return Ok(Verified { events, operations: None });
    };
    if registry.scenarios.find(&recorded.name).is_err() {
        return Ok(Verified { events, operations: None });
    }
    let (scenario, parameters) = scenario_of(&registry.scenarios, &tape)?;
    let played = play(scenario, &parameters, &tape, ReplayOptions::default())
        .map_err(|failure| failure.about(&format!("replay {}", shown(path))))?;
    Ok(Verified { events, operations: Some(played.report.operations) })
}

/// Adds the tapes of a folder and of the folders in it, sorted; a file that was named is a tape
/// whatever its name.
pub(crate) fn collect(place: &Path, tapes: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !fs_err::metadata(place).map_err(Failure::environment)?.is_dir() {
        tapes.push(place.to_owned());
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in fs_err::read_dir(place).map_err(Failure::environment)? {
        entries.push(entry.map_err(Failure::environment)?);
    }
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let kind = entry.file_type().map_err(Failure::environment)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Links are left alone: they can lead round in a circle.
        if kind.is_dir() {
            collect(&entry.path(), tapes)?;
        } else if name.ends_with(".tape.jsonl") || name.ends_with(".tape.jsonl.zst") {
            tapes.push(entry.path());
        }
    }
    Ok(())
}
