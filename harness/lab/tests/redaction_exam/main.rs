//! An exam of the redaction: random tapes with planted private values, of which none may be left. What is
//! planted, and what looks for it afterwards, knows nothing of the redactor but its name. The full count
//! is `cargo xtask prove redaction-exam`'s; what came of it stands in `docs/redaction-exam.md`.

mod clients;
mod exam;
mod plant;
mod planting;
mod search;
mod secret;
mod story;
mod subject;

use exam::Tally;
use std::ops::Range;

/// Tapes of an ordinary test run.
const SAMPLE: u64 = 16;

/// The numbers of the tapes. `DEXTAPE_REDACTION_FIRST` is the first, for others than those that the redactor was
/// mended by, or for a single one.
fn numbers() -> Range<u64> {
    let asked = |variable| std::env::var(variable).ok().and_then(|number| number.parse().ok());
    let count: u64 = asked("DEXTAPE_REDACTION_EXAM").unwrap_or(SAMPLE);
    let first: u64 = asked("DEXTAPE_REDACTION_FIRST").unwrap_or(0);
    first..first.saturating_add(count)
}

#[test]
fn no_planted_value_leaves() {
    let mut tally = Tally::default();
    for number in numbers() {
        tally.examine(number);
    }
    println!("{tally}");
    tally.assert_clean();
}

#[test]
fn tapes_of_copying_and_comparing_clients_replay() {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let (mut failed, mut left) = (0, 0);
    for number in numbers() {
        if let Err(error) = clients::copy_and_compare(directory.path(), number) {
            // At once: the others may take long.
            println!("client {number}: {error}");
            failed += 1;
            left += u64::from(error.contains(" are left"));
        }
    }
    println!("{failed} of {} clients did not replay, {left} of them leak", numbers().count());
    assert_eq!(failed, 0, "see above");
}
