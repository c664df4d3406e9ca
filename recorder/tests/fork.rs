//! A forked child records into a journal of its own, and sealing puts the two together.

use dextape::tape::{Body, Tape, validate};
use dextape_recorder::exam::append_small_call;
use dextape_recorder::journal::{
    Journal, JournalOptions, JournalReader, Record, RingOptions, Stamp,
};
use dextape_recorder::seal::{SealOptions, Sealing, cut, seal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A fork is seen by every journal of the process, so one test at a time makes them. (nextest has a
/// process for each test, `cargo test` has not.)
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn queue(
    journal: &Journal,
    queue: u32,
    time: u64,
    cause: Option<dextape_recorder::journal::Token>,
) -> Option<dextape_recorder::journal::Token> {
    let stamp = Stamp { lane: 1, connection: None, cause, time };
    journal.append(stamp, &Record::Queue { queue })
}

/// Runs `body` in a forked child and waits for it. The child ends without running anything else.
fn in_child(body: impl FnOnce()) {
    // SAFETY: the child uses the journal, whose helper is its own, and ends by `_exit`; what it
    // allocates is safe on the C libraries that this runs on.
    match unsafe { libc::fork() } {
        0 => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(done.is_err())) }
        }
        child => {
            assert!(child > 0, "fork failed");
            let mut status = 0;
            // SAFETY: waits for the child made above.
            let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!((waited, status), (child, 0), "the child failed");
        }
    }
}

#[test]
fn children_and_grandchildren_are_joined() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let options = JournalOptions {
        segment_size: 4096,
        ahead: 1,
        wait: Duration::from_secs(20),
        ..JournalOptions::default()
    };
    let journal = Journal::create(&path, options).unwrap();
    let before = queue(&journal, 1, 10, None);
    in_child(|| {
        let own = queue(&journal, 2, 20, before);
        assert!(own.is_some());
        in_child(|| {
            assert!(queue(&journal, 3, 30, own).is_some());
            assert!(queue(&journal, 4, 31, before).is_some());
        });
        // The child's own note of the fork comes before this.
        assert!(queue(&journal, 5, 40, own).is_some());
    });
    // This child records nothing.
    in_child(|| {});
    queue(&journal, 6, 50, before).unwrap();
    in_child(|| {
        assert!(queue(&journal, 7, 60, before).is_some());
    });
    queue(&journal, 8, 70, None).unwrap();
    drop(journal);

    // Another recording's file of such a name is left out.
    let stranger = folder.path().join("j.fork-9");
    drop(Journal::create(&stranger, JournalOptions::default()).unwrap());

    let mut sealing = Sealing::open(&path, SealOptions::default()).unwrap();
    let mut seen = Vec::new();
    while let Some(event) = sealing.next_event().unwrap() {
        let what = match event.body {
            Body::Queue { queue } => format!("queue {queue}"),
            Body::Fork { child } => format!("fork {child}"),
            other => panic!("{other:?}"),
        };
        seen.push((event.sequence, event.process, what, event.cause));
    }
    let expected = [
        (1, 1, "queue 1", None),
        // Two forks were made before the parent's next record, which tells of both.
        (2, 1, "fork 2", None),
        (3, 2, "queue 2", Some(1)),
        (4, 2, "fork 3", None),
        (5, 3, "queue 3", Some(3)),
        (6, 3, "queue 4", Some(1)),
        (7, 2, "queue 5", Some(3)),
        (8, 1, "fork 4", None),
        (9, 1, "queue 6", Some(1)),
        (10, 1, "fork 5", None),
        (11, 5, "queue 7", Some(1)),
        (12, 1, "queue 8", None),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(sequence, process, what, cause)| (sequence, process, what.to_owned(), cause))
        .collect();
    let mut sorted = seen.clone();
    sorted.sort_by_key(|(sequence, ..)| *sequence);
    assert_eq!(seen, sorted);
    assert_eq!(seen, expected);
    let report = sealing.report();
    assert_eq!((report.processes, report.unresolved), (5, 0));
    assert_eq!(report.ignored, [stranger]);
}

#[test]
fn the_parents_journal_is_left_alone_by_its_child() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let journal = Journal::create(&path, JournalOptions::default()).unwrap();
    queue(&journal, 1, 1, None).unwrap();
    let held = std::sync::Mutex::new(Some(journal));
    in_child(|| {
        let journal = held.lock().unwrap().take().unwrap();
        queue(&journal, 2, 2, None).unwrap();
        // Neither trims the parent's file nor waits for its helper.
        drop(journal);
    });
    let journal = held.lock().unwrap().take().unwrap();
    queue(&journal, 3, 3, None).unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    assert!(length >= 1 << 20, "the child cut the file to {length} bytes");
    drop(journal);
    let parent = JournalReader::open(&path).unwrap().count();
    assert_eq!(parent, 3, "two queues and the fork");
    let child = JournalReader::open(&folder.path().join("j.fork-1")).unwrap();
    assert_eq!(child.forks(), [1]);
    assert_eq!(child.count(), 1);
}

#[test]
fn a_forked_child_of_a_flight_recorder_has_a_ring_of_its_own() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let options = JournalOptions { wait: Duration::from_secs(20), ..JournalOptions::default() };
    let ring = RingOptions::of_size(1 << 20).first_calls(3);
    let journal = Journal::create(&at("j"), options.ring(ring)).unwrap();
    let opener = Stamp { lane: 1, ..Stamp::default() };
    let cause = journal.append(opener, &Record::Open { service: 1, open_type: 0 });
    let opened = Stamp { connection: Some(1), cause, ..opener };
    journal.append(opened, &Record::Opened).unwrap();
    let calls = |lane, times: std::ops::Range<u64>| {
        times.step_by(2).all(|time| append_small_call(&journal, lane, time))
    };
    assert!(calls(1, 0..10_000));
    in_child(|| {
        assert!(calls(1, 10_000..24_000));
        // What a child cuts is its own.
        cut(&journal, &at("child.tape.jsonl"), SealOptions::default()).unwrap();
    });
    in_child(|| {
        let nothing = cut(&journal, &at("none.tape.jsonl"), SealOptions::default()).unwrap_err();
        let nothing = nothing.to_string();
        assert!(nothing.ends_with("this process was forked and has recorded nothing"), "{nothing}");
    });
    assert!(calls(1, 10_000..20_000));
    drop(journal);

    let child = Tape::read(&at("child.tape.jsonl")).unwrap();
    assert_eq!(child.events().last().map(|event| event.time), Some(23_999));
    let report = seal(&at("j"), &at("t.tape.jsonl"), SealOptions::default()).unwrap();
    assert_eq!(report.processes, 3);
    let validation = validate(&at("t.tape.jsonl")).unwrap();
    assert!(validation.is_valid(), "{validation}");
    let tape = Tape::read(&at("t.tape.jsonl")).unwrap();
    for (process, newest) in [(1, 19_999), (2, 23_999)] {
        let own: Vec<_> = tape.events().iter().filter(|event| event.process == process).collect();
        assert_eq!(own.last().unwrap().time, newest);
        let is_keyframe = |event: &&&dextape::tape::Event| matches!(event.body, Body::Keyframe(_));
        assert_eq!(own.iter().filter(is_keyframe).count(), 1, "process {process}");
        assert!(own.len() > 2_000, "process {process}: {}", own.len());
    }
}
