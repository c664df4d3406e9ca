//! The shadow rule: patches, expectations, aliases, and memory that is gone.

use super::story::{Story, Told, divergence, free, open};
use crate::IoReturn;
use crate::call::MapOptions;
use crate::connection::{
    AsyncWake, Connection, Mapping, MethodInput, MethodOutput, StructureInput, StructureOutput,
};
use crate::memory::{AccessError, SharedBuffer, Update, Width};
use crate::replay::{DivergenceKind, PatchTiming, Policy, ReplayOptions, Replayer};
use crate::schedule::Schedule;
use crate::tape::{Body, Call, Capture, OutputKind, Payload, Structure, Tape};
use std::sync::Arc;

const KICK: u32 = 0;

fn kick() -> Told {
    Told::scalar(KICK, 1, 1)
}

fn map(connection: &dyn Connection) -> Mapping {
    connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap()
}

/// Opens, maps memory 1 and goes on as `rest` tells.
fn mapped(
    options: ReplayOptions,
    rest: impl FnOnce(&mut Story),
) -> (Replayer, Box<dyn Connection>, Mapping) {
    let mut story = Story::new();
    story.open(1);
    story.map(1, 1);
    rest(&mut story);
    let replayer = story.replayer(options);
    let connection = open(&*free(&replayer));
    let mapping = map(&*connection);
    (replayer, connection, mapping)
}

/// A tape on which a flag rises at the fifth read after a call, and a word comes with it.
fn flag(story: &mut Story) {
    story.call(1, 1, &kick());
    story.patch(1, 1, 0, &[1], 5);
    story.patch(1, 1, 8, &[0xaa, 0xbb], 1);
}

#[test]
fn a_poll_loop_that_turns_another_number_of_times_replays() {
    let (replayer, connection, mapping) = mapped(ReplayOptions::default(), flag);
    assert_eq!((mapping.length(), mapping.size()), (64, 0x4000));
    for _ in 0..3 {
        assert_eq!(mapping.load::<u8>(0), Ok(0), "not before the call");
    }
    let _ = kick().make(&*connection);
    let turns = (0..).take_while(|_| mapping.load::<u8>(0) == Ok(0)).count();
    assert_eq!(turns, 0);
    assert_eq!(mapping.load::<u16>(8), Ok(0xbbaa));
    let report = replayer.finish().unwrap();
    assert!(report.is_complete() && report.unread_patches.is_empty(), "{report}");
}

#[test]
fn as_recorded_shows_it_at_the_very_read() {
    let options = ReplayOptions::default().patches(PatchTiming::AsRecorded);
    let (replayer, connection, mapping) = mapped(options, flag);
    assert_eq!(mapping.load::<u8>(0), Ok(0));
    let _ = kick().make(&*connection);
    let reads: Vec<_> = (0..6).map(|_| mapping.load::<u8>(0).unwrap()).collect();
    assert_eq!(reads, [0, 0, 0, 0, 1, 1]);
    assert!(replayer.finish().unwrap().unread_patches.len() == 1);
}

#[test]
fn as_recorded_the_read_that_shows_a_patch_is_not_the_first_behind_it() {
    let options = ReplayOptions::default().patches(PatchTiming::AsRecorded);
    let (replayer, connection, mapping) = mapped(options, |story| {
        story.call(1, 1, &kick());
        story.patch(1, 1, 0, &[0xe1], 1);
        story.patch(1, 1, 1, &[3], 1);
    });
    let _ = kick().make(&*connection);
    let reads: Vec<_> = (0..3).map(|_| mapping.load::<u16>(0).unwrap()).collect();
    assert_eq!(reads, [0x00e1, 0x03e1, 0x03e1], "each patch was news of a read of its own");
    assert!(replayer.finish().unwrap().unread_patches.is_empty());
}

#[test]
fn patches_of_one_place_come_one_a_read_and_all_at_once_when_the_lane_has_gone_on() {
    let story = |story: &mut Story| {
        story.call(1, 1, &kick());
        story.patch(1, 1, 0, &[1], 1);
        story.patch(1, 1, 0, &[2], 1);
        story.patch(1, 1, 4, &[7], 1);
        story.call(1, 1, &kick());
    };
    let (replayer, connection, mapping) = mapped(ReplayOptions::default(), story);
    let _ = kick().make(&*connection);
    assert_eq!(mapping.load::<u8>(4), Ok(7), "another place does not wait");
    assert_eq!(mapping.load::<u8>(0), Ok(1));
    assert_eq!(mapping.load::<u8>(0), Ok(2));
    let _ = kick().make(&*connection);
    assert!(replayer.finish().unwrap().unread_patches.is_empty());

    let (replayer, connection, mapping) = mapped(ReplayOptions::default(), story);
    let _ = kick().make(&*connection);
    let _ = kick().make(&*connection);
    assert_eq!(mapping.load::<u8>(0), Ok(2), "both were there before the second call");
    assert_eq!(replayer.finish().unwrap().unread_patches.len(), 1);
}

