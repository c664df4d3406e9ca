//! Group F: unmaps, and how long a mapping lives.

use crate::RuleTest;
use crate::kit::{Bench, Cupboard, TestDext};
use dextape::IoReturn;
use dextape::boundary::{
    DescriptorRange, MapRequest, MappingHolder, MappingTable, Rule, Rules, mapping_holder,
};
use dextape::call::MapOptions;
use dextape::connection::{Connection, Mapping};
use dextape::driverkit::{BufferMemoryDescriptor, Direction, OsObject};
use dextape::memory::AccessError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::F15, f15),
    (Rule::F16, f16),
    (Rule::F17, f17),
    (Rule::F18, f18),
    (Rule::F19, f19),
    (Rule::F20, f20),
    (Rule::F21, f21),
    (Rule::F22, f22),
    (Rule::F23, f23),
    (Rule::F24, f24),
    (Rule::F25, f25),
    (Rule::F26, f26),
    (Rule::F27, f27),
];

fn any(connection: &dyn Connection) -> Mapping {
    connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap()
}

fn is_mapped(mapping: &Mapping) -> bool {
    match mapping.load::<u8>(0) {
        Ok(_) => true,
        Err(AccessError::Unmapped { offset: 0 }) => false,
        Err(other) => panic!("{other}"),
    }
}

/// A dext with one buffer.
fn serving() -> TestDext {
    TestDext::new().serves(&Cupboard::of(&[128]))
}

/// A dext that does as its mode says, from 0 on.
fn in_modes(
    answer: impl Fn(u64, &mut Option<dextape::driverkit::MemoryDescriptor>) -> IoReturn
    + Send
    + Sync
    + 'static,
) -> (TestDext, Arc<AtomicU64>) {
    let mode = Arc::new(AtomicU64::new(0));
    let now = Arc::clone(&mode);
    let cupboard = Cupboard::of(&[128]);
    let dext = TestDext::new().memory(move |memory_type, options, memory| {
        match now.load(Ordering::SeqCst) {
            0 => cupboard.answer(memory_type, options, memory),
            mode => answer(mode, memory),
        }
    });
    (dext, mode)
}

fn f15(rules: Rules) {
    Bench::connected(rules, &serving(), |_, connection| {
        let oldest = any(connection);
        let fixed = connection.map_memory(0, MapOptions(0), 0x2_0000_0000).unwrap();
        assert_eq!(connection.unmap_memory(0, fixed.address()), IoReturn::SUCCESS);
        assert!(!is_mapped(&oldest) && is_mapped(&fixed), "not by address: the oldest");
        assert_eq!(connection.unmap_memory(0, 0xdead_0000), IoReturn::SUCCESS);
        assert!(!is_mapped(&fixed));
    });
}

fn f16(rules: Rules) {
    Bench::connected(rules, &serving(), |_, connection| {
        let mapping = any(connection);
        assert_eq!(any(connection).id(), mapping.id());
        assert_eq!(any(connection).id(), mapping.id());
        assert_eq!(connection.unmap_memory(0, mapping.address()), IoReturn::SUCCESS);
        assert!(!is_mapped(&mapping), "one unmap undoes three maps");
        let further = connection.unmap_memory(0, mapping.address());
        assert_eq!(further, IoReturn::BAD_ARGUMENT);
    });
}

fn f17(rules: Rules) {
    Bench::connected(rules, &serving(), |bench, connection| {
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::BAD_ARGUMENT, "nobody mapped it");
        let other = bench.open();
        let theirs = any(&*other);
        assert_eq!(connection.unmap_memory(0, theirs.address()), IoReturn::SUCCESS);
        assert!(is_mapped(&theirs), "without effect");
    });
}

fn f18(rules: Rules) {
    let (dext, mode) = in_modes(|mode, _| IoReturn(mode as u32));
    Bench::connected(rules, &dext, |_, connection| {
        let mapping = any(connection);
        for code in [IoReturn::NO_SPACE, IoReturn(0x1234)] {
            mode.store(code.0.into(), Ordering::SeqCst);
            assert_eq!(connection.unmap_memory(0, mapping.address()), code);
        }
        assert!(is_mapped(&mapping));
    });
}

fn f19(rules: Rules) {
    let (dext, mode) = in_modes(|_, _| IoReturn::SUCCESS);
    Bench::connected(rules, &dext, |_, connection| {
        let mapping = any(connection);
        mode.store(1, Ordering::SeqCst);
        assert_eq!(connection.unmap_memory(0, mapping.address()), IoReturn::SUCCESS);
        assert!(is_mapped(&mapping), "nothing is unmapped");
    });
}

