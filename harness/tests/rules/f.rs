//! Group F: maps. What an unmap does, and how long a mapping lives, is in `f_unmap.rs`.

use crate::RuleTest;
use crate::kit::{Bench, Call, Cupboard, Log, TestDext, shared};
use dextape::IoReturn;
use dextape::boundary::library::{Stop, map, task};
use dextape::boundary::{DescriptorRange, MapRequest, MappingTable, Rule, Rules};
use dextape::call::MapOptions;
use dextape::connection::{Connection, Mapping, System};
use dextape::driverkit::{
    AddressSegment, BufferMemoryDescriptor, Direction, OsObject, OsSharedPtr,
    USER_CLIENT_MEMORY_READ_ONLY, create_memory_descriptor_from_client,
};
use dextape::limits::PAGE_SIZE;
use dextape::memory::AccessError;
use std::sync::{Arc, Mutex};

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::F1, f1),
    (Rule::F2, f2),
    (Rule::F3, f3),
    (Rule::F4, f4),
    (Rule::F5, f5),
    (Rule::F6, f6),
    (Rule::F7, f7),
    (Rule::F8, f8),
    (Rule::F9, f9),
    (Rule::F10, f10),
    (Rule::F11, f11),
    (Rule::F12, f12),
    (Rule::F13, f13),
    (Rule::F14, f14),
];

/// An address that nothing else takes.
const FIXED: u64 = 0x2_0000_0000;

const READ_ONLY: u64 = 1;

fn serving(cupboard: &Cupboard) -> TestDext {
    TestDext::new().serves(cupboard)
}

fn any(connection: &dyn Connection, memory_type: u32) -> Mapping {
    connection.map_memory(memory_type, MapOptions::ANYWHERE, 0).unwrap()
}

fn is_writable(mapping: &Mapping) -> bool {
    match mapping.store::<u8>(0, 1) {
        Ok(()) => true,
        Err(AccessError::ReadOnly { offset: 0 }) => false,
        Err(other) => panic!("{other}"),
    }
}

fn f1(rules: Rules) {
    let cupboard = Cupboard::of(&[128]);
    Bench::connected(rules, &serving(&cupboard), |_, connection| {
        // kIOMapReadOnly, kIOMapUnique and kIOMapPrefault are dropped.
        let options = MapOptions(0x1 | 0x1000 | 0x0400_0000 | 0x1000_0000);
        let mapping = connection.map_memory(0, options, 0).unwrap();
        assert!(is_writable(&mapping));
        assert_eq!(any(connection, 0).id(), mapping.id(), "it is not unique either");
    });
}

fn f2(rules: Rules) {
    let cupboard = Cupboard::of(&[128, 128]);
    cupboard.set_options(0, READ_ONLY);
    cupboard.set_options(1, 0xffff_fffe);
    Bench::connected(rules, &serving(&cupboard), |_, connection| {
        let mapping = any(connection, 0);
        assert!(!is_writable(&mapping));
        assert_eq!(mapping.load::<u8>(0), Ok(0));
        assert!(is_writable(&any(connection, 1)), "every other bit is ignored");
    });
}

fn f3(rules: Rules) {
    let cupboard = Cupboard::of(&[128, 128]);
    cupboard.set_direction(0, Direction::OUT);
    cupboard.set_options(1, READ_ONLY);
    Bench::connected(rules, &serving(&cupboard), |_, connection| {
        assert!(is_writable(&any(connection, 0)));
        // Unless the first mapping ever was read-only: that caps the later ones.
        let first = any(connection, 1);
        cupboard.set_options(1, 0);
        let second = any(connection, 1);
        assert_ne!(first.id(), second.id());
        assert!(!is_writable(&second));
    });
}