#[test]
fn a_patch_that_nobody_reads_is_reported_and_not_fatal() {
    let (replayer, connection, _mapping) = mapped(ReplayOptions::default(), flag);
    let _ = kick().make(&*connection);
    let report = replayer.finish().unwrap();
    assert!(report.is_complete());
    assert_eq!(report.unread_patches.len(), 2);
    assert!(report.to_string().contains("2 patches of shared memory that nobody read"), "{report}");
}

#[test]
fn the_clients_bytes_come_over_what_it_did_not_read_before() {
    let (replayer, connection, mapping) = mapped(ReplayOptions::default(), |story| {
        story.call(1, 1, &kick());
        story.patch(1, 1, 0, &[1, 1], 1);
        story.write(1, 1, 0, &[9]);
        story.patch(1, 1, 2, &[3], 1);
    });
    let _ = kick().make(&*connection);
    // The client does not look at the first patch this time.
    mapping.copy_in(0, &[9]).unwrap();
    assert_eq!(mapping.read_vec(0, 4), Ok(vec![9, 1, 3, 0]));
    assert!(replayer.finish().unwrap().is_complete());
}

#[test]
fn writes_are_expected_and_the_clients_own_bytes_are_kept() {
    let write = |story: &mut Story| story.write(1, 1, 4, &[1, 2, 3, 4]);
    let (replayer, _connection, mapping) = mapped(ReplayOptions::default(), write);
    let report = divergence(&replayer, || {
        let _ = mapping.copy_in(4, &[1, 2, 9, 4]);
    });
    assert_eq!(report.kind, DivergenceKind::Differs);
    assert_eq!(report.differences[0].field, "bytes written");

    let (replayer, _connection, mapping) = mapped(ReplayOptions::default(), write);
    let report = divergence(&replayer, || {
        let _ = mapping.store::<u32>(4, 0x0403_0201);
    });
    assert_eq!(report.differences[0].field, "width", "the same bytes as one word\n{report}");

    // A hash is enough to know them by.
    let (replayer, _connection, mapping) = mapped(ReplayOptions::default(), |story| {
        let bytes = [5; 4096];
        let data = Payload::Hash { digest: crate::tape::Digest::of(&bytes), length: 4096 };
        let body = Body::Write { memory: 1, offset: 0, width: None, data };
        story.event(1, Some(1), None, body.clone());
        story.event(1, Some(1), None, body);
    });
    mapping.copy_in(0, &[5; 4096]).unwrap();
    assert_eq!(mapping.load::<u64>(4088), Ok(0x0505_0505_0505_0505));
    let report = divergence(&replayer, || {
        let _ = mapping.copy_in(0, &[6; 4096]);
    });
    assert_eq!(report.kind, DivergenceKind::Differs);
}

#[test]
fn atomic_updates_give_what_the_shadow_held_after_its_patch() {
    let (replayer, _connection, mapping) = mapped(ReplayOptions::default(), |story| {
        story.patch(1, 1, 0, &[5, 0, 0, 0], 1);
        let update = Update::Add(3);
        let body = Body::Update { memory: 1, offset: 0, width: Width::Four, update };
        story.event(1, Some(1), None, body);
    });
    assert_eq!(mapping.fetch_add::<u32>(0, 3), Ok(5));
    assert_eq!(mapping.load::<u32>(0), Ok(8));
    let report = divergence(&replayer, || {
        let _ = mapping.fetch_or::<u32>(0, 3);
    });
    assert_eq!(report.kind, DivergenceKind::Differs);
}

