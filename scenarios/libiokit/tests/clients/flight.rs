//! The flight recorder around clients in C: what cuts tapes, and that the client is none the wiser.

use crate::program::{Program, Ran, trial};
use dextape::tape::{Body, NoteSubject, Tape};
use dextape_recorder::flight::cut_tapes;
use libtest_mimic::Trial;
use std::path::Path;

const CLIENT: &str = include_str!("flight.c");

/// The client. What it leaves open is not what is asked here.
fn client() -> Program {
    let client = Program::compile(&["gcc"], "c", CLIENT).on("boundary-probe");
    client.set("DEXTAPE_LEAKS", "no")
}

/// The client, recorded in a ring, with these triggers.
fn recorded(triggers: &str) -> Program {
    let client = client();
    let client = client.set("DEXTAPE_RECORD", "t.tape.jsonl").set("DEXTAPE_RING", "1MiB");
    if triggers.is_empty() { client } else { client.set("DEXTAPE_TRIGGER", triggers) }
}

/// Runs it so.
fn run(client: &Program, how: &str) -> Ran {
    let mut command = std::process::Command::new(client.path("program"));
    command.arg(how);
    client.run_command(command)
}

/// The triggers that each cut tape notes, which are valid; their names are as they should be.
fn cuts(client: &Program) -> Vec<Vec<String>> {
    let tapes = cut_tapes(&client.path("t.tape.jsonl")).unwrap();
    for (place, tape) in tapes.iter().enumerate() {
        assert_eq!(*tape, client.path(&format!("t-cut-{}.tape.jsonl", place + 1)));
    }
    tapes.iter().map(|tape| noted(tape)).collect()
}

fn noted(tape: &Path) -> Vec<String> {
    let tape = Tape::read(tape).unwrap();
    let validation = tape.validate();
    assert!(validation.is_valid(), "{validation}");
    let note = |body: &Body| match body {
        Body::Note { subject: NoteSubject::Trigger, reason, .. } => Some(reason.clone()),
        _ => None,
    };
    tape.events().iter().filter_map(|event| note(&event.body)).collect()
}

fn result() {
    let client = recorded("result:Offline");
    assert_eq!(run(&client, "result").well(), "e00002d7 0\n");
    let offline = "a call came back with kIOReturnOffline (0xe00002d7)";
    assert_eq!(cuts(&client), [[offline]]);
    // The recording's own tape is there as well, and nothing else.
    assert_eq!(noted(&client.path("t.tape.jsonl")), [offline]);
    assert!(!client.path("t.journal").exists());
    // A result that nobody waits for.
    let client = recorded("result:Busy");
    assert_eq!(run(&client, "result").well(), "e00002d7 0\n");
    assert!(cuts(&client).is_empty());
}

fn twice() {
    let client = recorded("");
    assert_eq!(run(&client, "twice").well(), "0 0\n");
    assert_eq!(cuts(&client)[0][0], "first");
    assert_eq!(cuts(&client)[1], ["first", ""]);
    // Once more: what is there stays.
    let first = std::fs::read(client.path("t-cut-1.tape.jsonl")).unwrap();
    assert_eq!(run(&client, "twice").well(), "0 0\n");
    assert_eq!(cuts(&client).len(), 4);
    assert_eq!(std::fs::read(client.path("t-cut-1.tape.jsonl")).unwrap(), first);
}

fn threads() {
    let client = recorded("tapes:6");
    run(&client, "threads").well();
    let cuts = cuts(&client);
    assert_eq!(cuts.len(), 6, "{cuts:?}");
    assert_eq!(cuts[5], ["one of six"; 6]);

    let client = recorded("tapes:4");
    let ran = run(&client, "threads");
    let full = "dextape: 4 tapes were cut, which is as many as may be; what happens from now on is only \
                noted\n";
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), full), "{ran}");
    assert_eq!(self::cuts(&client).len(), 4);
    assert_eq!(noted(&client.path("t.tape.jsonl")).len(), 6);
}

fn signals() {
    // Handlers of the client's own get what they would have got, and errno is as it was.
    let client = recorded("signal:SIGUSR1,signal:USR2");
    assert_eq!(run(&client, "before").well(), "2 1 77\n");
    let mut all: Vec<_> = cuts(&client).pop().unwrap();
    all.sort();
    assert_eq!(all, ["SIGUSR1 came", "SIGUSR2 came"]);
    // One that it does not handle.
    let client = recorded("signal:SIGUSR1");
    assert_eq!(run(&client, "none").well(), "it goes on\n");
    assert_eq!(cuts(&client), [["SIGUSR1 came"]]);
    // A handler that came later, and calls us.
    let client = recorded("signal:SIGUSR2");
    assert_eq!(run(&client, "within").well(), "1\n");
    assert_eq!(cuts(&client), [["a handler"]]);
}

