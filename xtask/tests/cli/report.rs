//! `report`.

use crate::common::Folder;

#[test]
fn what_is_no_bundle_is_invalid_and_what_is_not_there_a_wrong_question() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    let packed = folder.run(&["report", "pack", "a.tape.jsonl", "--out", "a.zip"]);
    assert_eq!(packed.code, Some(0), "{packed}");
    let mut changed = folder.read("a.zip");
    changed[100] ^= 1;
    folder.write("changed.zip", &changed);
    folder.write("cut.zip", &folder.read("a.zip")[..500]);
    let open = |bundle: &str| folder.run(&["report", "open", bundle, "--into", "out"]).to_string();
    let pack = |rest: &[&str]| folder.run(&[&["report", "pack"], rest].concat()).to_string();
    let said = [
        open("none.zip"),
        open("a.tape.jsonl"),
        open("changed.zip"),
        open("cut.zip"),
        pack(&["none.tape.jsonl", "--out", "b.zip"]),
        pack(&["a.zip", "--out", "b.zip"]),
        pack(&["a.tape.jsonl", "--out", "b.zip", "--replace-private"]),
        pack(&["a.tape.jsonl", "--out", "b.zip", "--environment", "version"]),
        folder.run(&["report", "close"]).to_string(),
    ];
    insta::assert_snapshot!(said.join("\n"));
    assert!(!folder.path("out").exists() && !folder.path("b.zip").exists(), "nothing is left");
}
