//! `replay`: plays a tape to the client that it was recorded from.

use crate::execution::Execution;
use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::place::shown;
use crate::play::{play, scenario_of};
use crate::{Registry, progress, task_execute};
use clap::Args;
use dextape::replay::{PatchTiming, Policy, ReplayOptions};
use dextape::tape::Tape;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// What is replayed, and how.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The tape.
    tape: PathBuf,
    /// Order that the client has to keep: exact, ordered, lanes, nearest, any_order or across_gaps; by
    /// default across_gaps where a flight recorder has cut the tape, or else the tape's own.
    #[arg(long)]
    policy: Option<Policy>,
    /// Show changes of shared memory at exactly the read that saw them.
    #[arg(long)]
    patches_as_recorded: bool,
    /// Print what the client prints.
    #[arg(long)]
    print: bool,
    /// Name selectors and fields in the report of a divergence by this protocol description.
    #[arg(long, value_name = "FILE", conflicts_with = "exec")]
    protocol: Option<PathBuf>,
    #[command(flatten)]
    execution: Execution,
}

/// Replays a tape. Where the client does anything that the tape does not hold, that is a divergence.
pub(crate) fn run(registry: &Registry, asked: &Replay, out: &mut Output) -> Result<(), Failure> {
    if asked.execution.is_asked() {
        return task_execute::replay(&asked.execution, &asked.tape, asked.print, out);
    }
    let tape = Arc::new(Tape::read(&asked.tape).map_err(|error| Failure::tape(&error))?);
    let (scenario, parameters) = scenario_of(&registry.scenarios, &tape)?;
    let mut options = ReplayOptions::default();
    options.policy = asked.policy;
    options.protocol = crate::task_picture::protocol(asked.protocol.as_deref())?.map(Arc::new);
    if asked.patches_as_recorded {
        options.patches = PatchTiming::AsRecorded;
    }
    let spinner = progress::spinner(format!("replay {}", scenario.name()));
    let played = play(scenario, &parameters, &tape, options);
    spinner.finish_and_clear();
    let shown = shown(&asked.tape);
    let played = played.map_err(|failure| failure.about(&format!("replay {shown}")))?;
    if asked.print && out.format() == Format::Text {
        out.bytes(&played.output)?;
    }
    let report = &played.report;
    out.result(
        || format!("{shown}: {report}; {}", printed(&played.output)),
        || {
            json!({
                "tape": shown,
                "scenario": scenario.name(),
                "policy": report.policy.name(),
                "operations": report.operations,
                "used": report.used,
                "unread_patches": report.unread_patches.len(),
                "masked": report.masked,
                "symbols": report.symbols,
                "client": if asked.print {
                    json!(String::from_utf8_lossy(&played.output))
                } else {
                    json!(null)
                },
            })
        },
    )
}

/// How much a client printed, for people.
pub(crate) fn printed(output: &[u8]) -> String {
    let lines = output.iter().filter(|byte| **byte == b'\n').count();
    format!("the client printed {lines} lines")
}
