//! `learn`: several recordings of one run become one tape.

use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::place::shown;
use crate::table::Table;
use clap::Args;
use dextape::tape::Tape;
use dextape_lab::{Trial, learn, trial};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// What is learned from.
#[derive(Debug, Args)]
pub(crate) struct Learn {
    /// The tapes, of the same run each.
    #[arg(required = true)]
    tapes: Vec<PathBuf>,
    /// The tape that is made.
    #[arg(short, long, value_name = "TAPE", required_unless_present = "check")]
    out: Option<PathBuf>,
    /// Learn from all tapes but one and have that one play the client of what was learned, for each of
    /// them, and print what is served.
    #[arg(long, conflicts_with = "out")]
    check: bool,
    /// With --check, say of each call that failed which one it is, and how it failed.
    #[arg(long, requires = "check")]
    failed: bool,
}

/// Learns, or measures what learning is good for.
pub(crate) fn run(asked: &Learn, out: &mut Output) -> Result<(), Failure> {
    let tapes = asked.tapes.iter().map(|path| Tape::read(path));
    let tapes = tapes.collect::<Result<Vec<_>, _>>().map_err(|error| Failure::tape(&error))?;
    let tapes: Vec<&Tape> = tapes.iter().collect();
    let Some(to) = &asked.out else { return check(asked, &tapes, out) };
    let learned = learn(&tapes).map_err(Failure::environment)?;
    let validation = learned.tape.validate();
    if let Some(finding) = validation.findings.first() {
        return Err(Failure::Invalid(format!("make a tape that could have happened: {finding}")));
    }
    learned.tape.write(to).map_err(|error| Failure::tape(&error))?;
    let (to, report) = (shown(to), &learned.report);
    out.result(|| format!("{to}: {report}"), || json!({ "tape": to, "learned": report }))
}

fn check(asked: &Learn, tapes: &[&Tape], out: &mut Output) -> Result<(), Failure> {
    if tapes.len() < 3 {
        let found = tapes.len();
        return Err(Failure::Environment(format!(
            "check on {found} of the tapes what the others teach: give at least three runs"
        )));
    }
    let mut missed = 0;
    let mut table = Table::new(&[
        "run",
        "calls",
        "counterparts",
        "exact",
        "masks",
        "learned",
        "without",
        "diverged",
        "contradicted",
        "unforeseen",
    ]);
    for (index, run) in tapes.iter().enumerate() {
        let others: Vec<&Tape> = tapes
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, it)| *it)
            .collect();
        let learned = Arc::new(learn(&others).map_err(Failure::environment)?.tape);
        let told = trial(&learned, &others, run).map_err(Failure::environment)?;
        let name = shown(&asked.tapes[index]);
        missed += usize::from(!told.meets_the_aim());
        if out.format() == Format::Json {
            out.line(json!({ "run": name, "trial": told }))?;
        } else if asked.failed {
            for failed in &told.failed {
                out.line(format!("{name}: {failed}"))?;
            }
        }
        let Trial {
            calls,
            counterparts,
            exact,
            masked,
            served,
            diverged,
            contradicted,
            unforeseen,
            ..
        } = told;
        let share =
            |part: u64| format!("{:.1} %", part as f64 * 100.0 / counterparts.max(1) as f64);
        table.row([
            name,
            calls.to_string(),
            counterparts.to_string(),
            share(exact),
            share(masked),
            share(served),
            (calls - counterparts).to_string(),
            diverged.to_string(),
            contradicted.to_string(),
            unforeseen.to_string(),
        ]);
    }
    if out.format() == Format::Text {
        out.line(table)?;
    }
    if missed == 0 {
        return Ok(());
    }
    Err(Failure::Invalid(format!(
        "serve {missed} of {} runs as they should be: of the calls with a counterpart 99.5 %, and none \
         with an answer that the run contradicts, and those without one diverge (docs/learning.md); \
         --failed names the calls",
        tapes.len()
    )))
}
