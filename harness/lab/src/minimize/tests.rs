//! That what is left is minimal, whatever is needed.

use super::cut::cut;
use super::kept::Kept;
use super::units::Units;
use super::{Attempt, MinimizeOptions, Mode, minimize};
use dextape::schedule::Generator;
use dextape::tape::{Body, Sequence, Tape, sample};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A recording with threads, memory, completions and waits.
fn whole() -> Tape {
    whole_of("blocking-waits/right")
}

fn whole_of(name: &str) -> Tape {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let tape = Tape::read(&fixtures.join(format!("{name}.tape.jsonl"))).unwrap();
    assert!(tape.validate().is_valid());
    tape
}

/// Numbers of some events.
fn drawn(tape: &Tape, seed: u64, count: usize) -> BTreeSet<Sequence> {
    let mut generator = Generator::new(seed);
    let draw = |_| 1 + generator.next_u64() % tape.events().len() as u64;
    (0..count).map(draw).collect()
}

fn holds(attempt: &Attempt, needed: &BTreeSet<Sequence>) -> bool {
    let numbers = attempt.tape().events().iter().map(|event| attempt.original(event.sequence));
    numbers.filter(|number| needed.contains(number)).count() == needed.len()
}

#[test]
fn no_single_thing_can_be_taken_from_what_is_left() {
    let tapes = ["blocking-waits/right", "shared-buffer/kept", "usb-bulk/lost"].map(whole_of);
    for (seed, mode) in (0..15).flat_map(|seed| [(seed, Mode::Dext), (seed, Mode::Client)]) {
        let tape = &tapes[seed as usize % 3];
        let needed = drawn(tape, seed, 1 + seed as usize % 5);
        let fails = |attempt: &Attempt| holds(attempt, &needed);
        let found = minimize(tape, "", &MinimizeOptions::of(mode), &fails).unwrap();
        assert!(found.is_minimal && found.tape.validate().is_valid(), "{seed} {mode:?}");
        assert!(needed.iter().all(|number| found.number_of(*number).is_some()), "{seed} {mode:?}");
        // Each unit without all that hangs on it, in the way of this test: by hand, and all of them.
        let units = Units::of(&found.tape, mode).unwrap();
        for unit in 0..units.len() as u32 {
            let mut rest = Kept::all(units.len());
            let mut gone = vec![unit];
            while let Some(unit) = gone.pop() {
                rest.remove(unit);
                gone.extend(units.users(unit).iter().filter(|user| rest.has(**user)));
            }
            let (_, left) = cut(&found.tape, &units, &rest);
            let is_left =
                |needed: &Sequence| found.number_of(*needed).is_some_and(|it| left.contains(&it));
            assert!(!needed.iter().all(is_left), "{seed} {mode:?}: unit {unit} is not needed");
        }
    }
}

#[test]
fn any_number_of_jobs_finds_the_same() {
    let tape = whole();
    for (seed, mode) in (0..3).flat_map(|seed| [(seed, Mode::Dext), (seed, Mode::Client)]) {
        let needed = drawn(&tape, 100 + seed, 3);
        let texts = [1, 2, 5].map(|jobs| {
            let options = MinimizeOptions { jobs, ..MinimizeOptions::of(mode) };
            let found = minimize(&tape, "", &options, &|attempt| holds(attempt, &needed)).unwrap();
            found.tape.to_text().unwrap()
        });
        assert!(texts.iter().all(|text| *text == texts[0]), "{seed} {mode:?}");
    }
}

/// Two operations of which either does: one is left.
#[test]
fn one_of_two_ways_is_enough() {
    let tape = whole();
    let calls: Vec<Sequence> = tape
        .events()
        .iter()
        .filter(|event| matches!(event.body, Body::Call(_)))
        .map(|event| event.sequence)
        .take(2)
        .collect();
    let fails =
        |attempt: &Attempt| calls.iter().any(|call| holds(attempt, &BTreeSet::from([*call])));
    let found = minimize(&tape, "", &MinimizeOptions::of(Mode::Dext), &fails).unwrap();
    assert_eq!(calls.iter().filter_map(|call| found.number_of(*call)).count(), 1);
}

#[test]
fn a_search_that_is_ended_gives_the_best_so_far() {
    let tape = whole();
    let options = MinimizeOptions::of(Mode::Dext);
    let runs = AtomicU64::new(0);
    let needed = drawn(&tape, 1, 1);
    let fails = |attempt: &Attempt| {
        if runs.fetch_add(1, Ordering::Relaxed) == 3 {
            options.stop.store(true, Ordering::Relaxed);
        }
        holds(attempt, &needed)
    };
    let found = minimize(&tape, "", &options, &fails).unwrap();
    assert!(!found.is_minimal && found.tape.validate().is_valid());
    assert!(found.tape.events().len() <= tape.events().len());
    let over = MinimizeOptions { time: Some(Duration::ZERO), ..MinimizeOptions::of(Mode::Dext) };
    let found = minimize(&tape, "", &over, &|attempt| holds(attempt, &needed)).unwrap();
    assert!(!found.is_minimal);
    assert_eq!(found.tape.events().len(), tape.events().len());
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let options = MinimizeOptions::of(Mode::Dext);
    let refused = |tape: &Tape| minimize(tape, "it", &options, &|_| true).unwrap_err().to_string();
    let every = refused(&sample::every_kind());
    assert!(every.starts_with("minimise the tape: event "), "{every}");
    let mut invalid = whole();
    invalid.events_mut().remove(3);
    assert!(refused(&invalid).starts_with("minimise the tape: it is not valid: event "));
    let unseen = minimize(&whole(), "it", &options, &|_| false).unwrap_err().to_string();
    assert_eq!(unseen, "minimise the tape: the whole of it does not bring about it");
}
