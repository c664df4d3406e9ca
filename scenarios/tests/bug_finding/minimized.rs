//! What is left of the run that finds a bug once its tape is minimised in client mode, so that the client
//! with the bug fails on it and the right one does not fail alike. The table is `docs/bug-tapes.md`.
//!
//! The test run minimises a part of them, the proof (`cargo xtask prove bug-tapes`) all;
//! `DEXTAPE_BUG_TAPES_WRITE=1` beside `DEXTAPE_BUG_TAPES` writes the page.

use super::candidates::{clients, mock, parameters};
use super::exam::{Bug, Candidate};
use super::found::{By, cell};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use dextape::perturb::Deviations;
use dextape::schedule::Schedule;
use dextape::tape::{Scenario as Recorded, Tape};
use dextape_lab::{
    Attempt, Baseline, Failure, MinimizeError, MinimizeOptions, Mode, Regression, RegressionError,
    answered, answered_over, minimize_apart, minimize_over, places_over,
};
use dextape_recorder::recording::RecordOptions;
use dextape_recorder::suite::RunRecording;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Every so many of the bugs are taken in the test run.
const SAMPLE: usize = 4;

/// Events that a small tape has at most.
const EVENTS_MAX: usize = 10;

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/bug-tapes.md")
}

/// Records the client with its bug in a run that finds it, and gives how it failed.
fn record(candidate: &'static Candidate, bug: Bug, list: &Deviations) -> (Tape, Failure) {
    let folder = tempfile::tempdir().unwrap();
    let options = move || RecordOptions {
        scenario: Some(Recorded {
            name: candidate.scenario.name().to_owned(),
            parameters: parameters(candidate).recorded(),
        }),
        ..RecordOptions::default()
    };
    let check = mock(candidate).recorder(move || RunRecording::start(options()));
    let check = check.keep(folder.path().join("run.tape.jsonl")).deviations(list.clone());
    let failed = check.run(|system| (candidate.run)(system, Some(bug))).unwrap_err();
    let mut tape = Tape::read(failed.tape.as_ref().unwrap()).unwrap();
    tape.inline_blobs().unwrap();
    assert_eq!(Deviations::of_header(tape.header()), Ok(Some(list.clone())), "{bug:?}");
    (tape, Failure::of_run(&failed.what))
}

/// What is left of a run's tape alone.
fn alone(candidate: &'static Candidate, bug: Bug, tape: &Tape, failure: &Failure) -> String {
    let ended = |attempt: &Attempt, bug| {
        let client = |system: &Arc<dyn System>| (candidate.run)(system, bug);
        answered(attempt.tape(), client).unwrap()
    };
    let fails = |attempt: &Attempt| ended(attempt, Some(bug)).as_ref() == Some(failure);
    let is_alike = |attempt: &Attempt| ended(attempt, None).as_ref() == Some(failure);
    let options = MinimizeOptions { jobs: 2, ..MinimizeOptions::of(Mode::Client) };
    match minimize_apart(tape, "the bug", &options, &fails, &is_alike) {
        Ok(found) => {
            assert!(found.is_minimal && found.tape.validate().is_valid(), "{bug:?}");
            let count = found.tape.events().len();
            // Nothing more goes where it is begun anew.
            let again =
                minimize_apart(&found.tape, "the bug", &options, &fails, &is_alike).unwrap();
            assert_eq!(again.tape.events().len(), count, "{bug:?}");
            count.to_string()
        }
        Err(MinimizeError::Alike(_)) => ALIKE.to_owned(),
        Err(error) => panic!("{bug:?}: {error}"),
    }
}

