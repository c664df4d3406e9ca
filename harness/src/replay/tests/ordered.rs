//! Calls in order, on one connection and on several.

use super::story::{Story, Told, divergence, free, open};
use crate::IoReturn;
use crate::connection::{Connection, Matching, MethodInput, MethodOutput, StructureOutput, Value};
use crate::replay::{DivergenceKind, OnDivergence, Policy, ReplayOptions};
use crate::schedule::Schedule;
use crate::tape::{Body, Call, OutputKind, Payload, Return, Structure};

fn three_calls() -> (Story, [Told; 3]) {
    let told = [
        Told::scalar(0, 1, 10),
        Told::bytes(2, &[1, 2, 3, 4, 5, 6, 7, 8], &[8, 7, 6, 5, 4, 3, 2, 1]),
        Told { result: IoReturn::BAD_ARGUMENT, ..Told::scalar(1, 7, 0) },
    ];
    let mut story = Story::new();
    let connection = story.open(1);
    for call in &told {
        story.call(1, connection, call);
    }
    story.close(1, connection);
    (story, told)
}

#[test]
fn a_client_that_does_the_same_gets_the_same_under_every_policy() {
    for policy in Policy::ALL {
        let (story, told) = three_calls();
        let replayer = story.replayer(ReplayOptions::default().policy(policy));
        let system = free(&replayer);
        let connection = open(&*system);
        for call in &told {
            assert_eq!(call.make(&*connection), call.got(), "{policy}");
        }
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        let report = replayer.finish().unwrap();
        assert!(report.is_complete(), "{report}");
        assert_eq!((report.used, report.operations), (6, 6));
    }
}

