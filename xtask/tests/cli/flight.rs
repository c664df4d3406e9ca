//! The flight recorder on the command line.

use crate::common::Folder;
use dextape::tape::{Body, NoteSubject, Tape};

const FETCHED: [&str; 4] = ["--param", "delivery=notice-of-first", "--param", "burst=4000"];

fn recorded(folder: &Folder, out: &str) {
    let mut asked = vec!["record", "hid-frames", "--ring", "1MiB", "--out", out];
    asked.extend(FETCHED);
    asked.extend(["--trigger", "result:NoFrames,tapes:3"]);
    let said = folder.run(&asked);
    assert_eq!(said.code, Some(0), "{said}");
    let most = "note: 3 tapes were cut, which is as many as may be; what happens from now on is only noted";
    assert!(said.err.contains(most), "{said}");
    for number in 1..=3 {
        let stem = out.strip_suffix(".tape.jsonl").unwrap();
        let name = format!("{stem}-cut-{number}.tape.jsonl");
        assert!(said.out.contains(&format!("cut by a trigger: {name}\n")), "{said}");
        let tape = Tape::read(&folder.path(&name)).unwrap();
        assert!(tape.validate().is_valid());
        let last = &tape.events().last().unwrap().body;
        assert!(matches!(last, Body::Note { subject: NoteSubject::Trigger, .. }), "{last:?}");
    }
}

/// Simulated, a run gives the same tapes each time, also those that triggers cut.
#[test]
fn a_ring_and_its_triggers_give_the_same_tapes_each_time() {
    let folder = Folder::new();
    recorded(&folder, "a.tape.jsonl");
    recorded(&folder, "b.tape.jsonl");
    for end in ["", "-cut-1", "-cut-2", "-cut-3"] {
        let read = |stem| std::fs::read(folder.path(&format!("{stem}{end}.tape.jsonl"))).unwrap();
        assert!(read("a") == read("b"), "{end}");
    }
    // The run was longer than the ring.
    let whole = Tape::read(&folder.path("a.tape.jsonl")).unwrap();
    assert!(whole.events().iter().any(|event| matches!(event.body, Body::Gap { .. })));
}

/// A tape that a ring has cut: the client's beginning, a gap, and the end with a planted failure.
const CUT: &str = "cut.tape.jsonl";

fn cut_by_a_ring(folder: &Folder) -> String {
    let mut asked = vec!["record", "null-driver", "--ring", "1MiB", "--out", CUT];
    asked.extend(["--param", "part=sync", "--param", "rounds=30"]);
    // The last but one of the checked calls, of which there are four in a round.
    asked.extend(["--faults", "call 3 #119: error NoBandwidth"]);
    let said = folder.run(&asked);
    assert_eq!(said.code, Some(0), "{said}");
    said.to_string()
}

/// What works on tapes takes one with a gap, or says what to do.
#[test]
fn a_tape_that_a_ring_has_cut_is_replayed_and_serves_the_other_tools() {
    let folder = Folder::new();
    let said = cut_by_a_ring(&folder);
    assert!(said.contains("lenient answers in the gap; across it at event"), "{said}");
    assert!(said.contains("; the client printed the same at the end, "), "{said}");
    let cut = Tape::read(&folder.path(CUT)).unwrap();
    let gap = cut.events().iter().find(|event| matches!(event.body, Body::Gap { .. })).unwrap();
    let gap = gap.sequence;

    let whole = "whole.tape.jsonl";
    folder.write("policy.toml", b"format = 1\nproperties = ['HostSystem']\n");
    for asked in [
        &["verify", CUT][..],
        &["replay", CUT, "--record", whole],
        &["verify", whole],
        &["diff", CUT, CUT],
        &["show", CUT, "--html", "cut.html", "--replay"],
        &["show", CUT, "--perfetto", "cut.json"],
        &["redact", CUT, "--policy", "policy.toml", "-o", "r.tape.jsonl"],
        &["export", "."],
        &["report", "pack", CUT, "-o", "b.dextape"],
    ] {
        let said = folder.run(asked);
        assert_eq!(said.code, Some(0), "{asked:?}\n{said}");
    }
    let made = Tape::read(&folder.path(whole)).unwrap();
    assert!(!made.events().iter().any(|event| matches!(event.body, Body::Gap { .. })));
    let last = made.header().provenance.last().unwrap();
    assert!(last.starts_with("replayed from cut.tape.jsonl over "), "{last}");

    let said = folder.run(&["report", "open", "b.dextape", "--replay", "--into", "open"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains("replayed to the client of null-driver: "), "{said}");
    assert!(said.out.contains(&format!("events missing at event {gap}: ")), "{said}");

    let a_gap = format!("event {gap} is a gap");
    let missing = format!("events are missing at event {gap}");
    for (asked, why) in [
        (&["drive", CUT, "--against", "null-driver"][..], &a_gap),
        (&["minimize", CUT, "-o", "m.tape.jsonl", "--against", "null-driver"], &a_gap),
        (&["learn", CUT, CUT, "-o", "l.tape.jsonl"], &missing),
    ] {
        let said = folder.run(asked);
        assert_ne!(said.code, Some(0), "{said}");
        assert!(said.err.contains(why) && said.err.contains("without a ring"), "{said}");
    }
}

#[test]
fn what_is_no_ring_and_no_trigger_is_a_wrong_question() {
    let folder = Folder::new();
    for (option, value, said_of_it) in [
        ("--ring", "64", "failed to read the ring \"64\": expected a size from 1MiB to 16GiB"),
        ("--ring", "1MiB,2MiB", "failed to read the ring \"1MiB,2MiB\""),
        ("--trigger", "Timeout", "failed to read the trigger \"Timeout\": expected result:CODE"),
        ("--trigger", "signal:SIGSTOP", "failed to read the trigger \"signal:SIGSTOP\""),
    ] {
        let said = folder.run(&["record", "smc", option, value]);
        assert_eq!(said.code, Some(2), "{said}");
        assert!(said.err.contains(said_of_it), "{said}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_that_crashes_leaves_the_tape_that_its_end_has_cut() {
    let folder = Folder::new();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/field-report/tally.c");
    let program = crate::exec::compiled(&folder, source);
    let mut asked = vec!["record", "hid-frames", "--ring", "1MiB", "--trigger", "signal:crash"];
    for parameter in ["delivery=notice-of-first", "ping=40", "burst=66000"] {
        asked.extend(["--param", parameter]);
    }
    asked.extend(["--out", "t.tape.jsonl", "--exec", &program]);
    let said = folder.run(&asked);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.err.contains("note: cut by a trigger: t-cut-1.tape.jsonl\n"), "{said}");
    assert!(said.out.contains("signal: 6"), "{said}");
    // What is missing in the middle is no harm to the client, which comes to its end as it did.
    let said = folder.run(&["replay", "t-cut-1.tape.jsonl", "--exec", &program]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains("signal: 6"), "{said}");
}
