//! What is written of calls, completions, and the registry.

use super::device::selector;
use super::tape::{Recorded, kinds};
use dextape::IoReturn;
use dextape::call::{MapOptions, Scalars, ServiceId};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, Matching, MethodInput, MethodOutput, NoticeKind,
    StructureInput, StructureOutput, System, Value,
};
use dextape::kernel::MockSystem;
use dextape::memory::SharedBuffer;
use dextape::schedule::{Schedule, TimeMode};
use dextape::tape::{Body, Call, OtherCall, OutputKind, Payload, Return, Structure};
use dextape_recorder::journal::{Content, JournalOptions, Status};
use dextape_recorder::recording::{LongWrites, RecordOptions, RecordingSession};
use std::sync::Arc;
use std::time::Duration;

fn recorded(body: impl FnOnce(&Recorded)) {
    Schedule::simulate(1, |schedule| {
        body(&Recorded::start(schedule, true, RecordOptions::default()));
    });
}

fn call(connection: &dyn Connection, selector: u32, scalars: &[u64]) -> IoReturn {
    let input = MethodInput { scalars, structure: StructureInput::None };
    connection.call_method(selector, &input, &mut MethodOutput::default())
}

fn start(connection: &dyn Connection, wake: AsyncWake<'_>, completions: u64) -> IoReturn {
    let input = MethodInput { scalars: &[completions], structure: StructureInput::None };
    connection.call_async_method(selector::START, &wake, &input, &mut MethodOutput::default())
}

fn wake<'a>(queue: &'a dyn CompletionQueue, reference: &'a [u64]) -> AsyncWake<'a> {
    AsyncWake { queue: Some(queue), reference: Some(reference) }
}

#[test]
fn the_registry_is_numbered_by_first_use() {
    recorded(|it| {
        assert_eq!(it.system.property(ServiceId(4712), "Nothing"), Ok(None));
        it.system.matching_services(&Matching::default()).unwrap();
        it.system.property(ServiceId(4711), "Serial").unwrap();
        let _ = it.system.open(ServiceId(4711), 3);
        let events = it.events();
        assert_eq!(kinds(&events), ["property", "matched", "property", "open", "open_failed"]);
        assert_eq!(
            events[0].body,
            Body::Property { service: 1, key: Some("Nothing".to_owned()), outcome: Ok(None) }
        );
        let matching = Matching::default();
        assert_eq!(events[1].body, Body::Matched { matching, outcome: Ok(vec![2, 1]) });
        let outcome = Ok(Some(Value::from("SECRET-SERIAL")));
        assert_eq!(
            events[2].body,
            Body::Property { service: 2, key: Some("Serial".to_owned()), outcome }
        );
        assert_eq!(events[3].body, Body::Open { service: 2, open_type: 3 });
        assert_eq!(events[4].body, Body::OpenFailed { result: IoReturn(0xe000_0004) });
        assert_eq!(events[4].cause(), Some(events[3].position));
        let classes: Vec<_> = it
            .contents()
            .into_iter()
            .filter_map(|(_, _, content)| match content {
                Content::Service(number, identity) => Some((number, identity.class.unwrap())),
                _ => None,
            })
            .collect();
        assert_eq!(classes, [(1, "Other".to_owned()), (2, "Echo".to_owned())]);
    });
}

#[test]
fn a_call_is_entered_before_it_is_made() {
    recorded(|it| {
        let connection = it.open();
        // The device posts from inside the call: had the enter come later, it would stand behind.
        let queue = it.system.completion_queue();
        start(&*connection, wake(&*queue, &[0, 8]), 1).ok().unwrap();
        let events = it.events_from(|body| matches!(body, Body::AsyncCall { .. }));
        assert_eq!(kinds(&events), ["async_call", "posted", "return"]);
        assert_eq!(events[1].cause(), Some(events[0].position));
        assert_eq!(events[2].cause(), Some(events[0].position));
        let lanes: Vec<_> = events.iter().map(|event| event.stamp.lane).collect();
        assert_eq!(lanes, [1, 0, 1]);
        assert!(events.iter().all(|event| event.stamp.connection == Some(1)));
    });
}

