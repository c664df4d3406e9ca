//! What is written of shared memory: the shadow rule.

use super::device::selector;
use super::tape::{Recorded, Written, kinds};
use dextape::call::MapOptions;
use dextape::connection::{
    AsyncWake, Connection, MethodInput, MethodOutput, StructureInput, StructureOutput,
};
use dextape::memory::{Memory as _, SharedBuffer, Update, Width};
use dextape::schedule::Schedule;
use dextape::tape::{Body, OutputKind, Payload, Structure};
use dextape_recorder::recording::RecordOptions;
use std::sync::Arc;

fn recorded(body: impl FnOnce(&Recorded, &dyn Connection)) {
    Schedule::simulate(1, |schedule| {
        let it = Recorded::start(schedule, true, RecordOptions::default());
        let connection = it.open();
        body(&it, &*connection);
    });
}

/// The events after the last of `kind`.
fn after(it: &Recorded, kind: &str) -> Vec<Written> {
    let events = it.events();
    let last = events.iter().rposition(|event| event.body.name() == kind).unwrap();
    events.into_iter().skip(last + 1).collect()
}

fn patch(offset: u64, bytes: &[u8], read: u64, last_equal: Option<u64>) -> Body {
    Body::Patch {
        memory: 1,
        offset,
        data: Payload::bytes(bytes),
        read,
        last_equal,
        unattributed: false,
    }
}

#[test]
fn reads_that_change_nothing_are_no_events() {
    recorded(|it, connection| {
        let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        mapping.store::<u32>(0, 5).unwrap();
        for _ in 0..10 {
            assert_eq!(mapping.load::<u32>(0), Ok(5));
            assert_eq!(mapping.load::<u64>(64), Ok(0));
        }
        assert!(mapping.load::<u32>(1).is_err());
        assert!(mapping.store::<u8>(1 << 40, 1).is_err());
        mapping.copy_in(9, &[]).unwrap();
        assert_eq!(kinds(&after(it, "mapped")), ["write"]);
    });
}

#[test]
fn a_patch_has_what_changed_and_when_it_could_have() {
    recorded(|it, connection| {
        let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        let mapped = it.events().last().unwrap().position;
        let mut bytes = [0; 16];
        mapping.copy_out(0, &mut bytes).unwrap();
        mapping.load::<u32>(12).unwrap();
        mapping.load::<u32>(32).unwrap();
        it.device.memory.copy_in(4, &[0, 7, 0, 0, 8, 0]).unwrap();
        mapping.copy_out(0, &mut bytes).unwrap();
        mapping.copy_out(0, &mut bytes).unwrap();
        it.device.memory.copy_in(12, &[1]).unwrap();
        assert_eq!(mapping.load::<u32>(12), Ok(1));
        it.device.memory.copy_in(100, &[1]).unwrap();
        assert_eq!(mapping.load::<u8>(100), Ok(1));
        it.device.memory.copy_in(100, &[2]).unwrap();
        assert_eq!(mapping.load::<u8>(100), Ok(2));

        let events = after(it, "mapped");
        assert_eq!(kinds(&events), ["patch"; 4]);
        // Bytes 5 to 8 changed, seen by the second read that overlaps them (the load of 12 does not),
        // and seen equal before, when the lane's last event was the map.
        assert_eq!(events[0].body, patch(5, &[7, 0, 0, 8], 2, Some(mapped)));
        // Counted since the patch before: one whole read, then this.
        assert_eq!(events[1].body, patch(12, &[1], 2, Some(events[0].position)));
        assert_eq!(events[2].body, patch(100, &[1], 1, None), "nobody had looked there");
        assert_eq!(events[3].body, patch(100, &[2], 1, Some(events[2].position)));
        assert!(events.iter().all(|event| event.cause() == Some(mapped)));
        assert!(events.iter().all(|event| event.stamp.connection == Some(1)));
    });
}

#[test]
fn writes_are_expectations_and_known() {
    recorded(|it, connection| {
        let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        mapping.store::<u16>(2, 0x0102).unwrap();
        mapping.copy_in(8, &[9; 5]).unwrap();
        let mut bytes = [0; 13];
        mapping.copy_out(0, &mut bytes).unwrap();
        it.device.memory.copy_in(3, &[0]).unwrap();
        mapping.copy_out(0, &mut bytes).unwrap();
        let events = after(it, "mapped");
        assert_eq!(kinds(&events), ["write", "write", "patch"]);
        let (memory, data) = (1, Payload::bytes(&[2, 1]));
        assert_eq!(
            events[0].body,
            Body::Write { memory, offset: 2, width: Some(Width::Two), data }
        );
        let data = Payload::bytes(&[9; 5]);
        assert_eq!(events[1].body, Body::Write { memory, offset: 8, width: None, data });
        assert_eq!(events[2].body, patch(3, &[0], 2, Some(events[1].position)));
    });
}

