//! What the library records, against what the library that stands for IOKit records of the same calls.

use crate::program::{Program, Tools, well};
use dextape::tape::{Body, Capture, Event, NoteSubject, Payload, Sequence, Tape, validate};
use dextape_recorder::seal::{SealOptions, seal};
use libtest_mimic::{Failed, Trial};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) fn trials(tools: Arc<Tools>) -> Vec<Trial> {
    type Test = fn(&Arc<Tools>);
    let tests: [(&str, Test); 9] = [
        ("the_tape_is_that_of_the_mock_itself", same_tape),
        ("inserted_linked_and_direct_recordings_agree", three_ways),
        ("the_tape_replays_to_the_same_program", replayed),
        ("a_crash_leaves_a_journal_with_all_that_was_finished", crash),
        ("a_flight_recorder_has_a_tape_cut_by_a_crash", flight),
        ("a_forked_child_is_on_the_tape", fork),
        ("a_linked_program_starts_marks_and_stops", linked),
        ("what_may_be_the_programs_own_write_is_marked", own_writes),
        ("what_may_be_a_devices_memory_is_left_alone", device_memory),
    ];
    let trial = |(name, test): (&str, Test)| {
        let tools = Arc::clone(&tools);
        Trial::test(name, move || -> Result<(), Failed> {
            test(&tools);
            Ok(())
        })
    };
    tests.map(trial).into()
}

/// An event without what may differ between two recordings of the same calls.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    connection: Option<u32>,
    /// The lane and the position in it: what stands between two lanes' events is no cause.
    cause: Option<(u32, u64)>,
    pub(crate) body: Body,
}

/// What the program writes to the mapping, by offset. A mock knows that it was the client; the
/// interposer sees memory that has changed and cannot know, so for it each is a patch.
const OWN_WRITES: [(u64, u8); 2] = [(3, 0x42), (100, 0x43)];

fn is_own_write(body: &Body) -> bool {
    let Body::Patch { offset, data: Payload::Bytes(data), .. } = body else {
        return false;
    };
    OWN_WRITES.iter().any(|(at, byte)| at == offset && data[..] == [*byte])
}

/// The events of a tape by their lane, but for the patches of the program's own writes.
pub(crate) fn by_lane(tape: &Tape) -> BTreeMap<u32, Vec<Told>> {
    let events = || tape.events().iter().filter(|event| !is_own_write(&event.body));
    let mut positions: BTreeMap<u32, u64> = BTreeMap::new();
    let place = |event: &Event| {
        let position = positions.entry(event.lane).or_default();
        *position += 1;
        (event.sequence, (event.lane, *position))
    };
    let places: BTreeMap<Sequence, _> = events().map(place).collect();
    let mut lanes: BTreeMap<u32, Vec<Told>> = BTreeMap::new();
    for event in events() {
        let mut body = event.body.clone();
        match &mut body {
            // How often a run loop looked is its own affair, and the pages of the machine are not
            // those of a mock. When a completion reached its port the interposer cannot see: it tells of
            // that with the delivery, which moves other lanes' events between the two.
            Body::Delivered { polls, .. } => *polls = 0,
            Body::Mapped { outcome: Ok(mapped) } => {
                let page = tape.header().page_size;
                assert_eq!(mapped.size, mapped.length.next_multiple_of(page), "F10");
                mapped.size = 0;
            }
            Body::Patch { last_equal, .. } => *last_equal = None,
            _ => {}
        }
        let told = Told {
            connection: event.connection,
            cause: event.cause.map(|cause| places[&cause]),
            body,
        };
        lanes.entry(event.lane).or_default().push(told);
    }
    lanes
}

#[track_caller]
pub(crate) fn assert_same(found: &[Told], expected: &[Told]) {
    for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "event {number} of the lane");
    }
    assert_eq!(found.len(), expected.len());
}

/// The tape that the mock's own library records of the program.
fn tape_of_the_mock(program: &Program) -> (Tape, String) {
    let tape = program.path("mock.tape.jsonl");
    let ran = program.native().env("DEXTAPE_RECORD", &tape).output().unwrap();
    (Tape::read(&tape).unwrap(), well(&ran).to_owned())
}

