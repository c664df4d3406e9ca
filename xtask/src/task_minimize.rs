//! `minimize`: a tape that brings a failure about becomes the smallest one that does.

use crate::Registry;
use crate::execution::{Execution, Limit};
use crate::exit::Failure;
use crate::output::Output;
use crate::place::shown;
use crate::play::{message, quietly, scenario_of};
use crate::progress::{self, Interrupt};
use crate::task_record::name_and_value;
use clap::{Args, value_parser};
use dextape::IoReturn;
use dextape::connection::System;
use dextape::fault::FaultPlan;
use dextape::kernel::MockSystem;
use dextape::perturb::{Deviation, Deviations};
use dextape::schedule::Schedule;
use dextape::tape::{Event, Scenario as Recorded, Tape};
use dextape_lab::{
    Attempt, Baseline, Driven, Failure as Wanted, MinimizeError, MinimizeOptions, Minimized, Mode,
    answered, answered_over, minimize_apart, minimize_over, places_over, planned_faults,
};
use dextape_plugin::Plugin;
use dextape_scenarios::{OtherDext, Parameters, Scenario, ScenarioError};
use serde_json::json;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is minimised, and what has to stay.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --against, --fails-with or --client, the client in Rust of the tape's own \
                        scenario is run. Ctrl-C ends the search with the best so far."
)]
pub(crate) struct Minimize {
    /// The tape.
    tape: PathBuf,
    /// The tape that is made.
    #[arg(short, long, value_name = "TAPE")]
    out: PathBuf,
    /// Dext mode: the mock dext of this scenario is driven by the tape, and calls are taken away.
    #[arg(long, value_name = "SCENARIO", conflicts_with_all = ["client", "fails_with"])]
    against: Option<String>,
    /// Dext mode: the dext of this library answers in place of the scenario's.
    #[arg(long, value_name = "LIBRARY", requires = "against")]
    plugin: Option<PathBuf>,
    /// Dext mode: the answer to this event is what has to differ as it does; the first that differs by
    /// default.
    #[arg(long, value_name = "NUMBER", requires = "against", conflicts_with_all = ["finding", "reply"])]
    event: Option<u64>,
    /// Dext mode: the mock has to find something whose text has this in it.
    #[arg(long, value_name = "TEXT", requires = "against", conflicts_with = "reply")]
    finding: Option<String>,
    /// Dext mode: a call of this selector has to be answered with this code, such as `3:Busy`.
    #[arg(long, value_name = "SELECTOR:CODE", requires = "against", value_parser = reply)]
    reply: Option<(u32, IoReturn)>,
    /// Client mode: the client in Rust of this scenario has to fail; the tape's own by default.
    #[arg(long, value_name = "SCENARIO", conflicts_with = "fails_with")]
    client: Option<String>,
    /// Client mode: this program has to fail, with these arguments: IOKit is `libIOKit.so` then. It stands
    /// last.
    #[arg(
        long,
        num_args = 1..,
        allow_hyphen_values = true,
        value_names = ["PROGRAM", "ARGS"]
    )]
    fails_with: Vec<OsString>,
    /// Client mode: this program, the mended one, must not fail alike where that one fails. It gets the same
    /// arguments, and stands before --fails-with. What is left then shows the bug and not only what was made
    /// up for a cut tape.
    #[arg(long, value_name = "PROGRAM", requires = "fails_with")]
    holds_with: Option<OsString>,
    /// Client mode: the mock of this scenario answers what the tape no longer holds, instead of usual
    /// answers; that of the tape's own by default. What is left is imposed on the mock, beside the
    /// deviations that the tape was recorded with.
    #[arg(
        long,
        value_name = "SCENARIO",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        conflicts_with = "against"
    )]
    baseline: Option<String>,
    /// The library that answers the program; the one of this workspace by default.
    #[arg(long, requires = "fails_with")]
    library: Option<PathBuf>,
    /// Set a parameter of the scenario.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    parameters: Vec<(String, String)>,
    /// Runs at a time; the result is the same for any number.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Seconds that one run of a program may take before it counts as another failure.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(1..))]
    timeout: u64,
    /// Seconds that the search may take.
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..))]
    within: Option<u64>,
}

