//! What the report of each kind of divergence says, and what hostile tapes come to.

use super::story::{Story, Told, divergence, free, open};
use crate::call::{MapOptions, ServiceId};
use crate::replay::{Divergence, DivergenceKind, LoadError, Policy, ReplayOptions, Replayer};
use crate::tape::{Body, Scenario, Tape};
use std::collections::BTreeMap;
use std::sync::Arc;

fn story() -> Story {
    let mut story = Story::new();
    let scenario = Scenario { name: "smc".to_owned(), parameters: BTreeMap::new() };
    story.header.scenario = Some(scenario);
    let connection = story.open(1);
    story.call(1, connection, &Told::scalar(0, 1, 10));
    let bytes: Vec<u8> = (0..40).collect();
    story.call(1, connection, &Told::bytes(2, &bytes, &[1, 2]));
    story.call(1, connection, &Told::scalar(0, 2, 20));
    story.close(1, connection);
    story
}

/// The report after the first so many of the tape's calls, and then `last`.
fn after(count: usize, last: &Told) -> Divergence {
    let replayer = story().replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let bytes: Vec<u8> = (0..40).collect();
    let calls = [Told::scalar(0, 1, 10), Told::bytes(2, &bytes, &[1, 2]), Told::scalar(0, 2, 20)];
    for call in &calls[..count] {
        assert_eq!(call.make(&*connection), call.got());
    }
    if count == calls.len() {
        let _ = connection.close();
    }
    divergence(&replayer, || {
        let _ = last.make(&*connection);
    })
}

