//! Group I: memory descriptors in a dext.

use crate::RuleTest;
use crate::kit::{Log, Way, first, goes, shared};
use dextape::IoReturn;
use dextape::boundary::descriptor::{
    ClientReach, DeviceAccess, MemoryFeature, available_since, create_from_client,
    create_sub_descriptor, create_with_descriptors,
};
use dextape::boundary::{Rule, Rules};
use dextape::connection::{Connection, MethodInput, MethodOutput, System};
use dextape::driverkit::{
    AddressSegment, BufferMemoryDescriptor, DextProcess, Direction, DispatchQueue,
    ExternalMethodArguments, MappingOptions, MemoryDescriptor, MemoryMap, OsObject, OsSharedPtr,
    Provider, Service, UserClient, create_memory_descriptor_from_client,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::limits::PAGE_SIZE;
use dextape::memory::AccessError;
use dextape::schedule::Schedule;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::I1, i1),
    (Rule::I2, i2),
    (Rule::I3, i3),
    (Rule::I4, i4),
    (Rule::I5, i5),
    (Rule::I6, i6),
    (Rule::I7, i7),
    (Rule::I8, i8),
    (Rule::I9, i9),
    (Rule::I10, i10),
    (Rule::I11, i11),
    (Rule::I12, i12),
    (Rule::I13, i13),
    (Rule::I14, i14),
    (Rule::I15, i15),
];

const REFUSED: IoReturn = IoReturn::BAD_ARGUMENT;

/// Runs `test` in a dext under these rules.
fn in_dext(rules: Rules, test: impl FnOnce()) {
    goes(Way::Dext);
    let process = DextProcess::with_rules("com.example.test", &Schedule::free(), rules);
    let _inside = process.enter();
    test();
    assert!(process.leaks().is_empty(), "{}", process.leaks());
}

fn buffer(direction: Direction, capacity: u64) -> OsSharedPtr<BufferMemoryDescriptor> {
    OsSharedPtr::adopt(BufferMemoryDescriptor::create(direction, capacity, 0).unwrap())
}

/// The mapping that these parameters make.
fn map(
    descriptor: &MemoryDescriptor,
    options: MappingOptions,
    address: u64,
    offset: u64,
    length: u64,
) -> Result<OsSharedPtr<MemoryMap>, IoReturn> {
    descriptor.create_mapping(options, address, offset, length, 0).map(OsSharedPtr::adopt)
}

fn whole(descriptor: &MemoryDescriptor) -> OsSharedPtr<MemoryMap> {
    map(descriptor, MappingOptions::NONE, 0, 0, 0).unwrap()
}

fn i1(rules: Rules) {
    let numbers = [Direction::NONE, Direction::IN, Direction::OUT, Direction::IN_OUT];
    assert_eq!(numbers.map(|direction| direction.0), [0, 1, 2, 3]);
    assert_eq!(Direction::DISABLE_COPY_ON_WRITE.0, 0x10);
    in_dext(rules, || {
        for (direction, reads, writes) in [
            (Direction::NONE, false, false),
            (Direction::IN, false, true),
            (Direction::OUT, true, false),
            (Direction::IN_OUT, true, true),
        ] {
            let access = buffer(direction, 8).device_access();
            assert_eq!(access, DeviceAccess { reads, writes }, "{direction:?}");
        }
    });
}

fn i2(rules: Rules) {
    in_dext(rules, || {
        let create = |options, capacity| {
            let made = BufferMemoryDescriptor::create(Direction(options), capacity, 0);
            made.map(OsSharedPtr::adopt).map(drop)
        };
        assert_eq!(create(4, 8), Err(REFUSED));
        assert_eq!(create(0x10, 8), Err(REFUSED), "that option is for memory of the client");
        assert_eq!(create(3, 0), Err(IoReturn::NO_MEMORY));
        assert_eq!(create(3, u64::MAX), Err(IoReturn::NO_MEMORY));
        assert_eq!(create(3, 8), Ok(()));
    });
}

fn i3(rules: Rules) {
    in_dext(rules, || {
        let buffer = buffer(Direction::IN_OUT, 100);
        let (range, map) = (buffer.address_range(), whole(&buffer));
        assert_eq!((range.size(), map.size()), (PAGE_SIZE, PAGE_SIZE));
        assert_eq!(map.address() % PAGE_SIZE, 0);
        assert!(map.read_vec(0, PAGE_SIZE).unwrap().iter().all(|byte| *byte == 0));
    });
}

