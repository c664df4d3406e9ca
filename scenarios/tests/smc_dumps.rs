//! The real dumps, one trial each: the client's key lines are the dump's, live on the mock, while it is
//! recorded, and replayed from the tape.
//!
//! They lie beside the workspace in `../shared` and are no part of it. Where they are absent each trial
//! is ignored by its name, and counted.

mod tapes;

use dextape_scenarios::smc::{Dump, SCENARIO};
use dextape_scenarios::{Parameters, Scenario, Time, run_on_mock};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const MODELS: [&str; 12] = [
    "MacBook10,1",
    "MacBookAir7,2",
    "MacBookAir8,1",
    "MacBookPro12,1",
    "MacBookPro14,1",
    "MacBookPro15,1",
    "MacBookPro16,1",
    "MacBookPro5,3",
    "MacPro6,1",
    "Macmini7,1",
    "iMac11,2",
    "iMac19,1",
];

/// What is known of some dumps beside their lines: `#KEY`, lines by index, lines by name, and reads
/// that failed as calls.
const KNOWN: [(&str, u32, usize, usize, usize); 4] = [
    ("MacBook10,1", 708, 706, 13, 0),
    ("MacBookAir8,1", 616, 612, 2, 2),
    ("MacBookPro12,1", 670, 669, 7, 0),
    ("MacBookPro16,1", 897, 891, 2, 12),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/smc-dumps");
    let absent = !folder.is_dir();
    let trials = MODELS.map(|model| {
        let path = folder.join(format!("{model}.txt"));
        Trial::test(format!("smc_dump::{model}"), move || dump_comes_out_equal(model, &path))
            .with_ignored_flag(absent)
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn dump_comes_out_equal(model: &str, path: &PathBuf) -> Result<(), Failed> {
    let text = fs_err::read_to_string(path)?;
    let mut parameters = Parameters::of(&SCENARIO);
    parameters.set("dump", path.display().to_string())?;
    SCENARIO.prepare(&mut parameters)?;
    let time = Time::Simulated { seed: 1 };
    let live = run_on_mock(&SCENARIO, &parameters, time, |system| system)?;
    let folder = tempfile::tempdir()?;
    let tape = folder.path().join("dump.tape.jsonl");
    let recorded = tapes::record(&SCENARIO, &parameters, time, &tape)?;
    if recorded.output != live.output {
        return Err("the output is another one while it is recorded".into());
    }
    // What the client is given now stands on the tape: the dump is not read again.
    if tapes::replay(&tape)? != live.output {
        return Err("the output is another one when it is replayed".into());
    }

    // Line by line first, so that a failure names the line.
    let (dumped, report) = live.output.split_once("\n\n").ok_or("the output has no report")?;
    for (number, (line, expected)) in (1..).zip(dumped.lines().zip(text.lines())) {
        if line != expected {
            return Err(format!("line {number}: {line:?} instead of {expected:?}").into());
        }
    }
    if dumped != text.trim_end() {
        return Err("the output has another number of lines".into());
    }

    let dump = Dump::parse(&text, model)?;
    let failed = dump.keys.iter().filter(|key| key.failure.is_some()).count();
    let figures = (dump.stated, dump.public, dump.hidden().len(), failed);
    if let Some((_, stated, public, hidden, failed)) =
        KNOWN.into_iter().find(|(known, ..)| *known == model)
        && figures != (stated, public, hidden, failed)
    {
        return Err(format!("{figures:?} of {model}").into());
    }
    let (stated, public, hidden, failed) = figures;
    let lines = public + hidden;
    let first =
        format!("#KEY says {stated}; {lines} lines, {public} by index and {hidden} by name.");
    if !report.starts_with(&first) {
        return Err(format!("the report begins otherwise than {first:?}: {report}").into());
    }
    if report.matches("Failed to read ").count() != failed {
        return Err(format!("{failed} reads fail as calls: {report}").into());
    }
    Ok(())
}
