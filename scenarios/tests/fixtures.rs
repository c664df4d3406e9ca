//! The tapes in `fixtures/`, one trial each: a tape loads, validates and replays to what the client
//! prints live, and recording it again gives the same bytes.
//!
//! `DEXTAPE_WRITE_FIXTURES=1 cargo test -p dextape-scenarios --test fixtures` records them anew.

mod tapes;

use dextape::tape::Tape;
use dextape_scenarios::{Parameters, Scenario, TapeSettings, Time, registry};
use libtest_mimic::{Arguments, Trial};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The seed of every tape.
const SEED: u64 = 1;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let write = std::env::var_os("DEXTAPE_WRITE_FIXTURES").is_some_and(|value| value == "1");
    let registry = registry();
    // Those that there should be, and those that there are.
    let mut tapes = BTreeSet::new();
    for scenario in registry.iter() {
        for settings in scenario.tapes() {
            let place = Path::new(scenario.name()).join(format!("{}.tape.jsonl", settings.name));
            if write && let Err(error) = record(scenario, settings, &folder.join(&place)) {
                eprintln!("failed to write {}: {error}", place.display());
                return ExitCode::FAILURE;
            }
            if !tapes.insert(place) {
                eprintln!("two tapes of {} are named {}", scenario.name(), settings.name);
                return ExitCode::FAILURE;
            }
        }
    }
    if let Err(error) = found(&folder, &mut tapes) {
        eprintln!("failed to list the fixtures: {error}");
        return ExitCode::FAILURE;
    }
    let trials = tapes.into_iter().map(|place| {
        let tape = folder.join(&place);
        let title = place.display().to_string().replace(['/', '\\'], "::");
        let title = title.trim_end_matches(".tape.jsonl");
        Trial::test(format!("fixture::{title}"), move || Ok(test(&tape)?))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Adds the tapes in the folders of `fixtures/`.
fn found(folder: &Path, tapes: &mut BTreeSet<PathBuf>) -> Result<(), Box<dyn Error>> {
    for scenario in fs_err::read_dir(folder)? {
        let scenario = scenario?;
        // Regressions are no recordings of what a scenario does: each has a test of its own.
        if !scenario.file_type()?.is_dir() || scenario.file_name() == "regressions" {
            continue;
        }
        for entry in fs_err::read_dir(scenario.path())? {
            let name = entry?.file_name();
            if name.to_string_lossy().ends_with(".tape.jsonl") {
                tapes.insert(Path::new(&scenario.file_name()).join(name));
            }
        }
    }
    Ok(())
}

fn test(path: &Path) -> Result<(), Box<dyn Error>> {
    let replayed = tapes::replay(path)?;

    // What the tape says of itself is enough to record it again.
    let tape = Tape::read(path)?;
    let identity = tape.header().scenario.as_ref().ok_or("the tape names no scenario")?;
    let registry = registry();
    let scenario = registry.find(&identity.name)?;
    let mut parameters = Parameters::of(scenario);
    parameters.take_recorded(&identity.parameters)?;
    let seed = tape.header().seed.ok_or("the tape is of no simulated run")?;
    let folder = tempfile::tempdir()?;
    let again = folder.path().join("again.tape.jsonl");
    let live = tapes::record(scenario, &parameters, Time::Simulated { seed }, &again)?;
    if replayed != live.output {
        return Err(format!("replayed:\n{replayed}\nlive:\n{}", live.output).into());
    }
    if fs_err::read(&again)? != fs_err::read(path)? {
        return Err("recording it again gives other bytes".into());
    }
    Ok(())
}

/// Records a tape anew.
fn record(
    scenario: &dyn Scenario,
    settings: &TapeSettings,
    tape: &Path,
) -> Result<(), Box<dyn Error>> {
    let mut parameters = Parameters::of(scenario);
    for (name, value) in settings.set {
        parameters.set(name, *value)?;
    }
    scenario.prepare(&mut parameters)?;
    if let Some(folder) = tape.parent() {
        fs_err::create_dir_all(folder)?;
    }
    tapes::record(scenario, &parameters, Time::Simulated { seed: SEED }, tape)?;
    Ok(())
}
