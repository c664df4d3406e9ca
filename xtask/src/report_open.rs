//! `report open`: a bundle that may come from anybody, on one screen.

use crate::Registry;
use crate::execution::Execution;
use crate::exit::Failure;
use crate::output::Output;
use crate::place::{fixtures, recording, shown};
use crate::play::{play, scenario_of};
use crate::report_last::Last;
use crate::task_show::heading;
use crate::task_verify::collect;
use clap::Args;
use dextape::boundary::Rule;
use dextape::replay::ReplayOptions;
use dextape::tape::{Body, NoteSubject, Tape, TapeError, TapeReader, TranscriptOptions, validate};
use dextape_lab::{
    Bundle, BundleError, Manifest, NEAR, REPORT_EVENTS_MAX, Shown, ShownRules, TapeProfile,
};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Lines of transcript that are shown of a tape.
const LAST: usize = 12;

/// Failures that are shown of a tape.
const FAILURES: usize = 5;

/// Lines of the log that are shown.
const LOG_LINES: usize = 5;

/// Rules that are told with what they say; the others by number.
const RULES: usize = 6;

/// Triggers and gaps that are shown of a tape, the last ones.
const CUTS: usize = 3;

/// Scenarios' tapes that a tape is compared with, at most.
const COMPARED: usize = 1_000;

#[derive(Debug, Args)]
pub(crate) struct Open {
    /// The bundle.
    bundle: PathBuf,
    /// Where its tapes are unpacked to; a folder among what cargo builds by default.
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// Replay each tape to the client in Rust of its scenario.
    #[arg(long)]
    replay: bool,
    #[command(flatten)]
    execution: Execution,
}

/// What is found out about a tape in one pass.
struct Looked {
    all: Last,
    failed: Last,
    shown: ShownRules,
    profile: TapeProfile,
    /// What made the recorder cut the tape here, and what is missing.
    cuts: VecDeque<String>,
}

pub(crate) fn open(registry: &Registry, asked: &Open, out: &mut Output) -> Result<(), Failure> {
    let refused = |error: BundleError| {
        let failure = match &error {
            BundleError::Io(_) => Failure::environment(&error),
            _ => Failure::invalid(&error),
        };
        failure.about(&format!("open {}", shown(&asked.bundle)))
    };
    let file = fs_err::File::open(&asked.bundle).map_err(Failure::environment)?;
    let mut bundle = Bundle::read(file).map_err(refused)?;
    let tapes = unpack(asked, &mut bundle, refused)?;
    let known = scenarios()?;
    let mut screen = facts(bundle.manifest(), bundle.note(), bundle.log());
    let mut about = Vec::new();
    let mut is_valid = true;
    for (path, entry) in tapes.iter().zip(&bundle.manifest().tapes) {
        let (refused, path_shown) = (|error: TapeError| Failure::tape(&error), shown(path));
        let reader = TapeReader::open(path).map_err(refused)?;
        let validation = validate(path).map_err(refused)?;
        let counted = validation.events == entry.events && validation.events <= REPORT_EVENTS_MAX;
        let fine = validation.is_valid() && counted;
        is_valid &= fine;
        let called = entry.called.escape_debug();
        // Writing to a string cannot fail.
        let _ = writeln!(screen, "\n{path_shown} ({called}): {}", heading(reader.header()));
        for finding in validation.findings.iter().take(FAILURES) {
            let _ = writeln!(screen, "  broken: {finding}");
        }
        if !counted {
            let _ = writeln!(
                screen,
                "  broken: expected the {} events of the manifest, found {}",
                entry.events, validation.events
            );
        }
        let in_flight = validation.in_flight.len();
        let _ = writeln!(
            screen,
            "  {} events, {in_flight} in flight at the end; the last:",
            validation.events
        );
        let mut looked = look(reader).map_err(refused)?;
        looked.all.finish(&mut screen);
        let failures = looked.failed.count();
        let _ = writeln!(screen, "  {failures} failures; the last:");
        looked.failed.finish(&mut screen);
        for cut in &looked.cuts {
            let _ = writeln!(screen, "  {cut}");
        }
        rules(&looked.shown, &mut screen);
        let near = nearest(&looked.profile, &known);
        let _ = writeln!(screen, "  {}", told(near.as_ref()));
        if asked.replay && fine {
            let tape = Tape::read(path).map_err(refused)?;
            let (scenario, parameters) = scenario_of(&registry.scenarios, &tape)?;
            let played = play(scenario, &parameters, &Arc::new(tape), ReplayOptions::default());
            let told = played.map_or_else(|it| it.text().to_owned(), |it| it.report.to_string());
            let _ = writeln!(screen, "  replayed to the client of {}: {told}", scenario.name());
        } else if asked.replay {
            let _ = writeln!(screen, "  not replayed: it is broken");
        }
        about.push(json!({
            "tape": path_shown, "events": validation.events, "failures": failures,
            "cuts": looked.cuts, "rules": rules_of(&looked.shown),
            "nearest": near.filter(|(_, percent)| *percent >= NEAR).map(|(scenario, percent)| {
                json!({ "scenario": scenario, "percent": percent })
            }),
        }));
        let _ = writeln!(
            screen,
            "  next: cargo xtask minimize {path_shown} -o small.tape.jsonl --fails-with PROGRAM\n\
             \x20       cargo xtask adopt small.tape.jsonl --source CLIENT.c"
        );
    }
    let manifest = bundle.manifest();
    let paths: Vec<_> = tapes.iter().map(|path| shown(path)).collect();
    out.result(
        || screen.trim_end().to_owned(),
        || {
            json!({
                "environment": manifest.environment, "note": bundle.note(), "tapes": paths,
                "redactions": manifest.redactions, "valid": is_valid, "about": about,
            })
        },
    )?;
    if !is_valid {
        // A broken tape is shown, and nothing is done with it.
        return Err(Failure::Invalid(format!("validate the tapes of {}", shown(&asked.bundle))));
    }
    if asked.execution.is_asked() {
        for path in &tapes {
            crate::task_execute::replay(&asked.execution, path, false, out)?;
        }
    }
    Ok(())
}