#[test]
fn what_is_left_over_is_reported() {
    let (story, told) = three_calls();
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let _ = told[0].make(&*connection);
    let report = replayer.finish().unwrap();
    assert!(!report.is_complete());
    insta::assert_snapshot!(report, @r"
    replayed 3 of 6 operations (ordered)
      lane 1, connection 1: 3 unused, from event 6: call selector 2 of connection 1, a structure of 8 bytes: 01 02 03 04 05 06 07 08, asking for 8 bytes -> kIOReturnSuccess (0x00000000)
    ");
}

#[test]
fn connections_are_free_of_each_other_and_ordered_within() {
    let (first, second) = (Told::scalar(0, 1, 10), Told::scalar(0, 2, 20));
    let story = || {
        let mut story = Story::new();
        let (one, two) = (story.open(1), story.open(1));
        story.call(1, one, &first);
        story.call(1, two, &second);
        story.call(1, one, &second);
        story
    };
    let replayer = story().replayer(ReplayOptions::default());
    assert_eq!(replayer.policy(), Policy::Ordered);
    let system = free(&replayer);
    let one = open(&*system);
    let two = system.open(crate::call::ServiceId(1), 0).unwrap();
    assert_eq!(second.make(&*two), second.got(), "before its turn in the global order");
    assert_eq!(first.make(&*one), first.got());
    assert_eq!(second.make(&*one), second.got());
    assert!(replayer.finish().unwrap().is_complete());

    let replayer = story().replayer(ReplayOptions::default().policy(Policy::Exact));
    let system = free(&replayer);
    let _one = open(&*system);
    let two = system.open(crate::call::ServiceId(1), 0).unwrap();
    let report = divergence(&replayer, || drop(second.make(&*two)));
    assert_eq!(report.kind, DivergenceKind::OutOfOrder);
}

#[test]
fn repeats_of_a_key_are_answered_in_sequence_in_any_order() {
    let reads = [Told::scalar(5, 1, 100), Told::scalar(5, 2, 200), Told::scalar(5, 1, 101)];
    let mut story = Story::new();
    let connection = story.open(1);
    for read in &reads {
        story.call(1, connection, read);
    }
    let replayer = story.replayer(ReplayOptions::default().policy(Policy::AnyOrder));
    let connection = open(&*free(&replayer));
    for index in [0, 2, 1] {
        assert_eq!(reads[index].make(&*connection), reads[index].got());
    }
    let report = divergence(&replayer, || drop(reads[0].make(&*connection)));
    assert_eq!(report.kind, DivergenceKind::UsedUp);
}

#[test]
fn a_repeat_left_out_does_not_shift_those_that_follow_for_the_nearest() {
    // Twice the same round, whose first question is answered otherwise the second time.
    let round =
        |answer| [Told::scalar(5, 1, answer), Told::scalar(6, 1, 60), Told::scalar(7, 1, 70)];
    let (first, second) = (round(100), round(101));
    for (policy, given) in [(Policy::Nearest, &second), (Policy::AnyOrder, &first)] {
        let mut story = Story::new();
        let (one, two) = (story.open(1), story.open(1));
        for call in first.iter().chain(&second) {
            story.call(1, one, call);
            story.call(1, two, call);
        }
        let replayer = story.replayer(ReplayOptions::default().policy(policy));
        let system = free(&replayer);
        let connection = open(&*system);
        // The first round begins late, on one of the connections.
        for call in [&first[1], &first[2]] {
            assert_eq!(call.make(&*connection), call.got(), "{policy}");
        }
        assert_eq!(given[0].make(&*connection), given[0].got(), "{policy}");
        let two = system.open(crate::call::ServiceId(1), 0).unwrap();
        assert_eq!(first[0].make(&*two), first[0].got(), "{policy}");
    }
}

#[test]
fn the_nearest_of_steps_before_and_behind_is_taken_and_each_once() {
    let answers: Vec<Told> = (0..4).map(|answer| Told::scalar(5, 1, answer)).collect();
    let between = Told::scalar(6, 1, 60);
    let mut story = Story::new();
    let connection = story.open(1);
    // Places 0 to 6: three of the four stand before the call between.
    for call in [&answers[0], &answers[1], &answers[2], &between, &between, &answers[3]] {
        story.call(1, connection, call);
    }
    let replayer = story.replayer(ReplayOptions::default().policy(Policy::Nearest));
    let connection = open(&*free(&replayer));
    let _ = between.make(&*connection);
    // At place 4: one behind at 5, one before at 2.
    for expected in [3, 2, 1, 0] {
        assert_eq!(answers[0].make(&*connection), answers[expected].got(), "{expected}");
    }
    let report = divergence(&replayer, || drop(answers[0].make(&*connection)));
    assert_eq!(report.kind, DivergenceKind::UsedUp);
}

#[test]
fn every_later_operation_fails_with_the_first_report_from_any_thread() {
    let (story, told) = three_calls();
    let replayer = story.replayer(ReplayOptions::default());
    let system = free(&replayer);
    let connection = open(&*system);
    let first = divergence(&replayer, || {
        let _ = told[1].make(&*connection);
    });
    let again = divergence(&replayer, || {
        let _ = told[0].make(&*connection);
    });
    assert_eq!(again, first, "the call is the one whose turn it was");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| told[0].make(&*connection)).join();
        let text = *other.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(text, first.to_string());
    });
    let looked =
        divergence(&replayer, || drop(system.matching_services(&Matching::service("Test"))));
    assert_eq!(looked, first);
}

#[test]
fn a_divergence_that_nobody_asks_for_comes_out_when_the_replayer_goes() {
    let (story, told) = three_calls();
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let swallowed =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| told[2].make(&*connection)));
    assert!(swallowed.is_err());
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(replayer)));
    let text = *dropped.unwrap_err().downcast::<String>().unwrap();
    assert!(text.starts_with("replay diverged"), "{text}");
}