fn i4(rules: Rules) {
    in_dext(rules, || assert_eq!(buffer(Direction::IN_OUT, 100).length(), 100));
}

fn i5(rules: Rules) {
    in_dext(rules, || {
        let buffer = buffer(Direction::IN_OUT, 100);
        let before = whole(&buffer);
        assert_eq!((buffer.set_length(101), buffer.length()), (IoReturn::SUCCESS, 100));
        assert_eq!((buffer.set_length(40), buffer.length()), (IoReturn::SUCCESS, 40));
        assert_eq!((before.length(), whole(&buffer).length()), (100, 40));
        assert_eq!((buffer.set_length(100), buffer.length()), (IoReturn::SUCCESS, 100));
        assert_eq!((buffer.set_length(0), buffer.length()), (IoReturn::SUCCESS, 0));
    });
}

fn i6(rules: Rules) {
    in_dext(rules, || {
        let buffer = buffer(Direction::IN_OUT, 100);
        assert_eq!((buffer.length(), buffer.address_range().length()), (100, 100));
        buffer.set_length(40).ok().unwrap();
        assert_eq!((buffer.length(), buffer.address_range().length()), (40, 40));
    });
}

fn i7(rules: Rules) {
    in_dext(rules, || {
        let buffer = buffer(Direction::IN_OUT, 100);
        let made = |mode| map(&buffer, MappingOptions(mode), 0, 0, 0).map(drop);
        for mode in [0, 0x100, 0x200, 0x400, 0x800] {
            assert_eq!(made(mode), Ok(()), "{mode:#x}");
        }
        for mode in [0x300, 0x500, 0x1000, 0xff00] {
            assert_eq!(made(mode), Err(REFUSED), "{mode:#x}");
        }
    });
}

fn i8(rules: Rules) {
    in_dext(rules, || {
        let buffer = buffer(Direction::IN_OUT, 100);
        let part = |offset, length| map(&buffer, MappingOptions::NONE, 0, offset, length).map(drop);
        assert_eq!(part(99, 1), Ok(()));
        for (offset, length) in [(100, 1), (0, 101), (1, 0), (u64::MAX, 2)] {
            assert_eq!(part(offset, length), Err(IoReturn::ERROR), "{length} at {offset}");
        }
        buffer.set_length(0).ok().unwrap();
        assert_eq!(part(0, 0), Err(IoReturn::ERROR), "memory without bytes");

        let two = self::buffer(Direction::IN_OUT, 2 * PAGE_SIZE);
        let fixed = |address| map(&two, MappingOptions::FIXED_ADDRESS, address, 0, 0);
        let base = 0x2_0000_0000;
        let placed = fixed(base).unwrap();
        for taken in [base + PAGE_SIZE, base - PAGE_SIZE, 0, u64::MAX] {
            assert_eq!(fixed(taken).map(drop), Err(IoReturn::ERROR), "{taken:#x}");
        }
        drop(placed);
        assert_eq!(fixed(base + PAGE_SIZE).map(drop), Ok(()), "free again");
    });
}

fn i9(rules: Rules) {
    in_dext(rules, || {
        let buffer = buffer(Direction::IN_OUT, 100);
        let address = 0x2_0000_0000 + 5;
        // Nothing in the descriptor is left out, and the address is not asked for.
        let all = map(&buffer, MappingOptions::NONE, address, 0, 0).unwrap();
        assert_eq!((all.offset(), all.length()), (0, 100));
        assert_ne!(all.address(), address - 5);
        let fixed = map(&buffer, MappingOptions::FIXED_ADDRESS, address, 8, 20).unwrap();
        let at = (fixed.address(), fixed.offset(), fixed.length());
        assert_eq!(at, (address - 5 + 8, 8, 20), "the page, and the memory's place in it");
        let aligned = buffer.create_mapping(MappingOptions::NONE, 0, 8, 8, 1 << 20).unwrap();
        assert_eq!(aligned.address() % PAGE_SIZE, 8, "the alignment is ignored");
        aligned.release();
    });
}

