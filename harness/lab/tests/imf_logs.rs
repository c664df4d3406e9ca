//! Every log of two real programs becomes a tape that validates and replays. Ignored by name where the
//! data is not there.

use dextape::replay::{ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Tape};
use dextape_lab::{DriveOptions, drive, import_imf};
use libtest_mimic::{Arguments, Failed, Trial};
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

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/imf-logs");
    let absent = !folder.is_dir();
    let trials = LOGS.map(|(name, calls, methods, without)| {
        let path = folder.join(format!("{name}.log"));
        Trial::test(format!("imf_log::{name}"), move || imported(&path, calls, methods, without))
            .with_ignored_flag(absent)
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
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