fn f4(rules: Rules) {
    let cupboard = Cupboard::of(&[128]);
    let log = Log::new();
    let (seen, answering) = (log.clone(), cupboard.clone());
    let dext = TestDext::new().memory(move |memory_type, options, memory| {
        seen.push(memory_type);
        answering.answer(0, options, memory)
    });
    Bench::connected(rules, &dext, |_, connection| {
        let mapping = any(connection, 0xffff_fff0);
        assert_eq!(cupboard.buffer(0).retain_count(), 1, "what was retained is consumed");
        assert_eq!(connection.unmap_memory(0xffff_fff0, mapping.address()), IoReturn::SUCCESS);
        assert_eq!(cupboard.buffer(0).retain_count(), 1);
    });
    assert_eq!(log.take(), [0xffff_fff0, 0xffff_fff0], "once a map, once an unmap");
}

fn f5(rules: Rules) {
    let cupboard = Cupboard::of(&[128, 128]);
    let answering = cupboard.clone();
    let dext = TestDext::new().memory(move |memory_type, options, memory| match memory_type {
        7 => IoReturn::NO_SPACE,
        8 => IoReturn::SUCCESS,
        9 => {
            let empty = BufferMemoryDescriptor::create(Direction::IN, 8, 0).unwrap();
            assert_eq!(empty.set_length(0), IoReturn::SUCCESS);
            *memory = Some(empty.descriptor());
            IoReturn::SUCCESS
        }
        other => answering.answer(other, options, memory),
    });
    Bench::connected(rules, &dext, |_, connection| {
        let fails = |memory_type, options, address| {
            connection.map_memory(memory_type, options, address).unwrap_err()
        };
        for memory_type in [7, 8, 9] {
            let code = fails(memory_type, MapOptions::ANYWHERE, 0);
            assert_eq!(code, IoReturn::BAD_ARGUMENT, "type {memory_type}");
        }
        let taken = connection.map_memory(0, MapOptions(0), FIXED).unwrap();
        assert_eq!(fails(1, MapOptions(0), FIXED), IoReturn::BAD_ARGUMENT, "it is taken");
        assert_eq!(fails(1, MapOptions(0), u64::MAX), IoReturn::BAD_ARGUMENT, "no such address");
        // Zero length is no failure where the descriptor is mapped already.
        assert_eq!(cupboard.buffer(0).set_length(0), IoReturn::SUCCESS);
        let again = any(connection, 0);
        assert_eq!((again.address(), again.length()), (taken.address(), 0));
    });
}

/// A Rust client has no pointers for address and size.
fn f6(rules: Rules) {
    assert_eq!(map(rules, true, false, false), Err(Stop::Fault));
    assert_eq!(map(rules, false, true, false), Err(Stop::Fault));
    assert_eq!(map(rules, true, false, true), Err(Stop::Fault), "read before anything is sent");
    assert_eq!(map(rules, false, false, false), Ok(()));
}

/// Nor does it name its task.
fn f7(rules: Rules) {
    assert_eq!(map(rules, false, false, true), Err(Stop::Refused(IoReturn::BAD_ARGUMENT)));
    assert_eq!(task(rules, true), Err(IoReturn::BAD_ARGUMENT));
    assert_eq!(task(rules, false), Ok(()));
}

fn f8(rules: Rules) {
    let cupboard = Cupboard::of(&[128]);
    Bench::connected(rules, &serving(&cupboard), |_, connection| {
        let mapping = connection.map_memory(0, MapOptions::ANYWHERE, FIXED).unwrap();
        assert_ne!(mapping.address(), FIXED, "the address handed in is ignored");
        assert_eq!(mapping.address() % PAGE_SIZE, 0, "a buffer starts on a page");
    });
    f8_memory_of_the_client(rules);
}

