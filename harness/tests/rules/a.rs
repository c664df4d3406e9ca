//! Group A: the client library.

use crate::RuleTest;
use crate::kit::{Answer, Bench, Call, Log, OLD_BYTE, OLD_SCALAR, TestDext, bytes, set_output};
use dextape::IoReturn;
use dextape::boundary::library::{Destination, Stop, request, send};
use dextape::boundary::{
    CallShape, ClientRange, DextReply, Pointer, Request, Rule, Rules, StructureShape, Transfer,
    reply,
};
use dextape::connection::{
    AsyncWake, Connection, MethodInput, MethodOutput, StructureInput, StructureOutput,
};

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::A1, a1),
    (Rule::A2, a2),
    (Rule::A3, a3),
    (Rule::A4, a4),
    (Rule::A5, a5),
    (Rule::A6, a6),
    (Rule::A7, a7),
    (Rule::A8, a8),
    (Rule::A9, a9),
    (Rule::A10, a10),
    (Rule::A11, a11),
    (Rule::A12, a12),
    (Rule::A13, a13),
    (Rule::A14, a14),
    (Rule::A15, a15),
    (Rule::A16, a16),
    (Rule::A17, a17),
    (Rule::A18, a18),
];

/// What the dext saw of a call's structures: lengths of data and descriptor, each way.
#[derive(Debug, PartialEq)]
struct Seen {
    data: Option<u64>,
    descriptor: Option<u64>,
    maximum: u64,
    output_descriptor: Option<u64>,
}

fn looking() -> (TestDext, Log<Seen>) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().does(move |arguments| {
        let length = |descriptor: &Option<dextape::driverkit::MemoryDescriptor>| {
            descriptor.as_ref().map(|descriptor| descriptor.length())
        };
        seen.push(Seen {
            data: arguments.structure_input.as_ref().map(|data| data.len() as u64),
            descriptor: length(&arguments.structure_input_descriptor),
            maximum: arguments.structure_output_maximum_size,
            output_descriptor: length(&arguments.structure_output_descriptor),
        });
    });
    (dext, log)
}

const NOTHING: Seen = Seen { data: None, descriptor: None, maximum: 0, output_descriptor: None };

/// The wrappers are the general call with the other half NULL and 0, and check nothing more.
fn a1(rules: Rules) {
    let empty = CallShape::default();
    assert_eq!(CallShape::scalar(0, None), empty);
    let expected = Request { scalar_output_null: true, output_null: true, ..Request::default() };
    assert_eq!(request(rules, &empty), Ok(expected));
    let general = CallShape {
        structure: StructureShape::of(8),
        output: ClientRange::Somewhere,
        output_asked: Some(24),
        ..CallShape::default()
    };
    assert_eq!(CallShape::structure(StructureShape::of(8), StructureShape::of(24)), general);
}

fn a2(rules: Rules) {
    let (dext, log) = looking();
    Bench::connected(rules, &dext, |_, connection| {
        let call = Call { scalars: &[1; 17], scalars_asked: 16, bytes_asked: 8, ..Call::default() };
        let expected = Answer {
            result: IoReturn::MIG_ARRAY_TOO_LARGE,
            scalar_count: 16,
            structure_size: 8,
            scalars: vec![OLD_SCALAR; 16],
            bytes: vec![OLD_BYTE; 8],
        };
        assert_eq!(call.sync(connection), expected);
    });
    assert_eq!(log.take(), [], "the dext is not called");
}

fn a3(rules: Rules) {
    let null_scalar = CallShape { scalar_count: 1, ..CallShape::default() };
    assert_eq!(request(rules, &null_scalar), Err(Stop::Fault));
    let null_structure =
        CallShape { structure: StructureShape::null(4096), ..CallShape::default() };
    assert_eq!(request(rules, &null_structure), Err(Stop::Fault));
    let too_many = CallShape { scalar_count: 17, ..CallShape::default() };
    assert_eq!(request(rules, &too_many), Err(Stop::Refused(IoReturn::MIG_ARRAY_TOO_LARGE)));
}

fn a4(rules: Rules) {
    let shape = CallShape {
        scalar_output: Pointer::Present,
        output: ClientRange::Somewhere,
        scalars: Pointer::Present,
        scalar_count: 1,
        ..CallShape::default()
    };
    let sent = request(rules, &shape).unwrap();
    assert_eq!((sent.scalars_asked, sent.output), (0, Transfer::None));
}

