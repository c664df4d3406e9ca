//! A sample of the long proof: the process of a recorded client killed at random moments.

use dextape_recorder::exam::{VictimTime, be_the_recorded_victim, kill_recorded_at_random};
use dextape_recorder::seal::SealReport;
use std::process::Command;

/// The victim's side, in a process of its own; returns at once in any other.
#[test]
fn the_victim() {
    be_the_recorded_victim().unwrap();
}

fn kill(time: VictimTime) -> SealReport {
    let folder = tempfile::tempdir().unwrap();
    let victim = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "the_victim", "--nocapture", "--test-threads", "1"]);
        command
    };
    let report = kill_recorded_at_random(folder.path(), 10, 1, time, victim).unwrap();
    println!("{report:?}");
    report
}

#[test]
fn a_simulated_client() {
    let report = kill(VictimTime::Simulated);
    assert!(report.events > 100, "the victims hardly ran: {report:?}");
}

#[test]
fn a_free_client_of_four_threads() {
    let report = kill(VictimTime::Free);
    assert!(report.events > 100, "the victims hardly ran: {report:?}");
}