#[test]
fn calls_are_written_as_they_were_made() {
    recorded(|it| {
        let connection = it.open();
        let mut scalars = [9; 3];
        let mut room = [0xcc; 32];
        let input = MethodInput { scalars: &[1, 2], structure: StructureInput::Bytes(&[5, 6, 7]) };
        let structure = StructureOutput::Bytes(&mut room);
        let mut output = MethodOutput::new(&mut scalars, structure);
        connection.call_method(selector::ECHO, &input, &mut output).ok().unwrap();
        // A2: refused by the library, and still what the client did.
        let result = call(&*connection, selector::ECHO, &[3; 17]);

        let events = it.events_from(|body| matches!(body, Body::Call(_)));
        assert_eq!(kinds(&events), ["call", "return", "call", "return"]);
        let Body::Call(first) = &events[0].body else { panic!("{events:?}") };
        assert_eq!((&first.scalars[..], first.scalar_count), (&[1, 2][..], 2));
        assert_eq!(first.input, Structure::Bytes(Payload::bytes(&[5, 6, 7])));
        assert_eq!((first.scalars_asked, first.output), (3, OutputKind::Bytes { size: 32 }));
        let Body::Return(returned) = &events[1].body else { panic!("{events:?}") };
        assert_eq!(returned.scalars[..], [1, 2], "of three asked for two came back");
        assert_eq!(returned.structure_size, Some(3));
        assert_eq!(returned.structure, Some(Payload::bytes(&[5, 6, 7])), "not the whole room");

        let Body::Call(refused) = &events[2].body else { panic!("{events:?}") };
        assert_eq!((&refused.scalars[..], refused.scalar_count), (&[3; 16][..], 17));
        let failed =
            Return { result, scalars: Default::default(), structure_size: None, structure: None };
        assert_eq!(events[3].body, Body::Return(failed));
    });
}

#[test]
fn b8_an_out_of_line_output_is_written_whole_also_on_failure() {
    recorded(|it| {
        let connection = it.open();
        let buffer = SharedBuffer::new(5000);
        buffer.memory().store::<u8>(4999, 3).unwrap();
        let input = MethodInput { scalars: &[0xe00002d7], structure: StructureInput::None };
        let mut output = MethodOutput::new(&mut [], StructureOutput::Shared(&buffer));
        let result = connection.call_method(selector::FAIL, &input, &mut output);
        assert_eq!(result, IoReturn(0xe000_02d7));
        let before = it.events().len();
        // What the call told is known: reading it is no event.
        assert_eq!(buffer.memory().load::<u8>(99), Ok(0xee));
        assert_eq!(buffer.memory().load::<u8>(4999), Ok(3));
        let events = it.events();
        assert_eq!(events.len(), before);
        let Some(Body::Return(returned)) = events.last().map(|event| &event.body) else {
            panic!("{events:?}");
        };
        let mut whole = vec![0; 5000];
        whole[..100].fill(0xee);
        whole[4999] = 3;
        assert_eq!(returned.structure, Some(Payload::bytes(&whole)));
        assert_eq!(returned.structure_size, None);
    });
}