fn reply(text: &str) -> Result<(u32, IoReturn), String> {
    let (selector, code) = text.split_once(':').ok_or("expected SELECTOR:CODE")?;
    let selector = selector.trim().parse().map_err(|_| "expected a number as the selector")?;
    let code = match code.trim() {
        "success" => "Success",
        code => code,
    };
    let short = code.parse::<IoReturn>();
    let code = short.or_else(|_| format!("kIOReturn{code}").parse::<IoReturn>());
    Ok((selector, code.map_err(|error| error.to_string())?))
}

/// Who is tried.
enum Tried<'a> {
    Dext {
        scenario: &'a dyn Scenario,
        other: Option<OtherDext<'a>>,
        parameters: Parameters,
        faults: FaultPlan,
    },
    Client {
        scenario: &'a dyn Scenario,
        parameters: Parameters,
    },
    Program {
        execution: Execution,
        /// The mended one.
        mended: Option<Execution>,
        limit: Limit,
    },
}

/// The mock that answers what the tape no longer holds.
struct Over<'a> {
    scenario: &'a dyn Scenario,
    parameters: Parameters,
    baseline: Baseline,
}

impl Over<'_> {
    fn mock(&self, schedule: &Schedule, faults: FaultPlan) -> Arc<dyn System> {
        let mock = MockSystem::builder(schedule).faults(faults).build();
        match self.scenario.publish(&self.parameters, &mock) {
            Ok(()) => mock,
            // It is published once before the search.
            Err(error) => panic!("failed to {error}"),
        }
    }
}

/// Minimises a tape.
pub(crate) fn run(registry: &Registry, asked: &Minimize, out: &mut Output) -> Result<(), Failure> {
    let mut tape = Tape::read(&asked.tape).map_err(|error| Failure::tape(&error))?;
    tape.inline_blobs().map_err(|error| Failure::tape(&error))?;
    let tried = tried(registry, asked, &tape)?;
    let over = match tried {
        Tried::Dext { .. } => None,
        Tried::Client { .. } | Tried::Program { .. } => over(registry, asked, &tape)?,
    };
    let interrupt = Interrupt::listen()?;
    let spinner = progress::spinner(format!("minimize {}", shown(&asked.tape)));
    let told = spinner.clone();
    let mode = if matches!(tried, Tried::Dext { .. }) { Mode::Dext } else { Mode::Client };
    let options = MinimizeOptions {
        jobs: usize::from(asked.jobs),
        time: asked.within.map(Duration::from_secs),
        stop: interrupt.flag(),
        progress: Some(Arc::new(move |progress| {
            told.set_message(format!("{} parts left, {} runs", progress.units, progress.trials));
        })),
        ..MinimizeOptions::of(mode)
    };
    let began = Instant::now();
    let minimized = quietly(|| search(&tape, &tried, over.as_ref(), asked, &options));
    spinner.finish_and_clear();
    let (wanted, mut minimized) =
        minimized.unwrap_or_else(|panic| Err(Failure::environment(message(&*panic))))?;
    let wanted = wanted.renumbered(|number| minimized.number_of(number)).unwrap_or(wanted);
    wanted.enter(minimized.tape.header_mut());
    if let Some(over) = &over {
        tell_places(over, &tried, &mut minimized)?;
    }
    minimized.tape.write(&asked.out).map_err(|error| Failure::tape(&error))?;
    tell(asked, &wanted, &minimized, began.elapsed(), out)
}