#[test]
fn answering_on_goes_on_where_it_was_and_says_what_is_invented() {
    let (story, told) = three_calls();
    let options =
        ReplayOptions::default().on_divergence(OnDivergence::Answer(IoReturn::NOT_RESPONDING));
    let replayer = story.replayer(options);
    let connection = open(&*free(&replayer));
    let invented = Told::scalar(9, 9, 0).make(&*connection);
    assert_eq!(invented, (IoReturn::NOT_RESPONDING, vec![0], vec![]));
    assert_eq!(told[0].make(&*connection), told[0].got());
    assert_eq!(told[2].make(&*connection).0, IoReturn::NOT_RESPONDING);
    let report = replayer.finish().unwrap_err();
    assert_eq!(report.kind, DivergenceKind::NeverRecorded);
    assert_eq!(report.invented, 2);
    assert!(report.to_string().contains("2 answers since then are invented"), "{report}");
}

#[test]
fn a_tape_that_ends_in_a_call_says_so() {
    let told = Told::scalar(0, 1, 10);
    let mut story = Story::new();
    let connection = story.open(1);
    story.event(1, Some(connection), None, Body::Call(told.enter()));
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let report = divergence(&replayer, || drop(told.make(&*connection)));
    assert_eq!(report.kind, DivergenceKind::NeverRecorded);
    assert!(report.message.contains("the tape ends"), "{report}");
    assert_eq!(report.place.map(|place| place.sequence), Some(4));
}

#[test]
fn the_registry_is_served_as_it_was_read() {
    let mut story = Story::new();
    let value = Value::String("MacBookPro12,1".to_owned());
    let key = Some("model".to_owned());
    let known = Body::Property { service: 1, key: key.clone(), outcome: Ok(Some(value.clone())) };
    let gone = Body::Property { service: 1, key, outcome: Err(IoReturn::NO_DEVICE) };
    let enter = Body::Open { service: 1, open_type: 3 };
    story.event(1, None, None, known);
    story.event(1, None, None, gone);
    let enter = story.event(1, None, None, enter);
    story.event(1, None, Some(enter), Body::OpenFailed { result: IoReturn::NOT_PERMITTED });
    let replayer = story.replayer(ReplayOptions::default());
    let system = free(&replayer);
    let service = crate::call::ServiceId(1);
    assert_eq!(system.property(service, "model"), Ok(Some(value)));
    assert_eq!(system.property(service, "model"), Err(IoReturn::NO_DEVICE));
    assert_eq!(system.open(service, 3).unwrap_err(), IoReturn::NOT_PERMITTED);
    assert!(replayer.finish().unwrap().is_complete());
}

/// A call with `output`, and what its leave holds.
fn output_story(output: OutputKind, leave: Return) -> Story {
    let mut story = Story::new();
    let connection = story.open(1);
    let call = Call { output, ..Told::scalar(0, 1, 0).enter() };
    let call = Call { scalars_asked: 2, ..call };
    let enter = story.event(1, Some(connection), None, Body::Call(call));
    story.event(1, Some(connection), Some(enter), Body::Return(leave));
    story
}

#[test]
fn a_short_reply_leaves_the_rest_of_the_room_alone() {
    let leave = Return {
        result: IoReturn::SUCCESS,
        scalars: crate::call::Scalars::clamped(&[5]),
        structure_size: Some(2),
        structure: Some(Payload::bytes(&[1, 2])),
    };
    let replayer =
        output_story(OutputKind::Bytes { size: 4 }, leave).replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let (mut scalars, mut room) = ([9; 2], [9; 4]);
    let mut output = MethodOutput::new(&mut scalars, StructureOutput::Bytes(&mut room));
    let input = MethodInput { scalars: &[1], ..MethodInput::default() };
    assert_eq!(connection.call_method(0, &input, &mut output), IoReturn::SUCCESS);
    assert_eq!((output.scalar_count, output.structure_size), (1, 2));
    assert_eq!((scalars, room), ([5, 9], [1, 2, 9, 9]), "C1, C7");
}

