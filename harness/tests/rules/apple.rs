//! What Apple's own tests of the boundary test, said anew: the tests of xnu that call a user client, and
//! those of its memory descriptors whose rules reach a client. The rounds of opening, mapping,
//! unmapping and closing are in `harness/tests/rounds.rs`, the six selectors of Apple's sample in the
//! scenario `null-driver`.

use crate::caught;
use crate::kit::{Bench, Call, Cupboard, Log, TestDext, bytes};
use dextape::IoReturn;
use dextape::boundary::Rules;
use dextape::boundary::dispatch::{ArrayEntry, CallFacts, DispatchChecks, UNCHECKED, kext_array};
use dextape::boundary::entitlement::USER_CLIENT_ENTITLEMENTS;
use dextape::call::MapOptions;
use dextape::connection::{
    AsyncWake, MethodInput, MethodOutput, StructureInput, StructureOutput, System,
};
use dextape::driverkit::{
    BufferMemoryDescriptor, DextProcess, Direction, MappingOptions, MemoryDescriptor, MemoryMap,
    OsObject,
};
use dextape::kernel::{ClientProcess, ServiceDescription};
use dextape::limits::PAGE_SIZE;
use dextape::memory::{Memory, SharedBuffer};
use libtest_mimic::{Failed, Trial};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A test of Apple's, and the one that stands for it here.
pub(crate) struct Idea {
    /// What Apple calls it, and what it asserts.
    pub(crate) apple: &'static str,
    pub(crate) says: &'static str,
    pub(crate) name: &'static str,
    test: fn(),
}

pub(crate) const IDEAS: &[Idea] = &[
    Idea {
        apple: "ioconnectasyncmethod_57641955.c",
        says: "a reference with count 0 is a bad argument, and the driver is not reached",
        name: "reference_of_no_entries",
        test: reference_of_no_entries,
    },
    Idea {
        apple: "IOUserClient2022_entitlements.c",
        says: "an open and a method of a dispatch array may each ask for an entitlement",
        name: "entitlement_of_a_method",
        test: entitlement_of_a_method,
    },
    Idea {
        apple: "IOMultMemoryDescriptorTest",
        says: "parts of a memory of two ranges, joined, show their pages in the order of the list",
        name: "parts_of_a_joined_memory_joined",
        test: parts_of_a_joined_memory_joined,
    },
    Idea {
        apple: "IOBMDSetLengthMapTest",
        says: "a larger length after a small mapping maps",
        name: "set_length_then_map",
        test: set_length_then_map,
    },
    Idea {
        apple: "IOBMDOverflowTest",
        says: "a capacity near 2^64 fails and does not wrap",
        name: "capacity_near_the_end_of_numbers",
        test: capacity_near_the_end_of_numbers,
    },
    Idea {
        apple: "ZeroLengthTest",
        says: "memory of no length can be had, but not mapped",
        name: "memory_of_no_length",
        test: memory_of_no_length,
    },
    Idea {
        apple: "BadFixedAllocTest",
        says: "a mapping at address 0x2000 is none",
        name: "address_that_cannot_be",
        test: address_that_cannot_be,
    },
    Idea {
        apple: "IOMemoryMapTest, copy-on-write",
        says: "what the owner writes after the mapping was made is not seen",
        name: "input_is_a_snapshot",
        test: input_is_a_snapshot,
    },
    Idea {
        apple: "IOMemoryMapTest",
        says: "without copy-on-write it is",
        name: "output_is_shared",
        test: output_is_shared,
    },
    Idea {
        apple: "TestUserClient in Tests.cpp (switched off there)",
        says: "a call during which the provider ends finishes with its own result",
        name: "provider_ends_during_a_call",
        test: provider_ends_during_a_call,
    },
];

pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    IDEAS.iter().map(|idea| {
        let name = format!("apple::{}", idea.name);
        Trial::test(name, move || caught(idea.test).map_err(Failed::from))
    })
}

/// Runs `work` in a dext, and gives what it gave.
fn in_dext<R: Clone + Send + 'static>(work: impl Fn() -> R + Send + Sync + 'static) -> R {
    let log = Log::new();
    let done = log.clone();
    let dext = TestDext::new().does(move |_| done.push(work()));
    Bench::connected(Rules::all(), &dext, |_, connection| {
        assert_eq!(Call::default().sync(connection).result, IoReturn::SUCCESS);
    });
    log.take().remove(0)
}

fn reference_of_no_entries() {
    let log = Log::new();
    let called = log.clone();
    let dext = TestDext::new().does(move |_| called.push(()));
    Bench::connected(Rules::all(), &dext, |bench, connection| {
        let queue = bench.queue();
        let wake = AsyncWake { queue: Some(&*queue), reference: Some(&[]) };
        let answer = Call::default().with_wake(connection, &wake);
        assert_eq!(answer.result, IoReturn::BAD_ARGUMENT);
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        assert_eq!(queue.poll(), None);
    });
    assert!(log.take().is_empty());
}