#[test]
fn other_bytes() {
    let mut bytes: Vec<u8> = (0..40).collect();
    (bytes[18], bytes[33]) = (0xff, 0xee);
    insta::assert_snapshot!(after(1, &Told::bytes(2, &bytes, &[1, 2])), @r#"
    replay diverged (differs, policy ordered): the tape holds it here, with other inputs
      client: call selector 2 of connection 1, a structure of 40 bytes: 00 01 02 03 04 05 06 07 .., asking for 2 bytes
      tape:   call selector 2 of connection 1, a structure of 40 bytes: 00 01 02 03 04 05 06 07 .., asking for 2 bytes -> kIOReturnSuccess (0x00000000)
              event 6, lane 1 position 6, connection 1
      structure input (40 bytes) differs:
        00000010 recorded 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f
                 client   10 11 ff 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f
                                ^^
        00000020 recorded 20 21 22 23 24 25 26 27
                 client   20 ee 22 23 24 25 26 27
                             ^^
      nearest on the tape:
        event 6, distance 2: call selector 2 of connection 1, a structure of 40 bytes: 00 01 02 03 04 05 06 07 .., asking for 2 bytes -> kIOReturnSuccess (0x00000000)
        event 4, another operation, used: call selector 0 of connection 1, scalars [0x1], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
        event 8, another operation: call selector 0 of connection 1, scalars [0x2], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
      to go on:
        mask the field, in the header's "rules": {"selector":2,"field":"structure_input","offset":"0x12","length":"0x1"}
        mask the field, in the header's "rules": {"selector":2,"field":"structure_input","offset":"0x21","length":"0x1"}
        record again: cargo xtask record smc
    "#);
}

#[test]
fn other_scalars_and_counts() {
    let told = Told { scalars: vec![7, 8], reply_scalars: vec![], ..Told::scalar(0, 1, 10) };
    insta::assert_snapshot!(after(0, &told), @r"
    replay diverged (differs, policy ordered): the tape holds it here, with other inputs
      client: call selector 0 of connection 1, scalars [0x7, 0x8]
      tape:   call selector 0 of connection 1, scalars [0x1], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
              event 4, lane 1 position 4, connection 1
      count of scalars handed in differs: recorded 1, client 2
      scalar input 0 differs: recorded 0x1, client 0x7
      count of scalars asked for differs: recorded 1, client 0
      nearest on the tape:
        event 4, distance 3: call selector 0 of connection 1, scalars [0x1], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
        event 8, distance 3: call selector 0 of connection 1, scalars [0x2], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
        event 6, another operation: call selector 2 of connection 1, a structure of 40 bytes: 00 01 02 03 04 05 06 07 .., asking for 2 bytes -> kIOReturnSuccess (0x00000000)
      to go on:
        record again: cargo xtask record smc
    ");
}

#[test]
fn out_of_order() {
    insta::assert_snapshot!(after(0, &Told::scalar(0, 2, 20)), @r"
    replay diverged (out of order, policy ordered): the tape holds it at another place: event 8, lane 1 position 8, connection 1
      client: call selector 0 of connection 1, scalars [0x2], asking for 1 scalar
      tape:   call selector 0 of connection 1, scalars [0x1], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
              event 4, lane 1 position 4, connection 1
      nearest on the tape:
        event 8, equal: call selector 0 of connection 1, scalars [0x2], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
        event 4, distance 1: call selector 0 of connection 1, scalars [0x1], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
        event 6, another operation: call selector 2 of connection 1, a structure of 40 bytes: 00 01 02 03 04 05 06 07 .., asking for 2 bytes -> kIOReturnSuccess (0x00000000)
      to go on:
        replay with the policy any_order
        record again: cargo xtask record smc
    ");
}

#[test]
fn used_up() {
    insta::assert_snapshot!(after(1, &Told::scalar(0, 1, 10)), @r"
    replay diverged (used up, policy ordered): the tape holds it once, and all of that is used
      client: call selector 0 of connection 1, scalars [0x1], asking for 1 scalar
      tape:   call selector 2 of connection 1, a structure of 40 bytes: 00 01 02 03 04 05 06 07 .., asking for 2 bytes -> kIOReturnSuccess (0x00000000)
              event 6, lane 1 position 6, connection 1
      nearest on the tape:
        event 4, equal, used: call selector 0 of connection 1, scalars [0x1], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
        event 8, distance 1: call selector 0 of connection 1, scalars [0x2], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
        event 6, another operation: call selector 2 of connection 1, a structure of 40 bytes: 00 01 02 03 04 05 06 07 .., asking for 2 bytes -> kIOReturnSuccess (0x00000000)
      to go on:
        record again: cargo xtask record smc
    ");
}

#[test]
fn never_recorded() {
    insta::assert_snapshot!(after(2, &Told::scalar(77, 1, 1)), @r"
    replay diverged (never recorded, policy ordered): the tape does not hold it
      client: call selector 77 of connection 1, scalars [0x1], asking for 1 scalar
      tape:   call selector 0 of connection 1, scalars [0x2], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
              event 8, lane 1 position 8, connection 1
      nearest on the tape:
        event 4, another operation, used: call selector 0 of connection 1, scalars [0x1], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
        event 8, another operation: call selector 0 of connection 1, scalars [0x2], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
        event 6, another operation, used: call selector 2 of connection 1, a structure of 40 bytes: 00 01 02 03 04 05 06 07 .., asking for 2 bytes -> kIOReturnSuccess (0x00000000)
      to go on:
        record again: cargo xtask record smc
    ");
}

#[test]
fn wrong_state() {
    insta::assert_snapshot!(after(3, &Told::scalar(5, 1, 10)), @r"
    replay diverged (wrong state, policy ordered): the client has closed this connection, and the tape holds nothing more for it
      client: call selector 5 of connection 1, scalars [0x1], asking for 1 scalar
      tape:   holds nothing more here
      nearest on the tape:
        event 4, another operation, used: call selector 0 of connection 1, scalars [0x1], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
        event 8, another operation, used: call selector 0 of connection 1, scalars [0x2], asking for 1 scalar -> kIOReturnSuccess (0x00000000)
        event 6, another operation, used: call selector 2 of connection 1, a structure of 40 bytes: 00 01 02 03 04 05 06 07 .., asking for 2 bytes -> kIOReturnSuccess (0x00000000)
      to go on:
        record again: cargo xtask record smc
    ");
}

#[test]
fn a_tape_in_a_file_gives_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("calls.tape.jsonl");
    let (header, events) = story().events();
    Tape::new(header, events).write(&path).unwrap();
    let tape = Arc::new(Tape::read(&path).unwrap());
    let replayer = Replayer::new(tape, ReplayOptions::default()).unwrap();
    let connection = open(&*free(&replayer));
    let report = divergence(&replayer, || {
        let _ = Told::scalar(0, 3, 10).make(&*connection);
    });
    let place = report.place.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().nth(place.line.unwrap() as usize - 1).unwrap();
    assert!(line.contains(&format!("\"seq\":{}", place.sequence)), "{line}");
}

#[test]
fn other_things_than_calls() {
    let replayer = story().replayer(ReplayOptions::default());
    let system = free(&replayer);
    let report = divergence(&replayer, || drop(system.property(ServiceId(1), "model")));
    assert_eq!(report.kind, DivergenceKind::NeverRecorded);

    let replayer = story().replayer(ReplayOptions::default());
    let system = free(&replayer);
    let matching = crate::connection::Matching::service("Other");
    let report = divergence(&replayer, || drop(system.matching_services(&matching)));
    assert_eq!(report.differences[0].field, "conditions");

    let mut story = Story::new();
    story.open(1);
    story.map(1, 1);
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let options = MapOptions::ANYWHERE | MapOptions::READ_ONLY;
    let report = divergence(&replayer, || drop(connection.map_memory(0, options, 0)));
    assert_eq!(report.differences[0].field, "options");
}

#[test]
fn one_byte_of_any_input_changed_is_named() {
    let mut bytes: Vec<u8> = (0..40).collect();
    for index in 0..40 {
        bytes[index] ^= 0x80;
        let report = after(1, &Told::bytes(2, &bytes, &[1, 2]));
        bytes[index] ^= 0x80;
        assert_eq!(report.kind, DivergenceKind::Differs);
        assert_eq!(report.place.map(|place| place.sequence), Some(6));
        let [crate::tape::FieldRule { field, .. }] = &report.differences[0].masks[..] else {
            panic!("no mask: {report}");
        };
        assert_eq!(*field, crate::tape::Field::StructureInput(index as u64, 1));
    }
}

#[test]
fn events_that_do_not_fit_together_are_refused() {
    let load = |bodies: Vec<(Option<u64>, Body)>| {
        let mut story = Story::new();
        for (cause, body) in bodies {
            story.event(1, Some(1), cause, body);
        }
        let (header, events) = story.events();
        Replayer::new(Arc::new(Tape::new(header, events)), ReplayOptions::default()).map(drop)
    };
    let returned = || Body::Return(crate::tape::sample::success());
    let write = || Body::Write {
        memory: 9,
        offset: u64::MAX,
        width: None,
        data: crate::tape::Payload::bytes(&[1]),
    };
    let refused = |result: Result<(), LoadError>| {
        assert!(matches!(result, Err(LoadError::Inconsistent { .. })), "{result:?}");
    };
    refused(load(vec![(None, returned())]));
    refused(load(vec![(Some(5), returned())]));
    refused(load(vec![(Some(1), returned())]));
    refused(load(vec![(None, Body::Close), (Some(1), returned())]));
    let closed = || Body::Closed { result: crate::IoReturn::SUCCESS };
    refused(load(vec![(None, Body::Close), (Some(1), closed()), (Some(1), closed())]));
    refused(load(vec![(None, write())]));
    let wait = Body::Wait { queue: 1, timeout: None };
    refused(load(vec![(None, wait), (Some(1), Body::Woke { timed_out: false })]));
    // Behind a gap anything may be missing.
    let gap = Body::Gap { events: None, reason: "full".to_owned() };
    assert_eq!(load(vec![(None, gap), (Some(7), returned())]), Ok(()));
    let blob = crate::tape::Payload::Blob { digest: crate::tape::Digest([1; 32]), length: 4 };
    let mut call = Told::scalar(0, 1, 1).enter();
    call.input = crate::tape::Structure::Bytes(blob);
    let missing = load(vec![(None, Body::Call(call))]);
    assert!(matches!(missing, Err(LoadError::MissingBlob { length: 4, .. })), "{missing:?}");
}

#[test]
fn an_unknown_policy_in_the_header_is_refused_and_overridden() {
    let load = |options| {
        let mut story = story();
        story.header.policy = Some("fuzzy".to_owned());
        let (header, events) = story.events();
        Replayer::new(Arc::new(Tape::new(header, events)), options)
            .map(|replayer| replayer.policy())
    };
    assert!(matches!(load(ReplayOptions::default()), Err(LoadError::Policy(_))));
    assert_eq!(load(ReplayOptions::default().policy(Policy::Exact)), Ok(Policy::Exact));
}

#[test]
fn the_sample_tape_of_every_kind_loads_under_every_policy() {
    for policy in Policy::ALL {
        let tape = Arc::new(crate::tape::sample::every_kind());
        let replayer = Replayer::new(tape, ReplayOptions::default().policy(policy)).unwrap();
        let report = replayer.finish().unwrap();
        assert!(report.operations > 10 && report.used == 0, "{report}");
        assert!(report.to_string().lines().count() > 2);
    }
}
