//! The null driver in C++ beside that in Rust: their tapes hold the same, event by event.

use crate::compile::{compile, null_driver, null_driver_source, trial};
use crate::tapes;
use dextape::tape::Tape;
use dextape_scenarios::{OtherDext, Parameters, Scenario, ScenarioError, Time, null_driver};
use libtest_mimic::Trial;

/// The ways in which it is compiled.
const COMPILERS: &[(&[&str], &str)] = &[
    (&["g++", "-std=c++17", "-O2"], "gxx_17"),
    (&["g++", "-std=c++20", "-pedantic", "-fno-exceptions", "-Woverloaded-virtual"], "gxx_20"),
    (&["clang++", "-std=c++17"], "clangxx_17"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let compiled = COMPILERS.iter().map(|(compiler, name)| {
        trial(&format!("twin::compiles_with_{name}"), compiler[0], move || {
            compile(compiler, &null_driver_source());
        })
    });
    let agree = [
        ("all", Time::Simulated { seed: 1 }, &[][..]),
        ("other_seed", Time::Simulated { seed: 77 }, &[]),
        ("threads", Time::Simulated { seed: 1 }, &[("part", "sync"), ("threads", "3")]),
        (
            "connections",
            Time::Simulated { seed: 1 },
            &[("part", "sync"), ("threads", "3"), ("connections", "each"), ("rounds", "5")],
        ),
        ("free", Time::Free, &[("part", "sync")]),
    ];
    let agree = agree.map(|(name, time, set)| {
        trial(&format!("twin::agrees::{name}"), "g++", move || agree_in(time, set))
    });
    compiled.chain(agree).collect()
}

#[track_caller]
fn agree_in(time: Time, set: &[(&str, &str)]) {
    let rust = &null_driver::SCENARIO;
    let plugin = null_driver();
    let in_cpp = OtherDext::new(rust, move |mock| {
        let published = plugin.publish(mock).map(drop);
        published.map_err(ScenarioError::refused("publish the plug-in's dext"))
    });
    let mut parameters = Parameters::of(rust);
    for (name, value) in set {
        parameters.set(name, *value).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let record = |scenario: &dyn Scenario, name: &str| {
        let path = folder.path().join(name);
        let live = tapes::record(scenario, &parameters, time, &path).unwrap();
        assert!(live.findings.is_empty(), "{:?}", live.findings);
        assert!(live.leaks.is_empty(), "{:?}", live.leaks);
        (live.output, Tape::read(&path).unwrap(), path)
    };
    let (said, tape, path) = record(&in_cpp, "cpp.tape.jsonl");
    let (said_by_rust, tape_of_rust, path_of_rust) = record(rust, "rust.tape.jsonl");
    assert_eq!(said, said_by_rust);
    let (events, events_of_rust) = (tape.events(), tape_of_rust.events());
    assert!(events.len() > 20, "{events:#?}");
    let told = |event: &dextape::tape::Event| {
        format!("{} {:?} {:?} {:?}", event.lane, event.connection, event.cause, event.body)
    };
    for (event, of_rust) in events.iter().zip(events_of_rust) {
        assert_eq!(told(event), told(of_rust));
    }
    assert_eq!(events.len(), events_of_rust.len());
    if time != Time::Free {
        let bytes = |path| fs_err::read_to_string(path).unwrap();
        assert_eq!(bytes(path.clone()), bytes(path_of_rust), "not a byte differs");
    }
    assert_eq!(tapes::replay(&path).unwrap(), said);
}
