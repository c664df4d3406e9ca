//! Recording and replaying, and what is told where that goes wrong.

use crate::common::Folder;

#[test]
fn a_recording_leaves_a_tape_that_replays() {
    let folder = Folder::new();
    let said = folder.run(&["record", "smc"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said}");
    let lines: Vec<_> = said.out.lines().collect();
    assert!(lines[0].starts_with("recorded smc on the mock: "), "{said}");
    assert!(lines[1].starts_with("valid, and replayed "), "{said}");
    let tape = "target/dextape/smc.tape.jsonl";
    assert_eq!(lines[2], tape);
    assert!(!folder.path("target/dextape/smc.journal").exists(), "the journal has done its work");

    let replayed = folder.run(&["replay", tape]);
    assert_eq!((replayed.code, replayed.err.as_str()), (Some(0), ""), "{replayed}");
    let verified = folder.run(&["verify", "target"]);
    assert_eq!(verified.code, Some(0), "{verified}");
    assert!(verified.out.contains("valid, replayed"), "{verified}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_the_same_output() {
    let folder = Folder::new();
    for scenario in ["smc", "null-driver"] {
        let record =
            |out: &str| folder.run(&["record", scenario, "--seed", "9", "--out", out, "--print"]);
        let (first, second) = (record("1.tape.jsonl"), record("2.tape.jsonl"));
        assert_eq!(first.code, Some(0), "{first}");
        assert_eq!(folder.read("1.tape.jsonl"), folder.read("2.tape.jsonl"));
        let printed = |text: &str| text.split("recorded ").next().map(str::to_owned);
        assert_eq!(printed(&first.out), printed(&second.out));
        let replayed = folder.run(&["replay", "1.tape.jsonl", "--print"]);
        let printed = printed(&first.out).unwrap();
        assert!(printed.lines().count() > 10);
        assert!(replayed.out.starts_with(&printed), "{replayed}");
    }
}

#[test]
fn a_free_run_replays_too() {
    let folder = Folder::new();
    let said = folder.run(&["record", "smc", "--free", "--out", "a.tape.jsonl"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert_eq!(folder.run(&["replay", "a.tape.jsonl"]).code, Some(0));
}

#[test]
fn results_are_json_for_programs() {
    let folder = Folder::new();
    let said = folder.run(&["record", "smc", "--out", "a.tape.jsonl", "--format", "json"]);
    let recorded: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(recorded["tape"], "a.tape.jsonl");
    assert_eq!((&recorded["on"], &recorded["gaps"]), (&"mock".into(), &0.into()));
    let said = folder.run(&["verify", "a.tape.jsonl", "--format", "json"]);
    let verified: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(verified["valid"], true);
    assert_eq!(verified["events"], recorded["events"]);
    assert_eq!(verified["operations"], recorded["operations"]);
}

#[test]
fn wrong_questions_name_what_would_do() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.run(&["record", "smc", "--param", "colour=red"]), @r#"
    --- stderr
    error: failed to set parameter "colour": the scenario has dump, model, hidden, write, serials
    --- exit code 2
    "#);
    insta::assert_snapshot!(folder.run(&["record", "null-driver", "--dump", "x.txt"]), @r#"
    --- stderr
    error: failed to set parameter "dump": the scenario has part, threads, connections, rounds
    --- exit code 2
    "#);
    insta::assert_snapshot!(folder.run(&["record", "smc", "--dump", "none.txt"]), @r"
    --- stderr
    error: failed to open file `none.txt`: No such file or directory (os error 2)
    --- exit code 2
    ");
    let said = folder.run(&["record", "toaster"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(
        said.err.starts_with("error: failed to find scenario \"toaster\": there are "),
        "{said}"
    );
    assert!(!folder.path("target").exists(), "nothing was begun");
}

#[test]
#[cfg(not(all(target_os = "macos", feature = "live")))]
fn a_live_recording_says_what_is_missing_here() {
    let folder = Folder::new();
    let said = folder.run(&["record", "smc", "--live"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    #[cfg(not(target_os = "macos"))]
    insta::assert_snapshot!(said.err, @"error: failed to reach a device: IOKit exists on macOS only; record on a Mac, or use a mock or a tape here (leave out --live)");
    #[cfg(target_os = "macos")]
    assert!(said.err.contains("cargo xtask-live record"), "{said}");
    assert!(!folder.path("target/dextape/smc.journal").exists(), "nothing was begun");
}

#[test]
fn a_journal_that_was_left_behind_is_not_overwritten() {
    let folder = Folder::new();
    folder.write("a.journal", b"what a killed process left");
    let said = folder.run(&["record", "smc", "--out", "a.tape.jsonl"]);
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.err.contains("a.journal: the file exists, left by a recording"), "{said}");
    assert_eq!(folder.read("a.journal"), b"what a killed process left");
}

#[test]
fn a_tape_that_cannot_be_written_is_no_success() {
    let folder = Folder::new();
    folder.write("file", b"");
    let said = folder.run(&["record", "smc", "--out", "file/a.tape.jsonl"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said}");
    assert!(said.err.starts_with("error: failed to "), "{said}");
}

#[test]
fn a_divergence_is_reported_with_its_place() {
    let folder = Folder::new();
    folder.run(&["record", "null-driver", "--out", "a.tape.jsonl"]);
    // Another input of the first call with a structure than the client gives.
    let text = String::from_utf8(folder.read("a.tape.jsonl")).unwrap();
    let edited = text.replacen("2c01000000000000", "2d01000000000000", 1);
    assert_ne!(edited, text);
    folder.write("a.tape.jsonl", edited.as_bytes());
    assert_eq!(folder.run(&["reseal", "a.tape.jsonl"]).code, Some(0));
    for verb in ["replay", "verify"] {
        let said = folder.run(&[verb, "a.tape.jsonl"]);
        assert_eq!(said.code, Some(1), "{said}");
        assert!(
            said.err.starts_with("error: failed to replay a.tape.jsonl: replay diverged (differs"),
            "{said}"
        );
        assert!(!said.err.contains("panicked"), "{said}");
    }
    let said = folder.run(&["verify", "a.tape.jsonl", "--format", "json"]);
    let verified: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(verified["valid"], false);
}

#[test]
fn a_tape_without_a_client_here_is_validated_only() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    let said = folder.run(&["verify", "a.tape.jsonl"]);
    insta::assert_snapshot!(said, @r"
    tape          events  operations  verdict
    a.tape.jsonl      96           -  valid, no client here
    --- stderr
    --- exit code 0
    ");
    let said = folder.run(&["replay", "a.tape.jsonl"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.starts_with("error: failed to find scenario \"sample\": there are "),
        "{said}"
    );
}

#[test]
fn verify_goes_through_folders_and_does_not_stop_at_the_first() {
    let folder = Folder::new();
    fs_err::create_dir_all(folder.path("fixtures/deep")).unwrap();
    let said = folder.run(&["verify"]);
    insta::assert_snapshot!(said, @r"
    --- stderr
    error: failed to find a tape in fixtures: expected files named *.tape.jsonl or *.tape.jsonl.zst
    --- exit code 2
    ");
    folder.write("fixtures/a.tape.jsonl", b"{}\n");
    folder.run(&["record", "null-driver", "--out", "fixtures/deep/b.tape.jsonl"]);
    folder.write("fixtures/notes.txt", b"not a tape, and not asked for");
    let said = folder.run(&["verify"]);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.out.contains("fixtures/a.tape.jsonl") && said.out.contains("INVALID"), "{said}");
    assert!(
        said.out.contains("fixtures/deep/b.tape.jsonl") && said.out.contains("valid, replayed"),
        "{said}"
    );
    assert_eq!(said.out.lines().count(), 3, "{said}");
}

#[test]
fn a_tape_cut_off_is_recovered() {
    let folder = Folder::new();
    folder.run(&["record", "null-driver", "--out", "a.tape.jsonl"]);
    let whole = folder.read("a.tape.jsonl");
    let half = whole.len() / 2;
    folder.write("a.tape.jsonl", &whole[..half]);
    let said = folder.run(&["show", "a.tape.jsonl"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("run `cargo xtask recover` to keep its whole events"), "{said}");
    let said = folder.run(&["recover", "a.tape.jsonl"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.starts_with("kept "), "{said}");
    assert_eq!(folder.run(&["show", "a.tape.jsonl"]).code, Some(0));
    let again = folder.run(&["recover", "a.tape.jsonl"]);
    assert!(again.out.starts_with("a.tape.jsonl is whole: "), "{again}");
    // Half a tape is valid, and its client goes on where the tape ends.
    assert_eq!(folder.run(&["replay", "a.tape.jsonl"]).code, Some(1));
}

#[test]
fn a_journal_is_recovered_to_the_tape_that_it_would_have_become() {
    use dextape_recorder::recording::{RecordOptions, RecordingSession};
    use dextape_scenarios::{Parameters, Time, registry, run_on_mock};

    let folder = Folder::new();
    let registry = registry();
    let scenario = registry.find("null-driver").unwrap();
    let mut parameters = Parameters::of(scenario);
    scenario.prepare(&mut parameters).unwrap();
    let session =
        RecordingSession::start(&folder.path("a.journal"), RecordOptions::default()).unwrap();
    run_on_mock(scenario, &parameters, Time::Simulated { seed: 1 }, |system| session.wrap(system))
        .unwrap();
    // As if the process ended here, without a word.
    std::mem::forget(session);
    let said = folder.run(&["recover", "a.journal"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.ends_with("\na.tape.jsonl\n"), "{said}");
    assert_eq!(folder.run(&["verify", "a.tape.jsonl"]).code, Some(0));
}

#[test]
fn what_is_neither_journal_nor_tape_is_refused() {
    let folder = Folder::new();
    folder.write("notes.txt", b"milk, bread\n");
    let said = folder.run(&["recover", "notes.txt"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said}");
    assert!(said.err.contains("is it a journal of dextape?"), "{said}");
    assert_eq!(folder.read("notes.txt"), b"milk, bread\n");
    assert_eq!(folder.run(&["recover", "none"]).code, Some(2));
}
