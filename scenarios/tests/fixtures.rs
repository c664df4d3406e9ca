//! The tapes in `fixtures/`, one trial each: a tape loads, validates and replays to what the client
//! prints live, and recording it again gives the same bytes.
//!
//! `DEXTAPE_WRITE_FIXTURES=1 cargo test -p dextape-scenarios --test fixtures` records them anew.

mod tapes;

use dextape_scenarios::{Parameters, Scenario, registry};
use libtest_mimic::{Arguments, Failed, Trial};
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
    Fixture { scenario: "null-driver", name: "all", set: &[], seed: 1 },
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
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let write = std::env::var_os("DEXTAPE_WRITE_FIXTURES").is_some_and(|value| value == "1");
    let mut trials = Vec::new();
    for fixture in FIXTURES {
        let tape = folder.join(fixture.scenario).join(format!("{}.tape.jsonl", fixture.name));
        let title = format!("fixture::{}::{}", fixture.scenario, fixture.name);
        trials.push(Trial::test(title, move || Ok(fixture.test(&tape, write)?)));
    }
    let listed = folder.clone();
    trials.push(Trial::test("fixture::no_others", move || no_others(&listed)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

impl Fixture {
    fn test(&self, tape: &PathBuf, write: bool) -> Result<(), Box<dyn Error>> {
        let registry = registry();
        let scenario = registry.find(self.scenario)?;
        let parameters = self.parameters(scenario)?;
        let again = tempfile::tempdir()?;
        let again = again.path().join("again.tape.jsonl");
        let live = tapes::record(scenario, &parameters, self.seed, &again)?;
        if write {
            fs_err::create_dir_all(tape.parent().unwrap_or(Path::new(".")))?;
            fs_err::copy(&again, tape)?;
        }
        let replayed = tapes::replay(tape)?;
        if replayed != live.output {
            return Err(format!("replayed:\n{replayed}\nlive:\n{}", live.output).into());
        }
        if fs_err::read(&again)? != fs_err::read(tape)? {
            let shown = tape.display();
            return Err(format!("recording {shown} again gives other bytes").into());
        }
        Ok(())
    }

    fn parameters(&self, scenario: &dyn Scenario) -> Result<Parameters, Box<dyn Error>> {
        let mut parameters = Parameters::of(scenario);
        for (name, value) in self.set {
            parameters.set(name, *value)?;
        }
        scenario.prepare(&mut parameters)?;
        Ok(parameters)
    }
}

/// Every tape of a scenario of ours is in the list above.
fn no_others(folder: &Path) -> Result<(), Failed> {
    for scenario in registry().iter() {
        for entry in fs_err::read_dir(folder.join(scenario.name()))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(stem) = name.strip_suffix(".tape.jsonl") else { continue };
            let known = FIXTURES
                .iter()
                .any(|fixture| fixture.scenario == scenario.name() && fixture.name == stem);
            if !known {
                return Err(format!("{}/{name} is tested by nobody", scenario.name()).into());
            }
        }
    }
    Ok(())
}
