//! `record --exec` and `replay --exec`: programs that are no scenario's client.

use crate::execution::{Executed, Execution};
use crate::exit::Failure;
use crate::input::Input;
use crate::output::{Format, Output};
use crate::place::shown;
use crate::task_doctor::bars_insertion;
use crate::task_replay::printed;
use dextape::tape::Tape;
use serde_json::json;
use std::ffi::OsString;
use std::path::Path;

/// Records the program on the mock of a scenario, validates the tape, replays it to the same program, and
/// compares what it printed.
pub(crate) fn record(
    execution: &Execution,
    scenario: Option<&str>,
    parameters: &[(String, String)],
    path: &Path,
    print: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder).map_err(Failure::environment)?;
    }
    let path = std::path::absolute(path).map_err(Failure::environment)?;
    if cfg!(target_os = "macos") {
        return record_inserted(execution, &path, print, out);
    }
    if let Ok(bars) = bars_insertion(&execution.program()) {
        let name = execution.name();
        let told = bars.map_or_else(String::new, |told| format!("; and even there\n{told}"));
        return Err(Failure::environment(format!(
            "record {name}: it is a program for macOS, and this is no Mac{told}"
        )));
    }
    let Some(scenario) = scenario else {
        return Err(Failure::environment(
            "record a program: on which scenario's mock? (`list` shows them: record SCENARIO --exec ..)",
        ));
    };
    let given: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let variables = [
        ("DEXTAPE_SCENARIO", scenario.into()),
        ("DEXTAPE_PARAMETERS", given.join(",").into()),
        ("DEXTAPE_RECORD", path.clone().into_os_string()),
    ];
    let mut recorded = execution.run(&variables, Input::Kept)?;
    if !path.is_file() {
        let name = execution.name();
        return Err(Failure::environment(format!(
            "record {name}: it left no tape; it ended with {}, and may not use IOKit",
            recorded.status
        )));
    }
    let tape = Tape::read(&path).map_err(|error| Failure::tape(&error))?;
    let validation = tape.validate();
    if !validation.is_valid() {
        return Err(Failure::Invalid(format!("validate {}: {validation}", shown(&path))));
    }
    // It is to read the same once more.
    let played = play(execution, &path, Input::Given(std::mem::take(&mut recorded.input)))?;
    if (&played.output, played.status) != (&recorded.output, recorded.status) {
        return Err(Failure::Invalid(format!(
            "replay {}: {} printed other lines than when it was recorded, or ended otherwise",
            shown(&path),
            execution.name()
        )));
    }
    let events = tape.events().len();
    tell(execution, &recorded, &path, print, out, || {
        format!("recorded {} on the mock of {scenario}: {events} events", execution.name())
    })
}

/// Records the program from inside it, on this Mac, where nothing stands in the way.
fn record_inserted(
    execution: &Execution,
    path: &Path,
    print: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    if let Some(told) = bars_insertion(&execution.program()).map_err(Failure::environment)? {
        return Err(Failure::environment(format!(
            "record {} from inside:\n{told}",
            execution.name()
        )));
    }
    let recorded = execution.run_inserted(path)?;
    if !path.is_file() {
        let name = execution.name();
        return Err(Failure::environment(format!(
            "record {name}: it left no tape; it ended with {}, and may not use IOKit itself",
            recorded.status
        )));
    }
    let tape = Tape::read(path).map_err(|error| Failure::tape(&error))?;
    let validation = tape.validate();
    if !validation.is_valid() {
        return Err(Failure::Invalid(format!("validate {}: {validation}", shown(path))));
    }
    let events = tape.events().len();
    tell(execution, &recorded, path, print, out, || {
        format!("recorded {} on this Mac: {events} events", execution.name())
    })
}

/// Replays a tape to the program.
pub(crate) fn replay(
    execution: &Execution,
    path: &Path,
    print: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let path = std::path::absolute(path).map_err(Failure::environment)?;
    let played = play(execution, &path, Input::Own)?;
    tell(execution, &played, &path, print, out, || {
        format!("replayed the whole tape to {}", execution.name())
    })
}

/// Replays strictly: 101 is a divergence, 102 a tape that was not used whole, and both have been said.
fn play(execution: &Execution, path: &Path, input: Input) -> Result<Executed, Failure> {
    let strict = ("DEXTAPE_STRICT", OsString::from("1"));
    let played = execution.run(&[("DEXTAPE_TAPE", path.into()), strict], input)?;
    match played.status.code() {
        Some(101) => Err(Failure::Invalid(format!("replay {}: it diverged", shown(path)))),
        Some(102) => {
            Err(Failure::Invalid(format!("replay {}: not all of it was used", shown(path))))
        }
        _ => Ok(played),
    }
}

fn tell(
    execution: &Execution,
    executed: &Executed,
    path: &Path,
    print: bool,
    out: &mut Output,
    what: impl Fn() -> String,
) -> Result<(), Failure> {
    if print && out.format() == Format::Text {
        out.bytes(&executed.output)?;
    }
    let path = shown(path);
    out.result(
        || {
            let (ended, printed) = (executed.status, printed(&executed.output));
            format!("{}; {printed}, {ended}\n{path}", what())
        },
        || {
            json!({
                "program": execution.name(),
                "tape": path,
                "ended": executed.status.to_string(),
                "printed": String::from_utf8_lossy(&executed.output),
            })
        },
    )
}