fn f20(rules: Rules) {
    // The dext that makes a buffer on every call, as the best-known answer does.
    let (dext, mode) = in_modes(|_, memory| {
        let fresh = BufferMemoryDescriptor::create(Direction::IN_OUT, 128, 0).unwrap();
        *memory = Some(fresh.descriptor());
        IoReturn::SUCCESS
    });
    Bench::connected(rules, &dext, |_, connection| {
        let mapping = any(connection);
        mode.store(1, Ordering::SeqCst);
        let result = connection.unmap_memory(0, mapping.address());
        assert_eq!(result, IoReturn::BAD_ARGUMENT);
        assert!(is_mapped(&mapping), "the old mapping stays");
        mode.store(0, Ordering::SeqCst);
        assert_eq!(connection.unmap_memory(0, mapping.address()), IoReturn::SUCCESS);
        assert!(!is_mapped(&mapping), "until a matching unmap");
    });
    // Another read-only state has no compatible mapping either.
    let cupboard = Cupboard::of(&[128]);
    Bench::connected(rules, &TestDext::new().serves(&cupboard), |_, connection| {
        let mapping = any(connection);
        cupboard.set_options(0, 1);
        assert_eq!(connection.unmap_memory(0, mapping.address()), IoReturn::BAD_ARGUMENT);
        assert!(is_mapped(&mapping));
    });
    // A new sub-descriptor of the same range counts as the old one.
    let parent = Cupboard::of(&[256]);
    let dext = TestDext::new().memory(move |memory_type, options, memory| {
        let (mut whole, mut ignored) = (None, 0);
        let _ = parent.answer(memory_type, &mut ignored, &mut whole);
        let _ = options;
        let sub = whole.unwrap().create_sub_memory_descriptor(Direction::IN_OUT, 64, 64);
        *memory = Some(sub.unwrap());
        IoReturn::SUCCESS
    });
    Bench::connected(rules, &dext, |_, connection| {
        let mapping = any(connection);
        assert_eq!((mapping.address() % 256, mapping.length()), (64, 64));
        assert_eq!(connection.unmap_memory(0, mapping.address()), IoReturn::SUCCESS);
        assert!(!is_mapped(&mapping));
    });
}

fn f23(rules: Rules) {
    Bench::connected(rules, &serving(), |_, connection| {
        let mapping = any(connection);
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        assert!(!is_mapped(&mapping), "gone before the close returned");
    });
}

fn f24(rules: Rules) {
    Bench::connected(rules, &serving(), |bench, connection| {
        let mapping = any(connection);
        assert_eq!(connection.add_ref(), IoReturn::SUCCESS);
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        bench.mock.settle();
        assert!(is_mapped(&mapping), "another right is held");
        assert_eq!(connection.release(), IoReturn::SUCCESS);
        assert!(!is_mapped(&mapping));
    });
}

fn f25(rules: Rules) {
    for crash in [false, true] {
        Bench::run(rules, &serving(), |bench| {
            let connection = bench.open();
            let mapping = any(&*connection);
            if crash {
                bench.mock.crash(bench.service);
            } else {
                bench.mock.terminate(bench.service);
            }
            bench.mock.settle();
            mapping.store::<u32>(4, 8).unwrap();
            assert_eq!(mapping.load::<u32>(4), Ok(8), "it outlives the user client");
            drop(connection);
            assert!(!is_mapped(&mapping), "but not the last right");
        });
    }
}

fn f21(rules: Rules) {
    Bench::connected(rules, &TestDext::new(), |_, connection| {
        let refused = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap_err();
        assert_eq!(refused, IoReturn::BAD_ARGUMENT);
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::UNSUPPORTED);
    });
}

fn f22(rules: Rules) {
    let cupboard = Cupboard::of(&[128]);
    Bench::connected(rules, &TestDext::new().serves(&cupboard), |bench, connection| {
        let mapping = any(connection);
        cupboard.buffer(0).address_range().store::<u32>(0, 7).unwrap();
        cupboard.buffer(0).release();
        assert_eq!(cupboard.buffer(0).retain_count(), 0);
        assert_eq!(mapping.load::<u32>(0), Ok(7), "it outlives the dext's release");
        bench.mock.crash(bench.service);
        bench.mock.settle();
        assert_eq!(mapping.load::<u32>(0), Ok(7), "and the dext");
        mapping.store::<u32>(0, 8).unwrap();
        assert_eq!(mapping.load::<u32>(0), Ok(8));
    });
}

fn request(connection: u64) -> MapRequest {
    MapRequest {
        connection,
        memory_type: 0,
        descriptor: DescriptorRange { root: 1, offset: 0, length: 128, client_address: None },
        read_only: false,
        options: MapOptions(0),
        address: 0x2_0000_0000,
    }
}

/// A mock system has one task only.
fn f26(rules: Rules) {
    const CONNECTION: u64 = 7;
    const RIGHT: u64 = 1000;
    let holder = |own_task| match mapping_holder(rules, own_task) {
        MappingHolder::Connection => CONNECTION,
        MappingHolder::Right => RIGHT,
    };
    let (mut own, mut other) = (MappingTable::new(rules), MappingTable::new(rules));
    let here = own.map(&request(holder(true))).unwrap();
    let there = other.map(&request(holder(false))).unwrap();
    assert_eq!(own.end_connection(CONNECTION), [here.number]);
    assert!(other.end_connection(CONNECTION).is_empty(), "it is not tied to the connection");
    assert_eq!(other.end_connection(RIGHT), [there.number], "but to the right of that task");
}

/// A Rust test cannot fork; the child's table is what it would have.
fn f27(rules: Rules) {
    let mut parent = MappingTable::new(rules);
    let mapped = parent.map(&request(7)).unwrap();
    let mut child = parent.forked();
    assert_eq!((parent.len(), child.len()), (1, 0));
    assert_eq!((parent.is_empty(), child.is_empty()), (false, true));
    let again = child.map(&request(7)).unwrap();
    assert_eq!(again.address, mapped.address, "the place is free in the child");
    assert_eq!(child.end_connection(7), [again.number]);
    assert_eq!(parent.len(), 1, "and the parent's mapping is its own");
}
