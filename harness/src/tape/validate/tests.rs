//! Tests: the sample is valid, and each way of breaking it is found under its name.

use super::super::sample::{self, Script, call, failure, success};
use super::super::{
    Body, Capture, Event, Header, Keyframe, KeyframeMemory, MappedMemory, OutputKind, Payload,
    Return, Structure, Tape,
};
use super::*;
use crate::IoReturn;
use crate::boundary::Rule;
use crate::call::Scalars;
use crate::limits::PAGE_SIZE;

/// What is found when the events of the sample are changed.
fn broken(change: impl FnOnce(&mut Vec<Event>)) -> Vec<(Option<u64>, Broken)> {
    let mut tape = sample::every_kind();
    change(tape.events_mut());
    let found = tape.validate().findings;
    found.iter().map(|finding| (finding.sequence, finding.broken)).collect()
}

/// What is found in a story.
fn told(tell: impl FnOnce(&mut Script)) -> Vec<Broken> {
    told_of(Header::mock(), tell)
}

/// The same, under this header.
fn told_of(header: Header, tell: impl FnOnce(&mut Script)) -> Vec<Broken> {
    let mut script = Script::new();
    let open = script.event(1, None, None, Body::Open { service: 1, open_type: 0 });
    script.event(1, Some(1), Some(open), Body::Opened);
    tell(&mut script);
    let validation = Tape::new(header, script.into_events()).validate();
    validation.findings.iter().map(|finding| finding.broken).collect()
}

/// What is found where a call of connection 1 gives this.
fn called(enter: super::super::Call, leave: Return) -> Vec<Broken> {
    told(|script| {
        script.operation(1, 1, Body::Call(enter), Body::Return(leave));
    })
}

fn at(events: &mut [Event], sequence: u64) -> &mut Event {
    &mut events[sequence as usize - 1]
}

#[test]
fn the_sample_is_valid_in_memory_and_as_text() {
    let tape = sample::every_kind();
    assert_eq!(tape.validate().to_string(), "96 events, valid");
    let text = tape.to_text().unwrap();
    let reader = TapeReader::from_bytes(text.into_bytes()).unwrap();
    assert_eq!(validate_reader(reader).unwrap().to_string(), "96 events, valid");
}

#[test]
fn numbers_have_no_holes_but_at_gaps() {
    let found = broken(|events| at(events, 20).sequence = 21);
    assert!(found.contains(&(Some(21), Broken::Sequence)), "{found:?}");
    let script = |gap| {
        told(|script| {
            if gap {
                script.event(0, None, None, Body::Gap { events: None, reason: "full".to_owned() });
            }
            let wait = Body::Wait { queue: 7, timeout: None };
            script.event(1, Some(9), None, wait);
        })
    };
    assert_eq!(script(true), []);
    assert_eq!(script(false), [Broken::Connection, Broken::Resource]);
    let mut tape = sample::every_kind();
    let events = tape.events_mut();
    let mut late = Event::new(200, 2, 90, Body::Queue { queue: 9 });
    late.time = 1 << 40;
    events.push(late);
    assert_eq!(tape.validate().found, 0, "numbers go on behind a gap");
}

#[test]
fn a_tape_may_begin_with_a_keyframe() {
    let mut first = Event::new(
        50,
        1,
        30,
        Body::Keyframe(Keyframe { connections: vec![(4, 1)], ..Keyframe::default() }),
    );
    first.time = 7;
    let mut close = Event::new(51, 1, 31, Body::Close);
    (close.connection, close.time) = (Some(4), 8);
    let tape = Tape::new(Header::mock(), vec![first, close]);
    let validation = tape.validate();
    assert!(validation.is_valid(), "{validation}");
    assert_eq!(validation.in_flight, [51]);
}

