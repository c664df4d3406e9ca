//! Every tape that is kept drives the dext that it was recorded from, and finds no difference; with one
//! answer changed it finds just that.

use dextape::call::Scalars;
use dextape::connection::System;
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use dextape::tape::{Body, Payload, Sequence, Tape};
use dextape_lab::{DifferenceKind, DriveOptions, DriveReport, drive, planned_faults};
use dextape_scenarios::{Parameters, registry};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// Drives the tape's own dext, with some parameters set otherwise.
fn driven(tape: Tape, set: &[(&str, &str)]) -> DriveReport {
    let tape = Arc::new(tape);
    let recorded = tape.header().scenario.as_ref().unwrap();
    let registry = registry();
    let scenario = registry.find(&recorded.name).unwrap();
    let mut parameters = Parameters::of(scenario);
    parameters.take_recorded(&recorded.parameters).unwrap();
    for (name, value) in set {
        parameters.set(name, *value).unwrap();
    }
    scenario.prepare(&mut parameters).unwrap();
    Schedule::simulate(tape.header().seed.unwrap_or_default(), |schedule| {
        let faults = planned_faults(&tape).unwrap();
        let mock = MockSystem::builder(schedule).faults(faults).build();
        scenario.publish(&parameters, &mock).unwrap();
        let system: Arc<dyn System> = mock;
        drive(&tape, &system, DriveOptions::default()).unwrap()
    })
}

/// The tapes that are kept.
fn tapes() -> Vec<PathBuf> {
    let mut tapes = Vec::new();
    for folder in std::fs::read_dir(fixtures()).unwrap() {
        let folder = folder.unwrap();
        // Regressions are shrunk: what is left of them is not what a dext answers.
        if folder.file_name() == "regressions" {
            continue;
        }
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let path = file.unwrap().path();
            if path.to_string_lossy().contains(".tape.jsonl") {
                tapes.push(path);
            }
        }
    }
    tapes.sort();
    tapes
}

#[test]
fn every_fixture_drives_its_own_dext_without_a_difference() {
    let tapes = tapes();
    assert!(tapes.len() >= 9);
    for path in tapes {
        let tape = Tape::read(&path).unwrap();
        let of_client = |body: &Body| body.is_enter() || matches!(body, Body::Patch { .. });
        let least = tape.events().iter().filter(|event| of_client(&event.body)).count() as u64;
        let report = driven(tape, &[]);
        assert!(report.is_same(), "{}:\n{report}", path.display());
        assert!(report.operations >= least, "{}: {report}", path.display());
    }
}

/// Changes one answer on a tape. `None` where the event is no answer that could be changed.
fn change(body: &mut Body) -> Option<DifferenceKind> {
    match body {
        Body::Return(reply) if !reply.scalars.is_empty() => {
            let mut scalars = reply.scalars.to_vec();
            scalars[0] ^= 1;
            reply.scalars = Scalars::clamped(&scalars);
            Some(DifferenceKind::Scalar)
        }
        Body::Return(reply) => match &mut reply.structure {
            Some(Payload::Bytes(bytes)) if !bytes.is_empty() => {
                let mut changed = bytes.to_vec();
                let last = changed.len() - 1;
                changed[last] ^= 1;
                *bytes = changed.into();
                Some(DifferenceKind::Structure)
            }
            _ if !reply.result.is_success() => {
                reply.result.0 ^= 1;
                Some(DifferenceKind::Result)
            }
            _ => None,
        },
        Body::Posted { status, .. } => {
            status.0 ^= 1;
            Some(DifferenceKind::Completion)
        }
        Body::Mapped { outcome: Ok(mapped) } => {
            mapped.length += 1;
            Some(DifferenceKind::Memory)
        }
        Body::Patch { data: Payload::Bytes(bytes), .. } if !bytes.is_empty() => {
            let mut changed = bytes.to_vec();
            changed[0] ^= 0x80;
            *bytes = changed.into();
            Some(DifferenceKind::Memory)
        }
        Body::Closed { result } | Body::Unmapped { result } => {
            result.0 ^= 1;
            Some(DifferenceKind::Result)
        }
        _ => None,
    }
}

#[test]
fn one_changed_answer_is_just_that_difference() {
    for name in [
        "null-driver/null-driver.tape.jsonl",
        "shared-buffer/kept.tape.jsonl",
        "usb-bulk/lost.tape.jsonl",
        "pcie-bar/run.tape.jsonl",
    ] {
        let tape = || {
            let mut tape = Tape::read(&fixtures().join(name)).unwrap();
            tape.inline_blobs().unwrap();
            tape
        };
        let mut changes = 0;
        for place in 0..tape().events().len() {
            let mut tape = tape();
            let Some(kind) = change(&mut tape.events_mut()[place].body) else { continue };
            let changed = tape.events()[place].clone();
            // A leave is told at its enter, a completion where the client takes it.
            let expected: Option<Sequence> = match &changed.body {
                Body::Posted { .. } => tape
                    .events()
                    .iter()
                    .find(|event| {
                        event.cause == Some(changed.sequence)
                            && matches!(event.body, Body::Delivered { .. })
                    })
                    .map(|event| event.sequence),
                body if body.is_leave() => changed.cause,
                _ => Some(changed.sequence),
            };
            // A completion that nobody takes is nobody's.
            let Some(expected) = expected else { continue };
            let report = driven(tape, &[]);
            let found: Vec<_> =
                report.differences.iter().map(|it| (it.sequence, it.kind)).collect();
            assert_eq!(found, [(expected, kind)], "{name}, event {}:\n{report}", changed.sequence);
            changes += 1;
        }
        assert!(changes > 10, "{name}: {changes} changes");
    }
}

#[test]
fn another_dext_answers_otherwise() {
    let tape = Tape::read(&fixtures().join("shared-buffer/kept.tape.jsonl")).unwrap();
    let report = driven(tape, &[("buffers", "fresh")]);
    insta::assert_snapshot!(report, @"
    26  L1 c1  map type 0 options 0x1 -> memory 1, 128 bytes of 16384
      which memory it is: the tape says memory 1, the dext another one
    38  L1 c1  unmap type 0 memory 1 -> ok
      the result: the tape says success, the dext kIOReturnBadArgument (0xe00002c2)
    drove 30 operations, 2 differences
    ");
}
