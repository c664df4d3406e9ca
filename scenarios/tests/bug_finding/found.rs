//! The table of bugs, in `docs`: by which run each is found first, of the mock and of the
//! tape of its client's undisturbed run alone.
//!
//! The test run makes those runs again. The proof (`cargo xtask prove bug-exam`) looks for all bugs
//! anew, has the right clients live through as many runs, and compares the table;
//! `DEXTAPE_BUG_EXAM_WRITE=1` beside `DEXTAPE_BUG_EXAM` writes it.

use super::candidates::{clients, mock, record};
use super::exam::{Bug, CANDIDATES, Candidate};
use super::table::{ENOUGH, NAME, PAGE, REASONS, UNTOLD};
use dextape::perturb::{Check, Deviation, Deviations, Failure};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Runs of which a bug is found by one, or missed: as many as a check makes unless told otherwise.
const FULL: u64 = 1000;

/// What a failure may need.
const DEVIATIONS_MAX: usize = 10;

/// The two that look for bugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Tape,
    Mock,
}

impl By {
    const BOTH: [Self; 2] = [Self::Mock, Self::Tape];

    /// Whether a failed run says anything: not where one fails that should not.
    fn tells(self, candidate: &Candidate) -> bool {
        self == Self::Mock || !UNTOLD.contains(&candidate.scenario.name())
    }

    fn check(self, candidate: &'static Candidate, bug: Option<Bug>) -> Check {
        match self {
            Self::Tape => {
                let tape = record(candidate, bug);
                Check::new(&tape).unwrap().faults(true).extrapolate(true)
            }
            Self::Mock => mock(candidate),
        }
    }
}

fn asked() -> Option<u64> {
    let asked = std::env::var("DEXTAPE_BUG_EXAM").ok()?;
    Some(asked.parse().expect("DEXTAPE_BUG_EXAM is a number of runs"))
}

pub(crate) fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(NAME)
}

/// Looks for a bug.
fn look(check: Check, candidate: &'static Candidate, bug: Option<Bug>) -> Option<Box<Failure>> {
    let folder = tempfile::tempdir().unwrap();
    let check = check.keep(folder.path().join("failed.tape.jsonl"));
    check.run(|system| (candidate.run)(system, bug)).err()
}

/// The cell of a bug: by which run it is found, and what that needs; `None` where it is missed.
pub(crate) fn cell(text: &str, bug: Bug, by: By) -> Option<(u64, Deviations)> {
    let name = format!("| {bug:?} | ");
    let row = text.lines().find_map(|line| line.strip_prefix(&name));
    let row = row.unwrap_or_else(|| panic!("{bug:?} is not in the table")).trim_end_matches(" |");
    let (mock, tape) = row.split_once(" | ").expect("a row has two cells");
    let (schedule, needed) = (if by == By::Mock { mock } else { tape }).split_once(": ")?;
    Some((schedule.parse().unwrap(), needed.trim_matches('`').parse().unwrap()))
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
    let mut failures = String::new();
    for candidate in &CANDIDATES {
        for by in By::BOTH {
            let failed = look(by.check(candidate, None).schedules(schedules), candidate, None);
            let name = candidate.scenario.name();
            match failed {
                Some(failed) if by.tells(candidate) => {
                    writeln!(failures, "{name} by {by:?}: {failed}").unwrap();
                }
                None if !by.tells(candidate) && schedules >= FULL => {
                    writeln!(failures, "{name} by {by:?} holds: it can be told by its tape")
                        .unwrap();
                }
                _ => {}
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Looks for every bug, where as many runs are asked for as the table was made with.
#[test]
fn the_table_is_what_is_found() {
    let Some(_) = asked().filter(|schedules| *schedules >= FULL) else {
        println!("skipped: the whole exam is asked for by DEXTAPE_BUG_EXAM={FULL}");
        return;
    };
    let mut rows = String::new();
    let (mut counts, mut proven, mut misses) = ([0; 2], 0, String::new());
    for (candidate, bug) in clients() {
        let Some(bug) = bug else { continue };
        write!(rows, "| {bug:?} |").unwrap();
        for (by, count) in By::BOTH.into_iter().zip(&mut counts) {
            if !by.tells(candidate) {
                write!(rows, " void |").unwrap();
                continue;
            }
            let check = by.check(candidate, Some(bug)).schedules(FULL);
            let found = look(check, candidate, Some(bug));
            *count += usize::from(found.is_some());
            let is_proven = |failure: &Failure| {
                !failure
                    .deviations
                    .0
                    .iter()
                    .any(|it| matches!(it, Deviation::Ahead | Deviation::Answered))
            };
            if by == By::Tape {
                proven += usize::from(found.as_deref().is_some_and(is_proven));
                if found.is_none() {
                    let name = format!("{bug:?}");
                    let reason = REASONS.iter().find(|(of, _)| *of == name).map(|(_, why)| *why);
                    writeln!(misses, "- {name}: {}", reason.unwrap_or("not known yet.")).unwrap();
                }
            }
            let cell = found.map_or("missed".to_owned(), |failure| {
                format!("{}: `{}`", failure.schedule, failure.deviations)
            });
            write!(rows, " {cell} |").unwrap();
        }
        rows.push('\n');
    }
    let [mock, tape] = counts.map(|count| count.to_string());
    let text = PAGE.replace("MOCK", &mock).replace("TAPE", &tape);
    let text = text.replace("PROVEN", &proven.to_string()).replace("MISSES\n", &misses);
    let text = text.replace("FULL", &FULL.to_string()).replace("TABLE\n", &rows);
    if std::env::var_os("DEXTAPE_BUG_EXAM_WRITE").is_some() {
        std::fs::write(page(), &text).unwrap();
    }
    let held = std::fs::read_to_string(page()).unwrap_or_default();
    assert!(held == text, "docs/{NAME} differs; DEXTAPE_BUG_EXAM_WRITE=1 writes it:\n{text}");
    for (count, enough) in counts.into_iter().zip(ENOUGH) {
        assert!(count >= enough, "{count} of 30 are found, not {enough}");
    }
}