/// Unpacks the tapes, under names of ours.
fn unpack(
    asked: &Open,
    bundle: &mut Bundle<fs_err::File>,
    refused: impl Fn(BundleError) -> Failure,
) -> Result<Vec<PathBuf>, Failure> {
    let folder = match &asked.into {
        Some(folder) => folder.clone(),
        None => {
            let stem = asked.bundle.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            recording("report").with_file_name(format!("{stem}-report"))
        }
    };
    fs_err::create_dir_all(&folder).map_err(Failure::environment)?;
    let mut tapes = Vec::new();
    for index in 0..bundle.manifest().tapes.len() {
        let path = folder.join(format!("{}.tape.jsonl", index + 1));
        let mut unpacked =
            tempfile::NamedTempFile::new_in(&folder).map_err(Failure::environment)?;
        bundle.unpack_tape(index, &mut unpacked).map_err(&refused)?;
        unpacked.persist(&path).map_err(Failure::environment)?;
        tapes.push(path);
    }
    Ok(tapes)
}

/// Goes through a tape once, in memory that does not grow with it.
fn look(reader: TapeReader) -> Result<Looked, TapeError> {
    let mut errors = TranscriptOptions::default();
    errors.errors_only = true;
    let mut looked = Looked {
        all: Last::new(LAST, TranscriptOptions::default()),
        failed: Last::new(FAILURES, errors),
        shown: ShownRules::new(reader.header()),
        profile: TapeProfile::new(reader.header()),
        cuts: VecDeque::new(),
    };
    for event in reader {
        let event = event?;
        looked.all.event(&event);
        looked.failed.event(&event);
        looked.shown.event(&event);
        looked.profile.event(&event);
        let at = event.sequence;
        let cut = match &event.body {
            Body::Note { subject: NoteSubject::Trigger, reason, .. } => {
                format!("triggered at event {at}: {}", line(reason))
            }
            Body::Gap { events, reason } => {
                let many = events.map_or_else(|| "some".to_owned(), |count| count.to_string());
                format!("{many} events missing at event {at}: {}", line(reason))
            }
            _ => continue,
        };
        if looked.cuts.len() == CUTS {
            looked.cuts.pop_front();
        }
        looked.cuts.push_back(cut);
    }
    Ok(looked)
}

/// A text of a tape, of a bearable length and with nothing in it that a terminal would obey.
fn line(text: &str) -> String {
    text.chars().take(120).collect::<String>().replace(char::is_control, "?")
}

