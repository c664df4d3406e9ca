//! What can be asked for.

use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::task_adopt::Adopt;
use crate::task_coverage::Coverage;
use crate::task_determinism::CheckDeterminism;
use crate::task_doctor::Doctor;
use crate::task_drive::Drive;
use crate::task_fidelity::Fidelity;
use crate::task_iig::Iig;
use crate::task_import::Import;
use crate::task_learn::Learn;
use crate::task_minimize::Minimize;
use crate::task_record::Record;
use crate::task_recover::Recover;
use crate::task_replay::Replay;
use crate::task_reseal::Reseal;
use crate::task_schema::Schema;
use crate::task_show::Show;
use crate::task_tapes::Tapes;
use crate::task_verify::Verify;
use crate::{
    Registry, task_adopt, task_bench, task_completions, task_coverage, task_determinism,
    task_doctor, task_drive, task_fidelity, task_iig, task_import, task_learn, task_list,
    task_minimize, task_prove, task_record, task_recover, task_replay, task_reseal, task_schema,
    task_show, task_tapes, task_verify,
};
use clap::{Parser, Subcommand};
use clap_complete::Shell;

/// Record, replay and look at the traffic of macOS user clients.
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 all is well; 1 a tape is invalid, a replay diverges \
                        or two tapes differ; 2 the \
                        question or this machine is at fault.")]
pub(crate) struct Cli {
    /// How results are written to stdout.
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Record a scenario and leave a tape that has been validated and replayed.
    Record(Record),
    /// Replay a tape to the client that it was recorded from.
    Replay(Replay),
    /// Have a tape play the client, and compare what a dext answers with what is on it.
    Drive(Drive),
    /// Make a tape of a log that another tool wrote.
    Import(Import),
    /// Make headers for dexts in C++ of their .iig files.
    Iig(Iig),
    /// Learn from several recordings of one run which fields differ, and make a tape of it.
    Learn(Learn),
    /// Shrink a tape that brings a failure about to the smallest one that does.
    Minimize(Minimize),
    /// Keep a minimised tape, with a test that fails as long as its failure comes again.
    Adopt(Adopt),
    /// Compare two tapes, as people read diffs.
    Diff(crate::task_diff::Diff),
    /// List many tapes, one line each, for queries.
    Index(crate::task_export::Index),
    /// Write many tapes as one table, a row an event, for queries.
    Export(crate::task_export::Export),
    /// Pack tapes into a report that is safe to send, or open one.
    Report(crate::task_report::Report),
    /// Propose a protocol description from tapes, or check one.
    Protocol(crate::task_protocol::ProtocolTask),
    /// Write a copy of a tape with other values in the place of private ones.
    Redact(crate::task_redact::Redact),
    /// Show a tape as people read it.
    Show(Show),
    /// Read, validate and replay tapes.
    Verify(Verify),
    /// Make a whole tape of a journal that was left behind, or of a tape that is cut off.
    Recover(Recover),
    /// Close a tape again that was edited by hand, and mark it.
    Reseal(Reseal),
    /// Tell which way an app can be recorded on a Mac, and try a recording on this machine.
    Doctor(Doctor),
    /// Run a scenario or a program twice with the same seed, and tell where the runs part.
    CheckDeterminism(CheckDeterminism),
    /// Tell which selectors, memory types, results and completions a test run exercised.
    Coverage(Coverage),
    /// Tell which tapes of a test suite no test asks for, and which have expired.
    Tapes(Tapes),
    /// List the scenarios and what can be set, the benches and the proofs.
    List,
    /// Measure, and print one table.
    Bench {
        /// Parts of the names of benches; all where none is given.
        names: Vec<String>,
    },
    /// Run the long proofs with their full counts, and print one table with the commit.
    Prove {
        /// Parts of the names of proofs; all where none is given.
        names: Vec<String>,
        /// Run only as many cases as the test run does.
        #[arg(long)]
        sample: bool,
    },
    /// Print the JSON Schema of the tape.
    Schema(Schema),
    /// Print the table of the boundary's rules and where each is tested.
    Fidelity(Fidelity),
    /// Print what a shell sources to complete this command line.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Does what is asked for.
pub(crate) fn perform(registry: &Registry, asked: Cli) -> Result<(), Failure> {
    let mut out = Output::new(asked.format);
    match asked.verb {
        Verb::Record(record) => task_record::run(registry, &record, &mut out),
        Verb::Replay(replay) => task_replay::run(registry, &replay, &mut out),
        Verb::Diff(asked) => return crate::task_diff::run(&asked, out),
        Verb::Drive(drive) => task_drive::run(registry, &drive, &mut out),
        Verb::Import(import) => task_import::run(&import, &mut out),
        Verb::Iig(iig) => task_iig::run(&iig, &mut out),
        Verb::Learn(learn) => task_learn::run(&learn, &mut out),
        Verb::Minimize(minimize) => task_minimize::run(registry, &minimize, &mut out),
        Verb::Adopt(adopt) => task_adopt::run(&adopt, &mut out),
        Verb::CheckDeterminism(check) => task_determinism::run(registry, &check, &mut out),
        Verb::Coverage(coverage) => task_coverage::run(&coverage, &mut out),
        Verb::Tapes(tapes) => task_tapes::run(&tapes, &mut out),
        Verb::Verify(verify) => task_verify::run(registry, &verify, &mut out),
        Verb::Recover(recover) => task_recover::run(&recover, &mut out),
        Verb::Index(index) => crate::task_export::index(&index, &mut out),
        Verb::Export(export) => crate::task_export::export(&export, &mut out),
        Verb::Show(show) => task_show::run(registry, show, &mut out),
        Verb::Report(report) => crate::task_report::run(registry, &report, &mut out),
        Verb::Protocol(asked) => crate::task_protocol::run(&asked, &mut out),
        Verb::Redact(asked) => crate::task_redact::run(&asked, &mut out),
        Verb::Reseal(reseal) => task_reseal::run(&reseal, &mut out),
        Verb::Doctor(doctor) => task_doctor::run(&doctor, &mut out),
        Verb::List => task_list::run(registry, &mut out),
        Verb::Bench { names } => task_bench::run(registry, &names, &mut out),
        Verb::Prove { names, sample } => task_prove::run(registry, &names, sample, &mut out),
        Verb::Schema(schema) => task_schema::run(&schema, &mut out),
        Verb::Fidelity(fidelity) => task_fidelity::run(&fidelity, &mut out),
        Verb::Completions { shell } => task_completions::run(shell, &mut out),
    }?;
    out.finish()
}