fn same_tape(tools: &Arc<Tools>) {
    let program = Program::compile(tools, false);
    let (expected, said) = tape_of_the_mock(&program);
    assert_eq!(well(&program.macos(None).output().unwrap()), said, "without the library");

    let path = program.path("t.tape.jsonl");
    let ran = program.macos(Some(path.as_os_str())).output().unwrap();
    assert_eq!(well(&ran), said, "with the library");
    assert!(!program.path("t.journal").exists(), "the journal is sealed");
    let found = Tape::read(&path).unwrap();
    let validation = validate(&path).unwrap();
    assert!(validation.is_valid(), "{validation:?}");
    assert_eq!(found.header().services, expected.header().services);
    let own_writes =
        |tape: &Tape| tape.events().iter().filter(|event| is_own_write(&event.body)).count();
    assert_eq!((own_writes(&found), own_writes(&expected)), (OWN_WRITES.len(), 0));
    let (found, expected) = (by_lane(&found), by_lane(&expected));
    assert!(found.keys().eq(expected.keys()), "{:?}", found.keys());
    for (lane, found) in &found {
        assert_same(found, &expected[lane]);
    }
    let all = || found.values().flatten();
    let count = |wanted: fn(&Body) -> bool| all().filter(|told| wanted(&told.body)).count();
    assert_eq!(count(|body| matches!(body, Body::Delivered { .. })), 6);
    assert_eq!(
        count(|body| matches!(body, Body::Patch { .. })),
        0,
        "the dext writes nothing there"
    );
    assert_eq!(count(|body| matches!(body, Body::Gap { .. })), 0);
}

/// One Mach-O program: with the library inserted, linked against it, and with neither, recorded by the
/// library that stands for IOKit.
fn three_ways(tools: &Arc<Tools>) {
    let program = Program::compile(tools, false);
    let path = |name: &str| program.path(&format!("{name}.tape.jsonl"));
    let said = well(&program.macos(None).output().unwrap()).to_owned();

    let direct = path("direct");
    let ran = program.macos(None).env("DEXTAPE_RECORD", &direct).output().unwrap();
    assert_eq!(well(&ran), said, "direct");

    let inserted = path("inserted");
    let ran = program.macos(Some(inserted.as_os_str())).output().unwrap();
    assert_eq!(well(&ran), said, "inserted");

    let linked = path("linked");
    let ran = Program::compile(tools, true).macos(None).arg(&linked).arg("all").output().unwrap();
    assert_eq!(well(&ran), said, "linked");

    let [direct, inserted, linked] = [direct, inserted, linked].map(|path| {
        let validation = validate(&path).unwrap();
        assert!(validation.is_valid(), "{}: {validation:?}", path.display());
        Tape::read(&path).unwrap()
    });
    // Who wrote to mapped memory the mock alone knows: see `OWN_WRITES`.
    let own_writes =
        |tape: &Tape| tape.events().iter().filter(|event| is_own_write(&event.body)).count();
    let known = [&direct, &inserted, &linked].map(own_writes);
    assert_eq!(known, [0, OWN_WRITES.len(), OWN_WRITES.len()]);
    assert_eq!(inserted.header(), linked.header());
    let expected = by_lane(&direct);
    for (way, tape) in [("inserted", inserted), ("linked", linked)] {
        assert_eq!(tape.header().services, direct.header().services, "{way}");
        let found = by_lane(&tape);
        assert!(found.keys().eq(expected.keys()), "{way}: {:?}", found.keys());
        for (lane, found) in &found {
            assert_same(found, &expected[lane]);
        }
    }
}

fn replayed(tools: &Arc<Tools>) {
    let program = Program::compile(tools, false);
    let path = program.path("t.tape.jsonl");
    let ran = program.macos(Some(path.as_os_str())).output().unwrap();
    let said = well(&ran);
    let mut replay = program.native();
    replay.env_remove("DEXTAPE_SCENARIO").env("DEXTAPE_TAPE", &path).env("DEXTAPE_STRICT", "1");
    assert_eq!(well(&replay.output().unwrap()), said);
}

fn crash(tools: &Arc<Tools>) {
    let program = Program::compile(tools, false);
    let (whole, _) = tape_of_the_mock(&program);
    let (path, journal) = (program.path("t.tape.jsonl"), program.path("t.journal"));
    let ran = program.macos(Some(path.as_os_str())).arg("crash").output().unwrap();
    assert!(!ran.status.success(), "the program aborts");
    assert!(!path.exists() && journal.exists(), "there was no end to seal it at");
    seal(&journal, &path, SealOptions::default()).unwrap();
    let found = by_lane(&Tape::read(&path).unwrap());
    let whole = by_lane(&whole);
    let unmap = |told: &Told| matches!(told.body, Body::Unmap { .. });
    let until = whole[&1].iter().position(unmap).unwrap();
    assert_same(&found[&1], &whole[&1][..until]);
}

