//! Group B: what the dext sees.

use crate::RuleTest;
use crate::kit::{Bench, Call, Log, OLD_BYTE, TestDext, bytes, fill_descriptor, first, shared};
use dextape::IoReturn;
use dextape::boundary::{
    ClientRange, InputForm, Request, Rule, Rules, Transfer, arrival, bad_pointer,
};
use dextape::connection::{AsyncWake, MethodInput, MethodOutput, StructureInput, StructureOutput};
use dextape::driverkit::{
    AddressSegment, Direction, MappingOptions, OsObject, create_memory_descriptor_from_client,
};
use dextape::memory::AccessError;

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::B1, b1),
    (Rule::B2, b2),
    (Rule::B3, b3),
    (Rule::B4, b4),
    (Rule::B5, b5),
    (Rule::B6, b6),
    (Rule::B7, b7),
    (Rule::B8, b8),
    (Rule::B9, b9),
    (Rule::B10, b10),
    (Rule::B11, b11),
];

fn b1(rules: Rules) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().method(move |selector, arguments| {
        seen.push((selector, arguments.selector, arguments.version));
        IoReturn::SUCCESS
    });
    Bench::connected(rules, &dext, |_, connection| {
        let answer = Call { selector: 0xffff_fff0, ..Call::default() }.sync(connection);
        assert_eq!(answer.result, IoReturn::SUCCESS, "never range-checked");
    });
    assert_eq!(log.take(), [(0xffff_fff0, 0xffff_fff0, 2)]);
}

fn b2(rules: Rules) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().does(move |arguments| {
        let inputs = arguments.scalar_input.to_vec();
        seen.push((inputs, arguments.scalar_output_count, arguments.scalar_output.to_vec()));
    });
    Bench::connected(rules, &dext, |_, connection| {
        Call { scalars: &[5; 16], scalars_asked: 3, ..Call::default() }.sync(connection);
        Call { scalars: &[6], scalars_asked: 20, ..Call::default() }.sync(connection);
    });
    let expected = [(vec![5; 16], 3, vec![0; 3]), (vec![6], 16, vec![0; 16])];
    assert_eq!(log.take(), expected, "the outputs start as zeros");
}

fn b3(rules: Rules) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().does(move |arguments| {
        let data = arguments.structure_input.as_ref().unwrap();
        data.retain();
        seen.push((data.clone(), arguments.structure_input_descriptor.is_some()));
    });
    Bench::connected(rules, &dext, |_, connection| {
        let call = Call { structure: bytes(&[1, 2, 3, 4, 5]), ..Call::default() };
        assert_eq!(call.sync(connection).result, IoReturn::SUCCESS);
        let [(data, descriptor)] = &log.take()[..] else { panic!("called once") };
        assert_eq!((&data.bytes()[..], *descriptor), (&[1, 2, 3, 4, 5][..], false));
        data.release();
    });
}

fn b4(rules: Rules) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().does(move |arguments| {
        let length = arguments.structure_input_descriptor.as_ref().unwrap().length();
        seen.push((arguments.structure_input.is_some(), length));
    });
    Bench::connected(rules, &dext, |_, connection| {
        for length in [4097, 20_000] {
            Call { structure: bytes(&vec![0; length]), ..Call::default() }.sync(connection);
        }
    });
    assert_eq!(log.take(), [(false, 4097), (false, 20_000)]);
    // A range that wraps, or is more than the machine has, is no descriptor.
    assert_eq!(ClientRange::of(u64::MAX - 4096, 5000, 1 << 40), ClientRange::Absurd);
    assert_eq!(ClientRange::of(1 << 20, 1 << 41, 1 << 40), ClientRange::Absurd);
    let structure = Transfer::OutOfLine { size: 5000, range: ClientRange::Absurd };
    let request = Request { structure, ..Request::default() };
    assert_eq!(arrival(rules, 0, &request, false).input, InputForm::None);
}

fn b5(rules: Rules) {
    let buffer = shared(1, 8192);
    let client = buffer.clone();
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().does(move |arguments| {
        let descriptor = arguments.structure_input_descriptor.as_ref().unwrap();
        // Before the first mapping the client's writes still show.
        client.memory().store::<u8>(0, 2).unwrap();
        let map = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0).unwrap();
        let before = map.load::<u8>(0).unwrap();
        client.memory().store::<u8>(0, 3).unwrap();
        let again = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0).unwrap();
        seen.push((before, map.load::<u8>(0), again.load::<u8>(0), map.store::<u8>(0, 9)));
        map.release();
        again.release();
    });
    Bench::connected(rules, &dext, |_, connection| {
        let structure = StructureInput::Shared(&buffer);
        Call { structure, ..Call::default() }.sync(connection);
    });
    let refused = Err(AccessError::ReadOnly { offset: 0 });
    assert_eq!(log.take(), [(2, Ok(2), Ok(2), refused)]);
    assert_eq!(first(&buffer), 3);
}