/// Memory that the client has already is not mapped again, and so not unmapped.
fn f8_memory_of_the_client(rules: Rules) {
    let described = Arc::new(Mutex::new(None));
    let (keep, answer) = (Arc::clone(&described), Arc::clone(&described));
    let dext = TestDext::new()
        .does(move |arguments| {
            let [address, length] = *arguments.scalar_input else { panic!("a range") };
            let segment = AddressSegment { address, length };
            let options = Direction::IN_OUT;
            let made = create_memory_descriptor_from_client(options, &[segment]).unwrap();
            *keep.lock().unwrap() = Some(OsSharedPtr::adopt(made));
        })
        .memory(move |_, options, memory| {
            let described = answer.lock().unwrap();
            let descriptor = described.as_ref().unwrap();
            *options = USER_CLIENT_MEMORY_READ_ONLY;
            *memory = Some(descriptor.clone().detach());
            IoReturn::SUCCESS
        });
    Bench::connected(rules, &dext, |bench, connection| {
        let buffer = shared(1, 100);
        let address = bench.mock.address_of(&buffer) + 40;
        let answer = Call { scalars: &[address, 20], ..Call::default() }.sync(connection);
        assert_eq!(answer.result, IoReturn::SUCCESS);
        let mapping = any(connection, 0);
        assert_eq!((mapping.address(), mapping.length()), (address, 20));
        mapping.store::<u8>(0, 7).unwrap();
        assert_eq!(buffer.memory().load::<u8>(40), Ok(7), "read-only is ignored");
        assert_eq!(connection.unmap_memory(0, address), IoReturn::SUCCESS);
        assert_eq!(mapping.load::<u8>(0), Ok(7), "it removes nothing");
        let at = connection.map_memory(0, MapOptions(0), address).unwrap();
        assert_eq!((at.address(), at.id()), (address, mapping.id()));
        let elsewhere = connection.map_memory(0, MapOptions(0), FIXED).unwrap();
        assert_eq!(elsewhere.address(), FIXED + address % PAGE_SIZE, "a mapping like any other");
        drop(described.lock().unwrap().take());
    });
}

fn f9(rules: Rules) {
    let cupboard = Cupboard::of(&[128, 128]);
    Bench::connected(rules, &serving(&cupboard), |_, connection| {
        let at = |memory_type, address| connection.map_memory(memory_type, MapOptions(0), address);
        let mapping = at(0, FIXED + 100).unwrap();
        assert_eq!(mapping.address(), FIXED, "rounded down to a page");
        assert_eq!(at(0, FIXED + 7).unwrap().id(), mapping.id(), "mapped just there already");
        assert_eq!(at(1, FIXED).unwrap_err(), IoReturn::BAD_ARGUMENT, "taken");
        assert_eq!(at(1, 0).unwrap_err(), IoReturn::BAD_ARGUMENT, "never free");
        assert_eq!(at(1, FIXED + PAGE_SIZE).unwrap().address(), FIXED + PAGE_SIZE);
    });
}

fn f10(rules: Rules) {
    let cupboard = Cupboard::of(&[128, PAGE_SIZE + 1]);
    Bench::connected(rules, &serving(&cupboard), |_, connection| {
        let mapping = any(connection, 0);
        assert_eq!((mapping.length(), mapping.size()), (128, PAGE_SIZE));
        mapping.store::<u64>(PAGE_SIZE - 8, 1).unwrap();
        let outside = AccessError::OutOfRange { offset: PAGE_SIZE, length: 1, size: PAGE_SIZE };
        assert_eq!(mapping.load::<u8>(PAGE_SIZE), Err(outside));
        let mapping = any(connection, 1);
        assert_eq!((mapping.length(), mapping.size()), (PAGE_SIZE + 1, 2 * PAGE_SIZE));
    });
}

