//! `prove`: the long proofs with their full counts, in one table with the commit.

use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::table::Table;
use crate::{Registry, progress};
use serde_json::json;
use std::process::Command;

/// Runs the proofs whose names contain one of `names`, or all, with the counts of a sample or in full.
pub(crate) fn run(
    registry: &Registry,
    names: &[String],
    sample: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let chosen = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(&**part));
    let proofs: Vec<_> = registry.proofs.iter().filter(|proof| chosen(proof.name)).collect();
    if proofs.is_empty() {
        let known: Vec<_> = registry.proofs.iter().map(|proof| proof.name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Failure::environment(format!("find such a proof: there are {known}")));
    }
    let commit = commit();
    let mut table = Table::new(&["proof", "cases", "tests", "seconds", "verdict<", "shows<"]);
    let (mut failures, mut figures) = (Vec::new(), Vec::new());
    for proof in &proofs {
        let spinner = progress::spinner(format!("proof {}", proof.name));
        let cases = if sample { proof.sample } else { proof.full };
        let run = proof.run(cases).map_err(|error| {
            Failure::environment(format!("start cargo for proof {}: {error}", proof.name))
        })?;
        spinner.finish_and_clear();
        let verdict = if run.failure.is_none() { "holds" } else { "FAILS" };
        let seconds = format!("{:.1}", run.took.as_secs_f64());
        match out.format() {
            Format::Text => table.row([
                proof.name.to_owned(),
                run.cases.to_string(),
                run.passed.to_string(),
                seconds,
                verdict.to_owned(),
                proof.about.to_owned(),
            ]),
            Format::Json => out.line(json!({
                "proof": proof.name,
                "commit": commit,
                "cases": run.cases,
                "tests": run.passed,
                "seconds": run.took.as_secs_f64(),
                "holds": run.failure.is_none(),
                "figures": run.figures,
            }))?,
        }
        figures.extend(run.figures);
        if let Some(failure) = run.failure {
            eprintln!("proof {}:\n{failure}", proof.name);
            failures.push(proof.name);
        }
    }
    if out.format() == Format::Text {
        out.line(table)?;
        figures.iter().try_for_each(|figure| out.line(figure))?;
        out.line(format!("commit {commit}"))?;
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Failure::invalid(format!("prove {}: see above", failures.join(", "))))
    }
}

/// The commit of the working folder, with a `+` where something is not committed.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let changed = git(&["status", "--porcelain"]).is_none_or(|changes| !changes.is_empty());
    if changed { format!("{commit}+") } else { commit }
}
