//! `redact`, and recordings that follow a policy.

use crate::common::Folder;
use dextape::tape::{Body, Tape};

const POLICY: &[u8] = b"format = 1\nproperties = ['HostSystem']\n";

/// What stands in the property.
const PRIVATE: &str = "18B75";

/// A folder with a policy and a tape that holds what it names.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("policy.toml", POLICY);
    let said = folder.run(&["record", "smc", "--out", "a.tape.jsonl"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(holds(&folder, "a.tape.jsonl", PRIVATE));
    folder
}

fn holds(folder: &Folder, name: &str, text: &str) -> bool {
    String::from_utf8(folder.read(name)).unwrap().contains(text)
}

#[test]
fn a_tape_is_redacted_by_a_policy_and_told_where_not_what() {
    let folder = folder();
    let before = folder.read("a.tape.jsonl");
    let said =
        folder.run(&["redact", "a.tape.jsonl", "--policy", "policy.toml", "-o", "r.tape.jsonl"]);
    insta::assert_snapshot!(said, @r#"
    value 1: property "HostSystem" of event 2, as text
    redacted 1 of 1 private values, at 1 places
    r.tape.jsonl
    --- stderr
    --- exit code 0
    "#);
    assert_eq!(folder.read("a.tape.jsonl"), before);
    assert!(!holds(&folder, "r.tape.jsonl", PRIVATE));
    let replayed = folder.run(&["replay", "r.tape.jsonl"]);
    assert_eq!(replayed.code, Some(0), "{replayed}");
}

#[test]
fn values_are_found_where_no_policy_names_them_and_counted_where_not() {
    let folder = folder();
    folder.write("private.txt", b"macOS 10.14.1 (18B75)\n\nnowhere on it\n");
    let redact = ["redact", "a.tape.jsonl", "--private", "private.txt", "-o", "r.tape.jsonl"];
    let said = folder.run(&redact);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains("redacted 1 of 2 private values, at 1 places\n"), "{said}");
    assert!(!holds(&folder, "r.tape.jsonl", PRIVATE));
    let said = folder.run(&[&redact[..], &["--format", "json"]].concat());
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&told["values"], &told["found"]), (&2.into(), &1.into()));
    assert_eq!(told["places"][0]["event"], 2);
    assert!(!said.out.contains(PRIVATE), "{said}");
    // A list that fits nothing may be a slip.
    folder.write("private.txt", b"nowhere on it\n");
    insta::assert_snapshot!(folder.run(&redact), @r"
    redacted 0 of 1 private values, at 0 places
    r.tape.jsonl
    --- stderr
    note: nothing was replaced: no place of the policy is on the tape, and no private value
    --- exit code 0
    ");
}

#[test]
fn what_cannot_be_redacted_is_said_with_its_place_and_nothing_is_written() {
    let folder = folder();
    folder.write("broken.toml", b"format = 1\nproperty = ['HostSystem']\n");
    folder.write("short.txt", b"long enough\nabc\n");
    let before = folder.read("a.tape.jsonl");
    let said = |arguments: &[&str]| {
        let said = folder.run(&[&["redact"], arguments].concat());
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said}");
        said.err
    };
    let out = ["--out", "r.tape.jsonl"];
    let with = |arguments: &[&str]| said(&[&["a.tape.jsonl"], arguments, &out[..]].concat());
    let policy = ["--policy", "policy.toml"];
    insta::assert_snapshot!(
        [
            with(&["--policy", "broken.toml"]),
            with(&["--policy", "none.toml"]),
            with(&["--policy", "policy.toml", "--private", "short.txt"]),
            with(&["--private", "none.txt"]),
            said(&[&["none.tape.jsonl"], &policy[..], &out[..]].concat()),
            said(&[&["a.tape.jsonl"], &policy[..], &["--out", "./a.tape.jsonl"]].concat()),
            said(&[&["a.tape.jsonl"], &policy[..], &["--out", "policy.toml"]].concat()),
        ]
        .concat()
    );
    let neither = with(&[]);
    assert!(
        neither.contains("required arguments were not provided:\n  --policy <FILE>"),
        "{neither}"
    );
    assert!(!folder.path("r.tape.jsonl").exists());
    assert_eq!(folder.read("a.tape.jsonl"), before);
    assert_eq!(folder.read("policy.toml"), POLICY);
}

#[test]
fn a_redacted_tape_that_is_not_valid_is_no_success() {
    let folder = folder();
    let mut tape = Tape::read(&folder.path("a.tape.jsonl")).unwrap();
    tape.events_mut().retain(|event| !matches!(event.body, Body::Opened));
    tape.write(&folder.path("a.tape.jsonl")).unwrap();
    let said =
        folder.run(&["redact", "a.tape.jsonl", "--policy", "policy.toml", "-o", "r.tape.jsonl"]);
    assert_eq!(said.code, Some(1), "{said}");
    let expected = "error: failed to validate r.tape.jsonl (it was not valid before, either): ";
    assert!(said.err.starts_with(expected), "{said}");
    assert!(!holds(&folder, "r.tape.jsonl", PRIVATE));
}

#[test]
fn a_recording_follows_a_policy() {
    let folder = Folder::new();
    folder.write("policy.toml", POLICY);
    let record = ["record", "smc", "--out", "a.tape.jsonl"];
    let said = folder.run(&[&record[..], &["--redact", "policy.toml"]].concat());
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains("\nredacted: 1 values at "), "{said}");
    assert!(said.err.starts_with("note: the client printed other lines "), "{said}");
    assert!(!holds(&folder, "a.tape.jsonl", PRIVATE));
    // The variable counts as well.
    let run = folder.command(&record).env("DEXTAPE_REDACT", "policy.toml").output().unwrap();
    assert!(run.status.success());
    assert!(!holds(&folder, "a.tape.jsonl", PRIVATE));
}

#[test]
fn a_recording_by_a_broken_policy_is_not_begun() {
    let folder = Folder::new();
    folder.write("broken.toml", b"format = 1\nproperty = ['HostSystem']\n");
    for program in [&[][..], &["--exec", "true"]] {
        let record = ["record", "smc", "--out", "to/a.tape.jsonl", "--redact", "broken.toml"];
        let said = folder.run(&[&record[..], program].concat());
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said}");
        let expected = "error: failed to read broken.toml: read line 2 of a redaction policy: ";
        assert!(said.err.starts_with(expected), "{said}");
        assert!(!folder.path("to").exists(), "nothing was begun");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_in_c_is_recorded_by_a_policy() {
    let folder = Folder::new();
    folder.write("policy.toml", POLICY);
    let program = crate::exec::compiled(&folder, "smc.c");
    let record = ["record", "smc", "--out", "c.tape.jsonl", "--redact", "policy.toml"];
    let said = folder.run(&[&record[..], &["--print", "--exec", &program]].concat());
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.starts_with("macOS 10.14.1 (18B75)\n"), "{said}");
    assert!(said.err.contains("printed other lines than when it was recorded"), "{said}");
    let tape = Tape::read(&folder.path("c.tape.jsonl")).unwrap();
    assert!(!tape.header().redactions.is_empty());
    assert!(!holds(&folder, "c.tape.jsonl", PRIVATE));
}
