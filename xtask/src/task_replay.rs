//! `replay`: plays a tape to the client that it was recorded from.

use crate::execution::Execution;
use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::place::shown;
use crate::play::{Played, play, play_behind, scenario_of};
use crate::{Registry, progress, task_execute};
use clap::Args;
use dextape::replay::{PatchTiming, Policy, ReplayOptions};
use dextape::tape::{Body, Tape, validate};
use dextape_recorder::program::journal_of;
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::{Parameters, Scenario};
use serde_json::json;
use std::path::{Path, PathBuf};
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
    /// Record what the client does, and is answered, to this tape: of one with a gap it has no gap any more, and
    /// can be perturbed. What is missing is filled with what is like it.
    #[arg(long, value_name = "FILE", conflicts_with = "exec")]
    record: Option<PathBuf>,
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
    let shown = shown(&asked.tape);
    let played = match &asked.record {
        None => play(scenario, &parameters, &tape, options),
        Some(path) => play_recorded(scenario, &parameters, &tape, options, (&shown, path)),
    };
    spinner.finish_and_clear();
    let played = played.map_err(|failure| failure.about(&format!("replay {shown}")))?;
    if asked.print && out.format() == Format::Text {
        out.bytes(&played.output)?;
    }
    let report = &played.report;
    out.result(
        || {
            let mut text = format!("{shown}: {report}; {}", printed(&played.output));
            if let Some(path) = &asked.record {
                text += &format!("\nrecorded as {}", crate::place::shown(path));
            }
            text
        },
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

/// As [`play`], with a recorder between client and tape.
fn play_recorded(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    tape: &Arc<Tape>,
    options: ReplayOptions,
    (of, path): (&str, &Path),
) -> Result<Played, Failure> {
    let header = tape.header();
    let mut provenance = header.provenance.clone();
    let gaps = tape.events().iter().filter(|event| matches!(event.body, Body::Gap { .. })).count();
    provenance.push(match gaps {
        0 => format!("replayed from {of}"),
        gaps => format!(
            "replayed from {of} over {gaps} gaps: what is missing there is answered with what is like it"
        ),
    });
    let recording = RecordOptions {
        host: header.host.clone(),
        page_size: header.page_size,
        scenario: header.scenario.clone(),
        policy: header.policy.clone(),
        rules: header.rules.clone(),
        provenance,
        ..RecordOptions::default()
    };
    let journal = journal_of(path);
    let session = RecordingSession::start(&journal, recording).map_err(Failure::environment)?;
    let played = play_behind(scenario, parameters, tape, options, |system| session.wrap(system));
    session.finish();
    let sealed = played.and_then(|played| {
        let sealed = seal(&journal, path, SealOptions::default());
        sealed.map(|_| played).map_err(Failure::environment)
    });
    fs_err::remove_file(&journal).map_err(Failure::environment)?;
    let played = sealed?;
    let validation = validate(path).map_err(|error| Failure::tape(&error))?;
    if !validation.is_valid() {
        let path = crate::place::shown(path);
        return Err(Failure::Invalid(format!("validate {path}: {validation}")));
    }
    Ok(played)
}

/// How much a client printed, for people.
pub(crate) fn printed(output: &[u8]) -> String {
    let lines = output.iter().filter(|byte| **byte == b'\n').count();
    format!("the client printed {lines} lines")
}
