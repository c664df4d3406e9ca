//! The scenarios' own clients on the real system: they print and ask what they print and ask on the
//! mock without it.

use crate::tools::{Tools, native, trial, well};
use dextape::tape::{Body, Call, Tape};
use dextape_scenarios::smc;
use libtest_mimic::Trial;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// The one whose memory is the registers of a device. Reading such memory does something, and on the real
/// system it is read by raw pointers, which no mock behind `libIOKit.so` sees.
const REGISTERS: &str = "pcie-bar";

pub(crate) fn trials(tools: Option<&Arc<Tools>>) -> Vec<Trial> {
    let registry = dextape_scenarios::registry();
    let names = registry.iter().map(|scenario| scenario.name().to_owned());
    let (refused, others): (Vec<_>, Vec<_>) = names.partition(|name| name == REGISTERS);
    assert_eq!((refused.len(), others.len()), (1, 11));
    let trials = others.into_iter().map(|name| {
        let about = format!("the_client_of_{}_on_the_real_system", name.replace('-', "_"));
        trial(tools, about, move |tools| same(tools, &name))
    });
    let about = "registers_by_raw_pointer_are_refused_with_a_reason";
    trials.chain([trial(tools, about, registers)]).collect()
}

/// What the client printed while `command` recorded it.
#[track_caller]
fn printed(mut command: Command, scenario: &str, live: bool, tape: &Path) -> String {
    command.args(["--format", "json", "record", scenario, "--print", "--out"]).arg(tape);
    if live {
        command.arg("--live");
    }
    if scenario == "smc" {
        // On the mock these are the dump's; of a service that is there nobody knows them beforehand.
        let hidden = smc::Dump::small().hidden_names();
        command.arg("--param").arg(format!("hidden={hidden}"));
    }
    let told: serde_json::Value = serde_json::from_str(&well(&command.output().unwrap())).unwrap();
    told["client"].as_str().unwrap().to_owned()
}

/// Those whose device goes on while the client does something else: interrupts are joined and packets lost
/// where the machine has no time for the client. They have to agree in one of [`RUNS`] runs, all others in
/// the first.
const HURRIED: [&str; 7] = [
    "blocking-waits",
    "capture-ring",
    "hid-frames",
    "irq-page",
    "nvme-rings",
    "sbp2-commands",
    "usb-bulk",
];
const RUNS: usize = 6;

fn same(tools: &Tools, scenario: &str) {
    let runs = if HURRIED.contains(&scenario) { RUNS } else { 1 };
    for left in (0..runs).rev() {
        match agrees(tools, scenario) {
            Ok(()) => return,
            Err(difference) if left == 0 => panic!("{difference}"),
            Err(_) => {}
        }
    }
}

/// Runs the client on the mock and on the real system, and says where the two differ.
fn agrees(tools: &Tools, scenario: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let expected = printed(native(folder.path()), scenario, false, &at("mock.tape.jsonl"));
    assert!(expected.lines().count() > 5, "{expected}");
    let live = tools.xtask(folder.path(), scenario);
    let found = printed(live, scenario, true, &at("live.tape.jsonl"));
    if found != expected {
        return Err(format!("printed:\n{found}\nand on the mock:\n{expected}"));
    }

    let read = |name: &str| Tape::read(&at(name)).unwrap();
    let (found, expected) = (read("live.tape.jsonl"), read("mock.tape.jsonl"));
    assert_ne!(found.header().host, expected.header().host, "the real system recorded it");
    let (found, expected) = (by_connection(&found), by_connection(&expected));
    if found == expected {
        return Ok(());
    }
    for (connection, found) in &found {
        let lanes = found.iter().zip(expected.get(connection).into_iter().flatten());
        for (found, expected) in lanes {
            let differs =
                found.iter().zip(expected).position(|(found, expected)| found != expected);
            if let Some(at) = differs {
                let (found, expected) = (&found[at], &expected[at]);
                return Err(format!("event {at} of {connection}: {found:?} is not {expected:?}"));
            }
        }
    }
    Err("other numbers of connections, lanes or events".to_owned())
}

/// What each connection was asked and answered, a list a lane. Which of two threads is first and how often
/// one asks before something is there is real time's affair, so the lanes are sorted by what they hold, and a
/// failure after which the same is asked again is left out.
fn by_connection(tape: &Tape) -> BTreeMap<u32, Vec<Vec<Body>>> {
    let mut all: BTreeMap<u32, BTreeMap<u32, Vec<Body>>> = BTreeMap::new();
    for event in tape.events() {
        let body = match &event.body {
            Body::Mapped { outcome: Ok(mapped) } => {
                let mut mapped = *mapped;
                // Whole pages of the system that it is (F10).
                mapped.size = mapped.length;
                Body::Mapped { outcome: Ok(mapped) }
            }
            body => body.clone(),
        };
        let asked = body.is_enter() || body.is_leave();
        let waits = matches!(body, Body::Wait { .. } | Body::Woke { .. });
        if let (Some(connection), true, false) = (event.connection, asked, waits) {
            let lane = all.entry(connection).or_default().entry(event.lane).or_default();
            let failed = |body: &Body| matches!(body, Body::Return(it) if !it.result.is_success());
            if let [.., before, result] = &lane[..]
                && *before == body
                && failed(result)
            {
                lane.truncate(lane.len() - 2);
            }
            lane.push(body);
        }
    }
    let sorted = |lanes: BTreeMap<u32, Vec<Body>>| {
        let mut lanes: Vec<_> = lanes.into_values().collect();
        lanes.sort_by_cached_key(|lane| format!("{lane:?}"));
        lanes
    };
    all.into_iter().map(|(connection, lanes)| (connection, sorted(lanes))).collect()
}

fn registers(tools: &Tools) {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("live.tape.jsonl");
    let mut command = tools.xtask(folder.path(), REGISTERS);
    let ran = command.args(["record", REGISTERS, "--live", "--out"]).arg(&tape).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    let reason = "dextape: memory type 0 cannot be mapped: reading or writing it does something in the \
                  mock, and a raw pointer would pass that by";
    assert!(said.contains(reason), "{said}");
    assert!(said.contains("failed to run the client of pcie-bar: map BAR 0: kIOReturnBadArgument"));
    let tape = Tape::read(&tape).unwrap();
    let called = |body: &Body| matches!(body, Body::Call(Call { .. }) | Body::AsyncCall { .. });
    assert!(tape.events().iter().any(|event| called(&event.body)), "what it did is on the tape");
}