#[test]
fn a_keyframe_names_all_that_there_is() {
    let with = |keyframe: Keyframe, result: Option<IoReturn>| {
        let mut tape = sample::every_kind();
        let events = tape.events_mut();
        events.truncate(14);
        let mut event = |body: &Body, connection| {
            let number = events.len() as u64 + 97;
            let mut event = Event::new(number, 1, number, body.clone());
            (event.connection, event.time) = (connection, 1 << 40);
            events.push(event);
        };
        event(&Body::Gap { events: None, reason: String::new() }, None);
        event(&Body::Keyframe(keyframe), None);
        if let Some(result) = result {
            event(&Body::Close, Some(1));
            event(&Body::Closed { result }, Some(1));
            let enter = events.len() - 2;
            events[enter + 1].cause = Some(events[enter].sequence);
        }
        tape.validate().findings.into_iter().map(|it| it.broken).collect::<Vec<_>>()
    };
    let named = Keyframe { connections: vec![(1, 1)], ..Keyframe::default() };
    let memory = |connection, shadow: Vec<(u64, Payload)>| Keyframe {
        memories: vec![KeyframeMemory {
            memory: 1,
            connection,
            memory_type: 0,
            length: 10,
            shadow,
        }],
        ..named.clone()
    };
    let worked = Some(IoReturn::SUCCESS);
    assert_eq!(with(named.clone(), worked), []);
    assert_eq!(with(Keyframe::default(), None), []);
    assert_eq!(with(Keyframe::default(), Some(IoReturn::MACH_SEND_INVALID_DEST)), []);
    assert_eq!(with(Keyframe::default(), worked), [Broken::Connection]);
    assert_eq!(with(memory(Some(1), vec![(PAGE_SIZE - 1, Payload::bytes(&[1]))]), None), []);
    assert_eq!(with(memory(Some(2), vec![]), None), [Broken::Resource]);
    let beyond = vec![(PAGE_SIZE, Payload::bytes(&[1]))];
    assert_eq!(with(memory(None, beyond), None), [Broken::Resource]);
    let late = Keyframe { pending: vec![500], ..named.clone() };
    assert_eq!(with(late, None), [Broken::Cause]);
}

#[test]
fn lanes_keep_their_positions_and_times() {
    assert_eq!(broken(|events| at(events, 59).position += 1), [(Some(59), Broken::Lane)]);
    assert_eq!(broken(|events| at(events, 59).time = 0), [(Some(59), Broken::Lane)]);
    assert_eq!(broken(|events| at(events, 93).process = 3).len(), 1);
    let second = told(|script| {
        script.event(1, None, None, Body::Fork { child: 1 });
    });
    assert_eq!(second, [Broken::Process]);
}

#[test]
fn enters_and_leaves_are_pairs_of_one_lane() {
    // 15 call, 16 return.
    let found = broken(|events| at(events, 16).cause = Some(13));
    assert_eq!(found, [(Some(16), Broken::Cause)]);
    let found = broken(|events| at(events, 16).body = Body::Closed { result: IoReturn::SUCCESS });
    assert_eq!(found[0], (Some(16), Broken::Pairing));
    let found = broken(|events| at(events, 16).connection = None);
    assert!(found.contains(&(Some(16), Broken::Connection)), "{found:?}");
    let twice = told(|script| {
        script.event(1, Some(1), None, Body::Close);
        script.event(1, Some(1), None, Body::Close);
    });
    assert_eq!(twice, [Broken::Pairing]);
    let alone = told(|script| {
        script.event(1, Some(1), Some(1), Body::Unmapped { result: IoReturn::SUCCESS });
    });
    assert_eq!(alone, [Broken::Pairing]);
}

#[test]
fn causes_are_there_and_of_the_right_kind() {
    // 31 posted by 30; 34 delivered of 31; 49 a write to what 46 mapped; 58 unmap of it.
    for (event, cause) in [(31, 29), (34, 30), (49, 29), (58, 29)] {
        let found = broken(|events| at(events, event).cause = Some(cause));
        assert!(found.contains(&(Some(event), Broken::Cause)), "{event}: {found:?}");
        let found = broken(|events| at(events, event).cause = Some(99));
        assert!(found.contains(&(Some(event), Broken::Cause)), "{event}: {found:?}");
    }
    let found = broken(|events| at(events, 37).cause = Some(31));
    assert_eq!(found, [(Some(37), Broken::Cause)], "delivered twice");
    let found = broken(|events| {
        let Body::Posted { ordinal, .. } = &mut at(events, 36).body else { panic!() };
        *ordinal = 3;
    });
    assert_eq!(found, [(Some(36), Broken::Cause)]);
    let found = broken(|events| at(events, 31).cause = None);
    assert!(found.contains(&(Some(31), Broken::Cause)), "{found:?}");
    let found = broken(|events| {
        let Body::Patch { last_equal, .. } = &mut at(events, 56).body else { panic!() };
        *last_equal = Some(56);
    });
    assert_eq!(found, [(Some(56), Broken::Cause)]);
}

#[test]
fn things_are_there_before_they_are_used() {
    let found = broken(|events| at(events, 15).connection = Some(2));
    assert!(found.contains(&(Some(15), Broken::Connection)), "{found:?}");
    let found = broken(|events| at(events, 29).body = Body::Queue { queue: 5 });
    // 30 hands the queue over, which only the success of 32 tells from another system's (D5).
    assert!(found.contains(&(Some(32), Broken::Resource)), "{found:?}");
    assert!(found.contains(&(Some(33), Broken::Resource)), "{found:?}");
    let found = broken(|events| {
        let Body::Update { memory, .. } = &mut at(events, 51).body else { panic!() };
        *memory = 9;
    });
    assert_eq!(found, [(Some(51), Broken::Resource)]);
    let found = broken(|events| {
        let Body::Update { offset, .. } = &mut at(events, 52).body else { panic!() };
        *offset = PAGE_SIZE;
    });
    assert_eq!(found, [(Some(52), Broken::Resource)]);
    let found = broken(|events| {
        let Body::Update { offset, .. } = &mut at(events, 52).body else { panic!() };
        *offset = 1;
    });
    assert_eq!(found, [(Some(52), Broken::Fields)]);
    let found = broken(|events| {
        let Body::Write { data, .. } = &mut at(events, 49).body else { panic!() };
        *data = Payload::bytes(&[1]);
    });
    assert_eq!(found, [(Some(49), Broken::Fields)]);
}