fn tried<'a>(registry: &'a Registry, asked: &Minimize, tape: &Tape) -> Result<Tried<'a>, Failure> {
    if !asked.fails_with.is_empty() {
        let execution = Execution::new(&asked.fails_with, asked.library.as_deref());
        let mended = asked.holds_with.as_ref().map(|program| {
            let arguments = asked.fails_with.iter().skip(1);
            let exec: Vec<OsString> = [program].into_iter().chain(arguments).cloned().collect();
            Execution::new(&exec, asked.library.as_deref())
        });
        let limit = Limit(Duration::from_secs(asked.timeout));
        return Ok(Tried::Program { execution, mended, limit });
    }
    let named = asked.against.as_ref().or(asked.client.as_ref());
    let scenario = match named {
        Some(name) => registry.scenarios.find(name).map_err(Failure::environment)?,
        None => {
            scenario_of(&registry.scenarios, tape)
                .map_err(|failure| {
                    failure.with(
                    "or name a program with --fails-with, a scenario with --client or --against",
                )
                })?
                .0
        }
    };
    let mut parameters = Parameters::of(scenario);
    let recorded = tape.header().scenario.as_ref();
    if let Some(recorded) = recorded.filter(|recorded| recorded.name == scenario.name()) {
        parameters.take_recorded(&recorded.parameters).map_err(Failure::environment)?;
    }
    for (name, value) in &asked.parameters {
        parameters.set(name, value).map_err(Failure::environment)?;
    }
    if asked.against.is_none() {
        return Ok(Tried::Client { scenario, parameters });
    }
    scenario.prepare(&mut parameters).map_err(Failure::environment)?;
    let faults = planned_faults(tape).map_err(Failure::environment)?;
    let plugin = asked.plugin.as_deref().map(Plugin::load).transpose();
    let other = plugin.map_err(Failure::environment)?.map(|plugin| {
        OtherDext::new(scenario, move |mock| {
            let published = plugin.publish(mock).map(drop);
            published.map_err(ScenarioError::refused("publish the dext of the plug-in"))
        })
    });
    Ok(Tried::Dext { scenario, other, parameters, faults })
}

/// The mock over which the tape is to be minimised, where it is.
fn over<'a>(
    registry: &'a Registry,
    asked: &Minimize,
    tape: &Tape,
) -> Result<Option<Over<'a>>, Failure> {
    let told = Baseline::of_header(tape.header()).map_err(Failure::Invalid)?;
    if told.is_none() && asked.baseline.is_none() {
        return Ok(None);
    }
    let named = asked.baseline.clone().filter(|name| !name.is_empty());
    let recorded = tape.header().scenario.as_ref();
    let told_name = told.as_ref().map(|told| told.mock.clone());
    let name = named.or(told_name).or_else(|| recorded.map(|it| it.name.clone()));
    let name = name.ok_or_else(|| {
        Failure::environment(
            "find the mock: the tape's header names no scenario; --baseline=SCENARIO names one",
        )
    })?;
    let scenario = registry.scenarios.find(&name).map_err(Failure::environment)?;
    let mut parameters = Parameters::of(scenario);
    match recorded {
        Some(recorded) if recorded.name == name => {
            parameters.take_recorded(&recorded.parameters).map_err(Failure::environment)?;
        }
        Some(recorded) => {
            return Err(Failure::environment(format!(
                "lay the tape over the mock of {name}: it is one of {}, and its parameters are of that",
                recorded.name
            )));
        }
        None => {}
    }
    for (name, value) in &asked.parameters {
        parameters.set(name, value).map_err(Failure::environment)?;
    }
    scenario.prepare(&mut parameters).map_err(Failure::environment)?;
    let published = Schedule::simulate(0, |schedule| {
        scenario.publish(&parameters, &MockSystem::builder(schedule).build())
    });
    published.map_err(Failure::environment)?;
    let deviations = match told {
        Some(told) => told.deviations,
        None => match Deviations::of_header(tape.header()).map_err(Failure::invalid)? {
            Some(deviations) => deviations,
            None => {
                let planned = planned_faults(tape).map_err(Failure::environment)?;
                planned.faults.into_iter().map(Deviation::Fault).collect()
            }
        },
    };
    let baseline = Baseline { mock: name, deviations, places: Vec::new() };
    Ok(Some(Over { scenario, parameters, baseline }))
}

/// Notes in a tape over a mock what stands at the places of its deviations, and the mock's parameters.
fn tell_places(
    over: &Over<'_>,
    tried: &Tried<'_>,
    minimized: &mut Minimized,
) -> Result<(), Failure> {
    let header = minimized.tape.header_mut();
    header.scenario = Some(Recorded {
        name: over.scenario.name().to_owned(),
        parameters: over.parameters.recorded(),
    });
    let (Tried::Client { scenario, parameters }, Some(mut baseline)) =
        (tried, Baseline::of_header(header).map_err(Failure::Invalid)?)
    else {
        return Ok(());
    };
    let tape = Tape::new(header.clone(), minimized.tape.events().to_vec());
    let make = |schedule: &Schedule, faults| over.mock(schedule, faults);
    let client =
        |system: &Arc<dyn System>| scenario.client(parameters, system, &mut std::io::sink());
    let places = quietly(|| places_over(&Arc::new(tape), &make, client));
    let places = places.unwrap_or_else(|_| Ok(Vec::new()));
    baseline.places = places.map_err(|error| Failure::tape(&error))?;
    baseline.enter(minimized.tape.header_mut());
    Ok(())
}

