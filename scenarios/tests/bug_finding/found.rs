//! The table of bugs.

use super::{clients, mock};

#[test]
fn bugs_are_found_and_right_clients_hold() {
    let schedules =
        std::env::var("DEXTAPE_BUG_EXAM").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let mut missed = 0;
    for (candidate, bug) in clients() {
        let found = mock(candidate).schedules(schedules).run(|system| (candidate.run)(system, bug));
        match found {
            Ok(_) => missed += usize::from(bug.is_some()),
            Err(failure) => {
                assert!(
                    bug.is_some(),
                    "the right client of {}: {failure}",
                    candidate.scenario.name()
                );
            }
        }
    }
    assert!(missed <= 15, "{missed} of 30 are missed");
}