fn i10(rules: Rules) {
    in_dext(rules, || {
        let write = |descriptor: &MemoryDescriptor, options| {
            map(descriptor, options, 0, 0, 0).unwrap().store::<u8>(0, 1)
        };
        let refused = Err(AccessError::ReadOnly { offset: 0 });
        for direction in [Direction::NONE, Direction::IN, Direction::OUT, Direction::IN_OUT] {
            let own = buffer(direction, 8);
            let options = MappingOptions::READ_ONLY;
            assert_eq!(write(&own, MappingOptions::NONE), Ok(()), "{direction:?}");
            assert_eq!(write(&own, options), Ok(()), "{direction:?}: always, to its maker");
            // A part of it is a descriptor of its own, with a direction of its own.
            let part = own.create_sub_memory_descriptor(direction, 0, 8).map(OsSharedPtr::adopt);
            let part = part.unwrap();
            let out = direction == Direction::OUT;
            assert_eq!(write(&part, MappingOptions::NONE), if out { refused } else { Ok(()) });
            assert_eq!(write(&part, options), refused, "{direction:?}");
        }
    });
}

fn i11(rules: Rules) {
    in_dext(rules, || {
        let buffer = buffer(Direction::IN_OUT, 3 * PAGE_SIZE);
        let (one, two) = (whole(&buffer), whole(&buffer));
        assert_eq!(one.address(), two.address());
        drop(one);
        let address = two.address();
        assert_eq!(whole(&buffer).address(), address, "it is there as long as one is");
        drop(two);
        let options = MappingOptions::CACHE_MODE_INHIBIT;
        let (plain, other) = (whole(&buffer), map(&buffer, options, 0, 0, 0).unwrap());
        assert_ne!(plain.address(), other.address(), "not equal");
        other.store::<u8>(5, 9).unwrap();
        assert_eq!(plain.load::<u8>(5), Ok(9), "and still the same memory");
    });
}

fn i12(rules: Rules) {
    let none = create_sub_descriptor(rules, None, 1, 0, 1);
    assert_eq!(none, Err(REFUSED), "a Rust dext has no NULL parent");
    in_dext(rules, || {
        let parent = buffer(Direction::OUT, 100);
        let part = |options, offset, length| {
            let part = parent.create_sub_memory_descriptor(Direction(options), offset, length);
            part.map(OsSharedPtr::adopt)
        };
        for (options, offset, length) in [(4, 0, 1), (1, 90, 11), (1, 101, 0), (1, u64::MAX, 2)] {
            assert_eq!(part(options, offset, length).err(), Some(REFUSED), "{offset}, {length}");
        }
        let inner = part(1, 16, 32).unwrap();
        assert_eq!((inner.length(), inner.direction()), (32, Direction::IN), "not the parent's");
        parent.address_range().store::<u64>(24, 9).unwrap();
        assert_eq!(whole(&inner).load::<u64>(8), Ok(9));
        assert_eq!(part(1, 100, 0).unwrap().length(), 0, "nothing, at the very end");
    });
}

