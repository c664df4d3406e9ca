//! A recorded program that becomes another one, or has a child that does.

use crate::program::{Program, Tools, well};
use crate::tapes::{Told, assert_same, by_lane};
use dextape::tape::{Body, Tape, validate};
use dextape_recorder::program::{journal_of, seal_left, tapes_of_others};
use libtest_mimic::{Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

pub(crate) fn trials(tools: &Arc<Tools>) -> Vec<Trial> {
    type Test = fn(&Arc<Tools>);
    let tests: [(&str, Test); 3] = [
        ("exec::a_program_that_becomes_another_leaves_two_tapes", becomes_another),
        ("exec::one_that_becomes_what_is_not_recorded_leaves_its_journal", becomes_plain),
        ("exec::a_child_that_becomes_another_has_a_tape_of_its_own", child),
    ];
    let trial = |(name, test): (&str, Test)| {
        let tools = Arc::clone(tools);
        Trial::test(name, move || -> Result<(), Failed> {
            test(&tools);
            Ok(())
        })
    };
    tests.map(trial).into()
}

/// The program runs in this mode, and its tape is to be that.
fn run(program: &Program, tape: &Path, mode: &str) -> Output {
    let mut command = program.macos(Some(tape.as_os_str()));
    command.arg(mode).env("DEXTAPE_SCENARIO", "smc").output().unwrap()
}

/// The events of its only thread on a sound tape.
fn events(tape: &Path) -> Vec<Told> {
    let validation = validate(tape).unwrap();
    assert!(validation.is_valid(), "{}: {validation:?}", tape.display());
    let mut lanes = by_lane(&Tape::read(tape).unwrap());
    assert_eq!(lanes.len(), 1, "{}", tape.display());
    lanes.remove(&1).unwrap()
}

/// The program, what it says once, and the events of a whole run of it.
fn whole(tools: &Arc<Tools>) -> (Program, PathBuf, String, Vec<Told>) {
    let program = Program::compile_source(tools, "tests/recorded/another.c", false);
    let tape = program.path("whole.tape.jsonl");
    let said = well(&run(&program, &tape, "")).to_owned();
    let events = events(&tape);
    assert!(matches!(events.last().unwrap().body, Body::Closed { .. }));
    let asked = program.path("t.tape.jsonl");
    (program, asked, said, events)
}

/// The first one does not come to its end, so that the second one seals its tape.
fn becomes_another(tools: &Arc<Tools>) {
    let (program, asked, once, whole) = whole(tools);
    let ran = run(&program, &asked, "exec");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), once.repeat(2));
    let others = tapes_of_others(&asked).unwrap();
    let [other] = &others[..] else { panic!("{others:?}: {said}") };
    let (journal, first, second) = (journal_of(&asked), asked.display(), other.display());
    assert_eq!(
        said,
        format!(
            "dextape: {} was left by a program that did not come to its end: it is {first} now\n\
             dextape: {first} is another program's, so this one is recorded in {second}\n",
            journal.display()
        )
    );
    assert!(!journal.exists() && !journal_of(other).exists());
    // All but the close.
    assert_same(&events(&asked), &whole[..whole.len() - 2]);
    assert_same(&events(other), &whole);
}

/// Nobody is there to seal its tape, which `cargo xtask recover` makes, and the next recording of that name.
fn becomes_plain(tools: &Arc<Tools>) {
    let (program, asked, once, whole) = whole(tools);
    assert_eq!(well(&run(&program, &asked, "plain")), once);
    assert!(!asked.exists() && tapes_of_others(&asked).unwrap().is_empty());
    let left = seal_left(&asked).unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_same(&events(&asked), &whole[..whole.len() - 2]);
    assert!(!journal_of(&asked).exists());
}

fn child(tools: &Arc<Tools>) {
    let (program, asked, once, whole) = whole(tools);
    let ran = run(&program, &asked, "child");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), once.repeat(2));
    assert!(said.contains("is another program's, so this one is recorded in"), "{said}");
    assert!(!said.contains("was left"), "{said}");
    let others = tapes_of_others(&asked).unwrap();
    let [other] = &others[..] else { panic!("{others:?}: {said}") };
    assert_same(&events(other), &whole);
    let parent = Tape::read(&asked).unwrap();
    let closed = parent.events().iter().filter(|it| matches!(it.body, Body::Closed { .. }));
    assert_eq!(closed.count(), 1);
}
