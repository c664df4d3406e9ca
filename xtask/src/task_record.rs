//! `record`: records a scenario's client and leaves a tape that has been replayed.

use crate::execution::{Execution, How};
use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::place::{recording, shown};
use crate::play::{Played, message, play, quietly};
use crate::task_replay::printed;
use crate::{Registry, progress, task_execute};
use clap::Args;
use dextape::connection::System;
use dextape::driverkit::{Finding, Leak};
use dextape::fault::{FaultError, FaultPlan};
use dextape::replay::{ReplayOptions, ReplayReport};
use dextape::tape::{Scenario as RecordedFrom, Tape};
use dextape_plugin::Plugin;
use dextape_recorder::flight::{BadTrigger, FlightOptions, FlightRecorder, Triggers};
use dextape_recorder::iokit::{IoKitSystem, LiveError};
use dextape_recorder::journal::{BadRing, JournalOptions, RingOptions};
use dextape_recorder::program::journal_of;
use dextape_recorder::recording::{PolicyRedactor, RecordOptions, RecordingSession, Redactor};
use dextape_recorder::seal::{SealOptions, SealReport, seal};
use dextape_scenarios::{OtherDext, Parameters, Scenario, ScenarioError, Time, run_on_faulty_mock};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is recorded, and how.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// The scenario; `list` shows them. On a Mac a program needs none.
    #[arg(required_unless_present = "exec")]
    scenario: Option<String>,
    /// Where the tape goes; into the build folder by default. One that is there is replaced.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Seed of the simulated run: the same seed gives the same bytes of tape.
    #[arg(long, default_value_t = 1, conflicts_with_all = ["live", "free"])]
    seed: u64,
    /// Key dump for a scenario that takes one; short for `--param dump=FILE`.
    #[arg(long)]
    dump: Option<PathBuf>,
    /// Set a parameter of the scenario.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    parameters: Vec<(String, String)>,
    /// What goes wrong on the mock: a file, or faults such as `call 3 #2: error Busy`, with `;`
    /// between.
    #[arg(long, value_name = "FILE|TEXT", conflicts_with = "live")]
    faults: Option<String>,
    /// Use real threads and real time on the mock instead of simulated ones.
    #[arg(long, conflicts_with = "live")]
    free: bool,
    /// Record the service of this Mac instead of the mock.
    #[arg(long)]
    live: bool,
    /// Have the dext of this library answer instead of the scenario's own: one in C++, for instance.
    #[arg(long, value_name = "LIBRARY", conflicts_with_all = ["live", "exec"])]
    plugin: Option<PathBuf>,
    /// Follow this redaction policy: private values get pseudonyms before they reach the disk, other ones
    /// with each run. `DEXTAPE_REDACT` by default.
    #[arg(long, value_name = "FILE")]
    redact: Option<PathBuf>,
    /// Keep the beginnings of connections and the newest events only, within this bound: such as 64MiB, 10min
    /// or 64MiB,10min.
    #[arg(long, value_name = "BOUND", value_parser = ring)]
    ring: Option<RingOptions>,
    /// Have a tape cut while the recording goes on, at such a thing: result:Timeout, result:any-error,
    /// signal:SIGUSR1, signal:crash; tapes:4 says how many at most. With commas between.
    #[arg(long, value_name = "TRIGGERS", value_parser = triggers)]
    trigger: Option<Triggers>,
    /// Print what the client prints.
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    execution: Execution,
}

fn ring(text: &str) -> Result<RingOptions, String> {
    text.parse().map_err(|error: BadRing| format!("failed to {error}"))
}

fn triggers(text: &str) -> Result<Triggers, String> {
    text.parse().map_err(|error: BadTrigger| format!("failed to {error}"))
}

pub(crate) fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What the client did while it was recorded.
#[derive(Default)]
struct Recorded {
    output: Vec<u8>,
    findings: Vec<Finding>,
    leaks: Vec<Leak>,
    /// Tapes that were cut meanwhile.
    cut: Vec<PathBuf>,
}

