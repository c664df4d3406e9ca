//! `check-determinism` and `coverage`.

use crate::common::Folder;
use std::collections::BTreeSet;

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
    assert!(!said.out.contains("selectors never exercised"), "{said}");
    // Without a mock system a tape tells of few rules.
    assert!(said.out.contains("rules never exercised: A1, A2, "), "{said}");
    let said = folder.run(&["coverage"]);
    assert_eq!(said.code, Some(2), "{said}");
}

/// The rules that `coverage` lists.
fn rules(folder: &Folder, place: &str) -> BTreeSet<String> {
    let said = folder.run(&["coverage", place, "--known", place, "--format", "json"]);
    assert_eq!(said.code, Some(0), "{said}");
    let line = said.out.lines().find(|line| line.contains("\"rules\"")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let list = |of: &str| -> BTreeSet<String> {
        line[of].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let exercised = list("list");
    assert_eq!(exercised.len() as u64, line["exercised"].as_u64().unwrap());
    assert_eq!(exercised.len() + list("never").len(), dextape::boundary::Rule::ALL.len());
    exercised
}

#[test]
fn the_processes_of_a_test_run_note_what_their_systems_touch() {
    let folder = Folder::new();
    let notes = folder.path("notes");
    let runs: [&[&str]; 4] = [
        &["record", "null-driver", "--out", "tapes/null-driver.tape.jsonl"],
        &["record", "irq-page", "--out", "tapes/irq-page.tape.jsonl"],
        &["record", "shared-buffer", "--out", "tapes/shared-buffer.tape.jsonl"],
        &["record", "smc", "--out", "tapes/smc.tape.jsonl"],
    ];
    for run in runs {
        let said = folder.command(run).env("DEXTAPE_COVERAGE", &notes).output().unwrap();
        assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    }
    assert_eq!(fs_err::read_dir(&notes).unwrap().count(), runs.len(), "a file a process");
    let (mut touched, shown) = (rules(&folder, "notes"), rules(&folder, "tapes"));
    // The recorder sends a marked reference where the client gave none, which is the same to it.
    assert!(shown.contains("D2") && touched.insert("D2".to_owned()));
    // What a tape shows was at work: the mock that it was recorded on has touched it.
    assert!(shown.len() >= 8, "{shown:?}");
    let guessed: Vec<_> = shown.difference(&touched).collect();
    assert!(guessed.is_empty(), "the tapes show {guessed:?}, the mocks touched {touched:?}");
    // And the other facts are those of the tapes.
    let kinds = |place: &str| -> Vec<String> {
        let said = folder.run(&["coverage", place, "--known", place, "--format", "json"]);
        said.out.lines().filter(|line| !line.contains("\"rules\"")).map(str::to_owned).collect()
    };
    assert_eq!(kinds("notes"), kinds("tapes"));
}

#[test]
fn notes_that_are_broken_are_named_and_half_a_line_is_left_out() {
    let folder = Folder::new();
    fs_err::create_dir(folder.path("notes")).unwrap();
    let whole = "{\"exercised\":{\"rule\":\"A2\"}}\n";
    folder.write("notes/1.coverage.jsonl", format!("{whole}{{\"exerc").as_bytes());
    assert_eq!(rules(&folder, "notes"), BTreeSet::from(["A2".to_owned()]));
    folder.write("notes/2.coverage.jsonl", format!("{whole}{{\"exercised\":1}}\n").as_bytes());
    let said = folder.run(&["coverage", "notes"]);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.err.contains("notes/2.coverage.jsonl, line 2: expected what a process"), "{said}");
    folder.write("notes/2.coverage.jsonl", b"{\"exercised\":{\"rule\":\"Z9\"}}\n");
    let said = folder.run(&["coverage", "notes"]);
    assert!(said.err.contains("find rule \"Z9\""), "{said}");
}