#[test]
fn a_failed_call_changes_nothing_but_memory_out_of_line_and_variable_output() {
    let failed = |structure| Return {
        result: IoReturn::NO_MEMORY,
        scalars: crate::call::Scalars::EMPTY,
        structure_size: None,
        structure,
    };
    let input = MethodInput { scalars: &[1], ..MethodInput::default() };
    // A17, with bytes on a tape that should not have them.
    let story = output_story(OutputKind::Bytes { size: 4 }, failed(Some(Payload::bytes(&[7; 4]))));
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let (mut scalars, mut room) = ([9; 2], [9; 4]);
    let mut output = MethodOutput::new(&mut scalars, StructureOutput::Bytes(&mut room));
    assert_eq!(connection.call_method(0, &input, &mut output), IoReturn::NO_MEMORY);
    assert_eq!((output.scalar_count, output.structure_size), (2, 4));
    assert_eq!((scalars, room), ([9; 2], [9; 4]));
    // B8.
    let whole = vec![7; 5000];
    let story =
        output_story(OutputKind::Bytes { size: 5000 }, failed(Some(Payload::bytes(&whole))));
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let (mut scalars, mut room) = ([9; 2], vec![9; 5000]);
    let mut output = MethodOutput::new(&mut scalars, StructureOutput::Bytes(&mut room));
    assert_eq!(connection.call_method(0, &input, &mut output), IoReturn::NO_MEMORY);
    assert_eq!(room, whole);
    // A14.
    let replayer =
        output_story(OutputKind::Variable, failed(None)).replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let (mut scalars, mut room) = ([9; 2], vec![9; 3]);
    let mut output = MethodOutput::new(&mut scalars, StructureOutput::Variable(&mut room));
    assert_eq!(connection.call_method(0, &input, &mut output), IoReturn::NO_MEMORY);
    assert_eq!((output.structure_size, room.len()), (0, 0));
}

#[test]
fn variable_output_of_an_asynchronous_call_is_a_huge_size_and_left_alone() {
    let mut story = Story::new();
    let connection = story.open(1);
    let told = Told { result: IoReturn::IPC_ERROR, reply_scalars: vec![], ..Told::scalar(0, 1, 0) };
    let call = Call { output: OutputKind::Variable, ..told.enter() };
    let body = Body::AsyncCall { call, queue: None, reference: None };
    let enter = story.event(1, Some(connection), None, body);
    story.event(1, Some(connection), Some(enter), Body::Return(told.leave()));
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let mut room = vec![9; 3];
    let mut output = MethodOutput::new(&mut [], StructureOutput::Variable(&mut room));
    let input = MethodInput { scalars: &[1], ..MethodInput::default() };
    let wake = crate::connection::AsyncWake::default();
    let result = connection.call_async_method(0, &wake, &input, &mut output);
    assert_eq!((result, room), (IoReturn::IPC_ERROR, vec![9; 3]), "A13, A14");
}

#[test]
fn structures_of_no_bytes_are_none() {
    let mut story = Story::new();
    let connection = story.open(1);
    let mut call = Told::scalar(0, 1, 10);
    let mut enter = call.enter();
    enter.input = Structure::Bytes(Payload::bytes(&[]));
    enter.output = OutputKind::Bytes { size: 0 };
    let enter = story.event(1, Some(connection), None, Body::Call(enter));
    story.event(1, Some(connection), Some(enter), Body::Return(call.leave()));
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    call.bytes.clear();
    assert_eq!(call.make(&*connection), call.got(), "A4, A7");
}

#[test]
fn a_simulated_replay_follows_the_time_of_the_tape() {
    let told = Told::scalar(0, 1, 10);
    let mut story = Story::new();
    let connection = story.open(1);
    story.call(1, connection, &told);
    let (header, mut events) = story.events();
    // The dext took a second over it.
    let leave = events.last_mut().unwrap();
    leave.time += 1_000_000_000;
    let time = leave.time;
    let tape = std::sync::Arc::new(crate::tape::Tape::new(header, events));
    let replayer = crate::replay::Replayer::new(tape, ReplayOptions::default()).unwrap();
    let passed = Schedule::simulate(1, |schedule| {
        let connection: Box<dyn Connection> = open(&*replayer.system(schedule));
        let _ = told.make(&*connection);
        schedule.now()
    });
    assert_eq!(passed.as_nanos(), u128::from(time));
    assert!(replayer.finish().unwrap().is_complete());
}
