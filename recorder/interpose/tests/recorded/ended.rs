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
    trials.push(Trial::test("a_journal_left_by_a_crash_is_said_at_the_next_start", move || {
        next_start(&tools);
        Ok(())
    }));
    trials
}

/// The program goes on whatever lies there, so its recording goes beside, and that is said.
fn next_start(tools: &Arc<Tools>) {
    let program = Program::compile(tools, false);
    let tape = program.path("t.tape.jsonl");
    let run = |mode: &str| program.macos(Some(tape.as_os_str())).arg(mode).output().unwrap();
    assert!(!run("crash").status.success(), "the program aborts");
    let left = std::fs::read(program.path("t.journal")).unwrap();

    let ran = run("");
    let said = String::from_utf8_lossy(&ran.stderr);
    let there = program.path("t.journal").display().to_string();
    let begin = format!("dextape: {there} is there already, so this process is recorded in ");
    let end = format!(
        "; if no recording is at it any more, `cargo xtask recover {there}` makes its tape\n"
    );
    let beside = said.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(&end));
    let beside = beside.unwrap_or_else(|| panic!("{said}"));
    assert!(ran.status.success(), "{said}");
    assert!(validate(std::path::Path::new(beside)).unwrap().is_valid());
    assert!(std::fs::read(&there).unwrap() == left, "the second start left it alone");
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
