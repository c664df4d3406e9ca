//! `doctor`: which way a program can be recorded, and whether recording works here at all.

use crate::exit::Failure;
use crate::macho::{MachoError, Obstacle, Program, Signature, Slice, Way, obstacles, way};
use crate::output::Output;
use crate::place::shown;
use crate::self_test::{SelfTest, self_test};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What is looked at.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// A program for macOS, or an app: its file is read, on any machine.
    app: Option<PathBuf>,
}

/// Tells which way works for the program, if there is one, and then tries a recording here.
pub(crate) fn run(asked: &Doctor, out: &mut Output) -> Result<(), Failure> {
    let program = asked.app.as_deref().map(Program::read).transpose();
    let program = program.map_err(Failure::environment)?;
    let tested = self_test()?;
    out.result(
        || {
            let mut text = String::new();
            if let Some(program) = &program {
                text += &told(program);
            }
            text + &tested.to_string()
        },
        || json!({ "app": program.as_ref().map(as_json), "self_test": self_test_json(&tested) }),
    )
}

/// What stands in the way of inserting the library into the program at `path`: `None` where nothing does.
///
/// # Errors
///
/// [`MachoError`] where it is no program for macOS.
pub(crate) fn bars_insertion(path: &Path) -> Result<Option<String>, MachoError> {
    let program = Program::read(path)?;
    let can = |slice| way(&obstacles(&program, slice)) == Way::Inserted;
    Ok((!program.slices.iter().any(can)).then(|| told(&program)))
}

fn told(program: &Program) -> String {
    let mut text = format!("{}\n", shown(&program.path));
    for slice in &program.slices {
        let all = obstacles(program, slice);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}: {}", headline(slice), way(&all).name());
        for obstacle in &all {
            let weight = if obstacle.bars_insertion() { "" } else { "note: " };
            let _ = writeln!(text, "    {weight}{obstacle}\n      {}", obstacle.remedy());
        }
    }
    text
}

/// Processor, oldest macOS and signer.
fn headline(slice: &Slice) -> String {
    let mut text = slice.architecture.to_string();
    if let Some(oldest) = slice.oldest {
        let _ = write!(text, ", macOS {} or later", version(oldest));
    }
    match &slice.signature {
        None => text.push_str(", not signed"),
        Some(signature) => {
            let Signature { identifier, team, .. } = signature;
            let by = match team {
                Some(team) => format!("by team {team}"),
                None if signature.is_ad_hoc() => "by nobody".to_owned(),
                None => "without a team".to_owned(),
            };
            let _ = write!(text, ", signed {by} as {identifier}");
        }
    }
    // What a file says goes to a terminal: only what can be printed there.
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn version(packed: u32) -> String {
    format!("{}.{}", packed >> 16, packed >> 8 & 0xff)
}

fn as_json(program: &Program) -> Value {
    let obstacle = |obstacle: &Obstacle| {
        json!({
            "what": obstacle.to_string(),
            "remedy": obstacle.remedy(),
            "bars_insertion": obstacle.bars_insertion(),
            "bars_linking": obstacle.bars_linking(),
        })
    };
    let slice = |slice: &Slice| {
        let all = obstacles(program, slice);
        json!({
            "architecture": slice.architecture.to_string(),
            "oldest": slice.oldest.map(version),
            "identifier": slice.signature.as_ref().map(|it| it.identifier.clone()),
            "team": slice.signature.as_ref().and_then(|it| it.team.clone()),
            "way": way(&all).name(),
            "obstacles": all.iter().map(obstacle).collect::<Vec<_>>(),
        })
    };
    json!({
        "path": program.path.display().to_string(),
        "parts": program.slices.iter().map(slice).collect::<Vec<_>>(),
    })
}

fn self_test_json(tested: &SelfTest) -> Value {
    json!({
        "on": if tested.on_mac { "mac" } else { "mock" },
        "events": tested.events,
        "operations": tested.operations,
    })
}