fn i13(rules: Rules) {
    let four = create_with_descriptors(rules, 3, 4, None);
    assert_eq!(four, Err(IoReturn::KERN_INVALID_ADDRESS), "the stub copies a NULL array");
    assert_eq!(create_with_descriptors(rules, 3, 33, None), Err(IoReturn::OVERRUN), "but counts");
    assert_eq!(create_with_descriptors(rules, 3, 0, None), Err(REFUSED));
    assert_eq!(create_with_descriptors(rules, 3, 2, Some(&[true, false])), Err(REFUSED));
    in_dext(rules, || {
        let join = |options, parts: &[MemoryDescriptor]| {
            let whole = MemoryDescriptor::create_with_memory_descriptors(Direction(options), parts);
            whole.map(OsSharedPtr::adopt)
        };
        let pages = buffer(Direction::IN, 2 * PAGE_SIZE);
        let page = buffer(Direction::IN, PAGE_SIZE);
        let tail = buffer(Direction::OUT, 10);
        for (place, buffer) in (1..).zip([&pages, &page, &tail]) {
            buffer.address_range().store::<u8>(3, place).unwrap();
        }
        let parts = [tail.descriptor(), page.descriptor(), pages.descriptor()];
        assert_eq!(join(1, &[]).err(), Some(REFUSED));
        assert_eq!(join(4, &parts).err(), Some(REFUSED));
        let many = vec![page.descriptor(); 33];
        assert_eq!(join(1, &many).err(), Some(IoReturn::OVERRUN));
        assert_eq!(join(1, &many[1..]).unwrap().length(), 32 * PAGE_SIZE);

        // In their order, with the bytes of one behind those of the other.
        let whole = join(1, &[page.descriptor(), pages.descriptor(), tail.descriptor()]).unwrap();
        assert_eq!((whole.length(), whole.direction()), (3 * PAGE_SIZE + 10, Direction::IN));
        let map = self::whole(&whole);
        let seen = [0, 1, 3].map(|index| map.load::<u8>(index * PAGE_SIZE + 3).unwrap());
        assert_eq!(seen, [2, 1, 3]);
        map.store::<u8>(2 * PAGE_SIZE, 7).unwrap();
        assert_eq!(pages.address_range().load::<u8>(PAGE_SIZE), Ok(7), "no copy");
        let over = self::map(&whole, MappingOptions::NONE, 0, PAGE_SIZE - 4, 8).unwrap();
        assert_eq!((over.offset(), over.read_vec(0, 8).unwrap()[7]), (PAGE_SIZE - 4, 1));
        let sub = whole.create_sub_memory_descriptor(Direction::IN, 3 * PAGE_SIZE, 10).unwrap();
        assert_eq!(self::whole(&sub).load::<u8>(3), Ok(3));
        sub.release();

        // Ten bytes and a page are not one behind the other for a processor.
        let uneven = join(1, &parts).unwrap();
        assert_eq!(uneven.length(), 3 * PAGE_SIZE + 10);
        let across = self::map(&uneven, MappingOptions::NONE, 0, 0, 0).map(drop);
        assert_eq!(across, Err(IoReturn::ERROR));
        let first = self::map(&uneven, MappingOptions::NONE, 0, 0, 10).unwrap();
        assert_eq!(first.load::<u8>(3), Ok(3));
    });
}

/// A dext that describes memory of its client in each place where it can be asked to.
#[derive(Clone)]
struct Describer {
    log: Log<(&'static str, Result<(), IoReturn>)>,
}

impl Describer {
    fn try_it(&self, place: &'static str) {
        let segment = AddressSegment { address: 0x7000_0000_0000, length: 8 };
        let made = create_memory_descriptor_from_client(Direction::IN, &[segment]);
        self.log.push((place, made.map(OsSharedPtr::adopt).map(drop)));
    }
}

impl Service for Describer {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        self.try_it("NewUserClient");
        Ok(Some(Arc::new(self.clone())))
    }
}

impl UserClient for Describer {
    fn start(&self, _: &Provider) -> IoReturn {
        self.try_it("Start");
        IoReturn::SUCCESS
    }

    fn stop(&self, _: &Provider) -> IoReturn {
        self.try_it("Stop");
        let (later, queue) = (self.clone(), DispatchQueue::create("later").unwrap());
        queue.dispatch_after(Duration::from_secs(1), move || later.try_it("later"));
        queue.release();
        IoReturn::SUCCESS
    }

    /// Selector 0 says whether it can be done; others describe what the scalars say (options, then
    /// addresses and lengths), write to it, and give what a mapping shows.
    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        if selector == 0 {
            self.try_it("ExternalMethod");
            return IoReturn::SUCCESS;
        }
        let (options, rest) = arguments.scalar_input.split_first().unwrap();
        let segments: Vec<_> = rest
            .chunks(2)
            .map(|pair| AddressSegment { address: pair[0], length: pair[1] })
            .collect();
        let made = create_memory_descriptor_from_client(Direction(*options), &segments);
        let descriptor = match made.map(OsSharedPtr::adopt) {
            Ok(descriptor) => descriptor,
            Err(code) => return code,
        };
        arguments.scalar_output[0] = descriptor.length();
        match map(&descriptor, MappingOptions::NONE, 0, 0, 0) {
            Err(code) => code,
            Ok(map) => {
                let last = descriptor.length() - 1;
                arguments.scalar_output[1] = u64::from(map.load::<u8>(last).unwrap());
                let written = map.store::<u8>(0, 0x55);
                if written.is_ok() { IoReturn::SUCCESS } else { IoReturn::NOT_WRITABLE }
            }
        }
    }
}