#[test]
fn aliases_share_one_shadow_and_go_together() {
    let mut story = Story::new();
    story.open(1);
    story.map(1, 1);
    story.map(1, 1);
    story.write(1, 1, 0, &[4]);
    let cause = story.event(1, Some(1), None, Body::Unmap { memory_type: 0, memory: Some(1) });
    story.event(1, Some(1), Some(cause), Body::Unmapped { result: IoReturn::SUCCESS });
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let (one, two) = (map(&*connection), map(&*connection));
    assert_eq!((one.id(), one.address()), (two.id(), two.address()), "F11");
    one.copy_in(0, &[4]).unwrap();
    assert_eq!(two.load::<u8>(0), Ok(4));
    assert_eq!(connection.unmap_memory(0, one.address()), IoReturn::SUCCESS);
    for mapping in [one, two] {
        assert_eq!(mapping.load::<u8>(0), Err(AccessError::Unmapped { offset: 0 }), "F16");
        assert_eq!(mapping.store::<u8>(0, 1), Err(AccessError::Unmapped { offset: 0 }));
    }
    assert!(replayer.finish().unwrap().is_complete());
}

#[test]
fn a_closed_or_dropped_connection_has_no_memory() {
    for close in [true, false] {
        let (replayer, connection, mapping) = mapped(ReplayOptions::default(), |story| {
            story.close(1, 1);
        });
        assert_eq!(mapping.load::<u8>(0), Ok(0));
        if close {
            assert_eq!(connection.close(), IoReturn::SUCCESS);
        } else {
            drop(connection);
        }
        assert_eq!(mapping.load::<u8>(0), Err(AccessError::Unmapped { offset: 0 }), "F23");
        assert_eq!(replayer.finish().unwrap().is_complete(), close);
    }
}

#[test]
fn accesses_outside_or_unaligned_are_errors_and_no_events() {
    let (replayer, _connection, mapping) = mapped(ReplayOptions::default(), |_| {});
    let size = 0x4000;
    assert_eq!(
        mapping.load::<u32>(size - 2),
        Err(AccessError::OutOfRange { offset: size - 2, length: 4, size })
    );
    assert_eq!(
        mapping.copy_in(u64::MAX, &[1]),
        Err(AccessError::OutOfRange { offset: u64::MAX, length: 1, size })
    );
    assert_eq!(mapping.store::<u32>(2, 1), Err(AccessError::Unaligned { offset: 2, width: 4 }));
    assert_eq!(mapping.copy_in(size, &[]), Ok(()));
    assert!(replayer.finish().unwrap().is_complete());
}