/// The rules that a tape shows: the first few in words.
fn rules(shown: &ShownRules, screen: &mut String) {
    let (alone, several): (Vec<Shown>, Vec<Shown>) =
        shown.iter().partition(|shown| shown.rules.len() == 1);
    if alone.is_empty() && several.is_empty() {
        let _ = writeln!(screen, "  it shows no rule of the boundary at work");
        return;
    }
    let _ = writeln!(screen, "  rules of the boundary that it shows:");
    for shown in alone.iter().take(RULES) {
        let says = shown.rules.iter().next().map_or("", Rule::says);
        let _ = writeln!(screen, "    {}, {}: {says}", shown.rules, place(shown));
    }
    if let Some(rest) = alone.get(RULES..).filter(|rest| !rest.is_empty()) {
        let rest: Vec<String> = rest.iter().map(|shown| shown.rules.to_string()).collect();
        let _ = writeln!(screen, "    and {}", rest.join(", "));
    }
    for shown in several.iter().take(RULES) {
        let _ = writeln!(screen, "    one of {}, {}", shown.rules, place(shown));
    }
    if several.len() > RULES {
        let _ = writeln!(screen, "    and one of some in {} other ways", several.len() - RULES);
    }
}

fn place(shown: &Shown) -> String {
    match shown.times {
        1 => format!("event {}", shown.first),
        times => format!("{times} times from event {} on", shown.first),
    }
}

fn rules_of(shown: &ShownRules) -> Vec<Value> {
    let rules = |shown: Shown| {
        let of: Vec<&str> = shown.rules.iter().map(Rule::number).collect();
        json!({ "one_of": of, "event": shown.first, "times": shown.times })
    };
    shown.iter().map(rules).collect()
}

/// What the tapes of each scenario here do.
fn scenarios() -> Result<Vec<(String, TapeProfile)>, Failure> {
    let folder = fixtures();
    let mut scenarios = Vec::new();
    let Ok(entries) = fs_err::read_dir(&folder) else { return Ok(scenarios) };
    for entry in entries {
        let path = entry.map_err(Failure::environment)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != REGRESSIONS {
            scenarios.push((name, profile(&path)?));
        }
    }
    scenarios.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(scenarios)
}

/// Tapes of reports that were adopted: of whichever scenario.
const REGRESSIONS: &str = "regressions";

/// What the tapes of a folder do; one that cannot be read does nothing.
fn profile(folder: &Path) -> Result<TapeProfile, Failure> {
    let mut tapes = Vec::new();
    collect(folder, &mut tapes)?;
    let mut profile = TapeProfile::default();
    for path in tapes.iter().take(COMPARED) {
        let Ok(reader) = TapeReader::open(path) else { continue };
        let mut one = TapeProfile::new(reader.header());
        reader.map_while(Result::ok).for_each(|event| one.event(&event));
        profile.join(one);
    }
    Ok(profile)
}

/// The scenario that a tape is most alike to, and by how many percent.
fn nearest(profile: &TapeProfile, scenarios: &[(String, TapeProfile)]) -> Option<(String, u8)> {
    let alike = |(name, of): &(String, TapeProfile)| Some((name.clone(), profile.percent_in(of)?));
    // The first of equals.
    scenarios.iter().filter_map(alike).rev().max_by_key(|(_, percent)| *percent)
}

fn told(nearest: Option<&(String, u8)>) -> String {
    match nearest {
        Some((name, percent)) if *percent >= NEAR => {
            format!("nearest scenario: {name}, of which it is {percent} %")
        }
        Some((name, percent)) if *percent > 0 => {
            format!("no scenario is near: of {name}, the nearest, it is {percent} %")
        }
        _ => "no scenario is near".to_owned(),
    }
}

/// What the bundle says, with nothing in it that a terminal would obey.
fn facts(manifest: &Manifest, note: &str, log: &str) -> String {
    let mut screen = format!("packed by {}\n", manifest.packed_by.escape_debug());
    for (name, value) in &manifest.environment {
        let _ = writeln!(screen, "{}: {}", name.escape_debug(), value.escape_debug());
    }
    for line in note.lines().take(LAST) {
        let _ = writeln!(screen, "note: {}", line.escape_debug());
    }
    for redaction in &manifest.redactions {
        let _ = writeln!(screen, "redacted: {}", redaction.escape_debug());
    }
    let lines: Vec<&str> = log.lines().collect();
    for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
        let _ = writeln!(screen, "log: {}", line.escape_debug());
    }
    screen
}
