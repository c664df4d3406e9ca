//! `diff`.

use crate::common::Folder;
use dextape::IoReturn;
use dextape::tape::{Body, Tape, TapeWriter};

/// Two tapes: the second lacks a call, fails another, and its first completion came later.
fn tapes(folder: &Folder) {
    let a = folder.every_kind("a.tape.jsonl");
    let mut events = a.events().to_vec();
    for event in &mut events {
        if let (19, Body::Call(call)) = (event.sequence, &mut event.body) {
            call.selector = 77;
        }
        if let (30, Body::AsyncCall { reference: Some(reference), .. }) =
            (event.sequence, &mut event.body)
        {
            reference[2] = 6;
        }
        if let (16, Body::Return(told)) = (event.sequence, &mut event.body) {
            told.result = IoReturn::NOT_READY;
        }
    }
    Tape::new(a.header().clone(), events).write(&folder.path("b.tape.jsonl")).unwrap();
}

#[test]
fn what_differs_is_shown_field_by_field() {
    let folder = Folder::new();
    tapes(&folder);
    let said = folder.run(&["diff", "a.tape.jsonl", "b.tape.jsonl", "-U1"]);
    let stat = folder.run(&["diff", "--stat", "a.tape.jsonl", "b.tape.jsonl"]);
    let same = folder.run(&["diff", "a.tape.jsonl", "a.tape.jsonl"]);
    insta::assert_snapshot!(format!("{said}\n{stat}\n{same}"));
}

#[test]
fn programs_get_json_and_terminals_colours() {
    let folder = Folder::new();
    tapes(&folder);
    let said = folder.run(&["diff", "--format", "json", "a.tape.jsonl", "b.tape.jsonl"]);
    assert_eq!(said.code, Some(1), "{said}");
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["same"], false);
    assert_eq!(told["counts"]["removed"], 1);
    let entries = told["entries"].as_array().unwrap();
    let changed = entries.iter().find(|entry| entry["change"] == "changed").unwrap();
    assert_eq!(changed["a"]["sequence"], 15);
    assert_eq!(changed["a"]["leave"], 16);
    assert_eq!(changed["fields"][0]["name"], "result");
    assert_eq!(changed["fields"][0]["a"], "ok");

    let coloured = folder.run(&["diff", "--color", "always", "a.tape.jsonl", "b.tape.jsonl"]).out;
    assert!(coloured.contains("\u{1b}[31m"));
    let plain = folder.run(&["diff", "a.tape.jsonl", "b.tape.jsonl"]).out;
    assert!(!plain.contains('\u{1b}'), "a pipe gets no colours");
}

#[test]
fn what_cannot_be_read_is_no_difference() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    folder.write("broken", b"{\"tape\":\"1.0\"");
    for arguments in [["diff", "a.tape.jsonl", "none"], ["diff", "broken", "a.tape.jsonl"]] {
        let said = folder.run(&arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said}");
        assert!(said.err.starts_with("error: failed to "), "{said}");
    }
    let alone = folder.run(&["diff", "a.tape.jsonl"]);
    assert_eq!(alone.code, Some(2), "{alone}");
}

/// Whoever reads only the beginning still learns from the exit code that the tapes differ.
#[test]
fn a_reader_that_goes_early_does_not_make_them_the_same() {
    use std::io::Read;
    use std::process::Stdio;

    let folder = Folder::new();
    let tape = folder.every_kind("a.tape.jsonl");
    let (first, mut events) = (tape.events()[0].clone(), Vec::new());
    // More than any pipe holds.
    for sequence in 1..=20_000 {
        let mut event = first.clone();
        (event.sequence, event.position) = (sequence, sequence);
        events.push(event);
    }
    Tape::new(tape.header().clone(), events).write(&folder.path("b.tape.jsonl")).unwrap();
    for format in ["text", "json"] {
        let mut child = folder
            .command(&["diff", "a.tape.jsonl", "b.tape.jsonl", "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut some = [0; 100];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn texts_of_a_tape_reach_no_terminal_as_they_are() {
    let folder = Folder::new();
    let a = folder.every_kind("a.tape.jsonl");
    let mut header = a.header().clone();
    header.recorder = "\u{1b}[2J\u{202e}evil".to_owned();
    let mut events = a.events().to_vec();
    let reason = "\u{1b}]0;title\u{7}\u{202e}".to_owned();
    let last = events.len() as u64 + 1;
    let gap = Body::Gap { events: None, reason };
    events.push(dextape::tape::Event::new(last, 1, 1 << 20, gap));
    let mut writer = TapeWriter::new(Vec::new(), &header).unwrap();
    for event in &events {
        writer.event(event).unwrap();
    }
    folder.write("b.tape.jsonl", &writer.finish().unwrap());
    let said = folder.run(&["diff", "a.tape.jsonl", "b.tape.jsonl"]);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.out.contains("evil"), "{said}");
    let is_plain = |char: char| char == '\n' || !(char.is_control() || char == '\u{202e}');
    assert!(said.out.chars().all(is_plain), "{:?}", said.out);
}
