//! Clients that are answered from whole tapes, and from tapes of which all is gone.

use dextape::connection::System;
use dextape::replay::{ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::Tape;
use dextape_lab::{Lenient, mark};
use dextape_scenarios::{Parameters, registry};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut tapes = Vec::new();
    for scenario in registry().iter() {
        let files = std::fs::read_dir(root.join(scenario.name())).unwrap();
        let files = files.map(|file| file.unwrap().path());
        // Beside the tapes a description of their protocol may lie.
        tapes.extend(files.filter(|path| path.to_string_lossy().contains(".tape.jsonl")));
    }
    tapes.sort();
    tapes
}

/// What the client of the tape's scenario prints that is answered by `system`.
fn printed(
    tape: &Tape,
    system: impl FnOnce(&Schedule) -> Arc<dyn System>,
) -> Result<String, String> {
    let registry = registry();
    let recorded = tape.header().scenario.as_ref().unwrap();
    let scenario = registry.find(&recorded.name).unwrap();
    let mut parameters = Parameters::of(scenario);
    parameters.take_recorded(&recorded.parameters).unwrap();
    let run = || {
        Schedule::simulate(tape.header().seed.unwrap(), |schedule| {
            let mut out = Vec::new();
            let ended = scenario.client(&parameters, &system(schedule), &mut out);
            ended.map(|()| String::from_utf8(out).unwrap()).map_err(|error| error.to_string())
        })
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err("panic".into()))
}

#[test]
fn a_whole_tape_answers_as_its_replay_does() {
    let mut other = Vec::new();
    for path in fixtures() {
        let tape = Arc::new(Tape::read(&path).unwrap());
        let replayer = Replayer::new(Arc::clone(&tape), ReplayOptions::default()).unwrap();
        let strict = printed(&tape, |schedule| replayer.system(schedule));
        let _report = replayer.finish().unwrap();
        let mut marked = Tape::read(&path).unwrap();
        mark(&mut marked).unwrap();
        let lenient = Lenient::new(Arc::new(marked)).unwrap();
        let found = printed(&tape, |schedule| lenient.system(schedule));
        if found != strict {
            other.push(path.file_name().unwrap().to_owned());
            eprintln!("{}\n{found:?}\n{strict:?}", path.display());
        }
    }
    assert!(other.is_empty(), "{other:?} of {}", fixtures().len());
}

/// Whatever a client makes of usual answers, it comes to an end, and the same one each time.
#[test]
fn a_tape_of_which_all_is_gone_brings_every_client_to_an_end() {
    for path in fixtures() {
        let mut tape = Tape::read(&path).unwrap();
        mark(&mut tape).unwrap();
        tape.events_mut().clear();
        let tape = Arc::new(tape);
        let ends = [(); 2].map(|()| {
            let lenient = Lenient::new(Arc::clone(&tape)).unwrap();
            let end = printed(&tape, |schedule| lenient.system(schedule));
            assert_eq!(lenient.report().held, 0);
            end
        });
        assert_eq!(ends[0], ends[1], "{}", path.display());
    }
}
