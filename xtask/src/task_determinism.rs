//! `check-determinism`: a run made twice with the same seed, in two processes, and compared.

use crate::exit::Failure;
use crate::output::Output;
use crate::task_record::name_and_value;
use crate::{Registry, progress};
use clap::Args;
use dextape::tape::Tape;
use dextape_lab::{Parting, parting};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// What is run twice.
#[derive(Debug, Args)]
pub(crate) struct CheckDeterminism {
    /// The scenario; `list` shows them.
    scenario: String,
    /// Seed of both runs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Set a parameter of the scenario.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    parameters: Vec<(String, String)>,
    /// What goes wrong on the mock, as for `record`.
    #[arg(long, value_name = "FILE|TEXT", conflicts_with = "exec")]
    faults: Option<String>,
    /// Run this program instead of the scenario's client, in free time: each of its threads is compared by
    /// itself. It stands last.
    #[arg(long, num_args = 1.., allow_hyphen_values = true, value_names = ["PROGRAM", "ARGS"])]
    exec: Vec<OsString>,
}

/// Runs twice and compares. Two processes, so that addresses and hashes are not the same by themselves.
pub(crate) fn run(
    registry: &Registry,
    asked: &CheckDeterminism,
    out: &mut Output,
) -> Result<(), Failure> {
    registry.scenarios.find(&asked.scenario).map_err(Failure::environment)?;
    let folder = tempfile::tempdir().map_err(Failure::environment)?;
    let spinner = progress::spinner(format!("check {}", asked.scenario));
    let mut runs = Vec::new();
    for name in ["one.tape.jsonl", "other.tape.jsonl"] {
        runs.push(record(asked, &folder.path().join(name))?);
    }
    spinner.finish_and_clear();
    let [(one, said), (other, said_again)] = &runs[..] else {
        return Err(Failure::environment("run it twice: it was not"));
    };
    let parted = parting(one, other);
    let printed_otherwise = said != said_again;
    tell(asked, one.events().len(), parted.as_ref(), printed_otherwise, out)?;
    match (parted, printed_otherwise) {
        (None, false) => Ok(()),
        (Some(_), _) => Err(Failure::Invalid(format!(
            "run {} the same way twice: see where the runs part",
            asked.scenario
        ))),
        (None, true) => Err(Failure::Invalid(format!(
            "run {} the same way twice: it printed other lines, though it did the same",
            asked.scenario
        ))),
    }
}

/// Records one run; its tape, and what the client printed.
fn record(asked: &CheckDeterminism, path: &Path) -> Result<(Tape, Value), Failure> {
    let program = std::env::current_exe().map_err(Failure::environment)?;
    let mut command = Command::new(program);
    command.args(["--format", "json", "record", &asked.scenario, "--print", "--out"]).arg(path);
    for (name, value) in &asked.parameters {
        command.arg("--param").arg(format!("{name}={value}"));
    }
    if asked.exec.is_empty() {
        command.arg("--seed").arg(asked.seed.to_string());
        command.args(asked.faults.iter().flat_map(|faults| ["--faults", faults]));
    } else {
        command.arg("--exec").args(&asked.exec);
    }
    let output = command.stdin(Stdio::null()).output().map_err(Failure::environment)?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = complaint.trim().trim_start_matches("error: failed to ");
    // A client that does not replay, or fails, has left its tape all the same.
    let tape = match Tape::read(path) {
        Ok(tape) => tape,
        Err(_) if !output.status.success() => return Err(Failure::environment(complaint)),
        Err(error) => return Err(Failure::tape(&error)),
    };
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let printed = told.get("client").or_else(|| told.get("printed")).cloned();
    Ok((tape, printed.unwrap_or(Value::Null)))
}

fn tell(
    asked: &CheckDeterminism,
    events: usize,
    parted: Option<&Parting>,
    printed_otherwise: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    out.result(
        || match parted {
            Some(parted) => parted.to_string(),
            None => format!("{}: {events} events, twice the same", asked.scenario),
        },
        || {
            json!({
                "scenario": asked.scenario,
                "events": events,
                "same": parted.is_none() && !printed_otherwise,
                "parting": parted,
                "printed_otherwise": printed_otherwise,
            })
        },
    )
}