fn a5(rules: Rules) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().does(move |arguments| {
        seen.push(arguments.scalar_output_count);
        for index in 0..16 {
            arguments.scalar_output[index] = 100 + index as u64;
        }
    });
    let answer = Bench::connected(rules, &dext, |_, connection| {
        Call { scalars_asked: 20, ..Call::default() }.sync(connection)
    });
    let mut scalars: Vec<u64> = (100..116).collect();
    scalars.extend([OLD_SCALAR; 4]);
    assert_eq!(answer.result, IoReturn::SUCCESS);
    assert_eq!((answer.scalar_count, answer.scalars), (16, scalars));
    assert_eq!(log.take(), [16]);
}

fn a6(rules: Rules) {
    let shape = CallShape { scalars_asked: Some(1), output_asked: Some(8), ..CallShape::default() };
    // The call is made and the dext runs.
    let sent = request(rules, &shape).unwrap();
    let dext =
        |scalar_count, structure| DextReply { result: IoReturn::SUCCESS, scalar_count, structure };
    let faults = |dext: DextReply| reply(rules, &sent, &dext).unwrap().fault;
    assert!(faults(dext(1, Some(0))), "a scalar is copied to NULL");
    assert!(faults(dext(0, Some(3))), "bytes are copied to NULL");
    assert!(!faults(dext(0, Some(0))), "nothing is copied");
    let failed = DextReply { result: IoReturn::ERROR, ..dext(1, Some(3)) };
    assert!(!faults(failed), "nothing is copied after a failure");
}

fn a7(rules: Rules) {
    let (dext, log) = looking();
    Bench::connected(rules, &dext, |_, connection| {
        let call = Call { structure: bytes(&[]), ..Call::default() };
        assert_eq!(call.sync(connection).result, IoReturn::SUCCESS);
    });
    assert_eq!(log.take(), [NOTHING]);
}

fn a8(rules: Rules) {
    let (dext, log) = looking();
    Bench::connected(rules, &dext, |_, connection| {
        for length in [1, 4096] {
            let structure = vec![1; length];
            let call = Call { structure: bytes(&structure), ..Call::default() };
            assert_eq!(call.sync(connection).result, IoReturn::SUCCESS);
        }
    });
    assert_eq!(
        log.take(),
        [Seen { data: Some(1), ..NOTHING }, Seen { data: Some(4096), ..NOTHING }]
    );
}

fn a9(rules: Rules) {
    let (dext, log) = looking();
    Bench::connected(rules, &dext, |_, connection| {
        let call = Call { structure: bytes(&[1; 4097]), ..Call::default() };
        assert_eq!(call.sync(connection).result, IoReturn::SUCCESS);
    });
    assert_eq!(log.take(), [Seen { descriptor: Some(4097), ..NOTHING }]);
}

fn a10(rules: Rules) {
    let (dext, log) = looking();
    Bench::connected(rules, &dext, |_, connection| {
        let call = Call { structure: StructureInput::Null { size: 4097 }, ..Call::default() };
        assert_eq!(call.sync(connection).result, IoReturn::SUCCESS);
    });
    assert_eq!(log.take(), [NOTHING]);
}

fn a11(rules: Rules) {
    let (dext, log) = looking();
    Bench::connected(rules, &dext, |_, connection| {
        for bytes_asked in [4096, 4097] {
            let call = Call { bytes_asked, ..Call::default() };
            assert_eq!(call.sync(connection).result, IoReturn::SUCCESS);
        }
    });
    let in_line = Seen { maximum: 4096, ..NOTHING };
    let out_of_line = Seen { maximum: 4097, output_descriptor: Some(4097), ..NOTHING };
    assert_eq!(log.take(), [in_line, out_of_line]);
}

fn a12(rules: Rules) {
    let (dext, log) = looking();
    Bench::connected(rules, &dext, |_, connection| {
        for (size, returned) in [(4097, 4097), (0xffff_ffff, 0xffff_ffff), (1 << 32, 0)] {
            let answer = Call { null_asked: Some(size), ..Call::default() }.sync(connection);
            assert_eq!((answer.result, answer.structure_size), (IoReturn::SUCCESS, returned));
        }
    });
    assert_eq!(log.take(), [NOTHING, NOTHING, NOTHING]);
}

fn a13(rules: Rules) {
    let sent = |size, range| {
        let shape = CallShape { output: range, output_asked: Some(size), ..CallShape::default() };
        send(rules, &shape, Ok(())).map(|request| request.output)
    };
    let (size, range) = (1 << 32, ClientRange::Somewhere);
    assert_eq!(sent(size, range), Err(Stop::Refused(IoReturn::IPC_ERROR)));
    let size = 0xffff_ffff;
    assert_eq!(sent(size, range), Ok(Transfer::OutOfLine { size, range }));
    let (size, range) = (1 << 32, ClientRange::Null);
    assert_eq!(sent(size, range), Ok(Transfer::OutOfLine { size, range }), "A12");
}