#[test]
fn calls_give_what_the_boundary_lets_through() {
    let asked = || super::super::Call {
        scalars_asked: 1,
        output: OutputKind::Bytes { size: 8 },
        ..call(1, &[])
    };
    let answer = |scalars: &[u64], bytes: usize| Return {
        scalars: Scalars::clamped(scalars),
        structure_size: Some(bytes as u64),
        structure: Some(Payload::bytes(&vec![1; bytes])),
        ..success()
    };
    assert_eq!(called(asked(), answer(&[1], 8)), []);
    assert_eq!(called(asked(), answer(&[1], 7)), []);
    assert_eq!(called(asked(), answer(&[1], 9)), [Broken::Boundary(Rule::C2)]);
    assert_eq!(called(asked(), answer(&[1, 2], 8)), [Broken::Boundary(Rule::C7)]);
    let short = Return { structure_size: Some(8), ..answer(&[], 7) };
    assert_eq!(called(asked(), short), [Broken::Boundary(Rule::C1)]);
    let large = super::super::Call { output: OutputKind::Bytes { size: 5000 }, ..call(1, &[]) };
    assert_eq!(called(large.clone(), answer(&[], 5000)), []);
    let told_less = Return { structure: None, ..answer(&[], 4999) };
    assert_eq!(called(large.clone(), told_less.clone()), [Broken::Boundary(Rule::C4)]);
    let mut kext = Header::mock();
    kext.extra.insert(Header::DRIVER.to_owned(), Header::KERNEL_EXTENSION.into());
    let called_of_kext = |returned| {
        let enter = Body::Call(large.clone());
        told_of(kext.clone(), |script| {
            script.operation(1, 1, enter, Body::Return(returned));
        })
    };
    assert_eq!(called_of_kext(told_less), [], "a kernel extension may");
    let told_more = Return { structure: None, ..answer(&[], 5001) };
    assert_eq!(called_of_kext(told_more), [Broken::Boundary(Rule::C4)]);

    let outputs = Return { result: IoReturn::ERROR, ..answer(&[1], 8) };
    assert_eq!(called(asked(), outputs), [Broken::Boundary(Rule::A17); 3]);
    let written =
        Return { structure: Some(Payload::bytes(&[0; 5000])), ..failure(IoReturn::ERROR) };
    assert_eq!(called(large, written), [], "out-of-line memory is written by the dext itself");
    let many = super::super::Call { scalar_count: 17, ..call(1, &[0; 16]) };
    assert_eq!(called(many, success()), [Broken::Boundary(Rule::A2)]);
    let huge = super::super::Call { output: OutputKind::Bytes { size: 1 << 32 }, ..call(1, &[]) };
    assert_eq!(called(huge.clone(), failure(IoReturn::IPC_ERROR)), []);
    assert_eq!(called(huge, failure(IoReturn::ERROR)), [Broken::Boundary(Rule::A13)]);
    let null = super::super::Call { input: Structure::Null { size: 5000 }, ..call(1, &[]) };
    assert_eq!(called(null, success()), []);
}

#[test]
fn asynchronous_calls_keep_their_reference() {
    let asynchronous = |reference: Option<Vec<u64>>, leave: Return| {
        told(|script| {
            let enter = Body::AsyncCall { call: call(1, &[]), queue: None, reference };
            script.operation(1, 1, enter, Body::Return(leave));
        })
    };
    assert_eq!(asynchronous(Some(vec![0; 8]), success()), []);
    assert_eq!(asynchronous(Some(vec![0; 9]), success()), [Broken::Boundary(Rule::D1)]);
    assert_eq!(asynchronous(Some(vec![]), success()), [Broken::Boundary(Rule::D3)]);
    assert_eq!(asynchronous(Some(vec![]), failure(IoReturn::BAD_ARGUMENT)), []);
    let found = broken(|events| {
        let Body::Posted { reference, .. } = &mut at(events, 31).body else { panic!() };
        reference[2] += 1;
    });
    assert_eq!(found, [(Some(31), Broken::Boundary(Rule::D8))]);
}

