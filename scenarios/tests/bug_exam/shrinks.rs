//! Bugs on their whole way: recorded when a fault shows them, shrunk, kept as a regression.

use super::exam::{Bug, Candidate};
use super::proofs::PROOFS;
use super::{SEED, bugs, live};
use dextape::connection::System;
use dextape::tape::Tape;
use dextape_lab::{
    Attempt, Failure, MinimizeOptions, Mode, Regression, RegressionError, answered, minimize,
};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use std::path::Path;

/// What is shrunk, and to how many events at most.
const SHRUNK: [(Bug, usize); 5] = [
    (Bug::NullDoubleCounted, 8),
    (Bug::UsbStatusIgnored, 8),
    (Bug::UsbBufferReused, 10),
    (Bug::NvmeGoneIsOurMistake, 6),
    (Bug::NvmeFirstRingLeaked, 6),
];

/// Records the client with its bug under the fault that shows it.
fn recorded(candidate: &Candidate, bug: Bug, folder: &Path) -> (Tape, Failure) {
    let proof = PROOFS.iter().find(|proof| proof.bug == bug).unwrap();
    let (journal, path) = (folder.join("journal"), folder.join("run.tape.jsonl"));
    let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
    let wrap = |system| session.wrap(system);
    let (ended, _) = live(candidate, Some(bug), SEED, proof.faults, wrap);
    session.finish();
    seal(&journal, &path, SealOptions::default()).unwrap();
    (Tape::read(&path).unwrap(), Failure::of_client(|| ended).unwrap())
}

/// The client with its bug fails on what is left as it did, and the right one does not.
#[test]
fn a_bug_recorded_under_a_fault_becomes_a_regression() {
    for (bug, most) in SHRUNK {
        let (candidate, _) = bugs().find(|(_, it)| *it == bug).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (tape, failure) = recorded(candidate, bug, folder.path());
        let fails = |attempt: &Attempt| {
            let client = |system: &std::sync::Arc<dyn System>| (candidate.run)(system, Some(bug));
            answered(attempt.tape(), client).unwrap().as_ref() == Some(&failure)
        };
        let options = MinimizeOptions::of(Mode::Client);
        let mut found = minimize(&tape, "the bug", &options, &fails).unwrap();
        failure.enter(found.tape.header_mut());
        let text = found.tape.to_text().unwrap();
        assert!(found.is_minimal && found.tape.events().len() <= most, "{bug:?}: {text}");
        // Kept for whoever wants to adopt it by hand.
        let kept = std::env::var_os("DEXTAPE_KEEP_SHRUNK");
        let kept = kept.map_or_else(|| folder.path().to_owned(), std::path::PathBuf::from);
        let path = kept.join(format!("{bug:?}.tape.jsonl"));
        found.tape.write(&path).unwrap();
        let regression = Regression::read(&path).unwrap();
        let there = regression.client(|system| (candidate.run)(system, Some(bug)));
        assert!(matches!(there, Err(RegressionError::StillThere(..))), "{bug:?}: {there:?}");
        regression.client(|system| (candidate.run)(system, None)).unwrap();
    }
}
