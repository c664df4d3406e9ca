//! A sample of the long proof: the process of a recorded client killed at random moments.

use dextape_recorder::exam::{
    VictimTime, be_the_recorded_victim, be_the_ring_victim, kill_recorded_at_random,
    kill_rings_at_random,
};
use dextape_recorder::seal::SealReport;
use std::process::Command;

/// The victim's side, in a process of its own; returns at once in any other.
#[test]
fn the_victim() {
    be_the_recorded_victim().unwrap();
}

/// As [`the_victim`], of a flight recorder.
#[test]
fn the_ring_victim() {
    be_the_ring_victim().unwrap();
}

fn victim(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads", "1"]);
    command
}

/// How many victims: a sample, or what the full proof asks for.
fn times() -> u64 {
    std::env::var("DEXTAPE_KILLS").ok().and_then(|times| times.parse().ok()).unwrap_or(10)
}

fn kill(time: VictimTime) -> SealReport {
    let folder = tempfile::tempdir().unwrap();
    let report =
        kill_recorded_at_random(folder.path(), times(), 1, time, || victim("the_victim")).unwrap();
    println!("{report:?}");
    report
}

#[test]
fn killed_simulated_client() {
    let report = kill(VictimTime::Simulated);
    assert!(report.events > 100, "the victims hardly ran: {report:?}");
}

#[test]
fn killed_free_client_of_four_threads() {
    let report = kill(VictimTime::Free);
    assert!(report.events > 100, "the victims hardly ran: {report:?}");
}

#[test]
fn killed_flight_recorder() {
    let folder = tempfile::tempdir().unwrap();
    let report = kill_rings_at_random(folder.path(), times() / 2, 1, || victim("the_ring_victim"));
    let report = report.unwrap();
    println!("{report:?}");
    assert!(report.gaps >= times() / 4, "few of the victims went around their ring: {report:?}");
}