/// A user client that asks for an entitlement at its open and has two methods without arguments, of
/// which the second asks for one.
fn entitlement_of_a_method() {
    const OPENS: &str = "com.example.open";
    let description = ServiceDescription::dext("TestDext", "com.example.test")
        .user_client_property(USER_CLIENT_ENTITLEMENTS, OPENS);
    let opened = |client| {
        let dext = TestDext::new();
        Bench::run_for(Rules::all(), client, description.clone(), dext, |bench| {
            bench.mock.open(bench.service, 0).map(drop)
        })
    };
    assert_eq!(opened(ClientProcess::default().entitled(OPENS, true)), Ok(()));
    assert_eq!(opened(ClientProcess::default()), Err(IoReturn::NOT_PRIVILEGED));

    let checks = DispatchChecks {
        completion_exists: UNCHECKED,
        scalar_input_count: 0,
        structure_input_size: 0,
        scalar_output_count: 0,
        structure_output_size: 0,
    };
    let open =
        ArrayEntry { checks, has_function: true, allow_async: false, lacks_entitlement: false };
    let array = |lacks_entitlement| [open, ArrayEntry { lacks_entitlement, ..open }];
    let call = |lacks, selector| {
        kext_array(Rules::all(), Some(&array(lacks)), selector, &CallFacts::default())
    };
    assert_eq!([call(true, 0), call(true, 1)], [Ok(()), Err(IoReturn::NOT_PRIVILEGED)]);
    assert_eq!([call(false, 0), call(false, 1)], [Ok(()), Ok(())]);
}

fn parts_of_a_joined_memory_joined() {
    let pages = |count: u64| count * PAGE_SIZE;
    let (length, seen) = in_dext(move || {
        let buffer = |count| BufferMemoryDescriptor::create(Direction::IN_OUT, pages(count), 0);
        let ranges = [buffer(3).unwrap(), buffer(2).unwrap()];
        let whole = MemoryDescriptor::create_with_memory_descriptors(
            Direction::IN_OUT,
            &ranges.clone().map(MemoryDescriptor::from),
        );
        let whole = whole.unwrap();
        let map = whole.create_mapping(MappingOptions::NONE, 0, 0, 0, 0).unwrap();
        for page in 0..5 {
            map.store::<u64>(pages(page), 0xa0 + page).unwrap();
        }
        // Its last page, then its second to fourth, which lie in both ranges, then the first again.
        let part = |first, count| {
            whole.create_sub_memory_descriptor(Direction::IN_OUT, pages(first), pages(count))
        };
        let parts = [part(4, 1).unwrap(), part(1, 3).unwrap(), part(0, 1).unwrap()];
        let joined =
            MemoryDescriptor::create_with_memory_descriptors(Direction::IN_OUT, &parts).unwrap();
        let behind = joined.create_mapping(MappingOptions::NONE, 0, pages(1), pages(4), 0).unwrap();
        let seen = [0, 1, 2, 3].map(|page| behind.load::<u64>(pages(page)).unwrap());
        let length = behind.length();
        behind.release();
        joined.release();
        parts.iter().for_each(OsObject::release);
        map.release();
        whole.release();
        ranges.iter().for_each(OsObject::release);
        (length, seen)
    });
    assert_eq!((length, seen), (4 * PAGE_SIZE, [0xa1, 0xa2, 0xa3, 0xa0]));
}

fn set_length_then_map() {
    // In the dext.
    let lengths = in_dext(|| {
        let buffer = BufferMemoryDescriptor::create(Direction::IN_OUT, 16 << 10, 0).unwrap();
        let lengths = [0x100, 0x200].map(|length| {
            assert_eq!(buffer.set_length(length), IoReturn::SUCCESS);
            let map = buffer.create_mapping(MappingOptions::NONE, 0, 0, 0, 0).unwrap();
            let length = map.length();
            map.release();
            length
        });
        buffer.release();
        lengths
    });
    assert_eq!(lengths, [0x100, 0x200]);
    // And in the client.
    let cupboard = Cupboard::of(&[16 << 10]);
    Bench::connected(Rules::all(), &TestDext::new().serves(&cupboard), |_, connection| {
        let map = || connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        assert_eq!(map().length(), 16 << 10);
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::SUCCESS);
        for length in [0x100, 0x200] {
            assert_eq!(cupboard.buffer(0).set_length(length), IoReturn::SUCCESS);
            assert_eq!(map().length(), length);
            assert_eq!(connection.unmap_memory(0, 0), IoReturn::SUCCESS);
        }
    });
}

