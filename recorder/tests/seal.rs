//! From journals to tapes.

use dextape::IoReturn;
use dextape::memory::Width;
use dextape::tape::{Body, Event, Header, Payload, ServiceIdentity, Tape};
use dextape_recorder::journal::{Data, Journal, JournalOptions, Record, Return, Stamp, Token};
use dextape_recorder::seal::{SealError, SealOptions, SealReport, Sealing, seal};
use std::path::{Path, PathBuf};
use std::time::Duration;

struct Place {
    _folder: tempfile::TempDir,
    journal: PathBuf,
    tape: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let (journal, tape) = (folder.path().join("j"), folder.path().join("t.tape.jsonl"));
    Place { _folder: folder, journal, tape }
}

fn small() -> JournalOptions {
    JournalOptions {
        segment_size: 4096,
        ahead: 1,
        wait: Duration::from_secs(20),
        ..JournalOptions::default()
    }
}

fn lane(lane: u32) -> Stamp {
    Stamp { lane, ..Stamp::default() }
}

fn returned(scalars: &[u64]) -> Record<'_> {
    let result = IoReturn::SUCCESS;
    Record::Return(Return { result, scalars, structure_size: None, structure: None })
}

fn sealed(place: &Place) -> (Tape, SealReport) {
    let report = seal(&place.journal, &place.tape, SealOptions::default()).unwrap();
    let tape = Tape::read(&place.tape).unwrap();
    assert_eq!(report.events, tape.events().len() as u64);
    assert_eq!(report.bytes, std::fs::metadata(&place.tape).unwrap().len());
    (tape, report)
}

fn all(path: &Path) -> (Vec<Event>, SealReport) {
    let mut sealing = Sealing::open(path, SealOptions::default()).unwrap();
    let mut events = Vec::new();
    while let Some(event) = sealing.next_event().unwrap() {
        events.push(event);
    }
    (events, sealing.report())
}

#[test]
fn events_get_their_numbers_and_causes() {
    let place = place();
    let journal = Journal::create(&place.journal, small()).unwrap();
    let header = Header { seed: Some(7), ..Header::mock() };
    journal.append(Stamp::default(), &Record::Header(&header));
    let identity = ServiceIdentity { class: Some("Null".to_owned()), ..Default::default() };
    let open = journal.append(lane(1), &Record::Open { service: 1, open_type: 0 });
    journal.append(Stamp::default(), &Record::Service { service: 1, identity: &identity });
    let wait = journal.append(lane(2), &Record::Wait { queue: 1, timeout: None });
    let opened = Stamp { lane: 1, connection: Some(1), cause: open, time: 9 };
    journal.append(opened, &Record::Opened);
    journal.append(Stamp { cause: wait, ..lane(2) }, &Record::Woke { timed_out: true });
    let close = journal.append(Stamp { connection: Some(1), ..lane(1) }, &Record::Close);
    assert!(close.is_some());
    drop(journal);

    let (tape, report) = sealed(&place);
    let seen: Vec<_> = tape
        .events()
        .iter()
        .map(|event| (event.sequence, event.lane, event.position, event.connection, event.cause))
        .collect();
    let expected = vec![
        (1, 1, 1, None, None),
        (2, 2, 1, None, None),
        (3, 1, 2, Some(1), Some(1)),
        (4, 2, 2, None, Some(2)),
        (5, 1, 3, Some(1), None),
    ];
    assert_eq!(seen, expected);
    assert!(tape.events().iter().all(|event| event.process == 1));
    assert_eq!(tape.events()[2].time, 9);
    assert_eq!(tape.header().seed, Some(7));
    assert_eq!(tape.header().services[&1], identity);
    assert_eq!((report.in_flight, report.gaps, report.processes), (1, 0, 1));
}

#[test]
fn sealing_twice_gives_the_same_bytes() {
    let place = place();
    let journal = Journal::create(&place.journal, small()).unwrap();
    for time in 0..500_u64 {
        let stamp = Stamp { lane: 1 + time as u32 % 5, time, ..Stamp::default() };
        let bytes = vec![time as u8; time as usize * 5];
        let data = Data::Bytes(&bytes);
        journal.append(stamp, &Record::Write { memory: 1, offset: 0, width: None, data });
    }
    drop(journal);
    seal(&place.journal, &place.tape, SealOptions::default()).unwrap();
    let first = std::fs::read(&place.tape).unwrap();
    seal(&place.journal, &place.tape, SealOptions::default()).unwrap();
    assert!(first == std::fs::read(&place.tape).unwrap());
}