fn b6(rules: Rules) {
    assert_eq!(bad_pointer(rules), Ok(IoReturn::ERROR), "the call goes on, the mapping fails");
    let range = ClientRange::of(0x10, 5000, 1 << 40);
    let structure = Transfer::OutOfLine { size: 5000, range };
    let request = Request { structure, ..Request::default() };
    assert_eq!(arrival(rules, 0, &request, false).input, InputForm::Descriptor { length: 5000 });
    let nowhere = Log::new();
    let seen = nowhere.clone();
    let dext = TestDext::new().does(move |arguments| {
        let given = [&arguments.structure_input_descriptor, &arguments.structure_output_descriptor];
        let mapped = given.map(|descriptor| {
            let descriptor = descriptor.as_ref()?;
            let map = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
            Some((descriptor.length(), map.err()))
        });
        seen.push((mapped, arguments.structure_output_maximum_size));
    });
    Bench::connected(rules, &dext, |_, connection| {
        let structure = StructureInput::Unmapped { size: 5000 };
        let input = MethodInput { scalars: &[], structure };
        let mut output = MethodOutput::new(&mut [], StructureOutput::Unmapped { size: 6000 });
        assert_eq!(connection.call_method(0, &input, &mut output), IoReturn::SUCCESS);
        assert_eq!(output.structure_size, 6000, "as asked (C4)");
    });
    let fails = |length| Some((length, Some(IoReturn::ERROR)));
    assert_eq!(nowhere.take(), [([fails(5000), fails(6000)], 6000)]);
    // A dext that is told an address by its client finds out in the same way.
    assert_eq!(mapping_of_nothing(rules), (IoReturn::SUCCESS, IoReturn::ERROR));
}

/// What a dext gets that describes memory which its client does not have, and maps it.
pub(crate) fn mapping_of_nothing(rules: Rules) -> (IoReturn, IoReturn) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().does(move |_| {
        let nowhere = [AddressSegment { address: 0x10, length: 5000 }];
        let descriptor = create_memory_descriptor_from_client(Direction::OUT, &nowhere).unwrap();
        let map = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
        seen.push(map.err().unwrap_or(IoReturn::SUCCESS));
        descriptor.release();
    });
    let answer =
        Bench::connected(rules, &dext, |_, connection| Call::default().sync(connection).result);
    (answer, log.take().remove(0))
}

fn b7(rules: Rules) {
    let log = Log::new();
    let seen = log.clone();
    let dext =
        TestDext::new().does(move |arguments| seen.push(arguments.structure_output_maximum_size));
    Bench::connected(rules, &dext, |_, connection| {
        for bytes_asked in [0, 10, 4096, 5000] {
            Call { bytes_asked, ..Call::default() }.sync(connection);
        }
        let mut bytes = Vec::new();
        let mut output = MethodOutput::new(&mut [], StructureOutput::Variable(&mut bytes));
        let _ = connection.call_method(0, &MethodInput::default(), &mut output);
    });
    assert_eq!(log.take(), [0, 10, 4096, 5000, 0xffff_ffff]);
}

fn b8(rules: Rules) {
    let buffer = shared(0, 5000);
    let client = buffer.clone();
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().method(move |_, arguments| {
        fill_descriptor(arguments, 4, 3);
        seen.push(first(&client));
        IoReturn::NO_SPACE
    });
    Bench::connected(rules, &dext, |_, connection| {
        let answer = Call { bytes_asked: 5000, ..Call::default() }.sync(connection);
        assert_eq!((answer.result, answer.structure_size), (IoReturn::NO_SPACE, 5000));
        assert_eq!(answer.bytes[..4], [4, 4, 4, OLD_BYTE], "the write stays, and no other byte");

        let mut output = MethodOutput::new(&mut [], StructureOutput::Shared(&buffer));
        let result = connection.call_method(0, &MethodInput::default(), &mut output);
        assert_eq!(result, IoReturn::NO_SPACE);
    });
    assert_eq!(log.take(), [0, 4], "what is written is there at once");
}

fn b9(rules: Rules) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().does(move |arguments| seen.push(arguments.completion.is_some()));
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        let call = Call::default();
        call.sync(connection);
        call.with_wake(connection, &AsyncWake { queue: None, reference: Some(&[0]) });
        call.with_wake(connection, &AsyncWake { queue: Some(&*queue), reference: Some(&[0]) });
    });
    assert_eq!(log.take(), [false, false, true]);
}

fn b10(rules: Rules) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().method(move |selector, arguments| {
        let data = arguments.structure_input.clone().unwrap();
        let descriptor = arguments.structure_output_descriptor.clone().unwrap();
        if selector == 1 {
            data.retain();
            descriptor.retain();
        }
        seen.push((data, descriptor));
        IoReturn::SUCCESS
    });
    Bench::connected(rules, &dext, |_, connection| {
        for selector in [0, 1] {
            let structure = bytes(&[1, 2, 3]);
            let call = Call { selector, structure, bytes_asked: 5000, ..Call::default() };
            assert_eq!(call.sync(connection).result, IoReturn::SUCCESS);
        }
        let [(data, descriptor), (kept, kept_descriptor)] = &log.take()[..] else {
            panic!("called twice")
        };
        assert_eq!((data.retain_count(), descriptor.retain_count()), (0, 0));
        assert_eq!((kept.retain_count(), kept_descriptor.retain_count()), (1, 1));
        assert_eq!(kept.bytes()[..], [1, 2, 3]);
        kept.release();
        kept_descriptor.release();
    });
}

/// A Rust dext gets a slice, which has no NULL.
fn b11(rules: Rules) {
    assert!(arrival(rules, 0, &Request::default(), false).scalar_input_pointer);
    let request = Request { scalar_count: 1, ..Request::default() };
    assert!(arrival(rules, 0, &request, false).scalar_input_pointer);
}
