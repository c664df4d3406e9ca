//! Looking at tapes and mending them.

use crate::common::Folder;
use std::io::Read;
use std::process::Stdio;

#[test]
fn a_tape_is_shown_as_its_transcript() {
    let folder = Folder::new();
    let tape = folder.every_kind("a.tape.jsonl");
    let said = folder.run(&["show", "a.tape.jsonl"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let (heading, transcript) = said.out.split_once('\n').unwrap();
    insta::assert_snapshot!(heading, @"tape 1.0 by dextape sample, of a mock, scenario sample, seed 42; trimmed");
    assert_eq!(transcript, tape.transcript(Default::default()));
}

#[test]
fn filters_and_bytes() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    let said = folder.run(&["show", "a.tape.jsonl", "--kind", "mapped,fork", "--hex", "--times"]);
    insta::assert_snapshot!(said, @r"
    tape 1.0 by dextape sample, of a mock, scenario sample, seed 42; trimmed
       43  0.000042000  L2 c1  map type 9 options 0x1 -> kIOReturnBadArgument (0xe00002c2)
       45  0.000044000  L2 c1  map type 0 options 0x1 -> memory 3, 128 bytes of 16384
       47  0.000046000  L2 c1  map type 1 options 0x100 at 0x100000 -> memory 4, 128 bytes of 16384, uncaptured, read-only
       92  0.000091000  L1     fork of process 2
    --- stderr
    --- exit code 0
    ");
    let said = folder.run(&["show", "a.tape.jsonl", "--kind", "knocked"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("the kinds are matched, property,"), "{said}");
}

#[test]
fn events_are_json_lines_for_programs() {
    let folder = Folder::new();
    let tape = folder.every_kind("a.tape.jsonl");
    let said = folder.run(&["show", "a.tape.jsonl", "--format", "json"]);
    let events: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), tape.events().len());
    for (shown, event) in events.iter().zip(tape.events()) {
        assert_eq!(shown["sequence"], event.sequence);
        assert_eq!(shown["kind"].as_str(), event.body.kind().map(dextape::tape::Kind::name));
    }
}

#[test]
fn what_stands_before_a_broken_line_is_shown() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    let mut text = String::from_utf8(folder.read("a.tape.jsonl")).unwrap();
    let at = text.match_indices('\n').nth(2).unwrap().0 + 1;
    text.insert_str(at, "{\"seq\":oops}\n");
    folder.write("a.tape.jsonl", text.as_bytes());
    insta::assert_snapshot!(folder.run(&["show", "a.tape.jsonl"]), @r#"
    tape 1.0 by dextape sample, of a mock, scenario sample, seed 42; trimmed
        1  L1     match "IOProviderClass" "IOUserService", "IOUserClass" "SampleDriver" -> service 1
        2  L1     match "IONameMatch" "none" -> kIOReturnNoResources (0xe00002be)
    --- stderr
    error: failed to read a.tape.jsonl, line 4, column 8: expected a JSON object on one line: value; mend the line and run `cargo xtask reseal`, or record the tape again
    --- exit code 1
    "#);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    insta::assert_snapshot!(Folder::new().run(&["show", "none.tape.jsonl"]), @r"
    --- stderr
    error: failed to read none.tape.jsonl: No such file or directory (os error 2); see that the file is there and readable, and the disk not full
    --- exit code 2
    ");
}

#[test]
fn a_file_that_is_no_tape_is_refused() {
    let folder = Folder::new();
    folder.write("notes.txt", b"milk, bread\n");
    insta::assert_snapshot!(folder.run(&["show", "notes.txt"]), @r#"
    --- stderr
    error: failed to read notes.txt, line 1: expected the header of a tape, which begins with {"tape":"1.0"; give a *.tape.jsonl or *.tape.jsonl.zst file
    --- exit code 1
    "#);
}

#[test]
fn a_tape_comes_from_standard_input_too() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    let file = fs_err::File::open(folder.path("a.tape.jsonl")).unwrap().into_parts().0;
    let output = folder.command(&["show", "-"]).stdin(file).output().unwrap();
    assert_eq!(output.stdout, folder.run(&["show", "a.tape.jsonl"]).out.into_bytes());
}

#[test]
fn a_reader_that_goes_early_ends_it_quietly() {
    let folder = Folder::new();
    // More than any pipe holds.
    let mut tape = dextape::tape::sample::every_kind();
    let (first, count) = (tape.events()[0].clone(), 100_000);
    *tape.events_mut() = (1..=count)
        .map(|sequence| {
            let mut event = first.clone();
            (event.sequence, event.position) = (sequence, sequence);
            event
        })
        .collect();
    tape.write(&folder.path("long.tape.jsonl")).unwrap();
    for format in ["text", "json"] {
        let mut child = folder
            .command(&["show", "long.tape.jsonl", "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut some = [0; 100];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn an_edited_tape_is_refused_until_it_is_resealed() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    let text = String::from_utf8(folder.read("a.tape.jsonl")).unwrap();
    let edited = text.replacen("kIOReturnBadArgument", "kIOReturnNoDevice", 1);
    assert_ne!(edited, text);
    folder.write("a.tape.jsonl", edited.as_bytes());
    let said = folder.run(&["show", "a.tape.jsonl"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("run `cargo xtask reseal` if the edit was yours"), "{said}");

    insta::assert_snapshot!(folder.run(&["reseal", "a.tape.jsonl"]), @r"
    resealed a.tape.jsonl: 96 events, marked as edited
    --- stderr
    --- exit code 0
    ");
    insta::assert_snapshot!(folder.run(&["reseal", "a.tape.jsonl", "--format", "json"]), @r#"
    {"changed":false,"events":96,"tape":"a.tape.jsonl"}
    --- stderr
    --- exit code 0
    "#);
    let said = folder.run(&["show", "a.tape.jsonl"]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.lines().next().unwrap().ends_with("; edited"), "{said}");
}
