//! `doctor`, and what it says to a program that cannot be recorded here.

use crate::common::Folder;

/// A program for macOS on arm64 that needs nothing: its header and dyld's name.
fn program() -> Vec<u8> {
    let words = [0xfeed_facf_u32, 0x0100_000c, 0, 2, 1, 32, 0x85, 0, 0xe, 32, 12];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend_from_slice(b"/usr/lib/dyld\0\0\0\0\0\0\0");
    bytes
}

#[test]
fn the_doctor_tries_a_recording_here() {
    let said = Folder::new().run(&["doctor"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    if cfg!(target_os = "linux") {
        insta::assert_snapshot!(said.out, @"self-test: recorded mocks of a Mac's services, because this is no Mac: 10 events, valid, and 7 replayed alike");
    }
}

#[test]
fn the_doctor_tells_what_stands_in_the_way_and_how_to_go_on() {
    let folder = Folder::new();
    folder.write("client", &program());
    let said = folder.run(&["doctor", "client"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let about = said.out.split("self-test").next().unwrap();
    insta::assert_snapshot!(about, @r"
    client
      arm64, not signed: inserted
        note: it is not signed: no Mac with Apple silicon runs it
          `codesign --sign - PROGRAM`
        note: it is not linked against IOKit itself
          if it is Apple's framework that speaks to the dext, nothing of that is seen; libraries of the program's own are
    ");
    let json: serde_json::Value =
        serde_json::from_str(&folder.run(&["doctor", "client", "--format", "json"]).out).unwrap();
    assert_eq!(json["app"]["parts"][0]["way"], "inserted");
}

#[test]
fn what_is_no_program_for_macos_is_said() {
    let folder = Folder::new();
    folder.write("client", b"#!/bin/sh\n");
    let said = folder.run(&["doctor", "client"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.contains("failed to read client: a script"), "{said}");
    let said = folder.run(&["doctor", "nowhere"]);
    assert!(said.code == Some(2) && said.err.contains("failed to read nowhere: "), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_for_macos_is_not_recorded_on_another_machine() {
    let folder = Folder::new();
    folder.write("client", &program());
    let said = folder.run(&["record", "--exec", "./client"]);
    assert_eq!(said.code, Some(2));
    let expected = "failed to record ./client: it is a program for macOS, and this is no Mac";
    assert!(said.err.contains(expected), "{said}");
    let said = folder.run(&["record", "--exec", "/bin/true"]);
    assert!(said.code == Some(2) && said.err.contains("on which scenario's mock?"), "{said}");
}