#[test]
fn completions_are_posted_in_lane_0_and_delivered_by_cause() {
    recorded(|it| {
        let connection = it.open();
        let queue = it.system.completion_queue();
        let full: Vec<u64> = (80..88).collect();
        start(&*connection, wake(&*queue, &[70, 71, 72]), 1).ok().unwrap();
        start(&*connection, wake(&*queue, &full), 0).ok().unwrap();
        start(&*connection, AsyncWake { queue: Some(&*queue), reference: None }, 0).ok().unwrap();
        call(&*connection, selector::FIRE, &[6]).ok().unwrap();
        let delivered: Vec<_> = std::iter::from_fn(|| queue.poll()).collect();
        let expected = [[0, 71, 72, 0, 0, 0, 0, 0]; 2];
        assert_eq!([delivered[0].reference, delivered[1].reference], expected);
        assert_eq!(delivered[2].reference, [0, 81, 82, 83, 84, 85, 86, 87]);
        assert_eq!(delivered[3].reference, [0; 8]);

        let events = it.events();
        let calls: Vec<_> =
            events.iter().filter(|event| event.body.name() == "async_call").collect();
        let references: Vec<_> = calls
            .iter()
            .map(|event| match &event.body {
                Body::AsyncCall { reference, queue, .. } => (queue.unwrap(), reference.clone()),
                _ => unreachable!(),
            })
            .collect();
        let blanked = vec![0, 81, 82, 83, 84, 85, 86, 87];
        assert_eq!(
            references,
            [(1, Some(vec![0, 71, 72])), (1, Some(blanked)), (1, None)],
            "as the client gave them, but for entry 0"
        );
        let posts: Vec<_> = events.iter().filter(|event| event.body.name() == "posted").collect();
        let seen: Vec<_> = posts
            .iter()
            .map(|event| match &event.body {
                Body::Posted { ordinal, arguments, reference, .. } => {
                    (event.cause(), *ordinal, arguments[0], *reference)
                }
                _ => unreachable!(),
            })
            .collect();
        let of = |call: usize| Some(calls[call].position);
        let references: Vec<_> = delivered.iter().map(|completion| completion.reference).collect();
        assert_eq!(
            seen,
            [
                (of(0), 1, 0, references[0]),
                (of(0), 2, 6, references[1]),
                (of(1), 1, 6, references[2]),
                (of(2), 1, 6, references[3]),
            ]
        );
        assert!(posts.iter().all(|event| event.stamp.lane == 0));
        let delivered: Vec<_> = events
            .iter()
            .filter(|event| matches!(event.body, Body::Delivered { queue: 1, .. }))
            .map(|event| event.cause().unwrap())
            .collect();
        assert_eq!(delivered, posts.iter().map(|event| event.position).collect::<Vec<_>>());
    });
}

#[test]
fn d1_d3_references_that_are_refused_go_through_as_they_are() {
    recorded(|it| {
        let connection = it.open();
        let queue = it.system.completion_queue();
        assert_eq!(start(&*connection, wake(&*queue, &[]), 1), IoReturn::BAD_ARGUMENT);
        assert_eq!(start(&*connection, wake(&*queue, &[1; 9]), 1), IoReturn(0xffff_fecd));
        let none = AsyncWake { queue: None, reference: Some(&[1]) };
        assert_eq!(start(&*connection, none, 1), IoReturn::SUCCESS);
        let foreign = super::device::Device::new(it.system.schedule(), true);
        let foreign = foreign.system().completion_queue();
        assert_eq!(start(&*connection, wake(&*foreign, &[1]), 1), IoReturn(0x1000_000a), "D5");
        let written: Vec<_> = it
            .events()
            .into_iter()
            .filter_map(|event| match event.body {
                Body::AsyncCall { queue, reference, .. } => Some((queue, reference.unwrap())),
                _ => None,
            })
            .collect();
        let mut nine = vec![1; 9];
        nine[0] = 0;
        assert_eq!(
            written,
            [(Some(1), vec![]), (Some(1), nine), (None, vec![0]), (Some(2), vec![0])]
        );
    });
}