fn deaths() {
    for (how, triggers, signal, reason) in [
        ("abort", "signal:crash", 6, "SIGABRT came"),
        ("segv", "signal:crash", 11, "SIGSEGV came"),
        ("term", "signal:SIGTERM", 15, "SIGTERM came"),
    ] {
        let client = recorded(triggers);
        let ran = run(&client, how);
        assert_eq!((ran.signal, ran.err.as_str()), (Some(signal), ""), "{how}: {ran}");
        assert_eq!(cuts(&client), [[reason]], "{how}");
        // And what it had recorded until then is in its journal.
        assert!(client.path("t.journal").exists(), "{how}");
    }
}

/// A ring is sealed at the next start as any journal is.
fn killed() {
    let client = recorded("");
    assert_eq!(run(&client, "kill").signal, Some(9));
    assert!(std::fs::metadata(client.path("t.journal")).unwrap().len() <= 1 << 20);
    let ran = run(&client, "result");
    assert!(ran.err.starts_with("dextape: t.journal was left by a program"), "{ran}");
    let tape = Tape::read(&client.path("t.tape.jsonl")).unwrap();
    assert!(tape.validate().is_valid());
    let gaps = tape.events().iter().filter(|event| matches!(event.body, Body::Gap { .. }));
    assert_eq!(gaps.count(), 1);
}

fn functions() {
    let client = client();
    let ran = run(&client, "start");
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(ran.out, "-1 -1 -1 -1 -1\n0 -1\n0 0 -1\n-1 0\n", "{ran}");
    let said: Vec<_> = ran.err.lines().collect();
    assert_eq!(said.len(), 4, "{ran}");
    assert!(said[0].starts_with("dextape: failed to read the ring \"1KiB\": expected"), "{ran}");
    assert!(said[1].starts_with("dextape: failed to read the trigger \"signal:SIGKILL\""), "{ran}");
    assert_eq!(said[2], "dextape: failed to record: no tape is named");
    assert_eq!(said[3], "dextape: failed to record u.tape.jsonl: a recording was begun already");
    assert_eq!(cuts(&client), [["it matters"]]);
    assert_eq!(noted(&client.path("t.tape.jsonl")), ["it matters"]);
    assert!(!client.path("u.tape.jsonl").exists());

    let ran = run(&client, "late");
    let late = "dextape: failed to record t.tape.jsonl: IOKit was used before; on this system a recording \
                begins before that\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "-1\n", late));
}

/// A tape that cannot be cut is said, and the client goes on.
fn failed_cuts() {
    let client = recorded("").set("DEXTAPE_RECORD", "here/t.tape.jsonl");
    std::fs::create_dir(client.path("here")).unwrap();
    let ran = run(&client, "moved");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "0\n"), "{ran}");
    assert!(ran.err.starts_with("dextape: failed to cut tape "), "{ran}");
    assert!(ran.err.contains("(for: nowhere)\n"), "{ran}");
}

/// A child has nobody who could cut, and does not have its parent cut either.
fn children() {
    let client = recorded("signal:SIGUSR1");
    let ran = run(&client, "fork");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "0\n"), "{ran}");
    let cuts = cuts(&client);
    assert_eq!(cuts.len(), 1, "{cuts:?}");
    assert!(cuts[0].contains(&"its parent".to_owned()), "{cuts:?}");
}

/// What cannot be read is said, and nothing answers: nobody takes a plain recording for a flight recorder's.
fn wrong() {
    let ran = run(&recorded("result:Late"), "result");
    assert_eq!(ran.code, Some(3), "{ran}");
    let said = "dextape: failed to use DEXTAPE_TRIGGER: failed to read the trigger \"result:Late\"";
    assert!(ran.err.starts_with(said), "{ran}");
}

pub(crate) fn trials() -> Vec<Trial> {
    let gcc = |name: &str, body: fn()| trial(&format!("flight::{name}"), &["gcc"], body);
    vec![
        gcc("a_result_has_a_tape_cut", result),
        gcc("two_calls_cut_two_tapes_over_none_that_is_there", twice),
        gcc("threads_cut_tapes_up_to_the_limit", threads),
        gcc("a_signal_has_a_tape_cut_and_comes_to_its_handler", signals),
        gcc("a_client_that_dies_has_its_tape_first", deaths),
        gcc("a_ring_of_a_killed_client_is_sealed_at_the_next_start", killed),
        gcc("the_functions_of_the_header_say_what_they_do", functions),
        gcc("a_tape_that_cannot_be_cut_is_said", failed_cuts),
        gcc("a_child_cuts_nothing", children),
        gcc("what_is_no_trigger_is_an_error", wrong),
    ]
}
