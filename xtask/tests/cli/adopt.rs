//! `adopt`.

use crate::common::Folder;
use dextape::tape::{Body, Tape};

const TAPE: &str = "late-answer.tape.jsonl";

/// A workspace with a package for tests, and a tape that was minimised.
fn workspace() -> Folder {
    let folder = Folder::new();
    fs_err::create_dir_all(folder.path("scenarios")).unwrap();
    folder.write("scenarios/Cargo.toml", b"");
    folder.run(&["record", "null-driver", "--out", "a.tape.jsonl"]);
    let asked =
        ["a.tape.jsonl", "--against", "null-driver", "--reply", "3:BadArgument", "-o", TAPE];
    let said = folder.run(&[&["minimize"], &asked[..]].concat());
    assert_eq!(said.code, Some(0), "{said}");
    folder
}

fn edited(folder: &Folder, edit: impl FnOnce(&mut Tape)) {
    let mut tape = Tape::read(&folder.path(TAPE)).unwrap();
    edit(&mut tape);
    tape.write(&folder.path(TAPE)).unwrap();
}

#[test]
fn a_tape_gets_a_test_of_its_name() {
    let folder = workspace();
    let said = folder.run(&["adopt", TAPE]);
    assert_eq!(said.code, Some(0), "{said}");
    assert_eq!(folder.read("fixtures/regressions/late_answer.tape.jsonl"), folder.read(TAPE));
    let test =
        String::from_utf8(folder.read("scenarios/tests/regressions/late_answer.rs")).unwrap();
    assert!(test.contains("fn late_answer() {"), "{test}");
    assert!(test.contains("/../fixtures/regressions/late_answer.tape.jsonl"), "{test}");
    assert!(
        test.contains("crate::support::dext(&regression, \"null-driver\").unwrap();"),
        "{test}"
    );
    let main = String::from_utf8(folder.read("scenarios/tests/regressions/main.rs")).unwrap();
    assert!(main.contains("\nmod late_answer;\n"), "{main}");
    // Neither is written over, and nothing is added.
    let again = folder.run(&["adopt", TAPE]);
    assert_eq!(again.code, Some(2), "{again}");
    assert!(
        again.err.contains("late_answer.tape.jsonl is there already; --name gives it"),
        "{again}"
    );
    let other = folder.run(&["adopt", TAPE, "--name", "other"]);
    assert_eq!(other.code, Some(0), "{other}");
}

#[test]
fn what_cannot_be_kept_is_refused_and_nothing_is_made() {
    let refused = |code: i32, expected: &str, edit: fn(&mut Tape)| {
        let folder = workspace();
        edited(&folder, edit);
        let said = folder.run(&["adopt", TAPE]);
        assert_eq!(said.code, Some(code), "{said}");
        assert!(said.err.contains(expected), "{said}");
        assert!(!folder.path("fixtures/regressions").exists());
        assert!(!folder.path("scenarios/tests").exists());
    };
    refused(1, "is not valid: event 4, ", |tape| {
        tape.events_mut().retain(|event| !matches!(event.body, Body::Opened));
    });
    refused(1, "redaction is pending", |tape| {
        tape.header_mut().provenance.push("redaction pending: a serial number".to_owned());
    });
    refused(1, "its header names no failure", |tape| tape.header_mut().extra.clear());
    refused(2, "its header names no scenario", |tape| tape.header_mut().scenario = None);
    let folder = workspace();
    let said = folder.run(&["adopt", "none.tape.jsonl"]);
    assert_eq!(said.code, Some(2), "{said}");
    let said = folder.run(&["adopt", TAPE, "--name", "1st"]);
    assert!(said.err.contains("expected a name such as late_answer"), "{said}");
    let said = folder.run(&["adopt", TAPE, "--into", "nowhere"]);
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.err.contains("find the package of "), "{said}");
}
