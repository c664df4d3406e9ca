//! `reseal`: closes a tape again that was edited by hand.

use crate::exit::Failure;
use crate::output::Output;
use crate::place::shown;
use clap::Args;
use dextape::tape::{ResealOptions, reseal};
use serde_json::json;
use std::path::PathBuf;

/// What is closed, and how.
#[derive(Debug, Args)]
pub(crate) struct Reseal {
    /// The tape.
    tape: PathBuf,
    /// Write the closed tape here instead of in its place.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Number the events anew, after lines were put in or taken out.
    #[arg(long)]
    renumber: bool,
}

/// Closes a tape and marks it as edited. One that is closed as it is stays alone.
pub(crate) fn run(asked: &Reseal, out: &mut Output) -> Result<(), Failure> {
    let to = asked.out.as_ref().unwrap_or(&asked.tape);
    let options =
        if asked.renumber { ResealOptions::renumbering() } else { ResealOptions::default() };
    let resealed = reseal(&asked.tape, to, options).map_err(|error| Failure::tape(&error))?;
    let (tape, to) = (shown(&asked.tape), shown(to));
    out.result(
        || match resealed.changed {
            true => format!("resealed {to}: {} events, marked as edited", resealed.events),
            false => {
                format!("{tape} is closed as it is: {} events, nothing written", resealed.events)
            }
        },
        || json!({ "tape": to, "events": resealed.events, "changed": resealed.changed }),
    )
}
