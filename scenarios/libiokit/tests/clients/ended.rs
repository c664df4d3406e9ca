//! Clients that end without their exit handlers, at random points: what they had finished is on the tape.
//! The test run takes a sample; `cargo xtask prove iokit-kill` takes them all.

use crate::program::{Program, trial};
use dextape::tape::Tape;
use dextape_recorder::exam::{End, end_at_random};
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

/// What is left of a crash is in the way of the next recording, which says how to go on.
fn next_start() {
    let program = client().set("DEXTAPE_RECORD", "t.tape.jsonl");
    std::fs::write(program.path("counts"), [0; 256]).unwrap();
    let program = program.argument("counts,abort,1000");
    let crashed = program.run();
    assert_eq!((crashed.signal, crashed.err.as_str()), (Some(6), ""), "{crashed}");

    let again = program.run();
    let said = "dextape: failed to record t.tape.jsonl: create journal t.journal: the file exists, \
                left by a recording that did not come to its end, or of one that goes on; where none \
                does, `cargo xtask recover t.journal` makes its tape; then remove it\n\
                dextape: so there is no service here\n";
    assert!(again.err.starts_with(said), "{again}");

    let recovered = program.path("recovered.tape.jsonl");
    let options = dextape_recorder::seal::SealOptions::default();
    let report = dextape_recorder::seal::seal(&program.path("t.journal"), &recovered, options);
    let events = Tape::read(&recovered).unwrap().events().len() as u64;
    assert!(events > 4 && report.unwrap().events == events, "the second start left it alone");

    std::fs::remove_file(program.path("t.journal")).unwrap();
    assert_eq!(program.run().signal, Some(6), "and then it records again");
    assert!(program.path("t.journal").exists());
}

pub(crate) fn trials() -> Vec<Trial> {
    let ends = End::ALL.map(|way| {
        let name = format!("ended::by_{}_what_was_finished_is_on_the_tape", way.name());
        trial(&name, &["gcc"], move || end(way))
    });
    let next = trial("a_journal_left_by_a_crash_is_said_at_the_next_start", &["gcc"], next_start);
    ends.into_iter().chain([next]).collect()
}
