//! The clients of an exam, on the mock and recorded.

use super::exam::{Bug, CANDIDATES, Candidate};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use dextape::perturb::Check;
use dextape::schedule::Schedule;
use dextape::tape::Tape;
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::Parameters;
use std::sync::Arc;

/// The seed of the runs in which every bug hides.
pub(super) const SEED: u64 = 1;

pub(super) fn parameters(candidate: &'static Candidate) -> Parameters {
    let mut parameters = Parameters::of(candidate.scenario);
    for (name, value) in candidate.set {
        parameters.set(name, *value).unwrap();
    }
    candidate.scenario.prepare(&mut parameters).unwrap();
    parameters
}

/// The runs of a scenario's mock.
pub(super) fn mock(candidate: &'static Candidate) -> Check {
    let parameters = parameters(candidate);
    Check::mock(SEED, move |schedule, faults| {
        let mock = MockSystem::builder(schedule).faults(faults).build();
        candidate.scenario.publish(&parameters, &mock).unwrap();
        mock
    })
}

/// Records a client on the mock.
pub(super) fn record(candidate: &'static Candidate, bug: Option<Bug>) -> Tape {
    let folder = tempfile::tempdir().unwrap();
    let (journal, tape) = (folder.path().join("journal"), folder.path().join("run.tape.jsonl"));
    let parameters = parameters(candidate);
    let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
    Schedule::simulate(SEED, |schedule| {
        let mock = MockSystem::builder(schedule).build();
        candidate.scenario.publish(&parameters, &mock).unwrap();
        let system = session.wrap(mock as Arc<dyn System>);
        let _hidden = (candidate.run)(&system, bug);
    });
    session.finish();
    seal(&journal, &tape, SealOptions::default()).unwrap();
    let mut tape = Tape::read(&tape).unwrap();
    tape.inline_blobs().unwrap();
    tape
}

/// Every bug with the client that has it, and at the end of each client's the right one.
pub(super) fn clients() -> impl Iterator<Item = (&'static Candidate, Option<Bug>)> {
    CANDIDATES.iter().flat_map(|candidate| {
        let bugs = candidate.bugs.map(Some).into_iter();
        bugs.chain([None]).map(move |bug| (candidate, bug))
    })
}