fn flight(tools: &Arc<Tools>) {
    let program = Program::compile(tools, false);
    let path = program.path("t.tape.jsonl");
    let run = |ring: &str| {
        let mut command = program.macos(Some(path.as_os_str()));
        command.env("DEXTAPE_RING", ring).env("DEXTAPE_TRIGGER", "signal:crash");
        command.arg("crash").output().unwrap()
    };
    assert!(!run("1MiB").status.success(), "the program aborts");
    let cut = program.path("t-cut-1.tape.jsonl");
    assert!(validate(&cut).unwrap().is_valid());
    let tape = Tape::read(&cut).unwrap();
    let noted = tape.events().iter().any(|event| {
        matches!(&event.body, Body::Note { subject: NoteSubject::Trigger, reason, .. }
            if reason == "SIGABRT came")
    });
    assert!(noted && tape.events().len() > 20, "{}", tape.events().len());
    assert!(!program.path("t-cut-2.tape.jsonl").exists());
    // The ring itself is left, within its bound.
    let journal = program.path("t.journal");
    assert!(std::fs::metadata(&journal).unwrap().len() <= 1 << 20);
    // What is no ring records nothing, and says so.
    std::fs::remove_file(&journal).unwrap();
    let said = String::from_utf8_lossy(&run("1KiB").stderr).into_owned();
    assert!(said.contains("failed to read the ring \"1KiB\""), "{said}");
    assert!(!journal.exists() && !path.exists());
}

fn fork(tools: &Arc<Tools>) {
    let program = Program::compile(tools, false);
    let path = program.path("t.tape.jsonl");
    let ran = program.macos(Some(path.as_os_str())).arg("fork").output().unwrap();
    assert!(well(&ran).ends_with("child 0\n"), "{}", well(&ran));
    let tape = Tape::read(&path).unwrap();
    let of_child: Vec<_> = tape.events().iter().filter(|event| event.process == 2).collect();
    let [event] = of_child[..] else { panic!("{of_child:?}") };
    assert!(
        matches!(&event.body, Body::Matched { matching, outcome: Ok(found) }
            if *matching == dextape::connection::Matching::service("OfTheChild") && found.is_empty()),
        "{event:?}"
    );
}

fn linked(tools: &Arc<Tools>) {
    let program = Program::compile(tools, true);
    let path = program.path("t.tape.jsonl");
    let ran = program.macos(None).arg(&path).output().unwrap();
    let said = well(&ran);
    assert!(said.starts_with("stop -1\nstart 0\nagain -1\n"), "{said}");
    assert!(said.ends_with("open 0\nstop 0\nclose 0\n"), "{said}");
    let tape = Tape::read(&path).unwrap();
    let opened = tape.events().last().map(|event| &event.body);
    assert_eq!(opened, Some(&Body::Opened), "the close came after the end");
    let triggers = tape.events().iter().filter(|event| {
        matches!(&event.body, Body::Note { subject: NoteSubject::Trigger, memory: None, reason }
            if reason == "it stalled")
    });
    assert_eq!(triggers.count(), 1);
    assert!(validate(&path).unwrap().is_valid());
    assert!(
        matches!(&tape.events()[0].body, Body::Matched { outcome: Ok(found), .. } if found.is_empty()),
        "what came before the start is not on the tape"
    );
}

/// Nobody but the kernel knows who writes to memory of another process, and it does not tell.
fn own_writes(tools: &Arc<Tools>) {
    let program = Program::compile(tools, false);
    let path = program.path("t.tape.jsonl");
    let ran = program.macos(Some(path.as_os_str())).arg("memory").output().unwrap();
    well(&ran);
    assert!(validate(&path).unwrap().is_valid());
    let tape = Tape::read(&path).unwrap();
    let mut seen: Vec<(u64, Vec<u8>)> = Vec::new();
    for event in tape.events() {
        let Body::Patch { offset, data: Payload::Bytes(data), unattributed, .. } = &event.body
        else {
            continue;
        };
        assert!(*unattributed, "{event:?}");
        seen.push((*offset, data.to_vec()));
    }
    seen.sort();
    // In one, where nobody looked in between.
    let apart = [(3, vec![0x42]), (4, vec![0x43])];
    assert!(seen == apart || seen == [(3, vec![0x42, 0x43])], "{seen:?}");
}

fn device_memory(tools: &Arc<Tools>) {
    let program = Program::compile(tools, false);
    let path = program.path("t.tape.jsonl");
    let mut command = program.macos(Some(path.as_os_str()));
    let ran = command.arg("memory").env("FAKE_DEVICE_MEMORY", "1").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("memory type 0 is not recorded"), "{said}");
    let tape = Tape::read(&path).unwrap();
    let bodies = || tape.events().iter().map(|event| &event.body);
    let mapped = |body: &Body| matches!(body, Body::Mapped { outcome: Ok(it) } if it.capture == Capture::Uncaptured);
    let noted = |body: &Body| {
        matches!(body, Body::Note { subject: NoteSubject::Uncaptured, memory: Some(1), reason }
            if reason.contains("a device's memory"))
    };
    assert!(bodies().any(mapped) && bodies().any(noted));
    assert!(!bodies().any(|body| matches!(body, Body::Patch { .. })), "nobody has read there");
}
