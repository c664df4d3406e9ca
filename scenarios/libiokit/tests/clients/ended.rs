//! Clients that end without their exit handlers, at random points: what they had finished is on the tape.
//! The test run takes a sample; `cargo xtask prove iokit-kill` takes them all.

use crate::program::{Program, trial};
use dextape::tape::Tape;
use dextape_recorder::exam::{End, end_at_random};
use dextape_recorder::program::seal_left;
use libtest_mimic::Trial;
use std::process::Command;

const CLIENT: &str = include_str!("ended.c");

/// Ends of each way in a sample.
const SAMPLE: u64 = 10;

fn client() -> Program {
    Program::compile(&["gcc"], "c", CLIENT).on("boundary-probe")
}

fn end(end: End) {
    let times = crate::endurance::cases("DEXTAPE_IOKIT_KILLS", SAMPLE);
    let program = client();
    let command = |tape: &std::path::Path| {
        let mut command = Command::new(program.path("program"));
        program.prepare(&mut command);
        command.env("DEXTAPE_RECORD", tape);
        command
    };
    let sum = end_at_random(&program.path(""), times, 1, end, command).unwrap();
    println!("{times} ends by {}: {sum:?}", end.name());
    assert!(sum.events > 64 * times && sum.gaps == 0, "{sum:?}");
}

/// What is left of a crash becomes a tape at the next start under its name.
fn next_start() {
    let program = client().set("DEXTAPE_RECORD", "t.tape.jsonl");
    std::fs::write(program.path("counts"), [0; 256]).unwrap();
    let program = program.argument("counts,abort,1000");
    let crashed = program.run();
    assert_eq!((crashed.signal, crashed.err.as_str()), (Some(6), ""), "{crashed}");

    let again = program.run();
    assert_eq!(again.signal, Some(6), "it is recorded, and crashes again: {again}");
    let said = "dextape: t.journal was left by a program that did not come to its end: it is t.tape.jsonl \
                now\ndextape: t.tape.jsonl is another program's, so this one is recorded in t-";
    assert!(again.err.starts_with(said), "{again}");
    let tape = Tape::read(&program.path("t.tape.jsonl")).unwrap();
    assert!(tape.validate().is_valid() && tape.events().len() > 4);
    assert!(!program.path("t.journal").exists());

    let left = seal_left(&program.path("t.tape.jsonl")).unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].sealed.as_ref().unwrap().events > 4);
    assert_eq!(program.run().signal, Some(6), "and then its own name is free again");
    assert!(program.path("t.journal").exists());
}

pub(crate) fn trials() -> Vec<Trial> {
    let ends = End::ALL.map(|way| {
        let name = format!("ended::by_{}_what_was_finished_is_on_the_tape", way.name());
        trial(&name, &["gcc"], move || end(way))
    });
    let next = trial("a_journal_left_by_a_crash_is_sealed_at_the_next_start", &["gcc"], next_start);
    ends.into_iter().chain([next]).collect()
}
