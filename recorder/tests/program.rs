//! Recordings of whole programs: their names, and what is left of those that did not come to their end.

use dextape::connection::{Matching, System};
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use dextape::tape::{Body, Tape};
use dextape_recorder::program::{Begun, begin, is_left, journal_of, seal_left, tapes_of_others};
use dextape_recorder::recording::RecordOptions;
use std::path::Path;

fn begun(tape: &Path) -> Begun {
    begin(tape, RecordOptions::default).expect("the folder can be written to")
}

/// Asks for a service of that class, recorded.
fn ask(begun: &Begun, class: &str) {
    let system =
        begun.session.wrap(MockSystem::new(&Schedule::free()) as std::sync::Arc<dyn System>);
    assert!(system.first_service(&Matching::service(class)).is_err(), "the mock is empty");
}

/// The classes that a tape's client asked for.
fn asked(tape: &Path) -> Vec<String> {
    let tape = Tape::read(tape).expect("the tape reads");
    assert!(tape.validate().is_valid());
    let class = |body: &Body| match body {
        Body::Matched { matching, .. } => Some(format!("{matching:?}")),
        _ => None,
    };
    tape.events().iter().filter_map(|event| class(&event.body)).collect()
}

#[test]
fn a_second_program_has_a_tape_of_its_own_while_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("a.tape.jsonl");
    let first = begun(&tape);
    assert_eq!((first.tape.as_path(), first.notes.len()), (tape.as_path(), 0));
    assert!(!is_left(&journal_of(&tape)), "the first writes to it");
    let second = begun(&tape);
    let process = std::process::id();
    assert_eq!(second.tape, folder.path().join(format!("a-{process}.tape.jsonl")));
    assert_eq!(second.notes.len(), 1, "{:?}", second.notes);
    assert!(second.notes[0].contains("another program's, so this one is recorded in"));
    let third = begun(&tape);
    assert_eq!(third.tape, folder.path().join(format!("a-{process}-1.tape.jsonl")));
    assert!(seal_left(&tape).unwrap().is_empty(), "all of them go on");
    for journal in [&first, &second, &third].map(|begun| journal_of(&begun.tape)) {
        assert!(journal.is_file());
    }
}

#[test]
fn what_a_program_left_is_sealed_by_the_next_one_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("a.tape.jsonl");
    let first = begun(&tape);
    ask(&first, "First");
    drop(first);
    assert!(is_left(&journal_of(&tape)));
    let second = begun(&tape);
    ask(&second, "Second");
    assert_eq!(second.notes.len(), 2, "{:?}", second.notes);
    assert!(second.notes[0].contains("was left by a program that did not come to its end"));
    assert!(asked(&tape)[0].contains("First"));
    let own = second.tape.clone();
    assert_ne!(own, tape);
    drop(second);
    let left = seal_left(&tape).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0].tape, left[0].journal.exists()), (&own, false));
    assert!(asked(&own)[0].contains("Second"));
    assert_eq!(tapes_of_others(&tape).unwrap(), [own]);
}

#[test]
fn what_cannot_be_sealed_stays_and_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("a.tape.jsonl");
    std::fs::write(journal_of(&tape), b"no journal").unwrap();
    let begun = begun(&tape);
    assert!(begun.notes[0].starts_with("failed to seal "), "{:?}", begun.notes);
    assert_eq!(begun.notes.len(), 2, "{:?}", begun.notes);
    let left = seal_left(&tape).unwrap();
    assert!(left.len() == 1 && left[0].sealed.is_err(), "{left:?}");
    assert_eq!(std::fs::read(journal_of(&tape)).unwrap(), b"no journal");
}
