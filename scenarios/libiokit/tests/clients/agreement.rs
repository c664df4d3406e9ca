//! Clients in C beside those in Rust: their tapes hold the same, event by event.

use crate::program::{Program, trial};
use dextape::tape::{Event, Tape};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::{Parameters, Time, registry, run_on_mock};
use libtest_mimic::Trial;
use std::path::Path;

const NULL_DRIVER: &str = include_str!("../../../clients-c/null_driver.c");
const SMC: &str = include_str!("../../../clients-c/smc.c");

/// The ways in which the clients are compiled.
const COMPILERS: &[(&[&str], &str, &str)] = &[
    (&["gcc"], "c", "gcc"),
    (&["gcc", "-std=c99", "-pedantic", "-Wextra"], "c", "gcc_c99"),
    (&["g++", "-std=c++11"], "cc", "gxx_11"),
    (&["clang", "-std=c99"], "c", "clang_c99"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let compiled = COMPILERS.iter().flat_map(|(compiler, extension, name)| {
        [("null_driver", NULL_DRIVER), ("smc", SMC)].map(|(client, source)| {
            trial(&format!("agreement::{client}_compiles_with_{name}"), &compiler[..1], move || {
                Program::compile(compiler, extension, source);
            })
        })
    });
    let trials = [
        trial("agreement::null_driver", &["gcc"], || {
            let set = [("part", "sync")];
            // The client in Rust calls once more after its close; in C there is no name then.
            agree(NULL_DRIVER, "null-driver", &set, "", 2, NULL_DRIVER_SAYS);
        }),
        trial("agreement::null_driver_by_run_loop", &["gcc"], || {
            recorded_and_replayed(
                NULL_DRIVER,
                "null-driver",
                "async",
                "register: 0, foo 301 bar 410\n\
                 completion of the registration: 0 with 3 arguments: 1 301 410\nclose: 0\n",
            );
        }),
        trial("agreement::null_driver_with_a_dext_in_cpp", &["gcc", "g++"], both_in_c),
        trial("agreement::smc", &["gcc"], || {
            agree(SMC, "smc", &[], "#KEY", 0, "Close: 0\n");
        }),
    ];
    compiled.chain(trials).collect()
}

/// The client in C and the dext in C++ leave the tape that they leave with the dext in Rust.
fn both_in_c() {
    let program = Program::compile(&["gcc"], "c", NULL_DRIVER).argument("sync");
    let dext = program.path("dext.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dexts-cpp/null_driver.cpp");
    let [own, system] = dextape_plugin::include_folders();
    let mut command = std::process::Command::new("g++");
    command.args(["-std=c++17", "-Wall", "-Werror", "-shared", "-fPIC", "-I"]).arg(own);
    command.arg("-isystem").arg(system).arg(source).arg("-o").arg(&dext);
    assert!(command.status().unwrap().success());
    let tape = program.path("t.tape.jsonl").to_str().unwrap().to_owned();
    let program = program.set("DEXTAPE_PLUGIN", dext.to_str().unwrap());
    let program = program.set("DEXTAPE_RECORD", &tape);
    let says = program.run().well().to_owned();
    assert!(says.contains(NULL_DRIVER_SAYS), "{says}");
    let tape = Tape::read(Path::new(&tape)).unwrap();
    let of_rust = recorded_and_replayed(NULL_DRIVER, "null-driver", "sync", NULL_DRIVER_SAYS);
    let events = |tape: &Tape| tape.events().iter().map(said).collect::<Vec<_>>();
    assert_eq!(events(&tape), events(&of_rust));
}

/// How the output of the client of null-driver begins.
const NULL_DRIVER_SAYS: &str = "scalar: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n\
     struct: 0, 16 bytes, foo 301 bar 410, large 0\n\
     oversized struct: 0, 4104 bytes, foo 301 bar 410, large 0\n";

/// Records the client in C, replays it, and gives its tape; the output holds `says`.
#[track_caller]
fn recorded_and_replayed(source: &str, scenario: &str, argument: &str, says: &str) -> Tape {
    let program = || Program::compile(&["gcc"], "c", source).argument(argument);
    let live = program().on(scenario);
    let tape = live.path("t.tape.jsonl").to_str().unwrap().to_owned();
    let live = live.set("DEXTAPE_RECORD", &tape);
    let said = live.run().well().to_owned();
    assert!(said.contains(says), "{said}");
    let replay = program().set("DEXTAPE_TAPE", &tape).set("DEXTAPE_STRICT", "1");
    assert_eq!(replay.run().well(), said, "replayed");
    Tape::read(Path::new(&tape)).unwrap()
}

/// The tape of the client in Rust, in free time as a client in C.
fn in_rust(name: &str, set: &[(&str, &str)]) -> Tape {
    run_in_rust(name, set, Time::Free).0
}

/// The tape of the client in Rust, and what it printed.
pub(crate) fn run_in_rust(name: &str, set: &[(&str, &str)], time: Time) -> (Tape, String) {
    let folder = tempfile::tempdir().unwrap();
    let (journal, path) = (folder.path().join("r.journal"), folder.path().join("r.tape.jsonl"));
    let registry = registry();
    let scenario = registry.find(name).unwrap();
    let mut parameters = Parameters::of(scenario);
    for (name, value) in set {
        parameters.set(name, *value).unwrap();
    }
    scenario.prepare(&mut parameters).unwrap();
    // Keys that are not listed are asked for by name: the client in C is not told them here.
    let _ = parameters.set("hidden", "#KEY");
    let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
    let live = run_on_mock(scenario, &parameters, time, |system| session.wrap(system));
    let said = live.unwrap().output;
    session.finish();
    seal(&journal, &path, SealOptions::default()).unwrap();
    (Tape::read(&path).unwrap(), said)
}

/// What an event says but for its time.
fn said(event: &Event) -> String {
    format!("{} {:?} {:?} {:?}", event.lane, event.connection, event.cause, event.body)
}

#[track_caller]
fn agree(
    source: &str,
    scenario: &str,
    set: &[(&str, &str)],
    argument: &str,
    more_in_rust: usize,
    says: &str,
) {
    let in_c = recorded_and_replayed(source, scenario, argument, says);
    let in_rust = in_rust(scenario, set);
    let events = |tape: &Tape| tape.events().iter().map(said).collect::<Vec<_>>();
    let (in_c, mut in_rust) = (events(&in_c), events(&in_rust));
    in_rust.truncate(in_rust.len() - more_in_rust);
    assert!(in_c.len() > 20, "{in_c:#?}");
    for (c, rust) in in_c.iter().zip(&in_rust) {
        assert_eq!(c, rust);
    }
    assert_eq!(in_c.len(), in_rust.len());
}
