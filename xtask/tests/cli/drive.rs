//! `drive`.

use crate::common::Folder;
use dextape::tape::{Body, Tape};

const TAPE: &str = "a.tape.jsonl";

fn recorded(folder: &Folder, more: &[&str]) {
    let asked = [&["record", "null-driver", "--out", TAPE], more].concat();
    let said = folder.run(&asked);
    assert_eq!(said.code, Some(0), "{said}");
}

#[test]
fn a_tape_drives_the_dext_that_it_was_recorded_from() {
    let folder = Folder::new();
    recorded(&folder, &[]);
    insta::assert_snapshot!(folder.run(&["drive", TAPE, "--against", "null-driver"]), @"
    drove 34 operations, 0 differences between a.tape.jsonl and null-driver
    --- stderr
    --- exit code 0
    ");
}

#[test]
fn one_answer_that_differs_is_told_and_exits_with_1() {
    let folder = Folder::new();
    recorded(&folder, &[]);
    let mut tape = Tape::read(&folder.path(TAPE)).unwrap();
    let call = tape.events_mut().iter_mut().find_map(|event| match &mut event.body {
        Body::Return(reply) if reply.result.is_success() => Some(reply),
        _ => None,
    });
    call.unwrap().result = dextape::IoReturn::BUSY;
    tape.write(&folder.path(TAPE)).unwrap();
    let drive = ["drive", TAPE, "--against", "null-driver"];
    insta::assert_snapshot!(folder.run(&drive), @"
    4  L1 c1  call 0(0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0x9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf) asks 16 scalars -> kIOReturnBusy (0xe00002d5) (0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0x9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10)
      the result: the tape says kIOReturnBusy (0xe00002d5), the dext success
    drove 34 operations, 1 difference between a.tape.jsonl and null-driver
    --- stderr
    error: failed to have a.tape.jsonl answered as it was: see the differences
    --- exit code 1
    ");
    let said = folder.run(&[&drive[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&json["same"], &json["differences"][0]["kind"]), (&false.into(), &"result".into()));
}

#[test]
fn faults_of_the_recording_happen_again() {
    let folder = Folder::new();
    for faults in ["call 1 #1: error Busy", "call 2 #1: dext dies", "completion 4 #1: late 6500ms"]
    {
        recorded(&folder, &["--faults", faults]);
        let said = folder.run(&["drive", TAPE, "--against", "null-driver"]);
        assert_eq!(said.code, Some(0), "{faults}: {said}");
    }
}

#[test]
fn what_cannot_be_driven_is_a_wrong_question() {
    let folder = Folder::new();
    recorded(&folder, &[]);
    folder.every_kind("middle.tape.jsonl");
    let said = |asked: &[&str]| folder.run(asked).to_string();
    insta::assert_snapshot!([
        said(&["drive", "none.tape.jsonl", "--against", "null-driver"]),
        said(&["drive", "middle.tape.jsonl", "--against", "null-driver"]),
        said(&["drive", TAPE, "--against", "null-driver", "--param", "colour=red"]),
    ].join("\n"), @r#"
    --- stderr
    error: failed to read none.tape.jsonl: No such file or directory (os error 2); see that the file is there and readable, and the disk not full
    --- exit code 2
    --- stderr
    error: failed to drive the tape: event 57 is a keyframe, and what the dext did before it is not known; drive a tape that was recorded without a ring
    --- exit code 2
    --- stderr
    error: failed to set parameter "colour": the scenario has part, threads, connections, rounds
    --- exit code 2
    "#);
    // The list of scenarios grows.
    let unknown = folder.run(&["drive", TAPE, "--against", "null"]);
    assert_eq!(unknown.code, Some(2), "{unknown}");
    assert!(unknown.err.starts_with("error: failed to find scenario \"null\""), "{unknown}");
    let said = folder.run(&["drive", TAPE]);
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.err.contains("--against <SCENARIO>"), "{said}");
}

#[cfg(not(feature = "live"))]
#[test]
fn without_the_feature_there_is_no_mac_to_drive() {
    let folder = Folder::new();
    recorded(&folder, &[]);
    let said = folder.run(&["drive", TAPE, "--live"]);
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.err.starts_with("error: failed to reach a device: "), "{said}");
}
