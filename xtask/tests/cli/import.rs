//! `import`.

use crate::common::Folder;

const LOG: &str = include_str!("../../../harness/lab/tests/data/small.imf.log");

#[test]
fn a_log_becomes_a_tape_that_verifies_and_says_what_it_lacks() {
    let folder = Folder::new();
    folder.write("small.log", LOG.as_bytes());
    insta::assert_snapshot!(folder.run(&["import", "imf", "small.log", "-o", "a.tape.jsonl"]));
    let verified = folder.run(&["verify", "a.tape.jsonl"]);
    assert_eq!(verified.code, Some(0), "{verified}");
    let json = ["import", "imf", "small.log", "-o", "b.tape.jsonl", "--format", "json"];
    let json: serde_json::Value = serde_json::from_str(&folder.run(&json).out).unwrap();
    assert_eq!((&json["tape"], &json["import"]["calls"]), (&"b.tape.jsonl".into(), &15.into()));
    assert_eq!(folder.read("a.tape.jsonl"), folder.read("b.tape.jsonl"), "the same tape again");
}

#[test]
fn what_is_no_log_is_invalid_and_what_is_not_there_a_wrong_question() {
    let folder = Folder::new();
    folder.write("cut.log", &LOG.as_bytes()[..LOG.len() / 2]);
    folder.write("no.log", b"IN 7\n");
    let said = |log: &str| folder.run(&["import", "imf", log, "-o", "a.tape.jsonl"]).to_string();
    insta::assert_snapshot!([said("no.log"), said("none.log"), said("cut.log")].join("\n"));
    assert!(!folder.path("a.tape.jsonl").exists(), "no half tape");
}