#[test]
fn uncaptured_memory_is_not_guessed() {
    let mut story = Story::new();
    story.open(1);
    story.map_as(1, 1, Capture::Uncaptured);
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let mapping = map(&*connection);
    mapping.store::<u32>(0, 1).unwrap();
    let report = divergence(&replayer, || {
        let _ = mapping.load::<u32>(0);
    });
    insta::assert_snapshot!(report, @r"
    replay diverged (never recorded, policy ordered): memory 1 was not captured when the tape was recorded, and its bytes are not guessed
      client: read 4 bytes of memory 1 at offset 0x0
      tape:   map memory type 0 of connection 1, options 0x1 -> kIOReturnSuccess (0x00000000)
              event 4, lane 1 position 4, connection 1
      to go on:
        record it with a way of capture that sees reads of this memory
        record the tape again with this client
    ");
}

#[test]
fn a_redacted_patch_is_not_guessed() {
    let (replayer, _connection, mapping) = mapped(ReplayOptions::default(), |story| {
        let data = Payload::Redacted { length: 4 };
        let body = Body::Patch {
            memory: 1,
            offset: 0,
            data,
            read: 1,
            last_equal: None,
            unattributed: false,
        };
        story.event(1, Some(1), None, body);
    });
    assert_eq!(mapping.load::<u32>(4), Ok(0));
    let report = divergence(&replayer, || {
        let _ = mapping.load::<u32>(0);
    });
    assert_eq!(report.kind, DivergenceKind::NeverRecorded);
    assert!(report.message.contains("redacted"), "{report}");
}

/// An asynchronous call with a buffer of 8192 bytes for its output, and one for its input.
fn shared_call(story: &mut Story, input: &[u8]) {
    let mut call = Call { selector: 3, ..kick().enter() };
    call.scalars_asked = 0;
    call.output = OutputKind::Shared { memory: 1, size: 8192 };
    call.input = Structure::Shared { memory: 2, data: Payload::bytes(input) };
    let body = Body::AsyncCall { call, queue: None, reference: None };
    let enter = story.event(1, Some(1), None, body);
    let leave = Told { reply_scalars: vec![], ..kick() }.leave();
    story.event(1, Some(1), Some(enter), Body::Return(leave));
}

fn call_shared(
    connection: &dyn Connection,
    input: &SharedBuffer,
    output: &SharedBuffer,
) -> IoReturn {
    let given = MethodInput { scalars: &[1], structure: StructureInput::Shared(input) };
    let mut wanted = MethodOutput::new(&mut [], StructureOutput::Shared(output));
    connection.call_async_method(3, &AsyncWake::default(), &given, &mut wanted)
}

#[test]
fn a_shared_buffer_is_watched_from_the_call_that_lends_it() {
    for policy in Policy::ALL {
        let mut story = Story::new();
        story.open(1);
        shared_call(&mut story, &[6; 5000]);
        story.patch(1, 1, 100, &[1, 2, 3, 4], 1);
        story.write(1, 1, 0, &[8]);
        shared_call(&mut story, &[6; 5000]);
        let replayer = story.replayer(ReplayOptions::default().policy(policy));
        let connection = open(&*free(&replayer));
        let (input, output) = (SharedBuffer::from_bytes(&[6; 5000]), SharedBuffer::new(8192));
        output.memory().store::<u32>(200, 7).unwrap();
        assert_eq!(call_shared(&*connection, &input, &output), IoReturn::SUCCESS, "{policy}");
        assert_eq!(output.memory().load::<u32>(100), Ok(0x0403_0201));
        assert_eq!(output.memory().load::<u32>(200), Ok(7), "the client's from before the call");
        output.memory().copy_in(0, &[8]).unwrap();
        assert_eq!(call_shared(&*connection, &input, &output), IoReturn::SUCCESS);
        let report = replayer.finish().unwrap();
        assert!(report.is_complete() && report.unread_patches.is_empty(), "{report}");
    }
}

#[test]
fn another_buffer_or_other_bytes_in_it_differ() {
    let story = || {
        let mut story = Story::new();
        story.open(1);
        shared_call(&mut story, &[6; 5000]);
        shared_call(&mut story, &[6; 5000]);
        story.replayer(ReplayOptions::default())
    };
    let (input, output) = (SharedBuffer::from_bytes(&[6; 5000]), SharedBuffer::new(8192));
    let replayer = story();
    let connection = open(&*free(&replayer));
    assert_eq!(call_shared(&*connection, &input, &output), IoReturn::SUCCESS);
    let other = SharedBuffer::from_bytes(&[6; 5000]);
    let report = divergence(&replayer, || {
        let _ = call_shared(&*connection, &other, &output);
    });
    assert_eq!(report.kind, DivergenceKind::Differs, "memory 2 is the other one\n{report}");

    let replayer = story();
    let connection = open(&*free(&replayer));
    let mut bytes = vec![6; 5000];
    bytes[4999] = 7;
    let report = divergence(&replayer, || {
        let _ = call_shared(&*connection, &SharedBuffer::from_bytes(&bytes), &output);
    });
    assert_eq!(report.differences[0].field, "structure input");
}

/// Opens, maps memory 1 as registers and goes on as `rest` tells.
fn registers(
    timing: PatchTiming,
    rest: impl FnOnce(&mut Story),
) -> (Replayer, Box<dyn Connection>, Mapping) {
    let mut story = Story::new();
    story.open(1);
    story.map_as(1, 1, Capture::Registers);
    rest(&mut story);
    let replayer = story.replayer(ReplayOptions::default().patches(timing));
    let connection = open(&*free(&replayer));
    let mapping = map(&*connection);
    (replayer, connection, mapping)
}

#[test]
fn each_read_of_a_register_gets_its_own_value() {
    for timing in [PatchTiming::FirstRead, PatchTiming::AsRecorded] {
        let (replayer, connection, mapping) = registers(timing, |story| {
            story.call(1, 1, &kick());
            for value in [7, 7, 8, 8, 0] {
                story.patch(1, 1, 0, &[value], 1);
            }
            story.patch(1, 1, 4, &[3], 1);
            story.patch(1, 1, 0, &[9, 0, 0, 0, 3], 1);
        });
        assert!(mapping.is_registers());
        assert_eq!(mapping.load::<u8>(0), Ok(0), "not before the call");
        let _ = kick().make(&*connection);
        let reads: Vec<_> = (0..5).map(|_| mapping.load::<u8>(0).unwrap()).collect();
        assert_eq!(reads, [7, 7, 8, 8, 0]);
        assert_eq!(mapping.load::<u8>(4), Ok(3));
        assert_eq!(mapping.read_vec(0, 5).unwrap(), [9, 0, 0, 0, 3]);
        assert_eq!(mapping.load::<u8>(0), Ok(9), "one more sees what the last one saw");
        let report = replayer.finish().unwrap();
        assert!(report.is_complete() && report.unread_patches.is_empty(), "{report}");
    }
}

#[test]
fn reads_of_registers_that_the_lane_left_out_are_passed_over_and_reported() {
    let (replayer, connection, mapping) = registers(PatchTiming::FirstRead, |story| {
        story.call(1, 1, &kick());
        for value in [1, 2, 3] {
            story.patch(1, 1, 0, &[value], 1);
        }
        story.call(1, 1, &kick());
        story.patch(1, 1, 0, &[4], 1);
        story.patch(1, 1, 0, &[5], 1);
    });
    let _ = kick().make(&*connection);
    assert_eq!(mapping.load::<u8>(0), Ok(1));
    let _ = kick().make(&*connection);
    assert_eq!(mapping.load::<u8>(0), Ok(4));
    assert_eq!(mapping.load::<u8>(0), Ok(5));
    assert_eq!(replayer.finish().unwrap().unread_patches.len(), 2);
}

#[test]
fn an_update_sees_what_stands_before_it_and_nothing_that_came_later() {
    for capture in [Capture::Accessor, Capture::Registers] {
        let mut story = Story::new();
        story.open(1);
        story.map_as(1, 1, capture);
        story.patch(1, 1, 0, &[7], 1);
        let update =
            Body::Update { memory: 1, offset: 0, width: Width::One, update: Update::Add(1) };
        story.event(1, Some(1), None, update);
        story.patch(1, 1, 0, &[20], 1);
        let replayer = story.replayer(ReplayOptions::default());
        let connection = open(&*free(&replayer));
        let mapping = map(&*connection);
        assert_eq!(mapping.fetch_add::<u8>(0, 1), Ok(7), "{capture:?}");
        assert_eq!(mapping.load::<u8>(0), Ok(20), "{capture:?}");
        let report = replayer.finish().unwrap();
        assert!(report.unread_patches.is_empty(), "the update has read the first: {report}");
    }
}

#[test]
fn the_clients_writes_come_over_what_registers_held_before() {
    let (replayer, _connection, mapping) = registers(PatchTiming::FirstRead, |story| {
        story.patch(1, 1, 0, &[1], 1);
        story.patch(1, 1, 0, &[2], 1);
        story.write(1, 1, 0, &[9]);
        story.patch(1, 1, 0, &[0], 1);
    });
    assert_eq!(mapping.load::<u8>(0), Ok(1));
    mapping.copy_in(0, &[9]).unwrap();
    assert_eq!(mapping.load::<u8>(0), Ok(0), "the device has taken the byte");
    let report = replayer.finish().unwrap();
    assert_eq!(report.unread_patches.len(), 1, "{report}");
}

#[test]
fn many_reads_of_a_register_take_no_longer_each() {
    let count = 20_000;
    let (replayer, _connection, mapping) = registers(PatchTiming::FirstRead, |story| {
        for read in 0..count {
            story.patch(1, 1, 0, &[(read % 3) as u8], 1);
        }
    });
    for read in 0..count {
        assert_eq!(mapping.load::<u8>(0), Ok((read % 3) as u8), "{read}");
    }
    assert!(replayer.finish().unwrap().unread_patches.is_empty());
}

/// The thread stood still for a second before its write, and for another before it saw the answer.
#[test]
fn as_recorded_a_thread_that_came_late_is_late_again() {
    for (timing, seconds) in [(PatchTiming::AsRecorded, [1, 2]), (PatchTiming::FirstRead, [0, 0])] {
        let mut story = Story::new();
        story.open(1);
        story.map(1, 1);
        story.write(1, 1, 0, &[9]);
        story.patch(1, 1, 8, &[1], 1);
        story.call(1, 1, &kick());
        let (header, mut events) = story.events();
        let write =
            events.iter().position(|event| matches!(event.body, Body::Write { .. })).unwrap();
        for (late, event) in events[write..].iter_mut().enumerate() {
            event.time += if late == 0 { 1_000_000_000 } else { 2_000_000_000 };
        }
        let tape = Arc::new(Tape::new(header, events));
        let replayer = Replayer::new(tape, ReplayOptions::default().patches(timing)).unwrap();
        let came = Schedule::simulate(1, |schedule| {
            let connection = open(&*replayer.system(schedule));
            let mapping = map(&*connection);
            mapping.copy_in(0, &[9]).unwrap();
            let written = schedule.now();
            assert_eq!(mapping.load::<u8>(8), Ok(1));
            let seen = schedule.now();
            let _ = kick().make(&*connection);
            [written, seen].map(|time| time.as_secs())
        });
        assert_eq!(came, seconds, "{timing:?}");
        assert!(replayer.finish().unwrap().is_complete());
    }
}