/// What is told of a recording.
struct Told {
    recorded: Recorded,
    sealed: SealReport,
    replayed: Replayed,
    /// What the tape says of private values.
    redactions: Vec<String>,
}

/// What came of replaying it.
enum Replayed {
    /// The client did all that the tape holds.
    Whole {
        report: ReplayReport,
        /// The first line that it printed otherwise.
        printed_other_from: Option<String>,
    },
    /// So it did, over the gap of a ring.
    Across {
        report: ReplayReport,
        /// Lines at the end that it printed the same.
        same_at_end: usize,
    },
    /// It did not come across the gap, and why.
    NotAcross(String),
}

/// Records, seals, validates, replays, and compares what the client printed both times.
pub(crate) fn run(registry: &Registry, asked: &Record, out: &mut Output) -> Result<(), Failure> {
    if asked.execution.is_asked() {
        let name = asked.scenario.as_deref();
        let path = asked.out.clone().unwrap_or_else(|| recording(name.unwrap_or("program")));
        let (execution, print) = (&asked.execution, asked.print);
        let parameters = given(asked)?;
        let how = How {
            redact: policy_of(asked),
            ring: asked.ring.clone(),
            triggers: asked.trigger.clone(),
        };
        return task_execute::record(execution, name, &parameters, &path, &how, print, out);
    }
    let scenario = asked.scenario.as_deref().unwrap_or_default();
    let scenario = registry.scenarios.find(scenario).map_err(Failure::environment)?;
    let Some(library) = &asked.plugin else { return run_scenario(scenario, asked, out) };
    let plugin = Plugin::load(library).map_err(Failure::environment)?;
    let other = OtherDext::new(scenario, move |mock| {
        let published = plugin.publish(mock).map(drop);
        published.map_err(ScenarioError::refused("publish the dext of the plug-in"))
    });
    run_scenario(&other, asked, out)
}

/// The policy that was asked for: a variable that other recordings follow is none that this one ignores.
fn policy_of(asked: &Record) -> Option<PathBuf> {
    asked.redact.clone().or_else(|| std::env::var_os("DEXTAPE_REDACT").map(PathBuf::from))
}

