//! `fidelity`: the boundary's rules, and where each is tested.

use crate::exit::Failure;
use crate::output::Output;
use crate::place::{shown, workspace};
use clap::Args;
use std::process::Command;

/// Where the table is checked in, from the root of the workspace.
const CHECKED_IN: &str = "docs/fidelity.md";

/// What becomes of the table.
#[derive(Debug, Args)]
pub(crate) struct Fidelity {
    /// Only see whether the checked-in table is what the tests say.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Check in what the tests say.
    #[arg(long)]
    write: bool,
}

/// Prints the table that the tests of the rules make of themselves, or compares the checked-in one with
/// it, or replaces that.
pub(crate) fn run(asked: &Fidelity, out: &mut Output) -> Result<(), Failure> {
    let table = table()?;
    if !asked.check && !asked.write {
        return out.bytes(table.as_bytes());
    }
    let path = workspace().join(CHECKED_IN);
    let path_shown = shown(&path);
    if asked.write {
        fs_err::write(&path, table).map_err(Failure::environment)?;
        return out.line(path_shown);
    }
    if fs_err::read_to_string(&path).map_err(Failure::environment)? == table {
        out.line(format!("{path_shown} is what the tests say"))
    } else {
        Err(Failure::Invalid(format!(
            "find what the tests say in {path_shown}: `cargo xtask fidelity --write` puts it there"
        )))
    }
}

/// Asks the test program of the rules, which only the workspace of dextape itself has.
fn table() -> Result<String, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--quiet", "--all-features", "--package", "dextape"]);
    command.args(["--test", "rules", "--", "--fidelity"]);
    let output = command.output().map_err(|error| {
        Failure::environment(format!("start cargo for the tests of the rules: {error}"))
    })?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::environment(format!("run the tests of the rules:\n{why}")));
    }
    String::from_utf8(output.stdout).map_err(|error| {
        Failure::environment(format!("read what the tests of the rules say: {error}"))
    })
}