#[test]
fn an_update_is_one_event_after_a_patch_of_what_it_found() {
    recorded(|it, connection| {
        let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        assert_eq!(mapping.fetch_add::<u32>(4, 3), Ok(0));
        it.device.memory.copy_in(4, &[0x10]).unwrap();
        assert_eq!(mapping.compare_exchange::<u32>(4, 9, 1), Ok(0x10));
        assert_eq!(mapping.load::<u32>(4), Ok(0x10), "not stored");
        assert_eq!(mapping.swap::<u32>(4, 2), Ok(0x10));
        assert_eq!(mapping.load::<u32>(4), Ok(2));
        let events = after(it, "mapped");
        assert_eq!(kinds(&events), ["update", "patch", "update", "update"]);
        assert_eq!(events[1].body, patch(4, &[0x10], 1, Some(events[0].position)));
        let (memory, offset, width) = (1, 4, Width::Four);
        let update = Update::CompareExchange { expected: 9, new: 1 };
        assert_eq!(events[2].body, Body::Update { memory, offset, width, update });
    });
}

#[test]
fn aliases_share_one_number_and_one_shadow() {
    recorded(|it, connection| {
        let one = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        let two = connection.map_memory(1, MapOptions::ANYWHERE, 0).unwrap();
        let maps = it.events();
        let mapped = maps.last().unwrap();
        let Body::Mapped { outcome: Ok(alias) } = &mapped.body else { panic!("{maps:?}") };
        assert_eq!(alias.memory, 1);
        one.store::<u8>(7, 4).unwrap();
        assert_eq!(two.load::<u8>(7), Ok(4));
        it.device.memory.copy_in(7, &[5]).unwrap();
        assert_eq!(two.load::<u8>(7), Ok(5));
        assert_eq!(one.load::<u8>(7), Ok(5));
        let events = after(it, "mapped");
        assert_eq!(kinds(&events), ["write", "patch"]);
        assert_eq!(events[1].cause(), Some(mapped.position), "seen through the second mapping");
    });
}

#[test]
fn a_closed_connection_s_memory_fails_as_it_would() {
    recorded(|it, connection| {
        let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        connection.close().ok().unwrap();
        assert!(mapping.load::<u8>(0).is_err());
        assert!(mapping.store::<u8>(0, 1).is_err());
        assert!(mapping.swap::<u8>(0, 1).is_err());
        assert!(after(it, "closed").is_empty());
    });
}

fn lend(connection: &dyn Connection, input: &SharedBuffer, output: &SharedBuffer) {
    let input = MethodInput { scalars: &[], structure: StructureInput::Shared(input) };
    let mut output = MethodOutput::new(&mut [], StructureOutput::Shared(output));
    // No wake port: the dext has no completion, and still the descriptors.
    let result =
        connection.call_async_method(selector::START, &AsyncWake::default(), &input, &mut output);
    result.ok().unwrap();
}

fn poke(connection: &dyn Connection, offset: u64, byte: u64) {
    let scalars = [offset, byte];
    let input = MethodInput { scalars: &scalars, structure: StructureInput::None };
    let mut output = MethodOutput::default();
    connection.call_method(selector::POKE_LENT, &input, &mut output).ok().unwrap();
}

#[test]
fn a_lent_buffer_is_watched_from_the_call_on() {
    recorded(|it, connection| {
        let (input, output) = (SharedBuffer::new(5000), SharedBuffer::new(4097));
        // Asked for before the call, used after it.
        let early = output.memory();
        input.memory().store::<u8>(0, 1).unwrap();
        output.memory().store::<u8>(4096, 2).unwrap();
        lend(connection, &input, &output);
        assert_eq!(early.load::<u8>(4096), Ok(2));
        early.store::<u8>(10, 3).unwrap();
        poke(connection, 10, 4);
        assert_eq!(early.load::<u8>(10), Ok(4));
        assert_eq!(input.memory().load::<u8>(10), Ok(4));

        let events = it.events_from(|body| matches!(body, Body::AsyncCall { .. }));
        let all = ["async_call", "return", "write", "call", "return", "patch", "patch"];
        assert_eq!(kinds(&events), all);
        let Body::AsyncCall { call, .. } = &events[0].body else { panic!("{events:?}") };
        let mut bytes = [0; 5000];
        bytes[0] = 1;
        assert_eq!(call.input, Structure::Shared { memory: 1, data: Payload::bytes(&bytes) });
        assert_eq!(call.output, OutputKind::Shared { memory: 2, size: 4097 });
        let Body::Return(returned) = &events[1].body else { panic!("{events:?}") };
        assert_eq!(returned.structure, None, "patches tell");
        let Body::Patch { memory: 2, offset: 10, last_equal, .. } = &events[5].body else {
            panic!("{events:?}");
        };
        assert_eq!(*last_equal, Some(events[2].position), "the client's own write");
        let Body::Patch { memory: 1, .. } = &events[6].body else { panic!("{events:?}") };
        for used in [&events[2], &events[5], &events[6]] {
            assert_eq!(used.cause(), Some(events[0].position));
        }
    });
}

