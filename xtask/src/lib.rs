//! The command line of dextape, as a library that takes a registry.
//!
//! A workspace with scenarios of its own mounts it under its own `cargo xtask`:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     let registry = xtask::Registry::new(dextape_scenarios::registry());
//!     xtask::run(&registry, std::env::args_os())
//! }
//! ```
//!
//! A map of the code: `cli` says what can be asked for, one `task_*` file does each verb; `exit` says
//! how a run ends, `output` writes results, `progress` keeps people company meanwhile;
//! `macho` reads programs for macOS as files.
//!
//! Exit codes: 0 where all is well; 1 where a tape is invalid, a replay diverges or two tapes differ; 2 where the
//! question or this machine is at fault. Results go to stdout, all else to stderr.

#![forbid(unsafe_code)]

mod bench;
mod cli;
mod execution;
mod exit;
mod input;
mod macho;
mod measures;
mod output;
mod place;
mod play;
mod progress;
mod proof;
mod proofs;
mod registry;
mod report_client;
mod report_last;
mod report_log;
mod report_open;
mod self_test;
mod table;
mod task_adopt;
mod task_bench;
mod task_completions;
mod task_coverage;
mod task_determinism;
mod task_diff;
mod task_doctor;
mod task_drive;
mod task_execute;
mod task_export;
mod task_fidelity;
mod task_iig;
mod task_import;
mod task_learn;
mod task_list;
mod task_minimize;
mod task_picture;
mod task_protocol;
mod task_prove;
mod task_record;
mod task_recover;
mod task_redact;
mod task_replay;
mod task_report;
mod task_reseal;
mod task_schema;
mod task_show;
mod task_tapes;
mod task_verify;

pub use bench::{Bench, Goal, Measure, Unit};
pub use proof::{Proof, ProofRun};
pub use registry::{Registry, registry};

/// The README's examples, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

/// The handbook's dext, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/mock-dext.md")]
mod mock_dext {}

use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

/// Does what `args` ask for (the name of the program first) and gives the exit code: 0 where all is
/// well, 1 where a tape is invalid, a replay diverges or two tapes differ, 2 where the question or this machine is at
/// fault.
#[must_use]
pub fn run(registry: &Registry, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let asked = match cli::Cli::try_parse_from(args) {
        Ok(asked) => asked,
        Err(error) => {
            // Help and version are results; everything else is a wrong question. A reader that has
            // gone wants to know neither.
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    exit::code(cli::perform(registry, asked))
}