#[test]
fn where_posts_cannot_be_seen_they_are_written_with_the_delivery() {
    Schedule::simulate(1, |schedule| {
        let it = Recorded::start(schedule, false, RecordOptions::default());
        let connection = it.open();
        let queue = it.system.completion_queue();
        start(&*connection, wake(&*queue, &[0]), 2).ok().unwrap();
        assert_eq!(queue.wait(None).unwrap().arguments[..], [0]);
        assert_eq!(queue.poll().unwrap().arguments[..], [1]);
        let events = it.events_from(|body| matches!(body, Body::Return(_)));
        assert_eq!(
            kinds(&events),
            ["return", "wait", "posted", "delivered", "woke", "posted", "delivered"]
        );
        let ordinals: Vec<_> = events
            .iter()
            .filter_map(|event| match event.body {
                Body::Posted { ordinal, .. } => Some(ordinal),
                _ => None,
            })
            .collect();
        assert_eq!(ordinals, [1, 2]);
    });
}

#[test]
fn waits_are_two_events_and_empty_polls_are_none() {
    recorded(|it| {
        let connection = it.open();
        let queue = it.system.completion_queue();
        let before = it.events().len();
        assert_eq!(queue.poll(), None);
        assert_eq!(it.events().len(), before);
        let waited = Duration::from_millis(5);
        assert_eq!(queue.wait(Some(waited)), None);
        start(&*connection, wake(&*queue, &[0]), 1).ok().unwrap();
        assert!(queue.wait(Some(waited)).is_some());
        let events = it.events_from(|body| matches!(body, Body::Wait { .. }));
        let expected =
            ["wait", "woke", "async_call", "posted", "return", "wait", "delivered", "woke"];
        assert_eq!(kinds(&events), expected);
        assert_eq!(events[0].body, Body::Wait { queue: 1, timeout: Some(5_000_000) });
        assert_eq!(events[1].body, Body::Woke { timed_out: true });
        assert_eq!(events[7].body, Body::Woke { timed_out: false });
        assert_eq!(events[7].cause(), Some(events[5].position));
        assert_eq!(events[1].stamp.time - events[0].stamp.time, 5_000_000, "virtual time");
    });
}

#[test]
fn notices_and_refused_watches() {
    recorded(|it| {
        assert!(it.system.watch(&Matching::default()).is_err());
        let notices = it.system.watch(&Matching::service("Other")).unwrap();
        notices.wait(None).unwrap();
        notices.poll().unwrap();
        assert_eq!(notices.poll(), None);
        let events = it.events();
        // A system that does not see ends tells of one by its notice.
        let expected = ["watch", "watch", "wait", "notice", "woke", "terminated", "notice"];
        assert_eq!(kinds(&events), expected);
        let (queue, service) = (1, 1);
        let kind = NoticeKind::Terminated;
        assert_eq!(events[5].body, Body::Terminated { service: Some(service) });
        assert_eq!(events[6].body, Body::Notice { queue, kind, service });
        assert_eq!(events[6].cause(), Some(events[1].position));
    });
}

#[test]
fn maps_unmaps_and_closes_name_memories_and_no_addresses() {
    recorded(|it| {
        let connection = it.open();
        let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0xdead_beef).unwrap();
        assert!(connection.map_memory(7, MapOptions(0), 0x70_0000).is_err());
        connection.unmap_memory(0, mapping.address()).ok().unwrap();
        let _ = connection.unmap_memory(5, 0x1234);
        connection.close().ok().unwrap();
        let events = it.events_from(|body| matches!(body, Body::Map { .. }));
        assert_eq!(
            kinds(&events),
            [
                "map", "mapped", "map", "mapped", "unmap", "unmapped", "unmap", "unmapped",
                "close", "closed"
            ]
        );
        let Body::Map { address: 0, .. } = events[0].body else { panic!("{events:?}") };
        let Body::Mapped { outcome: Ok(mapped) } = events[1].body else { panic!("{events:?}") };
        assert_eq!((mapped.memory, mapped.length, mapped.size), (1, 128, mapping.size()));
        let Body::Map { address: 0x70_0000, .. } = events[2].body else { panic!("{events:?}") };
        assert_eq!(events[4].body, Body::Unmap { memory_type: 0, memory: Some(1) });
        assert_eq!(events[4].cause(), Some(events[1].position), "unmap to map");
        assert_eq!(events[6].body, Body::Unmap { memory_type: 5, memory: None });
        assert_eq!(events[7].body, Body::Unmapped { result: IoReturn::UNSUPPORTED });
    });
}

