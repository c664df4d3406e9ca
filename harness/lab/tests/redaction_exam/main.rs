//! An exam of the redaction: random tapes with planted private values, of which none may be left. What is
//! planted, and what looks for it afterwards, knows nothing of the redactor but its name. The full count
//! is `cargo xtask prove redaction-exam`'s; what came of it stands in `docs/redaction-exam.md`.

mod exam;
mod plant;
mod search;
mod secret;
mod subject;

use exam::Tally;

/// Tapes of an ordinary test run.
const SAMPLE: u64 = 150;

fn count() -> u64 {
    let asked = std::env::var("DEXTAPE_REDACTION_EXAM").ok().and_then(|count| count.parse().ok());
    asked.unwrap_or(SAMPLE)
}

#[test]
fn no_planted_value_leaves() {
    let mut tally = Tally::default();
    for number in 0..count() {
        tally.examine(number);
    }
    println!("{tally}");
    tally.assert_clean();
}