fn a14(rules: Rules) {
    let dext = TestDext::new().method(|selector, arguments| {
        set_output(arguments, 3, 10_000);
        IoReturn(selector as u32)
    });
    let with = |connection: &dyn Connection, selector, scalars, wake: Option<AsyncWake<'_>>| {
        let mut bytes = vec![OLD_BYTE; 8];
        let mut output = MethodOutput::new(&mut [], StructureOutput::Variable(&mut bytes));
        let input = MethodInput { scalars, ..MethodInput::default() };
        let result = match wake {
            None => connection.call_method(selector, &input, &mut output),
            Some(wake) => connection.call_async_method(selector, &wake, &input, &mut output),
        };
        (result, output.structure_size, bytes)
    };
    let call = |connection: &dyn Connection, selector, wake: Option<AsyncWake<'_>>| {
        with(connection, selector, &[], wake)
    };
    Bench::connected(rules, &dext, |_, connection| {
        assert_eq!(call(connection, 0, None), (IoReturn::SUCCESS, 10_000, vec![3; 10_000]));
        let failure = IoReturn::NOT_READY;
        assert_eq!(call(connection, failure.0, None), (failure, 0, vec![]), "emptied on failure");
        let wake = AsyncWake { queue: None, reference: Some(&[0]) };
        let (result, ..) = call(connection, 0, Some(wake));
        assert_eq!(result, IoReturn::IPC_ERROR, "a huge size in an asynchronous call");
        // Emptied also where nothing is sent.
        let (result, size, bytes) = with(connection, 0, &[0; 17], None);
        assert_eq!((result, size, bytes), (IoReturn::MIG_ARRAY_TOO_LARGE, 0, vec![]));
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        let (result, size, bytes) = call(connection, 0, None);
        assert_eq!((result, size, bytes), (IoReturn::MACH_SEND_INVALID_DEST, 0, vec![]));
    });
}

fn a15(rules: Rules) {
    for nobody in [Destination::Null, Destination::Dead, Destination::Unknown] {
        assert_eq!(nobody.check(rules), Err(IoReturn::MACH_SEND_INVALID_DEST), "{nobody:?}");
    }
    let (dext, log) = looking();
    Bench::connected(rules, &dext, |_, connection| {
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        let answer = Call::default().sync(connection);
        assert_eq!(answer.result, IoReturn::MACH_SEND_INVALID_DEST, "the name is unknown now");
    });
    assert_eq!(log.take(), []);
}

fn a16(rules: Rules) {
    assert_eq!(Destination::OtherKind.check(rules), Err(IoReturn::BAD_ARGUMENT));
    assert_eq!(Destination::Connection.check(rules), Ok(()));
}

fn a17(rules: Rules) {
    let dext = TestDext::new().method(|_, arguments| {
        arguments.scalar_output.fill(1);
        arguments.scalar_output_count = 2;
        set_output(arguments, 1, 10);
        IoReturn::OFFLINE
    });
    let answer = Bench::connected(rules, &dext, |_, connection| {
        Call { scalars_asked: 4, bytes_asked: 64, ..Call::default() }.sync(connection)
    });
    let expected = Answer {
        result: IoReturn::OFFLINE,
        scalar_count: 4,
        structure_size: 64,
        scalars: vec![OLD_SCALAR; 4],
        bytes: vec![OLD_BYTE; 64],
    };
    assert_eq!(answer, expected);
}

fn a18(rules: Rules) {
    let wake = |reference| AsyncWake { queue: None, reference: Some(reference) };
    Bench::connected(rules, &TestDext::new(), |_, connection| {
        // The reference count before the out-of-line size.
        let mut bytes = Vec::new();
        let mut output = MethodOutput::new(&mut [], StructureOutput::Variable(&mut bytes));
        let input = MethodInput::default();
        let result = connection.call_async_method(0, &wake(&[]), &input, &mut output);
        assert_eq!(result, IoReturn::BAD_ARGUMENT);

        assert_eq!(connection.close(), IoReturn::SUCCESS);
        // The client's own counts before the connection.
        let too_many = Call { scalars: &[0; 17], ..Call::default() };
        assert_eq!(too_many.sync(connection).result, IoReturn::MIG_ARRAY_TOO_LARGE);
        let answer = Call::default().with_wake(connection, &wake(&[0; 9]));
        assert_eq!(answer.result, IoReturn::MIG_ARRAY_TOO_LARGE);
        // The connection before the reference count.
        let answer = Call::default().with_wake(connection, &wake(&[]));
        assert_eq!(answer.result, IoReturn::MACH_SEND_INVALID_DEST);
    });
}
