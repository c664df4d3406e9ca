//! `protocol`: descriptions of protocols, proposed from tapes and checked.

use crate::exit::Failure;
use crate::output::Output;
use crate::place::shown;
use clap::{Args, Subcommand};
use dextape::protocol::Protocol;
use dextape::tape::Tape;
use dextape_lab::{ProposeError, propose};
use serde_json::json;
use std::path::PathBuf;

/// What is to be done with a description.
#[derive(Debug, Args)]
pub(crate) struct ProtocolTask {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Propose a first description of what passed on tapes, with the evidence as comments.
    Propose(Propose),
    /// Read a description, and tell what it describes.
    Check {
        /// The description.
        file: PathBuf,
    },
}

/// What is proposed, and where it goes.
#[derive(Debug, Args)]
#[command(
    after_help = "Every name is made up and every width a guess. Rename, correct, and see it at \
                  work: cargo xtask show TAPE --protocol FILE"
)]
struct Propose {
    /// The tapes; several of one client show more of a field's values.
    #[arg(required = true)]
    tapes: Vec<PathBuf>,
    /// Where the description goes; to stdout where it is left out. One that is there is not replaced.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there.
    #[arg(long, requires = "out")]
    force: bool,
    /// The service that is described, by its name or class; that with the most calls by default.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

/// Proposes or checks.
pub(crate) fn run(asked: &ProtocolTask, out: &mut Output) -> Result<(), Failure> {
    match &asked.what {
        What::Propose(asked) => proposed(asked, out),
        What::Check { file } => {
            let protocol =
                Protocol::read(file).map_err(|error| Failure::Invalid(error.to_string()))?;
            let (selectors, structures) = (protocol.selectors.len(), protocol.structures.len());
            let memory_types = protocol.memory.len();
            let file = shown(file);
            out.result(
                || format!("{file}: {selectors} selectors, {structures} structures, {memory_types} memory types"),
                || json!({ "file": file, "selectors": selectors, "structures": structures, "memory_types": memory_types }),
            )
        }
    }
}

fn proposed(asked: &Propose, out: &mut Output) -> Result<(), Failure> {
    let tapes: Vec<Tape> = asked
        .tapes
        .iter()
        .map(|path| Tape::read(path).map_err(|error| Failure::tape(&error)))
        .collect::<Result<_, _>>()?;
    let tapes: Vec<&Tape> = tapes.iter().collect();
    let proposal = propose(&tapes, asked.service.as_deref()).map_err(|error| match error {
        ProposeError::Tape(error) => Failure::tape(&error),
        error => Failure::environment(error),
    })?;
    for (service, calls) in &proposal.others {
        eprintln!(
            "note: {calls} calls of {service:?} are not described: --service {service:?} does"
        );
    }
    let Some(to) = &asked.out else { return out.bytes(proposal.text.as_bytes()) };
    if !asked.force && to.exists() {
        let to = shown(to);
        return Err(Failure::environment(format!(
            "write {to}: it is there, and a description that was worked on is not replaced; --force does"
        )));
    }
    fs_err::write(to, &proposal.text).map_err(Failure::environment)?;
    let to = shown(to);
    let (selectors, structures) = (proposal.selectors, proposal.structures);
    let memory_types = proposal.memory_types;
    out.result(
        || format!("{to}: {selectors} selectors, {structures} structures, {memory_types} memory types; all guesses, to be read and named"),
        || json!({ "file": to, "service": proposal.service, "selectors": selectors, "structures": structures, "memory_types": memory_types }),
    )
}
