//! Counting instructions with cachegrind.

use super::case::Case;
use std::process::{Command, ExitCode};

/// Iterations of the shorter and of the longer run.
const RUNS: [u64; 2] = [1_000, 3_000];

/// Instructions of one iteration of the case; `None` where there is no valgrind to count them.
pub(crate) fn instructions(id: &str) -> Option<f64> {
    let (short, long) = (total(id, RUNS[0])?, total(id, RUNS[1])?);
    Some((long - short) as f64 / (RUNS[1] - RUNS[0]) as f64)
}

fn total(id: &str, iterations: u64) -> Option<i64> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .args(["--count", id, &iterations.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines()
        .find_map(|line| line.split_once("I   refs:").or_else(|| line.split_once("I refs:")))
        .and_then(|(_, number)| number.trim().replace(',', "").parse().ok())
}

/// Runs the case for so many iterations: what happens under cachegrind.
pub(crate) fn child(cases: &[Case], id: &str, iterations: &str) -> ExitCode {
    let (Some(case), Ok(iterations)) =
        (cases.iter().find(|case| case.id() == id), iterations.parse())
    else {
        eprintln!("failed to count {id:?}: no such case, or no number of iterations");
        return ExitCode::from(2);
    };
    // The same is prepared whatever is run, so that the difference is that of the runs.
    case.prepare(RUNS[1])(iterations);
    ExitCode::SUCCESS
}