/// What is left of it over the mock, by the deviations that it was recorded with, or without.
fn over(
    candidate: &'static Candidate,
    bug: Bug,
    tape: &Tape,
    failure: &Failure,
    deviations: &Deviations,
) -> Option<Tape> {
    let parameters = parameters(candidate);
    let make = |schedule: &Schedule, faults| -> Arc<dyn System> {
        let mock = MockSystem::builder(schedule).faults(faults).build();
        candidate.scenario.publish(&parameters, &mock).unwrap();
        mock
    };
    let ended = |attempt: &Attempt, bug| {
        let client = |system: &Arc<dyn System>| (candidate.run)(system, bug);
        answered_over(attempt.tape(), &make, client).unwrap()
    };
    let fails = |attempt: &Attempt| ended(attempt, Some(bug)).as_ref() == Some(failure);
    let is_alike = |attempt: &Attempt| ended(attempt, None).as_ref() == Some(failure);
    let options = MinimizeOptions { jobs: 2, ..MinimizeOptions::of(Mode::Client) };
    let mock = candidate.scenario.name().to_owned();
    let baseline = Baseline { mock, deviations: deviations.clone(), places: Vec::new() };
    match minimize_over(tape, &baseline, "the bug", &options, &fails, &is_alike) {
        Ok(found) => {
            assert!(found.is_minimal && found.tape.validate().is_valid(), "{bug:?}");
            let tape = Arc::new(found.tape);
            let client = |system: &Arc<dyn System>| (candidate.run)(system, Some(bug));
            let again = answered_over(&tape, &make, client).unwrap();
            assert_eq!(again.as_ref(), Some(failure), "{bug:?}");
            let mut baseline = Baseline::of_header(tape.header()).unwrap().unwrap();
            baseline.places = places_over(&tape, &make, client).unwrap();
            let mut tape = Arc::into_inner(tape).unwrap();
            baseline.enter(tape.header_mut());
            failure.enter(tape.header_mut());
            if let Some(folder) = std::env::var_os("DEXTAPE_KEEP_SHRUNK") {
                tape.write(&PathBuf::from(folder).join(format!("{bug:?}.tape.jsonl"))).unwrap();
            }
            Some(tape)
        }
        Err(MinimizeError::NotSeen(_) | MinimizeError::Alike(_)) => None,
        Err(error) => panic!("{bug:?}: {error}"),
    }
}

/// The cells of a bug: events of the run, what is left of the tape alone, of the tape over its mock, and of
/// its events over the mock.
fn cells(candidate: &'static Candidate, bug: Bug, list: &Deviations) -> [String; 4] {
    let (tape, failure) = record(candidate, bug, list);
    let by_events = over(candidate, bug, &tape, &failure, &Deviations::NONE);
    let by_events = by_events.map_or(UNSEEN.to_owned(), |tape| tape.events().len().to_string());
    let over = over(candidate, bug, &tape, &failure, list).unwrap_or_else(|| panic!("{bug:?}"));
    let baseline = Baseline::of_header(over.header()).unwrap().unwrap();
    let count = over.events().len() + baseline.deviations.len();
    let over = format!("{count}: `{}`", baseline.deviations);
    [tape.events().len().to_string(), alone(candidate, bug, &tape, &failure), over, by_events]
}

/// The rows of the page: the bug, the run's deviations, the cells.
fn rows(text: &str) -> impl Iterator<Item = (&str, Deviations, [&str; 4])> {
    text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let [name, list, cells @ ..] = &cells[..] else { return None };
        Some((*name, list.trim_matches('`').parse().ok()?, cells.try_into().ok()?))
    })
}

/// Things that are left by a cell.
fn count(cell: &str) -> Option<usize> {
    cell.split(':').next()?.parse().ok()
}

/// Some of those of which little is left, since those take the least time.
#[test]
fn a_part_of_the_tapes_shrinks_to_what_the_page_says() {
    let text = std::fs::read_to_string(page()).unwrap();
    // A client of rings waits very long for what a cut tape does not hold.
    let is_quick = |name: &str, alone: &str| {
        let is_small = count(alone).map_or(alone == ALIKE, |events| events <= EVENTS_MAX);
        is_small && !name.starts_with("Nvme")
    };
    let mut taken = 0;
    let quick = rows(&text).filter(|(name, _, cells)| is_quick(name, cells[1]));
    for (name, list, told) in quick.step_by(SAMPLE) {
        let found = clients().find(|(_, bug)| bug.is_some_and(|bug| format!("{bug:?}") == name));
        let (candidate, bug) = found.unwrap_or_else(|| panic!("there is no bug {name}"));
        assert_eq!(cells(candidate, bug.unwrap(), &list), told, "{name}");
        taken += 1;
    }
    assert!(taken >= 4, "{taken}");
}

/// Tapes that were kept with a test of the right client: the client with the bug fails on them, on every
/// machine.
#[test]
fn kept_tapes_fail_with_their_bugs() {
    let kept =
        [("shared_torn_text", Bug::SharedTornText), ("irq_lost_wake_up", Bug::IrqLostWakeUp)];
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/regressions");
    for (name, bug) in kept {
        let (candidate, _) = clients().find(|(_, it)| *it == Some(bug)).unwrap();
        let regression = Regression::read(&folder.join(format!("{name}.tape.jsonl"))).unwrap();
        let with_bug = |system: &Arc<dyn System>| (candidate.run)(system, Some(bug));
        let there = super::support::client_over(&regression, with_bug);
        assert!(matches!(there, Err(RegressionError::StillThere(..))), "{name}: {there:?}");
    }
}

