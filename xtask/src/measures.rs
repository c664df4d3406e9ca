//! The benches of this workspace. They stand beside their peers in a program of their own, so that the
//! command line does not have to be built with the peers.

use crate::{Bench, Goal, Measure, Unit};
use serde_json::Value;
use std::process::{Command, Stdio};

/// What `bench` measures.
pub(crate) const BENCHES: &[Bench] = &[
    Bench {
        name: "replay-strict",
        about: "a replayed call of 24 bytes in order, beside embedded-hal-mock",
        run: || measure("replay-strict"),
    },
    Bench {
        name: "replay-keyed",
        about: "a replayed call by its inputs, beside a bare hash map and mockall",
        run: || measure("replay-keyed"),
    },
    Bench {
        name: "record",
        about: "what recording adds to a small call",
        run: || measure("record"),
    },
    Bench {
        name: "iokit",
        about: "a call of a program in C: replayed, recorded and live, beside umockdev-run",
        run: || measure("iokit"),
    },
    Bench { name: "read", about: "reading a tape", run: || measure("read") },
    Bench {
        name: "diff",
        about: "two tapes of 100,000 events compared, and how they could be worst",
        run: || measure("diff"),
    },
    Bench {
        name: "page",
        about: "the page of 100,000 events: made, opened in Chromium, searched",
        run: || measure("page"),
    },
    Bench {
        name: "perturb",
        about: "runs that are made of a tape, with what they suggest differing",
        run: || measure("perturb"),
    },
    Bench { name: "show", about: "the transcript of a tape", run: || measure("show") },
];

/// Builds the program with optimisation, runs one group of it, and reads its figures.
fn measure(group: &str) -> Result<Vec<Measure>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["bench", "--quiet", "--package", "xtask", "--bench", "measures", "--", group])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("measure: cargo bench ended with {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|line| line.starts_with('{')).map(figure).collect()
}

fn figure(line: &str) -> Result<Measure, String> {
    let unreadable = || format!("read the figure {line:?}");
    let value: Value = serde_json::from_str(line).map_err(|_| unreadable())?;
    let unit = match value["unit"].as_str() {
        Some("ns") => Unit::Nanoseconds,
        Some("MB/s") => Unit::MegabytesPerSecond,
        Some("events/s") => Unit::EventsPerSecond,
        Some("schedules/s") => Unit::SchedulesPerSecond,
        Some("x") => Unit::Ratio,
        Some("") => Unit::Count,
        _ => return Err(unreadable()),
    };
    let goal = &value["goal"];
    let most = goal["most"].as_f64().map(Goal::AtMost);
    Ok(Measure {
        what: value["what"].as_str().ok_or_else(unreadable)?.to_owned(),
        value: value["value"].as_f64().ok_or_else(unreadable)?,
        unit,
        instructions: value["instructions"].as_f64(),
        goal: most.or_else(|| goal["least"].as_f64().map(Goal::AtLeast)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_program_is_a_figure() {
        let line = r#"{"group":"read","what":"a tape","value":412.5,"unit":"MB/s","instructions":null,"goal":{"least":300.0}}"#;
        let measure = figure(line).unwrap();
        assert_eq!((measure.value, measure.unit), (412.5, Unit::MegabytesPerSecond));
        assert_eq!(measure.goal, Some(Goal::AtLeast(300.0)));
        assert_eq!(measure.instructions, None);
        assert!(figure("{}").unwrap_err().starts_with("read the figure"));
    }
}
