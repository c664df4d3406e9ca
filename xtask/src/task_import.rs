//! `import`: logs of other tools become tapes.

use crate::exit::Failure;
use crate::output::Output;
use crate::place::shown;
use crate::progress;
use clap::{Args, Subcommand};
use dextape::tape::{TapeErrorKind, validate};
use dextape_lab::{ImportError, ImportReport, import_imf};
use serde_json::json;
use std::path::PathBuf;

/// What is imported.
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A log that the interposer of IMF wrote of a 32-bit client: lines of IN and OUT.
    Imf {
        /// The log.
        log: PathBuf,
        /// The tape.
        #[arg(short, long, value_name = "TAPE")]
        out: PathBuf,
    },
}

/// Makes a tape of a log and validates it.
pub(crate) fn run(asked: &Import, out: &mut Output) -> Result<(), Failure> {
    let Kind::Imf { log, out: tape } = &asked.kind;
    let about = format!("import {}", shown(log));
    let spinner = progress::spinner(about.clone());
    let report = import_imf(log, tape);
    spinner.finish_and_clear();
    let report = report.map_err(|error| failure(&error).about(&about))?;
    let validation = validate(tape).map_err(|error| Failure::tape(&error))?;
    tell(tape, &report, out)?;
    match validation.findings.first() {
        None => Ok(()),
        Some(finding) => Err(Failure::Invalid(format!(
            "make a tape of {} that could have happened: {finding}; see `verify`",
            shown(log)
        ))),
    }
}

/// A log that is none is invalid; a file that cannot be reached is the machine's fault.
fn failure(error: &ImportError) -> Failure {
    match error {
        ImportError::Line { .. } => Failure::invalid(error),
        ImportError::Tape(error) if !matches!(error.kind, TapeErrorKind::Io(_)) => {
            Failure::invalid(error)
        }
        _ => Failure::environment(error),
    }
}

fn tell(tape: &std::path::Path, report: &ImportReport, out: &mut Output) -> Result<(), Failure> {
    let tape = shown(tape);
    out.result(|| format!("{tape}: {report}"), || json!({ "tape": tape, "import": report }))
}
