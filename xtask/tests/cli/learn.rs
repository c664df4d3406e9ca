//! `learn`.

use crate::common::Folder;

const LOG: &str = include_str!("../../../harness/lab/tests/data/small.imf.log");

/// Three runs whose structure handed in differs.
fn runs(folder: &Folder) {
    for (name, bytes) in
        [("a", "[0x1,0x2,0x3,0x4,]"), ("b", "[0x5,0x6,0x7,0x8,]"), ("c", "[0x9,0x9,0x9,0x9,]")]
    {
        folder.write("run.log", LOG.replace("[0x1,0x2,0x3,0x4,]", bytes).as_bytes());
        let said = folder.run(&["import", "imf", "run.log", "-o", &format!("{name}.tape.jsonl")]);
        assert_eq!(said.code, Some(0), "{said}");
    }
}

#[test]
fn two_runs_become_a_tape_and_the_table_says_what_it_is_good_for() {
    let folder = Folder::new();
    runs(&folder);
    let learned =
        folder.run(&["learn", "a.tape.jsonl", "b.tape.jsonl", "-o", "learned.tape.jsonl"]);
    let check = folder.run(&["learn", "--check", "a.tape.jsonl", "b.tape.jsonl", "c.tape.jsonl"]);
    let alone = folder.run(&["learn", "a.tape.jsonl", "-o", "alone.tape.jsonl"]);
    insta::assert_snapshot!(format!("{learned}\n{check}\n{alone}"));
    let verified = folder.run(&["verify", "learned.tape.jsonl"]);
    assert_eq!(verified.code, Some(0), "{verified}");
}
