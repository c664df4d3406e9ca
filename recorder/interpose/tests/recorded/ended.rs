//! A recorded program that ends without its exit handlers, at random points.

use crate::program::{Program, Tools};
use dextape::tape::validate;
use dextape_recorder::exam::{End, end_at_random};
use libtest_mimic::{Failed, Trial};
use std::sync::Arc;

/// The client of the same test of the library that stands for IOKit.
const CLIENT: &str = "../../scenarios/libiokit/tests/clients/ended.c";

/// Ends of each way, where `DEXTAPE_IOKIT_KILLS` does not say how many.
const SAMPLE: u64 = 10;

pub(crate) fn trials(tools: &Arc<Tools>) -> Vec<Trial> {
    let trial = |way: End| {
        let tools = Arc::clone(tools);
        let name = format!("ended::by_{}_what_was_finished_is_on_the_tape", way.name());
        Trial::test(name, move || -> Result<(), Failed> {
            end(&tools, way);
            Ok(())
        })
    };
    let mut trials: Vec<_> = End::ALL.map(trial).into();
    let tools = Arc::clone(tools);
    trials.push(Trial::test("a_journal_left_by_a_crash_is_sealed_at_the_next_start", move || {
        next_start(&tools);
        Ok(())
    }));
    trials
}

/// What crashed has its tape made, and the program's own comes beside it; both are said.
fn next_start(tools: &Arc<Tools>) {
    let program = Program::compile(tools, false);
    let tape = program.path("t.tape.jsonl");
    let run = |mode: &str| program.macos(Some(tape.as_os_str())).arg(mode).output().unwrap();
    assert!(!run("crash").status.success(), "the program aborts");
    let journal = program.path("t.journal");
    assert!(journal.is_file() && !tape.exists());

    let ran = run("");
    let said = String::from_utf8_lossy(&ran.stderr);
    let (left, asked) = (journal.display(), tape.display());
    let begin = format!(
        "dextape: {left} was left by a program that did not come to its end: it is {asked} now\n\
         dextape: {asked} is another program's, so this one is recorded in "
    );
    let beside = said.strip_prefix(&begin).and_then(|rest| rest.strip_suffix('\n'));
    let beside = beside.unwrap_or_else(|| panic!("{said}"));
    assert!(ran.status.success(), "{said}");
    for tape in [&*tape, std::path::Path::new(beside)] {
        assert!(validate(tape).unwrap().is_valid(), "{}", tape.display());
    }
    assert!(!journal.exists());
}

fn end(tools: &Arc<Tools>, end: End) {
    let set = std::env::var("DEXTAPE_IOKIT_KILLS").ok();
    let times = set.map_or(SAMPLE, |set| set.parse().unwrap());
    let program = Program::compile_source(tools, CLIENT, false);
    let command = |tape: &std::path::Path| program.macos(Some(tape.as_os_str()));
    let sum = end_at_random(&program.path(""), times, 1, end, command).unwrap();
    println!("{times} ends by {}: {sum:?}", end.name());
    assert!(sum.events > 64 * times && sum.gaps == 0, "{sum:?}");
}