#[test]
fn maps_fail_with_one_code_and_cover_whole_pages() {
    let map = |outcome| {
        told(|script| {
            let enter = Body::Map { memory_type: 0, options: 1, address: 0 };
            script.operation(1, 1, enter, Body::Mapped { outcome });
        })
    };
    assert_eq!(map(Err(IoReturn::BAD_ARGUMENT)), []);
    assert_eq!(map(Err(IoReturn::NO_MEMORY)), [Broken::Boundary(Rule::F5)]);
    let mapped = |length, size| {
        let (memory, capture) = (1, Capture::Accessor);
        map(Ok(MappedMemory { memory, length, size, capture, read_only: false }))
    };
    assert_eq!(mapped(128, PAGE_SIZE), []);
    assert_eq!(mapped(128, 128), [Broken::Boundary(Rule::F10)]);
    assert_eq!(mapped(PAGE_SIZE + 1, PAGE_SIZE), [Broken::Boundary(Rule::F10)]);
}

#[test]
fn a_closed_connection_stays_closed() {
    let after_close = |result| {
        told(|script| {
            script.operation(1, 1, Body::Close, Body::Closed { result: IoReturn::SUCCESS });
            let leave = if result == IoReturn::SUCCESS { success() } else { failure(result) };
            script.operation(1, 1, Body::Call(call(1, &[])), Body::Return(leave));
        })
    };
    assert_eq!(after_close(IoReturn::MACH_SEND_INVALID_DEST), []);
    assert_eq!(after_close(IoReturn::SUCCESS), [Broken::Boundary(Rule::H1)]);
    let twice = |result| {
        told(|script| {
            script.operation(1, 1, Body::Close, Body::Closed { result: IoReturn::SUCCESS });
            script.operation(1, 1, Body::Close, Body::Closed { result });
        })
    };
    assert_eq!(twice(IoReturn::MACH_SEND_INVALID_DEST), []);
    assert_eq!(twice(IoReturn::SUCCESS), [Broken::Boundary(Rule::H2)]);
    // A service that went away unseen (H2): the connection never mapped.
    let once = |result| {
        told(|script| {
            script.operation(1, 1, Body::Close, Body::Closed { result });
        })
    };
    assert_eq!(once(IoReturn::MACH_SEND_INVALID_DEST), []);
    assert_eq!(once(IoReturn::BAD_ARGUMENT), [Broken::Boundary(Rule::H2)]);
    // Calls that were on their way when it ended come out with their own result (H3).
    let overtaken = told(|script| {
        let enter = script.event(2, Some(1), None, Body::Call(call(1, &[])));
        script.operation(1, 1, Body::Close, Body::Closed { result: IoReturn::SUCCESS });
        script.event(2, Some(1), Some(enter), Body::Return(success()));
    });
    assert_eq!(overtaken, []);
}

#[test]
fn a_service_that_goes_away_unseen_refuses_before_the_kernel_looks_closer() {
    let empty = |result| {
        told(|script| {
            let reference = Some(vec![]);
            let enter = Body::AsyncCall { call: call(1, &[]), queue: None, reference };
            script.operation(1, 1, enter, Body::Return(failure(result)));
        })
    };
    assert_eq!(empty(IoReturn::MACH_SEND_INVALID_DEST), [], "H1 before D3 (A18)");
    assert_eq!(empty(IoReturn::MIG_SERVER_DIED), [Broken::Boundary(Rule::D3)]);
    let map = |result| {
        told(|script| {
            let enter = Body::Map { memory_type: 0, options: 1, address: 0 };
            script.operation(1, 1, enter, Body::Mapped { outcome: Err(result) });
        })
    };
    assert_eq!(map(IoReturn::MACH_SEND_INVALID_DEST), [], "H1");
    assert_eq!(map(IoReturn::MIG_SERVER_DIED), [Broken::Boundary(Rule::F5)], "H4 as F5");
    // The library refuses before anybody learns that there is nobody (A18).
    let many = told(|script| {
        let many = super::super::Call { scalar_count: 17, ..call(1, &[0; 16]) };
        let leave = Body::Return(failure(IoReturn::MACH_SEND_INVALID_DEST));
        script.operation(1, 1, Body::Call(many), leave);
    });
    assert_eq!(many, [Broken::Boundary(Rule::A2)]);
}

#[test]
fn what_cannot_be_read_is_a_finding_with_its_line() {
    let text = sample::every_kind().to_text().unwrap();
    let whole = text.replace("\"selector\":2,", "\"selector\":\"2\",");
    let validation = validate_reader(TapeReader::from_bytes(whole.into_bytes()).unwrap()).unwrap();
    assert_eq!(validation.events, 16);
    insta::assert_snapshot!(validation, @r#"
    line 18, text: column 81, expected `selector` to be a whole number from 0 to 4294967295, found string "2"; mend the line and run `cargo xtask reseal`, or record the tape again
    16 events, 1 finding
    "#);
}