#[test]
fn long_inputs_are_hashed_by_policy() {
    Schedule::simulate(1, |schedule| {
        let long_writes = LongWrites::HashOver(10);
        let options = RecordOptions { long_writes, ..RecordOptions::default() };
        let it = Recorded::start(schedule, true, options);
        let connection = it.open();
        for length in [10, 11] {
            let structure = StructureInput::Bytes(&[1; 20][..length]);
            let input = MethodInput { scalars: &[], structure };
            let mut room = [0; 20];
            let structure = StructureOutput::Bytes(&mut room);
            let mut output = MethodOutput::new(&mut [], structure);
            connection.call_method(selector::ECHO, &input, &mut output).ok().unwrap();
        }
        let inputs: Vec<_> = it
            .events()
            .into_iter()
            .filter_map(|event| match event.body {
                Body::Call(Call { input: Structure::Bytes(payload), .. }) => Some(payload),
                Body::Return(Return { structure, .. }) => structure,
                _ => None,
            })
            .collect();
        assert!(matches!(&inputs[0], Payload::Bytes(_)));
        assert!(matches!(&inputs[2], Payload::Hash { length: 11, .. }));
        assert!(matches!(&inputs[3], Payload::Bytes(_)), "outputs cannot be known, so are kept");
    });
}

#[test]
fn the_header_has_the_mode_of_time_and_the_seed() {
    Schedule::simulate(99, |schedule| {
        let it = Recorded::start(schedule, true, RecordOptions::default());
        let headers: Vec<_> = it
            .contents()
            .into_iter()
            .filter_map(|(_, _, content)| match content {
                Content::Header(header) => Some(*header),
                _ => None,
            })
            .collect();
        let last = headers.last().unwrap();
        assert_eq!((last.time, last.seed), (TimeMode::Simulated, Some(99)));

        // Another mode does not fit on the same tape.
        let free = super::device::Device::new(&Schedule::free(), true).system();
        let same = it.session.wrap(Arc::clone(&free));
        assert!(Arc::ptr_eq(&free, &same));
        assert!(matches!(it.events()[0].body, Body::Gap { events: None, .. }));
    });
}

#[test]
fn lanes_are_threads_and_nothing_is_written_after_the_end() {
    let schedule = Schedule::free();
    let it = Recorded::start(&schedule, true, RecordOptions::default());
    let connection = it.open();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                (0..50).for_each(|_| assert_eq!(call(&*connection, 0, &[]), IoReturn::SUCCESS))
            });
        }
    });
    let events = it.events();
    for lane in 2..=4 {
        let of_lane: Vec<_> = events.iter().filter(|event| event.stamp.lane == lane).collect();
        assert_eq!(of_lane.len(), 100);
        for pair in of_lane.chunks(2) {
            assert_eq!(pair[1].cause(), Some(pair[0].position));
            assert!(pair[0].stamp.time <= pair[1].stamp.time);
        }
    }
    it.session.finish();
    assert_eq!(call(&*connection, 0, &[]), IoReturn::SUCCESS);
    assert_eq!(it.events().len(), events.len());
}

#[test]
fn two_systems_of_one_session_share_its_numbers() {
    recorded(|it| {
        let other = super::device::Device::new(it.system.schedule(), true);
        let other = it.session.wrap(other.system());
        let (first, second) = (it.open(), other.open(ServiceId(4711), 0).unwrap());
        call(&*second, 0, &[]).ok().unwrap();
        call(&*first, 0, &[]).ok().unwrap();
        let opened: Vec<_> = it
            .events()
            .iter()
            .filter(|event| matches!(event.body, Body::Open { .. } | Body::Call(_)))
            .map(|event| match &event.body {
                Body::Open { service, .. } => *service,
                _ => event.stamp.connection.unwrap(),
            })
            .collect();
        assert_eq!(
            opened,
            [1, 2, 2, 1],
            "one number of service a system, as these are two registries"
        );
        // A queue of one system is foreign to the other (D5).
        let queue = other.completion_queue();
        assert_eq!(start(&*first, wake(&*queue, &[1]), 1), IoReturn(0x1000_000a));
    });
}