#[test]
fn a_buffer_lent_again_is_the_same_memory_as_the_client_knows_it() {
    recorded(|it, connection| {
        let (input, output) = (SharedBuffer::new(5000), SharedBuffer::new(5000));
        lend(connection, &input, &output);
        poke(connection, 3, 9);
        lend(connection, &input, &output);
        assert_eq!(input.memory().load::<u8>(3), Ok(9));
        let events = it.events_from(|body| matches!(body, Body::Call(_)));
        assert_eq!(kinds(&events), ["call", "return", "async_call", "return", "patch"]);
        let Body::AsyncCall { call, .. } = &events[2].body else { panic!("{events:?}") };
        // A replay has no device: what the client hands in is what it can know.
        assert_eq!(call.input, Structure::Shared { memory: 1, data: Payload::bytes(&[0; 5000]) });
    });
}

#[test]
fn a_buffer_s_number_is_not_given_to_the_next_at_its_address() {
    recorded(|it, connection| {
        for _ in 0..300 {
            lend(connection, &SharedBuffer::new(16), &SharedBuffer::new(16));
            it.device.forget_lent();
        }
        let numbers: Vec<_> = it
            .events()
            .into_iter()
            .filter_map(|event| match event.body {
                Body::AsyncCall { call, .. } => match (call.input, call.output) {
                    (
                        Structure::Shared { memory: input, .. },
                        OutputKind::Shared { memory, .. },
                    ) => Some([input, memory]),
                    _ => None,
                },
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(numbers, (1..=600).collect::<Vec<_>>());
    });
}

#[test]
fn the_order_of_the_journal_is_the_order_of_effects() {
    let schedule = Schedule::free();
    let it = Recorded::start(&schedule, true, RecordOptions::default());
    let connection = it.open();
    let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    mapping.fetch_add::<u64>(0, 1).unwrap();
                }
            });
        }
    });
    assert_eq!(mapping.load::<u64>(0), Ok(8000));
    // No device is there, so all that the threads found is what others had written before: where an
    // update stood in another place than where it took effect, there would be patches.
    let events = after(&it, "mapped");
    assert_eq!(events.len(), 8000);
    assert!(events.iter().all(|event| event.body.name() == "update"));
}

#[test]
fn threads_on_one_memory_leave_a_journal_that_explains_what_they_saw() {
    let schedule = Schedule::free();
    let it = Recorded::start(&schedule, true, RecordOptions::default());
    let connection = it.open();
    let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
    let seen: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let device = Arc::clone(&it.device.memory);
        scope.spawn(move || {
            (0..2000_u64).for_each(|turn| {
                device.store_word(turn % 4 * 8, Width::Eight, turn).unwrap();
            });
        });
        let client = |thread: u64| {
            let mapping = mapping.clone();
            scope.spawn(move || {
                let mut seen = Vec::new();
                for turn in 0..500_u64 {
                    match turn % 5 {
                        0 => mapping.store::<u64>(thread * 8, turn << 32 | thread).unwrap(),
                        1 => seen.push(mapping.fetch_add::<u64>(turn % 4 * 8, 1).unwrap()),
                        _ => seen.push(mapping.load::<u64>(turn % 4 * 8).unwrap()),
                    }
                }
                seen
            })
        };
        let threads: Vec<_> = (0..4).map(client).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // The order of the journal is the order of effects on the shadow: from the events alone, in
    // that order, follows what every atomic update found.
    let mut shadow = dextape::memory::Shadow::new();
    let mut found: std::collections::BTreeMap<u32, Vec<u64>> = Default::default();
    for event in after(&it, "mapped") {
        match event.body {
            Body::Write { offset, data, .. } | Body::Patch { offset, data, .. } => {
                shadow.write(offset, data.as_bytes().unwrap());
            }
            Body::Update { offset, width, update, .. } => {
                let mut old = [0; 8];
                shadow.read(offset, &mut old);
                let old = u64::from_le_bytes(old);
                found.entry(event.stamp.lane).or_default().push(old);
                shadow.write(offset, &update.apply(old, width).to_le_bytes());
            }
            other => panic!("{other:?}"),
        }
    }
    let updates = |seen: &Vec<u64>| -> Vec<u64> {
        // Of each five turns one stores and four see; the first of the four is the update.
        seen.chunks(4).map(|four| four[0]).collect()
    };
    let mut expected: Vec<_> = seen.iter().map(updates).collect();
    let mut found: Vec<_> = found.into_values().collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}
