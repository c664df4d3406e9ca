//! The table of bugs, in `docs/bug-exam.md`: by which run each is found first, of the mock and of the
//! tape of its client's undisturbed run alone.
//!
//! The test run makes those runs again. The proof (`cargo xtask prove bug-exam`) looks for all bugs
//! anew, has the right clients live through as many runs, and compares the table;
//! `DEXTAPE_BUG_EXAM_WRITE=1` beside `DEXTAPE_BUG_EXAM` writes it.

use super::exam::Bug;
use super::{CANDIDATES, Candidate, clients, mock, record};
use dextape::perturb::{Check, Deviations, Failure};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Runs of which a bug is found by one, or missed.
const FULL: u64 = 300;

/// Bugs that have to be found: of the mock and of a tape.
const ENOUGH: [usize; 2] = [28, 12];

/// What a failure may need.
const DEVIATIONS_MAX: usize = 10;

/// The two that look for bugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Tape,
    Mock,
}

impl By {
    const BOTH: [Self; 2] = [Self::Mock, Self::Tape];

    fn check(self, candidate: &'static Candidate, bug: Option<Bug>) -> Check {
        match self {
            Self::Tape => Check::new(&record(candidate, bug)).unwrap().faults(true),
            Self::Mock => mock(candidate),
        }
    }
}

fn asked() -> Option<u64> {
    let asked = std::env::var("DEXTAPE_BUG_EXAM").ok()?;
    Some(asked.parse().expect("DEXTAPE_BUG_EXAM is a number of runs"))
}

pub(crate) fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/bug-exam.md")
}

/// Looks for a bug.
fn look(check: Check, candidate: &'static Candidate, bug: Option<Bug>) -> Option<Box<Failure>> {
    let folder = tempfile::tempdir().unwrap();
    let check = check.keep(folder.path().join("failed.tape.jsonl"));
    check.run(|system| (candidate.run)(system, bug)).err()
}

/// The cell of a bug: by which run it is found, and what that needs; `None` where it is missed.
fn cell(text: &str, bug: Bug, by: By) -> Option<(u64, Deviations)> {
    let name = format!("| {bug:?} | ");
    let row = text.lines().find_map(|line| line.strip_prefix(&name));
    let row = row.unwrap_or_else(|| panic!("{bug:?} is not in the table")).trim_end_matches(" |");
    let (mock, tape) = row.split_once(" | ").expect("a row has two cells");
    let (schedule, needed) = (if by == By::Mock { mock } else { tape }).split_once(": ")?;
    Some((schedule.parse().unwrap(), needed.trim_matches('`').parse().unwrap()))
}

/// The run of the mock that finds a bug, and what it needs.
pub(crate) fn row(text: &str, bug: Bug) -> Option<(u64, Deviations)> {
    cell(text, bug, By::Mock)
}

/// Each bug of the table is found by the run that the table names, from what the table says that it
/// needs; and the right client holds in the very run of the mock. Of its own tape the right client holds
/// in all runs, see below: places on a tape are those of one recording.
#[test]
fn the_runs_of_the_table_find_their_bugs() {
    let text = std::fs::read_to_string(page()).unwrap();
    for (by, enough) in By::BOTH.into_iter().zip(ENOUGH) {
        let mut found_ones = 0;
        for (candidate, bug) in clients() {
            let Some(bug) = bug else { continue };
            let Some((schedule, needed)) = cell(&text, bug, by) else { continue };
            found_ones += 1;
            let found = look(by.check(candidate, Some(bug)).only(schedule), candidate, Some(bug));
            let found = found.unwrap_or_else(|| panic!("{bug:?} by {by:?}: run {schedule} holds"));
            assert_eq!(found.deviations, needed, "{bug:?} by {by:?}");
            assert!(needed.len() <= DEVIATIONS_MAX, "{bug:?} needs {}", needed.len());
            if by == By::Mock {
                let right = look(mock(candidate).deviations(needed), candidate, None);
                assert!(right.is_none(), "{bug:?}, the right client: {}", right.unwrap());
            }
        }
        assert!(found_ones >= enough, "{found_ones} of 30 are found by {by:?}");
    }
}

/// Right clients fail in no run: neither of their tape nor of the mock.
#[test]
fn right_clients_hold() {
    let schedules = asked().unwrap_or(25);
    for candidate in &CANDIDATES {
        for by in By::BOTH {
            let failed = look(by.check(candidate, None).schedules(schedules), candidate, None);
            let name = candidate.scenario.name();
            assert!(failed.is_none(), "{name} by {by:?}: {}", failed.unwrap());
        }
    }
}

/// Looks for every bug, where as many runs are asked for as the table was made with.
#[test]
fn the_table_is_what_is_found() {
    let Some(_) = asked().filter(|schedules| *schedules >= FULL) else {
        println!("skipped: the whole exam is asked for by DEXTAPE_BUG_EXAM={FULL}");
        return;
    };
    let mut rows = String::new();
    let mut counts = [0; 2];
    for (candidate, bug) in clients() {
        let Some(bug) = bug else { continue };
        write!(rows, "| {bug:?} |").unwrap();
        for (by, count) in By::BOTH.into_iter().zip(&mut counts) {
            let check = by.check(candidate, Some(bug)).schedules(FULL);
            let found = look(check, candidate, Some(bug));
            *count += usize::from(found.is_some());
            let cell = found.map_or("missed".to_owned(), |failure| {
                format!("{}: `{}`", failure.schedule, failure.deviations)
            });
            write!(rows, " {cell} |").unwrap();
        }
        rows.push('\n');
    }
    let [mock, tape] = counts.map(|count| count.to_string());
    let text = PAGE.replace("MOCK", &mock).replace("TAPE", &tape);
    let text = text.replace("FULL", &FULL.to_string()).replace("TABLE\n", &rows);
    if std::env::var_os("DEXTAPE_BUG_EXAM_WRITE").is_some() {
        std::fs::write(page(), &text).unwrap();
    }
    let held = std::fs::read_to_string(page()).unwrap_or_default();
    assert!(held == text, "docs/bug-exam.md differs; DEXTAPE_BUG_EXAM_WRITE=1 writes it:\n{text}");
    for (count, enough) in counts.into_iter().zip(ENOUGH) {
        assert!(count >= enough, "{count} of 30 are found, not {enough}");
    }
}

const PAGE: &str = "\
# The bug exam

Six clients of our scenarios have thirty seeded bugs between them (`scenarios/tests/bug_exam`). Each
hides where nothing disturbs the client, and so in plain replay, which finds none. The table says which
run finds each first, of FULL runs under seed 1 in which timing and faults differ, and what that run
needs to differ in once it is shrunk: of the client on the mock, and of the tape alone that was
recorded of the client when nothing disturbed it.

Found on the mock: MOCK of 30; on the tape: TAPE of 30. The right variants of the clients fail in none
of these runs.

A tape knows less than a mock: a call that it does not hold, and memory that the device had or had not
changed when it ended, are not made up. Such a run ends without a verdict, or after a fault the call is
refused with an error. So a bug that shows only in what the device answers to a call that was never
recorded is not found by the tape. Which of the misses have that reason was not looked into one by one.

`cargo xtask prove bug-exam` looks for all of them anew and compares this page; the test run makes the
runs that it names.

| bug | found on the mock by | found on the tape by |
|---|---|---|
TABLE
";