fn run_scenario(scenario: &dyn Scenario, asked: &Record, out: &mut Output) -> Result<(), Failure> {
    let parameters = parameters(scenario, asked)?;
    let faults = asked.faults.as_deref().map_or_else(|| Ok(FaultPlan::default()), faults)?;
    let redactor = policy_of(asked).map(|path| PolicyRedactor::read(&path)).transpose();
    let redactor = redactor.map_err(Failure::environment)?;
    let is_redacted = redactor.is_some();
    let path = asked.out.clone().unwrap_or_else(|| recording(scenario.name()));
    let spinner = progress::spinner(format!("record {}", scenario.name()));

    let journal = journal_of(&path);
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder).map_err(Failure::environment)?;
    }
    let recorded = record(scenario, &parameters, asked, &faults, redactor, (&journal, &path));
    spinner.set_message("seal");
    // Whatever became of the client: what it did until then is on the tape.
    let sealed = journal.exists().then(|| seal(&journal, &path, SealOptions::default()));
    if let (Err(_), Some(Ok(_))) = (&recorded, &sealed) {
        fs_err::remove_file(&journal).map_err(Failure::environment)?;
    }
    let recorded = recorded.map_err(|failure| match &sealed {
        Some(Ok(_)) => failure.with(&format!("what it did is on {}", shown(&path))),
        _ => failure,
    })?;
    let sealed = sealed.unwrap_or_else(|| Ok(SealReport::default())).map_err(|error| {
        let journal = shown(&journal);
        Failure::environment(error).with(&format!("`cargo xtask recover {journal}` tries again"))
    })?;
    fs_err::remove_file(&journal).map_err(Failure::environment)?;

    spinner.set_message("validate");
    let tape = Arc::new(Tape::read(&path).map_err(|error| Failure::tape(&error))?);
    let validation = tape.validate();
    if !validation.is_valid() {
        return Err(Failure::Invalid(format!("validate {}: {validation}", shown(&path))));
    }
    let redactions = tape.header().redactions.clone();
    spinner.set_message("replay");
    let played = play(scenario, &parameters, &tape, ReplayOptions::default());
    spinner.finish_and_clear();
    let replayed = if asked.ring.is_some() && sealed.gaps > 0 {
        across(&recorded.output, played)?
    } else {
        let played = played.map_err(|failure| {
            let failure = failure.about(&format!("replay {}", shown(&path)));
            if !is_redacted {
                return failure;
            }
            failure.with("the tape is redacted, and a client that computes with a private value cannot replay it")
        })?;
        let other = (played.output != recorded.output)
            .then(|| first_difference(&recorded.output, &played.output));
        if let Some(line) = &other {
            let other =
                format!("the client printed other lines than when it was recorded, from {line}");
            // Real time is not the same twice, and a client may print what hangs on it.
            if asked.free || asked.live {
                eprintln!("note: {other} on; in free time that can be");
            } else if is_redacted {
                eprintln!(
                    "note: {other} on; a private value that it prints is another one in a replay"
                );
            } else {
                return Err(Failure::Invalid(format!("replay {}: {other} on", shown(&path))));
            }
        }
        Replayed::Whole { report: played.report, printed_other_from: other }
    };
    if asked.print && out.format() == Format::Text {
        out.bytes(&recorded.output)?;
    }
    let told = Told { recorded, sealed, replayed, redactions };
    tell(scenario, asked, &path, &told, out)
}

/// What a replay over the gap of a ring came to. A client that does not come across is no fault of its tape.
fn across(recorded: &[u8], played: Result<Played, Failure>) -> Result<Replayed, Failure> {
    match played {
        Ok(played) => {
            let same_at_end = same_at_end(recorded, &played.output);
            Ok(Replayed::Across { report: played.report, same_at_end })
        }
        Err(Failure::Invalid(why)) => {
            eprintln!("note: the client did not replay the tape over its gap: {why}");
            Ok(Replayed::NotAcross(why))
        }
        Err(failure) => Err(failure),
    }
}

/// The parameters that were given, the dump among them.
fn given(asked: &Record) -> Result<Vec<(String, String)>, Failure> {
    let mut given = Vec::new();
    if let Some(dump) = &asked.dump {
        let dump = dump.to_str().ok_or_else(|| {
            Failure::environment(format!("read {}: its name is no Unicode", dump.display()))
        })?;
        given.push(("dump".to_owned(), dump.to_owned()));
    }
    given.extend(asked.parameters.iter().cloned());
    Ok(given)
}

fn parameters(scenario: &dyn Scenario, asked: &Record) -> Result<Parameters, Failure> {
    let mut parameters = Parameters::of(scenario);
    for (name, value) in given(asked)? {
        parameters.set(&name, value).map_err(Failure::environment)?;
    }
    // What a mock answers from says nothing of a service that is really there.
    if !asked.live {
        scenario.prepare(&mut parameters).map_err(Failure::environment)?;
    }
    Ok(parameters)
}

/// The plan of a file, or of the text itself.
fn faults(asked: &str) -> Result<FaultPlan, Failure> {
    /// Far more than a plan of as many faults as one may have.
    const FILE_MAX: u64 = 1 << 20;

    let path = Path::new(asked);
    if !path.is_file() {
        return asked.parse().map_err(|error: FaultError| {
            Failure::environment(format!("{error} (and there is no file of that name)"))
        });
    }
    let length = fs_err::metadata(path).map_err(Failure::environment)?.len();
    if length > FILE_MAX {
        return Err(Failure::environment(format!(
            "read faults from {}: expected at most {FILE_MAX} bytes, found {length}",
            shown(path)
        )));
    }
    let text = fs_err::read_to_string(path).map_err(Failure::environment)?;
    text.parse().map_err(|error: FaultError| {
        Failure::environment(error).about(&format!("read faults from {}", shown(path)))
    })
}