#[test]
fn the_tapes_of_bugs_shrink_to_what_the_page_says() {
    if std::env::var_os("DEXTAPE_BUG_TAPES").is_none() {
        println!("skipped: all of the tapes are asked for by DEXTAPE_BUG_TAPES=1");
        return;
    }
    let exam = std::fs::read_to_string(super::found::page()).unwrap();
    let mut lines = String::new();
    let mut runs = 0;
    // How many of each column are left at all, and of how many few are.
    let (mut left, mut few) = ([0; 4], [0; 4]);
    for (candidate, bug) in clients() {
        let Some((bug, (_, list))) = bug.and_then(|bug| Some((bug, cell(&exam, bug, By::Mock)?)))
        else {
            continue;
        };
        let cells = cells(candidate, bug, &list);
        runs += 1;
        for (column, count) in cells.iter().map(|cell| count(cell)).enumerate() {
            left[column] += usize::from(count.is_some());
            few[column] += usize::from(count.is_some_and(|count| count <= EVENTS_MAX));
        }
        writeln!(lines, "| {bug:?} | `{list}` | {} |", cells.join(" | ")).unwrap();
    }
    let [_, alone, over, events] = left;
    let [_, few_alone, few_over, few_events] = few;
    println!(
        "figures: of {runs} runs {few_over} shrink to {EVENTS_MAX} things or fewer over their mock, \
         {few_events} by events over it, {few_alone} alone"
    );
    let counts = [
        ("RUNS", runs),
        ("FEW_OVER", few_over),
        ("FEW_EVENTS", few_events),
        ("FEW_ALONE", few_alone),
        ("LEFT_OVER", over),
        ("LEFT_EVENTS", events),
        ("LEFT_ALONE", alone),
        ("MOST", EVENTS_MAX),
    ];
    let replaced =
        |text: String, (word, count): &(&str, usize)| text.replace(word, &count.to_string());
    let text = counts.iter().fold(PAGE.to_owned(), replaced) + &lines;
    if std::env::var_os("DEXTAPE_BUG_TAPES_WRITE").is_some() {
        std::fs::write(page(), &text).unwrap();
    }
    let held = std::fs::read_to_string(page()).unwrap_or_default();
    assert!(
        held == text,
        "docs/bug-tapes.md differs; DEXTAPE_BUG_TAPES_WRITE=1 writes it:\n{text}"
    );
    assert_eq!(few_over, runs);
}

/// With the tape alone no tape of the failed run can tell the two clients apart.
const ALIKE: &str = "the right client fails alike";

/// The failure hangs on memory or on a thread, which events over a mock do not bring.
const UNSEEN: &str = "not by events";

const PAGE: &str = "\
# Tapes of the exam's bugs

The runs that find the bugs of the [exam](bug-exam.md), recorded and minimised in client mode. What is left
makes the client with the bug fail as it did, and the right one does not fail alike: what `minimize
--holds-with` asks for. Three ways of answering what a cut tape no longer holds:

- **Over its mock** (`minimize --baseline`): the mock of the scenario answers, and what is left is imposed on
  it: deviations of the run and events of the tape, counted together. The client with the bug holds on the
  mock with nothing imposed. LEFT_OVER of RUNS runs shrink so, FEW_OVER of them to MOST things or fewer. The
  time of a stall or of a delay is the shortest plain one with which it still fails.
- **By events over its mock**: the same without the deviations, as with the recording of a real device. Memory
  is the mock's then: what a thread missed that stood still before it read or wrote memory is not brought about
  by calls and completions. LEFT_EVENTS of RUNS shrink so, FEW_EVENTS to MOST or fewer.
- **Alone**, with no mock at all: the tape itself answers as usual. LEFT_ALONE of RUNS shrink so, FEW_ALONE to
  MOST or fewer. Where more are left, checks of the client compare answers that are no usual ones: each
  read of data, each counter has to stay as it was. With the others no tape that was met on the way tells the
  two clients apart: it holds what the driver did to a client that went wrong, and says nothing about what
  the driver would have done to one that goes another way. Where nothing is left, an answer that is made
  up is enough.

`cargo xtask prove bug-tapes` minimises all of them and compares this page; the test run does it for a part.
Two of the tapes over mocks are kept in `fixtures/regressions`, each with a test that `cargo xtask adopt` made: the
client with the bug fails on them in every test run, and the right one holds.

| bug | run | events | alone | over its mock | by events over it |
|---|---|--:|--:|---|--:|
";