#[test]
fn references_to_events_long_ago_are_found() {
    const EVENTS: u64 = 150_000;
    let place = place();
    let options = JournalOptions { segment_size: 1 << 16, ..small() };
    let journal = Journal::create(&place.journal, options).unwrap();
    let mut tokens: Vec<Token> = Vec::new();
    for time in 0..EVENTS {
        // Some far back, some near, and one that no event stands at.
        let cause = match time % 1000 {
            0 => tokens.first().copied(),
            1 => tokens.get(time as usize / 2).copied(),
            2 => tokens.get((time as usize).saturating_sub(70_000)).copied(),
            3 => Token::new(time * 8 + 4),
            _ => tokens.last().copied(),
        };
        let stamp = Stamp { lane: 1, connection: None, cause, time };
        let token = if time % 3000 == 5 {
            let bytes = vec![1; 100_000];
            let data = Data::Bytes(&bytes);
            journal.append(stamp, &Record::Write { memory: 1, offset: 0, width: None, data })
        } else {
            journal.append(stamp, &Record::Queue { queue: 1 })
        };
        tokens.push(token.unwrap());
    }
    drop(journal);
    let (events, report) = all(&place.journal);
    assert_eq!(events.len() as u64, EVENTS);
    for (index, event) in events.iter().enumerate() {
        let index = index as u64;
        let expected = match index % 1000 {
            _ if index == 0 => None,
            0 => Some(1),
            1 => Some(index / 2 + 1),
            2 => Some(index.saturating_sub(70_000) + 1),
            3 => None,
            _ => Some(index),
        };
        assert_eq!(event.cause, expected, "event {index}");
    }
    assert_eq!(report.unresolved, EVENTS / 1000);
}

#[test]
fn calls_in_flight_come_out_as_entered() {
    let place = place();
    let journal = Journal::create(&place.journal, small()).unwrap();
    let enter = journal.append(lane(1), &Record::Map { memory_type: 0, options: 1, address: 0 });
    journal.append(lane(2), &Record::Unmap { memory_type: 0, memory: Some(1) });
    let outcome = Err(IoReturn::BAD_ARGUMENT);
    journal.append(Stamp { cause: enter, ..lane(1) }, &Record::Mapped { outcome });
    journal.leave_hole(lane(2), 16, true);
    // As after SIGKILL: nothing is finished, trimmed or dropped.
    let (events, report) = all(&place.journal);
    assert_eq!(events.len(), 3);
    assert_eq!(events[1].body, Body::Unmap { memory_type: 0, memory: Some(1) });
    assert_eq!((report.in_flight, report.holes, report.gaps), (1, 1, 0));
    drop(journal);
}

#[test]
fn long_writes_become_hashes_if_wanted() {
    let place = place();
    let journal = Journal::create(&place.journal, small()).unwrap();
    for length in [16, 17] {
        let bytes = vec![3; length];
        let data = Data::Bytes(&bytes);
        let width = Some(Width::One);
        journal.append(lane(1), &Record::Write { memory: 1, offset: 0, width, data });
    }
    drop(journal);
    let options = SealOptions { hash_writes_over: Some(16) };
    seal(&place.journal, &place.tape, options).unwrap();
    let tape = Tape::read(&place.tape).unwrap();
    let payload = |index: usize| match &tape.events()[index].body {
        Body::Write { data, .. } => data.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(payload(0), Payload::bytes(&[3; 16]));
    let Payload::Hash { digest, length: 17 } = payload(1) else { panic!("{:?}", payload(1)) };
    assert_eq!(digest, dextape::tape::Digest::of(&[3; 17]));
}

#[test]
fn a_lost_segment_is_a_gap() {
    let place = place();
    let journal = Journal::create(&place.journal, small()).unwrap();
    for time in 0..300 {
        journal.append(Stamp { time, ..lane(1) }, &returned(&[time]));
    }
    drop(journal);
    let mut bytes = std::fs::read(&place.journal).unwrap();
    bytes[4096..8192].fill(0);
    std::fs::write(&place.journal, bytes).unwrap();
    let (events, report) = all(&place.journal);
    let gap = events.iter().position(|event| matches!(event.body, Body::Gap { .. })).unwrap();
    let Body::Gap { reason, .. } = &events[gap].body else { unreachable!() };
    assert_eq!(reason, "segment 1 of the journal is missing");
    assert_eq!(events[gap].time, events[gap - 1].time);
    assert!(events[gap + 1].time > events[gap].time + 10);
    assert_eq!(report.gaps, 1);
}

#[test]
fn what_no_tape_can_hold_becomes_a_gap() {
    let place = place();
    let journal = Journal::create(&place.journal, small()).unwrap();
    journal.append(Stamp { time: 5, ..lane(1) }, &Record::Close);
    let gap = Record::Gap { events: Some(u64::MAX), reason: "a count that JSON cannot hold" };
    journal.append(Stamp { time: 5, ..lane(1) }, &gap);
    journal.append(Stamp { time: 6, ..lane(1) }, &Record::Closed { result: IoReturn::SUCCESS });
    drop(journal);
    let (tape, _) = sealed(&place);
    assert_eq!(tape.events().len(), 3);
    assert!(matches!(tape.events()[1].body, Body::Gap { events: Some(1), .. }));
    assert_eq!((tape.events()[1].lane, tape.events()[1].position), (1, 2));
}

#[test]
fn a_failure_leaves_no_tape_behind() {
    let place = place();
    std::fs::write(&place.journal, "no journal").unwrap();
    let error = seal(&place.journal, &place.tape, SealOptions::default()).unwrap_err();
    assert!(matches!(error, SealError::Journal(_)), "{error}");
    assert!(!place.tape.exists());
}