fn search(
    tape: &Tape,
    tried: &Tried<'_>,
    over: Option<&Over<'_>>,
    asked: &Minimize,
    options: &MinimizeOptions,
) -> Result<(Wanted, Minimized), Failure> {
    let wanted = Mutex::new(None);
    // The first run is of the whole tape: what it shows is what is looked for.
    let first_or_same = |found: Option<Wanted>| {
        let mut wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
        found.is_some_and(|found| *wanted.get_or_insert_with(|| found.clone()) == found)
    };
    let broken = Mutex::new(None);
    let or_stop = |shown: Result<bool, Failure>| {
        shown.unwrap_or_else(|error| {
            *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            options.stop.store(true, std::sync::atomic::Ordering::Relaxed);
            false
        })
    };
    let fails = |attempt: &Attempt| match tried {
        Tried::Client { scenario, parameters } => {
            let client = |system: &Arc<dyn System>| {
                scenario.client(parameters, system, &mut std::io::sink())
            };
            match over {
                Some(over) => {
                    let make = |schedule: &Schedule, faults| over.mock(schedule, faults);
                    answered_over(attempt.tape(), &make, client).is_ok_and(first_or_same)
                }
                None => answered(attempt.tape(), client).is_ok_and(first_or_same),
            }
        }
        Tried::Program { execution, limit, .. } => {
            or_stop(ended(execution, *limit, attempt.tape()).map(first_or_same))
        }
        Tried::Dext { scenario, other, parameters, faults } => {
            let scenario = other.as_ref().map_or(*scenario, |other| other as &dyn Scenario);
            let driven = driven(scenario, parameters, faults, attempt.tape());
            let mut wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
            if wanted.is_none() {
                *wanted = asked_for(asked, &driven);
            }
            wanted.as_ref().is_some_and(|wanted| wanted.is_seen(attempt, &driven))
        }
    };
    let is_alike = |attempt: &Attempt| match tried {
        Tried::Program { mended: Some(mended), limit, .. } => {
            or_stop(ended(mended, *limit, attempt.tape()).map(first_or_same))
        }
        _ => false,
    };
    let well = match tried {
        Tried::Dext { .. } => "the dext does nothing of what is looked for",
        Tried::Client { .. } => "the client ends well",
        Tried::Program { .. } => "the program ends well",
    };
    let minimized = match (tried, over) {
        (_, Some(over)) => {
            let baseline = &over.baseline;
            // Not what the mock brings about alone, whatever that is.
            let shown = whole_over(tape, baseline, &fails);
            if shown {
                minimize_over(tape, baseline, "a failure", options, &fails, &is_alike)
            } else {
                Err(MinimizeError::NotSeen(String::new()))
            }
        }
        (Tried::Dext { .. }, None) => dextape_lab::minimize(tape, "a failure", options, &fails),
        (_, None) => minimize_apart(tape, "a failure", options, &fails, &is_alike),
    };
    if let Some(error) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let minimized = minimized.map_err(|error| match error {
        MinimizeError::Tape(error) => Failure::tape(&error),
        MinimizeError::Alike(_) => Failure::Invalid(format!(
            "tell the program from the mended one by {}: with all of it both fail alike, and with every \
             part of it that was tried",
            shown(&asked.tape)
        )),
        MinimizeError::NotSeen(_) => Failure::Invalid(format!(
            "find a failure in {}: with all of it {well}",
            shown(&asked.tape)
        )),
        error => Failure::invalid(error),
    })?;
    let wanted = wanted.into_inner().unwrap_or_else(PoisonError::into_inner);
    wanted.map(|wanted| (wanted, minimized)).ok_or_else(|| Failure::invalid("find a failure"))
}