/// Runs the client with a recorder before it.
fn record(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    asked: &Record,
    faults: &FaultPlan,
    redactor: Option<PolicyRedactor>,
    (journal, tape): (&Path, &Path),
) -> Result<Recorded, Failure> {
    let mut options = RecordOptions {
        scenario: Some(RecordedFrom {
            name: scenario.name().to_owned(),
            parameters: parameters.recorded(),
        }),
        provenance: if faults.is_empty() { vec![] } else { vec![format!("faults: {faults}")] },
        redactor: redactor.map(|it| Arc::new(it) as Arc<dyn Redactor>),
        journal: JournalOptions { ring: asked.ring.clone(), ..JournalOptions::default() },
        ..RecordOptions::default()
    };
    let live =
        asked.live.then(IoKitSystem::open).transpose().map_err(|error| no_live(error, "record"))?;
    if let Some(system) = &live {
        options.host = system.host();
        options.page_size = system.page_size();
    }
    let session = RecordingSession::start(journal, options).map_err(Failure::environment)?;
    let flight = (asked.ring.is_some() || asked.trigger.is_some()).then(|| {
        let triggers = asked.trigger.clone().unwrap_or_default();
        let say = |text: &str| eprintln!("note: {text}");
        let options = FlightOptions { say, ..FlightOptions::default() };
        FlightRecorder::start(&session, tape, triggers, options)
    });
    let flight = flight.transpose().map_err(Failure::environment)?;
    let outcome = quietly(|| match live {
        Some(system) => on_this_mac(scenario, parameters, session.wrap(system)),
        None => {
            let seed = asked.seed;
            let time = if asked.free { Time::Free } else { Time::Simulated { seed } };
            let faults = faults.clone();
            run_on_faulty_mock(scenario, parameters, time, faults, |system| session.wrap(system))
                .map(|live| Recorded {
                    output: live.output.into_bytes(),
                    findings: live.findings,
                    leaks: live.leaks,
                    ..Recorded::default()
                })
        }
    });
    session.finish();
    let failed = |error: &dyn std::fmt::Display| {
        Failure::environment(format!("run the client of {}: {error}", scenario.name()))
    };
    match outcome {
        Ok(Ok(recorded)) => {
            let cut = flight.map(|flight| flight.tapes()).unwrap_or_default();
            Ok(Recorded { cut, ..recorded })
        }
        Ok(Err(error)) => Err(failed(&error)),
        Err(panic) => Err(failed(&message(&*panic))),
    }
}

fn on_this_mac(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    system: Arc<dyn System>,
) -> Result<Recorded, ScenarioError> {
    let mut output = Vec::new();
    scenario.client(parameters, &system, &mut output)?;
    Ok(Recorded { output, ..Recorded::default() })
}

/// Why this Mac, or this build, cannot do what `verb` asks for.
pub(crate) fn no_live(error: LiveError, verb: &str) -> Failure {
    match error {
        LiveError::NotBuilt => {
            Failure::environment(format!("{error}: `cargo xtask-live {verb} ..`"))
        }
        _ => Failure::environment(format!("{error} (leave out --live)")),
    }
}

/// The first line that differs, from 1 on.
fn first_difference(a: &[u8], b: &[u8]) -> String {
    let equal = a.iter().zip(b).take_while(|(a, b)| a == b);
    let line = 1 + equal.filter(|(byte, _)| **byte == b'\n').count();
    format!("line {line}")
}

