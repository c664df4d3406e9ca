//! The tapes in `fixtures/`, one trial each: a tape loads, validates and replays to what the client
//! prints live, and recording it again gives the same bytes.
//!
//! `DEXTAPE_WRITE_FIXTURES=1 cargo test -p dextape-scenarios --test fixtures` records them anew.

mod tapes;

use dextape::tape::Tape;
use dextape_scenarios::{Parameters, Time, registry};
use libtest_mimic::{Arguments, Trial};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A tape that there should be.
#[derive(Clone, Copy)]
struct Fixture {
    scenario: &'static str,
    name: &'static str,
    set: &'static [(&'static str, &'static str)],
    seed: u64,
}

const FIXTURES: &[Fixture] = &[
    Fixture { scenario: "null-driver", name: "null-driver", set: &[], seed: 1 },
    Fixture {
        scenario: "null-driver",
        name: "threads",
        set: &[("part", "sync"), ("threads", "3")],
        seed: 1,
    },
    Fixture {
        scenario: "null-driver",
        name: "connections",
        set: &[("part", "sync"), ("threads", "3"), ("connections", "each")],
        seed: 1,
    },
    Fixture { scenario: "shared-buffer", name: "kept", set: &[], seed: 1 },
    Fixture { scenario: "shared-buffer", name: "fresh", set: &[("buffers", "fresh")], seed: 1 },
    Fixture { scenario: "smc", name: "small", set: &[], seed: 1 },
    Fixture { scenario: "smc", name: "write", set: &[("write", "F0Mn=3200")], seed: 1 },
    Fixture { scenario: "usb-bulk", name: "refused", set: &[], seed: 1 },
    Fixture { scenario: "usb-bulk", name: "lost", set: &[("small-reads", "lost")], seed: 1 },
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let write = std::env::var_os("DEXTAPE_WRITE_FIXTURES").is_some_and(|value| value == "1");
    if write && let Err(error) = FIXTURES.iter().try_for_each(|fixture| fixture.write(&folder)) {
        eprintln!("failed to write the fixtures: {error}");
        return ExitCode::FAILURE;
    }
    // Those that there should be, and those that there are.
    let mut tapes: BTreeSet<_> = FIXTURES.iter().map(Fixture::place).collect();
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
        if !scenario.file_type()?.is_dir() {
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

impl Fixture {
    /// Where it lies in `fixtures/`.
    fn place(&self) -> PathBuf {
        Path::new(self.scenario).join(format!("{}.tape.jsonl", self.name))
    }

    /// Records it anew.
    fn write(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let registry = registry();
        let scenario = registry.find(self.scenario)?;
        let mut parameters = Parameters::of(scenario);
        for (name, value) in self.set {
            parameters.set(name, *value)?;
        }
        scenario.prepare(&mut parameters)?;
        fs_err::create_dir_all(folder.join(self.scenario))?;
        let time = Time::Simulated { seed: self.seed };
        tapes::record(scenario, &parameters, time, &folder.join(self.place()))?;
        Ok(())
    }
}