fn f11(rules: Rules) {
    let cupboard = Cupboard::of(&[128]);
    Bench::connected(rules, &serving(&cupboard), |_, connection| {
        let cached = MapOptions::ANYWHERE | MapOptions(0x200);
        let first = connection.map_memory(0, cached, 0).unwrap();
        for options in [MapOptions::ANYWHERE, cached] {
            let again = connection.map_memory(0, options, 0).unwrap();
            assert_eq!(again.id(), first.id());
            assert_eq!((again.address(), again.length()), (first.address(), 128));
        }
    });
    // A range of a parent that is mapped lies where it lies in the parent.
    let cupboard = Cupboard::of(&[256]);
    let dext = TestDext::new().memory(move |memory_type, options, memory| {
        let answered = cupboard.answer(0, options, memory);
        if memory_type == 1 {
            let whole = memory.take().unwrap();
            let part = whole.create_sub_memory_descriptor(Direction::IN_OUT, 64, 32);
            *memory = Some(part.unwrap());
            whole.release();
        }
        answered
    });
    Bench::connected(rules, &dext, |_, connection| {
        let (whole, part) = (any(connection, 0), any(connection, 1));
        assert_eq!((part.address(), part.length()), (whole.address() + 64, 32));
        part.store::<u8>(0, 7).unwrap();
        assert_eq!(whole.load::<u8>(64), Ok(7));
    });
}

fn f12(rules: Rules) {
    let cupboard = Cupboard::of(&[128]);
    Bench::connected(rules, &serving(&cupboard), |_, connection| {
        let map = |options, address| connection.map_memory(0, options, address).unwrap();
        let first = map(MapOptions::ANYWHERE, 0);
        let cached = map(MapOptions::ANYWHERE | MapOptions(0x100), 0);
        let fixed = map(MapOptions(0), FIXED);
        cupboard.set_options(0, READ_ONLY);
        let read_only = map(MapOptions::ANYWHERE, 0);
        let mut addresses = [&first, &cached, &fixed, &read_only].map(|mapping| mapping.address());
        addresses.sort_unstable();
        assert!(addresses.windows(2).all(|pair| pair[0] < pair[1]), "four mappings");
        // Of the same memory.
        first.store::<u32>(0, 5).unwrap();
        assert_eq!(read_only.load::<u32>(0), Ok(5));
    });
}

fn f13(rules: Rules) {
    let cupboard = Cupboard::of(&[256]);
    Bench::connected(rules, &serving(&cupboard), |_, connection| {
        let set_length =
            |length| assert_eq!(cupboard.buffer(0).set_length(length), IoReturn::SUCCESS);
        let whole = any(connection, 0);
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::SUCCESS);
        assert!(whole.load::<u8>(0).is_err());

        set_length(128);
        let first = any(connection, 0);
        set_length(64);
        let smaller = any(connection, 0);
        assert_eq!((smaller.address(), smaller.length()), (first.address(), 64));
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::SUCCESS);
        assert_eq!(first.load::<u8>(0), Ok(0), "the larger one stays in place");

        set_length(256);
        let larger = any(connection, 0);
        assert_ne!(larger.address(), first.address());
        assert_eq!(larger.length(), 256);
    });
    // However often the shorter one is mapped, it is one more object over the longer one.
    let mut table = MappingTable::new(rules);
    for length in [256, 64, 64, 64] {
        let request = MapRequest {
            connection: 1,
            memory_type: 0,
            descriptor: DescriptorRange { root: 1, offset: 0, length, client_address: None },
            read_only: false,
            options: MapOptions::ANYWHERE,
            address: 0,
        };
        assert_eq!(table.map(&request).map(|mapped| mapped.length), Ok(length));
    }
    assert_eq!(table.end_connection(1), [1, 2]);
}

fn f14(rules: Rules) {
    let cupboard = Cupboard::of(&[128]);
    Bench::connected(rules, &serving(&cupboard), |bench, connection| {
        let other = bench.open();
        let (mine, theirs) = (any(connection, 0), any(&*other, 0));
        assert_eq!((mine.address(), mine.id()), (theirs.address(), theirs.id()));
        assert_eq!(other.close(), IoReturn::SUCCESS);
        assert_eq!(mine.load::<u8>(0), Ok(0), "each holds it by itself");
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        assert_eq!(mine.load::<u8>(0), Err(AccessError::Unmapped { offset: 0 }));
    });
}
