//! `record --exec` and `replay --exec`: programs that are no scenario's client.

use crate::execution::{Executed, Execution, How};
use crate::exit::Failure;
use crate::input::Input;
use crate::output::{Format, Output};
use crate::place::shown;
use crate::task_doctor::bars_insertion;
use crate::task_record::same_at_end;
use crate::task_replay::printed;
use dextape::redaction::RedactionPolicy;
use dextape::tape::{Body, Tape};
use dextape_recorder::flight::cut_tapes;
use dextape_recorder::program::{journal_of, seal_left, tapes_of_others};
use serde_json::json;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Records the program on the mock of a scenario, validates the tape, replays it to the same program, and
/// compares what it printed.
pub(crate) fn record(
    execution: &Execution,
    scenario: Option<&str>,
    parameters: &[(String, String)],
    path: &Path,
    how: &How,
    print: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    // The program would say so, too, but go on without a service.
    let redact = how.redact.as_deref().map(|policy| {
        RedactionPolicy::read(policy).map_err(Failure::environment)?;
        std::path::absolute(policy).map_err(Failure::environment)
    });
    let how = &How { redact: redact.transpose()?, ..how.clone() };
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder).map_err(Failure::environment)?;
    }
    let path = std::path::absolute(path).map_err(Failure::environment)?;
    if cfg!(target_os = "macos") {
        return record_inserted(execution, &path, how, print, out);
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
    let mut variables = vec![
        ("DEXTAPE_SCENARIO", scenario.into()),
        ("DEXTAPE_PARAMETERS", given.join(",").into()),
        ("DEXTAPE_RECORD", path.clone().into_os_string()),
    ];
    variables.extend(how.variables());
    expect_no_journal(&path)?;
    let before = tapes_of_others(&path).map_err(Failure::environment)?;
    let cut_before = cut_tapes(&path).map_err(Failure::environment)?;
    let mut recorded = execution.run(&variables, Input::Kept)?;
    seal_what_is_left(&path)?;
    say_what_was_cut(&path, &cut_before)?;
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
    let others = tapes_of_others(&path).map_err(Failure::environment)?;
    let others: Vec<_> = others.into_iter().filter(|tape| !before.contains(tape)).collect();
    if !others.is_empty() {
        return tell(execution, &recorded, &path, print, out, || {
            let others: Vec<_> = others.iter().map(|tape| shown(tape).to_string()).collect();
            format!(
                "recorded {} on the mock of {scenario}, and {} more programs that came of it ({}): each \
                 replays its own tape, which DEXTAPE_TAPE tells it; they were not replayed here",
                execution.name(),
                others.len(),
                others.join(", ")
            )
        });
    }
    let gaps = tape.events().iter().filter(|event| matches!(event.body, Body::Gap { .. })).count();
    // It is to read the same once more.
    let played = play(execution, &path, Input::Given(std::mem::take(&mut recorded.input)));
    if gaps > 0 {
        let (events, name) = (tape.events().len(), execution.name());
        let told = across(&recorded, played)?;
        return tell(execution, &recorded, &path, print, out, || {
            format!(
                "recorded {name} on the mock of {scenario}: {events} events, and some are missing in {gaps} gaps \
                 (`show --kind gap` tells why); {told}"
            )
        });
    }
    let played = played?;
    let is_same = (&played.output, played.status) == (&recorded.output, recorded.status);
    if !is_same && how.redact.is_some() && played.status == recorded.status {
        eprintln!(
            "note: {} printed other lines than when it was recorded; a private value that it prints is \
             another one in a replay",
            execution.name()
        );
    } else if !is_same {
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

/// What a replay over the gaps of a tape came to. A program that does not come across is no fault of its tape.
fn across(recorded: &Executed, played: Result<Executed, Failure>) -> Result<String, Failure> {
    let played = match played {
        Err(Failure::Invalid(why)) => {
            eprintln!("note: {why}");
            return Ok("it did not replay the tape over them, as noted".to_owned());
        }
        played => played?,
    };
    let ended = if played.status == recorded.status {
        "ended the same".to_owned()
    } else {
        format!("ended otherwise, with {}", played.status)
    };
    let same = same_at_end(&recorded.output, &played.output);
    Ok(format!("replayed over them, it {ended}, and printed the same at the end, {same} lines"))
}

/// What an earlier recording left would be taken for this one's.
fn expect_no_journal(tape: &Path) -> Result<(), Failure> {
    let journal = journal_of(tape);
    if !journal.exists() {
        return Ok(());
    }
    let (tape, journal) = (shown(tape), shown(&journal));
    Err(Failure::environment(format!(
        "record {tape}: {journal} is there, left by a recording that did not come to its end, or of one that \
         goes on; where none does, `cargo xtask recover {journal}` makes its tape; then remove it"
    )))
}

/// Seals what the program left that did not end by itself, and what it was before it became another.
fn seal_what_is_left(tape: &Path) -> Result<(), Failure> {
    for left in seal_left(tape).map_err(Failure::environment)? {
        let (journal, own) = (shown(&left.journal), shown(&left.tape));
        let sealed = left.sealed.map_err(|error| {
            Failure::environment(error)
                .with(&format!("`cargo xtask recover {journal}` tries again"))
        })?;
        eprintln!(
            "note: sealed {own}, {} events, of a program that did not seal it itself",
            sealed.events
        );
    }
    Ok(())
}

/// Names the tapes that triggers had cut.
fn say_what_was_cut(tape: &Path, before: &[PathBuf]) -> Result<(), Failure> {
    for cut in cut_tapes(tape).map_err(Failure::environment)? {
        if !before.contains(&cut) {
            eprintln!("note: cut by a trigger: {}", shown(&cut));
        }
    }
    Ok(())
}

/// Records the program from inside it, on this Mac, where nothing stands in the way.
fn record_inserted(
    execution: &Execution,
    path: &Path,
    how: &How,
    print: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    if let Some(told) = bars_insertion(&execution.program()).map_err(Failure::environment)? {
        return Err(Failure::environment(format!(
            "record {} from inside:\n{told}",
            execution.name()
        )));
    }
    expect_no_journal(path)?;
    let cut_before = cut_tapes(path).map_err(Failure::environment)?;
    let recorded = execution.run_inserted(path, how)?;
    seal_what_is_left(path)?;
    say_what_was_cut(path, &cut_before)?;
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

/// Replays strictly: 101 is a divergence, 102 a tape that was not used whole or not at
/// all, and both have been said.
fn play(execution: &Execution, path: &Path, input: Input) -> Result<Executed, Failure> {
    let strict = ("DEXTAPE_STRICT", OsString::from("1"));
    let played = execution.run(&[("DEXTAPE_TAPE", path.into()), strict], input)?;
    match played.status.code() {
        Some(101) => Err(Failure::Invalid(format!("replay {}: it diverged", shown(path)))),
        Some(102) => Err(Failure::Invalid(format!(
            "replay {}: not all of it was used, as said",
            shown(path)
        ))),
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
