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

use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::tape::{Body, Event, Header, Payload, Tape};
use exam::Tally;
use secret::{Kind, Secret};
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

/// What the format itself writes, on any tape with these events, reads like the name.
#[test]
fn four_names_stand_on_tapes_that_never_held_them() {
    let open = Body::Open { service: 1, open_type: 0 };
    let data = Payload::bytes(&[1, 2]);
    let write = Body::Write { memory: 1, offset: 0, width: None, data };
    let posted = Body::Posted {
        ordinal: 1,
        status: IoReturn::SUCCESS,
        arguments: Scalars::clamped(&[1]),
        reference: [0; 8],
    };
    let bodies = [
        Some(posted), // ratn: "arguments"
        None,         // suma: "time":"simulated" of the header
        Some(write),  // nikw: "kind":"write"
        Some(open),   // vree: "service"
    ];
    for (name, body) in ["ratn", "suma", "nikw", "vree"].into_iter().zip(bodies) {
        let text = Some(name.to_owned());
        let secret = Secret { kind: Kind::User, text, binary: None, number: None };
        let events = body.map(|body| Event::new(1, 1, 1, body)).into_iter().collect();
        let tape = Tape::new(Header::mock(), events);
        let search = search::Search::new(&[secret]);
        assert_eq!(search::search_tape(&tape, &search), [0], "{name}");
        assert_eq!(search::of_the_format(&tape, &search), [0], "{name}");
    }
}