/// How many lines at the end are the same.
pub(crate) fn same_at_end(a: &[u8], b: &[u8]) -> usize {
    fn from_the_end(text: &[u8]) -> impl Iterator<Item = &[u8]> {
        text.split(|byte| *byte == b'\n').rev().skip(1)
    }
    from_the_end(a).zip(from_the_end(b)).take_while(|(a, b)| a == b).count()
}

fn tell(
    scenario: &dyn Scenario,
    asked: &Record,
    path: &Path,
    told: &Told,
    out: &mut Output,
) -> Result<(), Failure> {
    let Told { recorded, sealed, replayed, redactions } = told;
    let from = if asked.live { "this Mac" } else { "the mock" };
    let path = shown(path);
    let (report, other) = match replayed {
        Replayed::Whole { report, printed_other_from } => {
            (Some(report), printed_other_from.as_ref())
        }
        Replayed::Across { report, .. } => (Some(report), None),
        Replayed::NotAcross(_) => (None, None),
    };
    let told = match replayed {
        Replayed::Whole { report, printed_other_from: None } => {
            format!("{report}; the client printed the same")
        }
        Replayed::Whole { report, .. } => report.to_string(),
        Replayed::Across { report, same_at_end } => {
            format!("{report}; the client printed the same at the end, {same_at_end} lines")
        }
        Replayed::NotAcross(_) => "this client did not replay it over its gap, as noted".to_owned(),
    };
    out.result(
        || {
            let mut text = format!(
                "recorded {} on {from}: {} events, {} bytes, {}\n",
                scenario.name(),
                sealed.events,
                sealed.bytes,
                printed(&recorded.output)
            );
            if sealed.gaps > 0 {
                text +=
                    &format!("the tape has {} gaps: `show --kind gap` tells why\n", sealed.gaps);
            }
            for finding in &recorded.findings {
                text += &format!("the mock found: {finding}\n");
            }
            for leak in &recorded.leaks {
                text += &format!("the dext left: {leak}\n");
            }
            for tape in &recorded.cut {
                text += &format!("cut by a trigger: {}\n", shown(tape));
            }
            for redaction in redactions {
                text += &format!("redacted: {redaction}\n");
            }
            text + &format!("valid, and {told}\n{path}")
        },
        || {
            json!({
                "scenario": scenario.name(),
                "on": if asked.live { "mac" } else { "mock" },
                "tape": path,
                "events": sealed.events,
                "bytes": sealed.bytes,
                "gaps": sealed.gaps,
                "in_flight": sealed.in_flight,
                "findings": recorded.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "leaks": recorded.leaks.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "cut": recorded.cut.iter().map(|tape| shown(tape)).collect::<Vec<_>>(),
                "policy": report.as_ref().map(|report| report.policy.name()),
                "operations": report.as_ref().map(|report| report.operations),
                "printed_other_from": other,
                "same_at_end": match replayed {
                    Replayed::Across { same_at_end, .. } => Some(same_at_end),
                    _ => None,
                },
                "not_across": match replayed {
                    Replayed::NotAcross(why) => Some(why),
                    _ => None,
                },
                "redactions": redactions,
                "client": if asked.print {
                    json!(String::from_utf8_lossy(&recorded.output))
                } else {
                    json!(null)
                },
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(first_difference(b"a\nb\nc", b"a\nB\nc"), "line 2");
        assert_eq!(first_difference(b"a\n", b"a\nb\n"), "line 2");
        assert_eq!(first_difference(b"", b"x"), "line 1");
    }

    #[test]
    fn lines_at_the_end_are_counted_that_are_the_same() {
        assert_eq!(same_at_end(b"a\nb\nc\n", b"x\nb\nc\n"), 2);
        assert_eq!(same_at_end(b"b\nc\n", b"a\nb\nc\n"), 2);
        assert_eq!(same_at_end(b"a\n", b"b\n"), 0);
        assert_eq!(same_at_end(b"", b"a\n"), 0);
    }
}