/// Result, length and last byte of a description.
fn describe(connection: &dyn Connection, scalars: &[u64]) -> (IoReturn, u64, u64) {
    let mut outputs = [0; 2];
    let mut output = MethodOutput { scalar_count: 2, ..Default::default() };
    output.scalars = &mut outputs;
    let input = MethodInput { scalars, ..Default::default() };
    let result = connection.call_method(1, &input, &mut output);
    (result, outputs[0], outputs[1])
}

fn i14(rules: Rules) {
    let ready = |options, segments| {
        let made = create_from_client(rules, options, segments, ClientReach::Ready);
        made.map(|made| (made.direction, made.copy_on_write))
    };
    assert_eq!(ready(1, 33), Err(IoReturn::OVERRUN));
    assert_eq!(ready(0xff11, 32), Ok((1, false)), "other options are ignored");
    assert_eq!(ready(2, 1), Ok((2, true)));
    let nobody = create_from_client(rules, 1, 1, ClientReach::NoUserClient);
    assert_eq!(nobody, Err(REFUSED));

    let log = Log::new();
    goes(Way::Mock);
    Schedule::simulate(7, |schedule| {
        let mock = MockSystem::with_rules(schedule, rules);
        let description = ServiceDescription::dext("Describer", "com.example.describer");
        let service = mock.publish(description, Arc::new(Describer { log: log.clone() })).unwrap();
        let connection = mock.open(service, 0).unwrap();
        let call = connection.call_method(0, &MethodInput::default(), &mut MethodOutput::default());
        assert_eq!(call, IoReturn::SUCCESS);
        client_memory(&mock, &*connection);
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        mock.settle();
        schedule.sleep(Duration::from_secs(2));
        assert!(mock.leaks().is_empty(), "{:?}", mock.leaks());
    });
    let early = Err(IoReturn::NOT_READY);
    let expected = [
        ("NewUserClient", early),
        ("Start", early),
        ("ExternalMethod", Ok(())),
        ("Stop", Ok(())),
        ("later", early),
    ];
    assert_eq!(log.take(), expected);
}

fn client_memory(mock: &MockSystem, connection: &dyn Connection) {
    let (one, two) = (shared(1, PAGE_SIZE as usize), shared(2, 100));
    let (at, next) = (mock.address_of(&one), mock.address_of(&two));
    assert_eq!(at, mock.address_of(&one));
    let through = Direction::IN_OUT | Direction::DISABLE_COPY_ON_WRITE;

    // A copy unless the dext says otherwise, and read-only where it is only to be read.
    assert_eq!(describe(connection, &[3, at, 16]), (IoReturn::SUCCESS, 16, 1));
    assert_eq!(first(&one), 1, "what the dext wrote is its own");
    assert_eq!(describe(connection, &[2, at, 16]), (IoReturn::NOT_WRITABLE, 0, 0));
    assert_eq!(describe(connection, &[through.0, at, 16]), (IoReturn::SUCCESS, 16, 1));
    assert_eq!(first(&one), 0x55);

    // Two ranges are one descriptor, in their order.
    let pair = [through.0, at, PAGE_SIZE, next, 100];
    assert_eq!(describe(connection, &pair), (IoReturn::SUCCESS, PAGE_SIZE + 100, 2));

    // Where the client has nothing the mapping fails, and a range that wraps is none.
    assert_eq!(describe(connection, &[3, 0x1000, 16]), (IoReturn::ERROR, 0, 0));
    assert_eq!(describe(connection, &[3, at, PAGE_SIZE + 1]), (IoReturn::ERROR, 0, 0));
    assert_eq!(describe(connection, &[3, u64::MAX, 16]), (IoReturn::NO_MEMORY, 0, 0));
    assert_eq!(describe(connection, &[3]), (IoReturn::NO_MEMORY, 0, 0));
}

fn i15(rules: Rules) {
    let since = |feature| available_since(rules, feature);
    assert_eq!(since(MemoryFeature::Mappings), 19);
    for feature in [
        MemoryFeature::SubDescriptors,
        MemoryFeature::JoinedDescriptors,
        MemoryFeature::ClientDescriptors,
    ] {
        assert_eq!(since(feature), 20, "{feature:?}");
    }
    assert_eq!(since(MemoryFeature::GuardedMappings), 21);
    assert_eq!(since(MemoryFeature::RealTimeCacheMode), 24);
}
