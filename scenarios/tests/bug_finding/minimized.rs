//! What is left of the run that finds a bug once its tape is minimised in client mode, so that the client
//! with the bug fails on it and the right one does not fail alike. The table is `docs/bug-tapes.md`.
//!
//! The test run minimises a part of them, the proof (`cargo xtask prove bug-tapes`) all;
//! `DEXTAPE_BUG_TAPES_WRITE=1` beside `DEXTAPE_BUG_TAPES` writes the page.

use super::exam::Bug;
use super::found::row;
use super::{Candidate, clients, mock};
use dextape::connection::System;
use dextape::perturb::Deviations;
use dextape::tape::Tape;
use dextape_lab::{Attempt, Failure, MinimizeError, MinimizeOptions, Mode, answered, minimize};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    let (journal, path) = (folder.path().join("journal"), folder.path().join("run.tape.jsonl"));
    let ended = RefCell::new(None);
    let check = mock(candidate).deviations(list.clone());
    let _found = check.run(|system| {
        // A failed run is made again to describe it.
        if ended.borrow().is_none() {
            let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
            let result = (candidate.run)(&session.wrap(Arc::clone(system)), Some(bug));
            session.finish();
            *ended.borrow_mut() = Some(result);
        }
        Err::<(), _>("recorded")
    });
    seal(&journal, &path, SealOptions::default()).unwrap();
    let mut tape = Tape::read(&path).unwrap();
    tape.inline_blobs().unwrap();
    let failure = Failure::of_client(|| ended.into_inner().expect("a run")).expect("a failure");
    (tape, failure)
}

/// The cell of a bug.
fn left(candidate: &'static Candidate, bug: Bug, list: &Deviations) -> String {
    let (tape, failure) = record(candidate, bug, list);
    let ended = |attempt: &Attempt, bug| {
        let client = |system: &Arc<dyn System>| (candidate.run)(system, bug);
        answered(attempt.tape(), client).unwrap()
    };
    let fails = |attempt: &Attempt| ended(attempt, Some(bug)).as_ref() == Some(&failure);
    let fails_and_is_mended =
        |attempt: &Attempt| fails(attempt) && ended(attempt, None).as_ref() != Some(&failure);
    let options = MinimizeOptions { jobs: 2, ..MinimizeOptions::of(Mode::Client) };
    let before = tape.events().len();
    match minimize(&tape, "the bug", &options, &fails_and_is_mended) {
        Ok(found) => {
            assert!(found.is_minimal && found.tape.validate().is_valid(), "{bug:?}");
            let count = found.tape.events().len();
            // Nothing more goes where it is begun anew.
            let again = minimize(&found.tape, "the bug", &options, &fails_and_is_mended).unwrap();
            assert_eq!(again.tape.events().len(), count, "{bug:?}");
            format!("{before} | {count}")
        }
        Err(MinimizeError::NotSeen(_)) => {
            // Only whether it is seen.
            let no_time = MinimizeOptions { time: Some(Duration::ZERO), ..options };
            let whole = minimize(&tape, "the bug", &no_time, &fails);
            assert!(
                whole.is_ok(),
                "{bug:?}: the client with the bug does not fail by its own tape"
            );
            format!("{before} | the right client fails alike")
        }
        Err(error) => panic!("{bug:?}: {error}"),
    }
}

/// The rows of the page: the bug, the run's deviations, what is left.
fn rows(text: &str) -> impl Iterator<Item = (&str, Deviations, &str)> {
    text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.splitn(3, " | ");
        let (name, list, left) = (cells.next()?, cells.next()?, cells.next()?);
        Some((name, list.trim_matches('`').parse().ok()?, left))
    })
}

/// Some of those of which little is left, since those take the least time.
#[test]
fn a_part_of_the_tapes_shrinks_to_what_the_page_says() {
    let text = std::fs::read_to_string(page()).unwrap();
    // A client of rings waits very long for what a cut tape does not hold.
    let is_quick = |name: &str, left: &str| {
        let last = left.rsplit(' ').next().unwrap_or_default();
        let is_small = last.parse().map_or(last == "alike", |events: usize| events <= EVENTS_MAX);
        is_small && !name.starts_with("Nvme")
    };
    let mut taken = 0;
    let quick = rows(&text).filter(|(name, _, told)| is_quick(name, told));
    for (name, list, told) in quick.step_by(SAMPLE) {
        let found = clients().find(|(_, bug)| bug.is_some_and(|bug| format!("{bug:?}") == name));
        let (candidate, bug) = found.unwrap_or_else(|| panic!("there is no bug {name}"));
        assert_eq!(left(candidate, bug.unwrap(), &list), told, "{name}");
        taken += 1;
    }
    assert!(taken >= 4, "{taken}");
}

#[test]
fn the_tapes_of_bugs_shrink_to_what_the_page_says() {
    if std::env::var_os("DEXTAPE_BUG_TAPES").is_none() {
        println!("skipped: all of the tapes are asked for by DEXTAPE_BUG_TAPES=1");
        return;
    }
    let exam = std::fs::read_to_string(super::found::page()).unwrap();
    let mut lines = String::new();
    let (mut runs, mut shrunk, mut few) = (0, 0, 0);
    for (candidate, bug) in clients() {
        let Some((bug, (_, list))) = bug.and_then(|bug| Some((bug, row(&exam, bug)?))) else {
            continue;
        };
        let cell = left(candidate, bug, &list);
        let events = cell.rsplit(' ').next().and_then(|last| last.parse::<usize>().ok());
        runs += 1;
        shrunk += usize::from(events.is_some());
        few += usize::from(events.is_some_and(|events| events <= EVENTS_MAX));
        writeln!(lines, "| {bug:?} | `{list}` | {cell} |").unwrap();
    }
    println!("figures: {shrunk} of {runs} shrink, {few} of them to {EVENTS_MAX} events or fewer");
    let page_text = [("ALL", runs), ("LEFT", shrunk), ("FEW", few), ("MOST", EVENTS_MAX)]
        .iter()
        .fold(PAGE.to_owned(), |text, (word, count)| text.replace(word, &count.to_string()));
    let text = page_text + &lines;
    if std::env::var_os("DEXTAPE_BUG_TAPES_WRITE").is_some() {
        std::fs::write(page(), &text).unwrap();
    }
    let held = std::fs::read_to_string(page()).unwrap_or_default();
    assert!(
        held == text,
        "docs/bug-tapes.md differs; DEXTAPE_BUG_TAPES_WRITE=1 writes it:\n{text}"
    );
}

const PAGE: &str = "\
# Tapes of the exam's bugs

The runs that find the bugs of the [exam](bug-exam.md), recorded and minimised in client mode. What is left
makes the client with the bug fail as it did, and the right one does not fail alike: what `minimize
--holds-with` asks for.

Of ALL runs LEFT shrink so, FEW of them to MOST events or fewer. With the others no tape of the failed run can tell
the two clients apart: it holds what the driver did to a client that went wrong, and says nothing about what
the driver would have done to one that goes another way. Their runs are made again by their deviations, with
`check!`.

`cargo xtask prove bug-tapes` minimises all of them and compares this page; the test run does it for a part.

| bug | run | events | left |
|---|---|--:|--:|
";
