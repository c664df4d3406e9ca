//! A sample of the long proof: a process killed while four threads append.

use dextape_recorder::exam::{be_the_victim, kill_at_random};
use std::process::Command;

/// The victim's side, in a process of its own; returns at once in any other.
#[test]
fn the_victim() {
    be_the_victim().unwrap();
}

#[test]
fn what_was_told_before_sigkill_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let victim = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "the_victim", "--nocapture", "--test-threads", "1"]);
        command
    };
    let report = kill_at_random(folder.path(), 20, 1, victim).unwrap();
    println!("{report:?}");
    assert!(report.events > 20, "the victims hardly ran: {report:?}");
}