/// Whether the whole run shows a failure over its mock, by its deviations or by its events: the first that
/// does names what is looked for.
fn whole_over(tape: &Tape, baseline: &Baseline, fails: &dyn Fn(&Attempt) -> bool) -> bool {
    let attempt = |events: &[Event], deviations: &Deviations| {
        let mut tape = Tape::new(tape.header().clone(), events.to_vec());
        let baseline = Baseline { deviations: deviations.clone(), ..baseline.clone() };
        baseline.enter(tape.header_mut());
        fails(&Attempt::of(tape))
    };
    let had = &baseline.deviations;
    !had.is_empty() && attempt(&[], had)
        || attempt(tape.events(), &Deviations::NONE)
        || !had.is_empty() && attempt(tape.events(), had)
}

/// What is looked for in a dext: what was asked for, or the first that is wrong.
fn asked_for(asked: &Minimize, driven: &Driven) -> Option<Wanted> {
    if let Some(text) = &asked.finding {
        return Some(Wanted::Finding { text: text.clone() });
    }
    if let Some((selector, result)) = asked.reply {
        let result = if result.is_success() { "success".to_owned() } else { result.to_string() };
        return Some(Wanted::Reply { selector, result });
    }
    match asked.event {
        Some(event) => driven.report.differences.iter().find(|it| it.sequence == event).map(|it| {
            Wanted::Difference { event, part: it.part.clone(), found: Some(it.found.clone()) }
        }),
        None => Wanted::first_of(driven),
    }
}

/// Has the tape drive a dext.
fn driven(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    faults: &FaultPlan,
    tape: &Arc<Tape>,
) -> Driven {
    let seed = tape.header().seed.unwrap_or_default();
    let run = || {
        Schedule::simulate(seed, |schedule| {
            let mock = MockSystem::builder(schedule).faults(faults.clone()).build();
            if let Err(error) = scenario.publish(parameters, &mock) {
                return Driven { panic: Some(error.to_string()), ..Driven::default() };
            }
            dextape_lab::driven(tape, mock).unwrap_or_else(|error| Driven {
                panic: Some(error.to_string()),
                ..Driven::default()
            })
        })
    };
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Driven { panic: Some(message(&*panic)), ..Driven::default() })
}

/// How the program ends that is answered from the tape.
fn ended(execution: &Execution, limit: Limit, tape: &Tape) -> Result<Option<Wanted>, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::environment)?;
    let path = folder.path().join("attempt.tape.jsonl");
    tape.write(&path).map_err(|error| Failure::tape(&error))?;
    let ran = execution.run_within(&[("DEXTAPE_TAPE", path.into())], limit)?;
    Ok(ran.failure())
}

fn tell(
    asked: &Minimize,
    wanted: &Wanted,
    minimized: &Minimized,
    took: Duration,
    out: &mut Output,
) -> Result<(), Failure> {
    let Minimized { tape, events_before, is_minimal, trials, remembered, .. } = minimized;
    let events = tape.events().len();
    let path: &Path = &asked.out;
    let baseline = Baseline::of_header(tape.header()).map_err(Failure::Invalid)?;
    let rest = if *is_minimal {
        "nothing can be taken away from it"
    } else {
        "the search was ended before that was sure to be all"
    };
    out.result(
        || {
            format!(
                "{events_before} events became {events} in {:.1} s and {trials} runs; {rest}\n\
                 {}what they bring about: {wanted}\n{}",
                took.as_secs_f64(),
                baseline.as_ref().map(over_text).unwrap_or_default(),
                shown(path),
            )
        },
        || {
            json!({
                "tape": shown(path),
                "events_before": events_before,
                "events": events,
                "minimal": is_minimal,
                "runs": trials,
                "remembered": remembered,
                "seconds": took.as_secs_f64(),
                "failure": wanted,
                "baseline": baseline,
            })
        },
    )
}

/// What is left beside events, for people.
fn over_text(baseline: &Baseline) -> String {
    let mut text = format!("over the mock of {}\n", baseline.mock);
    for (place, deviation) in baseline.deviations.0.iter().enumerate() {
        let at = baseline.places.get(place).filter(|at| !at.is_empty());
        let at = at.map(|at| format!("  ({at})")).unwrap_or_default();
        text.push_str(&format!("    {deviation}{at}\n"));
    }
    text
}
