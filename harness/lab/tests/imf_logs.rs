//! Every log of two real programs becomes a tape that validates and replays, and a tape learned from two
//! runs of a program serves the third. Ignored by name where the
//! data is not there.

use dextape::replay::{ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Tape};
use dextape_lab::{DriveOptions, drive, import_imf, learn, trial};
use libtest_mimic::{Arguments, Failed, Trial as Case};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Logs, with their calls, their external method calls and their calls without an event, counted by
/// hand with `grep`.
const LOGS: [(&str, u64, usize, u64); 6] = [
    ("sample1-run1", 294, 235, 33),
    ("sample1-run2", 294, 235, 33),
    ("sample1-run3", 294, 235, 33),
    ("sample2-run1", 998, 857, 59),
    ("sample2-run2", 998, 857, 59),
    ("sample2-run3", 977, 840, 57),
];

/// Programs and runs: how many of the calls of the run have a counterpart in the other two. Counted by a
/// script of its own from the logs.
const LEARNED: [(u32, u32, u64); 6] =
    [(1, 1, 235), (1, 2, 235), (1, 3, 235), (2, 1, 857), (2, 2, 857), (2, 3, 836)];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/imf-logs");
    let absent = !folder.is_dir();
    let trials = LOGS.map(|(name, calls, methods, without)| {
        let path = folder.join(format!("{name}.log"));
        Case::test(format!("imf_log::{name}"), move || imported(&path, calls, methods, without))
            .with_ignored_flag(absent)
    });
    let learned = LEARNED.map(|(program, run, counterparts)| {
        let folder = folder.clone();
        let name = format!("learned::sample{program}-run{run}");
        Case::test(name, move || served_by_others(&folder, program, run, counterparts))
            .with_ignored_flag(absent)
    });
    let trials = trials.into_iter().chain(learned).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn imported(log: &Path, calls: u64, methods: usize, without: u64) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("log.tape.jsonl");
    let report = import_imf(log, &path)?;
    if (report.calls, report.without_event.values().sum()) != (calls, without) {
        return Err(format!("another number of calls: {report}").into());
    }
    let tape = Arc::new(Tape::read(&path)?);
    let validation = tape.validate();
    if validation.found > 0 {
        return Err(format!("invalid: {validation}").into());
    }
    let is_method = |body: &Body| matches!(body, Body::Call(_));
    let found = tape.events().iter().filter(|event| is_method(&event.body)).count();
    if found != methods {
        return Err(format!("{found} calls of methods instead of {methods}").into());
    }
    // The tape plays its own client against itself.
    let replayer = Replayer::new(Arc::clone(&tape), ReplayOptions::default())?;
    let driven = drive(&tape, &replayer.system(&Schedule::free()), DriveOptions::default())?;
    let replayed = replayer.finish().map_err(|divergence| divergence.to_string())?;
    if !driven.is_same() || !replayed.is_complete() {
        return Err(format!("{driven}; {replayed}").into());
    }
    Ok(())
}

/// Learns from the other runs of a program and serves this one.
fn served_by_others(
    folder: &Path,
    program: u32,
    run: u32,
    counterparts: u64,
) -> Result<(), Failed> {
    let tapes = tempfile::tempdir()?;
    let mut others = Vec::new();
    let mut own = None;
    for number in 1..=3 {
        let path = tapes.path().join(format!("{number}.tape.jsonl"));
        import_imf(&folder.join(format!("sample{program}-run{number}.log")), &path)?;
        let tape = Tape::read(&path)?;
        if number == run { own = Some(tape) } else { others.push(tape) }
    }
    let own = own.ok_or("the run is one of three")?;
    let others: Vec<&Tape> = others.iter().collect();
    let learned = learn(&others)?.tape;
    let validation = learned.validate();
    if validation.found > 0 {
        return Err(format!("invalid: {validation}").into());
    }
    let told = trial(&Arc::new(learned), &others, &own)?;
    let fits = told.counterparts == counterparts
        && told.meets_the_aim()
        && told.others_served == told.others;
    if fits { Ok(()) } else { Err(format!("{told:?}").into()) }
}