fn capacity_near_the_end_of_numbers() {
    let failed = in_dext(|| {
        [u64::MAX, u64::MAX - 15, u64::MAX - (16 << 10), 1 << 63]
            .map(|capacity| BufferMemoryDescriptor::create(Direction::IN_OUT, capacity, 0).err())
    });
    assert_eq!(failed, [Some(IoReturn::NO_MEMORY); 4]);
}

fn memory_of_no_length() {
    let (length, mapped) = in_dext(|| {
        let buffer = BufferMemoryDescriptor::create(Direction::IN_OUT, 64, 0).unwrap();
        let none = buffer.create_sub_memory_descriptor(Direction::IN_OUT, 64, 0).unwrap();
        assert_eq!(buffer.set_length(0), IoReturn::SUCCESS);
        let mapped = none.create_mapping(MappingOptions::NONE, 0, 0, 0, 0).err();
        let length = (buffer.length(), none.length());
        none.release();
        buffer.release();
        (length, mapped)
    });
    assert_eq!((length, mapped), ((0, 0), Some(IoReturn::ERROR)));
    let cupboard = Cupboard::of(&[64]);
    Bench::connected(Rules::all(), &TestDext::new().serves(&cupboard), |_, connection| {
        let map = || connection.map_memory(0, MapOptions::ANYWHERE, 0);
        map().unwrap();
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::SUCCESS);
        assert_eq!(cupboard.buffer(0).set_length(0), IoReturn::SUCCESS);
        assert_eq!(map().unwrap_err(), IoReturn::BAD_ARGUMENT);
    });
}

fn address_that_cannot_be() {
    let cupboard = Cupboard::of(&[64]);
    Bench::connected(Rules::all(), &TestDext::new().serves(&cupboard), |_, connection| {
        let refused = connection.map_memory(0, MapOptions(0), 0x2000).unwrap_err();
        assert_eq!(refused, IoReturn::BAD_ARGUMENT);
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::BAD_ARGUMENT, "nothing was mapped");
    });
}

/// What a dext keeps of a call: its mapping of the client's memory.
type Kept = Arc<Mutex<Option<MemoryMap>>>;

/// A client buffer of two pages of 1, of which a dext maps and keeps either the input or the output
/// that it is; then what the dext sees there before and after the client writes 2.
fn seen_by_dext(output: bool) -> [u8; 2] {
    let kept = Kept::default();
    let keeping = Arc::clone(&kept);
    let dext = TestDext::new().does(move |arguments| {
        let descriptor = if output {
            arguments.structure_output_descriptor.clone()
        } else {
            arguments.structure_input_descriptor.clone()
        };
        let map = descriptor.unwrap().create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
        *keeping.lock().unwrap() = Some(map.unwrap());
    });
    Bench::connected(Rules::all(), &dext, |_, connection| {
        let buffer = SharedBuffer::from_bytes(&[1; 8192]);
        let memory: &dyn Memory = &**buffer.store();
        let (input, asked) = if output {
            (StructureInput::None, StructureOutput::Shared(&buffer))
        } else {
            (StructureInput::Shared(&buffer), StructureOutput::None)
        };
        let input = MethodInput { structure: input, ..MethodInput::default() };
        let mut asked = MethodOutput::new(&mut [], asked);
        assert_eq!(connection.call_method(0, &input, &mut asked), IoReturn::SUCCESS);
        let map = kept.lock().unwrap().take().unwrap();
        let before = map.load::<u8>(5000).unwrap();
        memory.store::<u8>(5000, 2).unwrap();
        let after = map.load::<u8>(5000).unwrap();
        map.release();
        [before, after]
    })
}

fn input_is_a_snapshot() {
    assert_eq!(seen_by_dext(false), [1, 1]);
}

fn output_is_shared() {
    assert_eq!(seen_by_dext(true), [1, 2]);
}

fn provider_ends_during_a_call() {
    let ending = Arc::new(Mutex::new(None));
    let striking = Arc::clone(&ending);
    let dext = TestDext::new().does(move |_| {
        let end: Box<dyn FnOnce() + Send> = striking.lock().unwrap().take().unwrap();
        end();
        DextProcess::current().unwrap().schedule().sleep(Duration::from_millis(500));
    });
    Bench::connected(Rules::all(), &dext, |bench, connection| {
        let (mock, service) = (Arc::downgrade(&bench.mock), bench.service);
        *ending.lock().unwrap() =
            Some(Box::new(move || mock.upgrade().unwrap().terminate(service)));
        let call = Call { structure: bytes(&[1; 8]), ..Call::default() };
        assert_eq!(call.sync(connection).result, IoReturn::SUCCESS);
        assert_eq!(bench.schedule.now(), Duration::from_millis(500));
        assert_eq!(call.sync(connection).result, IoReturn::MACH_SEND_INVALID_DEST);
    });
}