#[test]
fn a_journal_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let session = RecordingSession::start(&path, RecordOptions::default()).unwrap();
    drop(session);
    assert!(RecordingSession::start(&path, RecordOptions::default()).is_err());
}

#[test]
fn where_a_journal_is_full_the_tape_says_so() {
    let journal = JournalOptions {
        segment_size: 4096,
        size_max: 4096,
        wait: Duration::from_millis(1),
        ..JournalOptions::default()
    };
    Schedule::simulate(1, |schedule| {
        let options = RecordOptions { journal, ..RecordOptions::default() };
        let it = Recorded::start(schedule, true, options);
        let connection = it.open();
        for _ in 0..200 {
            call(&*connection, 0, &[1]).ok().unwrap();
        }
        assert!(matches!(it.session.status(), Status::Stopped { .. }), "{:?}", it.session.status());
        let events = it.events();
        let last = &events.last().unwrap().body;
        assert!(matches!(last, Body::Gap { .. }), "{last:?}");
        assert!(events.len() < 200);
    });
}

#[test]
fn calls_beside_methods_and_memory_name_queues_and_connections_of_the_tape() {
    recorded(|it| {
        let (first, second) = (it.open(), it.open());
        let queue = it.system.completion_queue();
        let stranger = MockSystem::new(it.system.schedule()).completion_queue();
        let properties = Value::Dictionary([("a".to_owned(), Value::from("b"))].into());
        assert_eq!(first.set_notification_port(3, Some(&*queue), 8), IoReturn::UNSUPPORTED);
        let foreign = first.set_notification_port(3, Some(&*stranger), 0);
        assert_eq!(foreign, IoReturn::MACH_SEND_INVALID_RIGHT, "it came through as another's");
        let added = first.add_client(Some(second.id()));
        assert_eq!(added, IoReturn(0x1000 + second.id().0 as u32), "by the system's own number");
        assert_eq!(first.get_service(), Ok(ServiceId(4712)), "by the system's own number");
        assert_eq!(first.set_properties(Some(&properties)), IoReturn(0x2001));
        assert_eq!(first.trap(7, &[1, 2, 3]), IoReturn(13));
        assert_eq!(first.add_ref(), IoReturn::SUCCESS);
        let events = it.events_from(|body| matches!(body, Body::OtherCall(_)));
        let calls: Vec<OtherCall> = events
            .iter()
            .filter_map(|event| match &event.body {
                Body::OtherCall(call) => Some(call.clone()),
                _ => None,
            })
            .collect();
        let port = |queue, reference| OtherCall::SetNotificationPort {
            notification_type: 3,
            queue: Some(queue),
            reference,
        };
        let expected = [
            port(1, 8),
            port(2, 0),
            OtherCall::AddClient { client: Some(2) },
            OtherCall::GetService,
            OtherCall::SetProperties { properties: Some(properties) },
            OtherCall::Trap { index: 7, arguments: Scalars::clamped(&[1, 2, 3]) },
            OtherCall::AddRef,
        ];
        assert_eq!(calls, expected);
        let returned = |index: usize| &events[2 * index + 1];
        assert_eq!(returned(2).cause(), Some(events[4].position));
        assert_eq!(returned(2).body, Body::OtherReturn { outcome: Err(added) });
        // The service was not seen before: it is the second one.
        assert_eq!(returned(3).body, Body::OtherReturn { outcome: Ok(Some(2)) });
        assert_eq!(returned(6).body, Body::OtherReturn { outcome: Ok(None) });
    });
}
