//! `check-determinism` and `coverage`.

use crate::common::Folder;

#[test]
fn a_scenario_is_the_same_twice() {
    let folder = Folder::new();
    let said = folder.run(&["check-determinism", "null-driver", "--seed", "7"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains(", twice the same"), "{said}");
    let said = folder.run(&["check-determinism", "no-such"]);
    assert_eq!(said.code, Some(2), "{said}");
}

#[test]
fn what_a_run_leaves_out_is_told() {
    let folder = Folder::new();
    folder.run(&["record", "null-driver", "--out", "known/all.tape.jsonl"]);
    let sync = ["record", "null-driver", "--param", "part=sync", "--out", "run/sync.tape.jsonl"];
    folder.run(&sync);
    let said = folder.run(&["coverage", "run", "--known", "known"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains("selectors never exercised: "), "{said}");
    assert!(said.out.contains("completions never exercised: "), "{said}");
    let said = folder.run(&["coverage", "known", "--known", "known"]);
    assert!(!said.out.contains("never exercised"), "{said}");
    let said = folder.run(&["coverage"]);
    assert_eq!(said.code, Some(2), "{said}");
}
