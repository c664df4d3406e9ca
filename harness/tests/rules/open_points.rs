//! What Apple's source leaves open, each point both ways: with the answer that the semantics reference
//! suggests, and with another.

use crate::b::mapping_of_nothing;
use crate::caught;
use crate::kit::{Bench, Call, Cupboard, Log, OLD_BYTE, TestDext, set_output};
use dextape::IoReturn;
use dextape::boundary::{
    OpenPoints, OutputJudge, RangeLength, Request, Rules, arrival, bad_pointer,
};
use dextape::call::MapOptions;
use dextape::connection::{AsyncWake, System};
use dextape::driverkit::{
    DextProcess, ExternalMethodArguments, OsObject, Service, UserClientMethodDispatch,
    async_completion, super_external_method,
};
use dextape::kernel::{ClientProcess, MockSystem, ServiceDescription};
use libtest_mimic::{Failed, Trial};
use std::sync::Arc;
use std::time::Duration;

/// A point, by the name of its field.
pub(crate) struct Point {
    pub(crate) field: &'static str,
    test: fn(),
}

pub(crate) const POINTS: &[Point] = &[
    Point { field: "bad_pointer", test: bad_pointers },
    Point { field: "empty_scalar_input_is_pointer", test: empty_scalar_input },
    Point { field: "output_beside_descriptor", test: output_beside_descriptor },
    Point { field: "scalar_output_start", test: scalar_output_start },
    Point { field: "memory_options_start", test: memory_options_start },
    Point { field: "foreign_wake_port", test: foreign_wake_port },
    Point { field: "completion_overtakes_call", test: completion_overtakes_call },
    Point { field: "function_checked_first", test: function_checked_first },
    Point { field: "base_method", test: base_method },
    Point { field: "base_new_user_client", test: base_new_user_client },
    Point { field: "close_waits_for_stop", test: close_waits_for_stop },
    Point { field: "address_range_length", test: address_range_length },
];

pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    POINTS.iter().map(|point| {
        let name = format!("open_point::{}", point.field);
        Trial::test(name, move || caught(point.test).map_err(Failed::from))
    })
}

const SUGGESTED: OpenPoints = OpenPoints::SUGGESTED;

fn with(open: OpenPoints) -> Rules {
    Rules::all().with_open_points(open)
}

fn bad_pointers() {
    assert_eq!(bad_pointer(with(SUGGESTED)), Ok(IoReturn::ERROR));
    let open = OpenPoints { bad_pointer: IoReturn::VM_ERROR, ..SUGGESTED };
    assert_eq!(bad_pointer(with(open)), Ok(IoReturn::VM_ERROR), "the call goes on all the same");
    assert_eq!(mapping_of_nothing(with(SUGGESTED)).1, IoReturn::ERROR);
    assert_eq!(mapping_of_nothing(with(open)).1, IoReturn::VM_ERROR);
}

fn empty_scalar_input() {
    let pointer = |open, scalar_count| {
        let request = Request { scalar_count, ..Request::default() };
        arrival(with(open), 0, &request, false).scalar_input_pointer
    };
    let open = OpenPoints { empty_scalar_input_is_pointer: false, ..SUGGESTED };
    assert_eq!([pointer(SUGGESTED, 0), pointer(SUGGESTED, 1)], [true, true]);
    assert_eq!([pointer(open, 0), pointer(open, 1)], [false, true]);
}

fn output_beside_descriptor() {
    let results = |open| {
        // 0 sets nothing, n sets n - 1 bytes.
        let dext = TestDext::new().method(|selector, arguments| {
            if selector > 0 {
                set_output(arguments, 1, selector as usize - 1);
            }
            IoReturn::SUCCESS
        });
        Bench::connected(with(open), &dext, |_, connection| {
            [0, 1, 2].map(|selector| {
                let call = Call { selector, bytes_asked: 5000, ..Call::default() };
                let answer = call.sync(connection);
                assert_eq!(answer.bytes[0], OLD_BYTE);
                answer.result
            })
        })
    };
    let success = IoReturn::SUCCESS;
    assert_eq!(results(SUGGESTED), [success, success, IoReturn::BAD_ARGUMENT]);
    let output_beside_descriptor = OutputJudge::Framework(IoReturn::INTERNAL_ERROR);
    let refused = IoReturn::INTERNAL_ERROR;
    let open = OpenPoints { output_beside_descriptor, ..SUGGESTED };
    assert_eq!(results(open), [success, refused, refused]);
}

fn scalar_output_start() {
    let seen_and_returned = |open| {
        let log = Log::new();
        let seen = log.clone();
        let dext = TestDext::new().does(move |arguments| seen.push(arguments.scalar_output[1]));
        let answer = Bench::connected(with(open), &dext, |_, connection| {
            Call { scalars_asked: 2, ..Call::default() }.sync(connection)
        });
        (log.take(), answer.scalars)
    };
    assert_eq!(seen_and_returned(SUGGESTED), (vec![0], vec![0, 0]));
    let open = OpenPoints { scalar_output_start: 0xdead, ..SUGGESTED };
    assert_eq!(seen_and_returned(open), (vec![0xdead], vec![0xdead, 0xdead]));
}

fn memory_options_start() {
    let seen_and_writable = |open| {
        let log = Log::new();
        let (seen, cupboard) = (log.clone(), Cupboard::of(&[128]));
        let dext = TestDext::new().memory(move |memory_type, options, memory| {
            seen.push(*options);
            // The dext leaves its options alone.
            let mut ignored = 0;
            cupboard.answer(memory_type, &mut ignored, memory)
        });
        let writable = Bench::connected(with(open), &dext, |_, connection| {
            let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
            mapping.store::<u8>(0, 1).is_ok()
        });
        (log.take(), writable)
    };
    assert_eq!(seen_and_writable(SUGGESTED), (vec![0], true));
    let open = OpenPoints { memory_options_start: 1, ..SUGGESTED };
    assert_eq!(seen_and_writable(open), (vec![1], false), "read-only by chance");
}

fn foreign_wake_port() {
    let result = |open| {
        Bench::connected(with(open), &TestDext::new(), |bench, connection| {
            let foreign = MockSystem::new(bench.schedule).completion_queue();
            let wake = AsyncWake { queue: Some(&*foreign), reference: Some(&[0]) };
            Call::default().with_wake(connection, &wake).result
        })
    };
    assert_eq!(result(SUGGESTED), IoReturn::MACH_SEND_INVALID_RIGHT);
    let open = OpenPoints { foreign_wake_port: IoReturn::BAD_ARGUMENT, ..SUGGESTED };
    assert_eq!(result(open), IoReturn::BAD_ARGUMENT);
}

fn completion_overtakes_call() {
    let order = |open| {
        let order = Log::new();
        let (returning, kept) = (order.clone(), Log::new());
        let keeping = kept.clone();
        let dext = TestDext::new().does(move |arguments| {
            let completion = arguments.completion.as_ref().unwrap();
            completion.retain();
            keeping.push(completion.clone());
            async_completion(completion, IoReturn::SUCCESS, &[1]);
            async_completion(completion, IoReturn::SUCCESS, &[2]);
            DextProcess::current().unwrap().schedule().sleep(Duration::from_millis(5));
            returning.push(99);
        });
        Bench::connected(with(open), &dext, |bench, connection| {
            let queue = bench.queue();
            let (waiter, seen) = (Arc::clone(&queue), order.clone());
            let receiver = bench.schedule.spawn("receiver", move || {
                for _ in 0..3 {
                    seen.push(waiter.wait(None).unwrap().arguments[0]);
                }
            });
            let wake = AsyncWake { queue: Some(&*queue), reference: Some(&[0]) };
            assert_eq!(Call::default().with_wake(connection, &wake).result, IoReturn::SUCCESS);
            // One that is fired later does not wait for anything.
            let action = kept.take().remove(0);
            async_completion(&action, IoReturn::SUCCESS, &[3]);
            receiver.join();
            action.release();
        });
        order.take()
    };
    assert_eq!(order(SUGGESTED), [1, 2, 99, 3]);
    let open = OpenPoints { completion_overtakes_call: false, ..SUGGESTED };
    assert_eq!(order(open), [99, 1, 2, 3], "in the same order, once the call has returned");
}

/// The result of a call without scalars of a dext with this entry.
fn through_base(open: OpenPoints, entry: Option<UserClientMethodDispatch<()>>) -> IoReturn {
    let dext =
        TestDext::new().method(move |selector, arguments: &mut ExternalMethodArguments<'_>| {
            super_external_method(selector, arguments, entry.as_ref(), Some(&()))
        });
    Bench::connected(with(open), &dext, |_, connection| Call::default().sync(connection).result)
}

fn function_checked_first() {
    let entry = UserClientMethodDispatch {
        check_scalar_input_count: 2,
        ..UserClientMethodDispatch::UNCHECKED
    };
    assert_eq!(through_base(SUGGESTED, Some(entry)), IoReturn::BAD_ARGUMENT);
    let open = OpenPoints { function_checked_first: true, ..SUGGESTED };
    assert_eq!(through_base(open, Some(entry)), IoReturn::NO_COMPLETION);
}

fn base_method() {
    assert_eq!(through_base(SUGGESTED, None), IoReturn::UNSUPPORTED);
    let open = OpenPoints { base_method: IoReturn::BAD_ARGUMENT, ..SUGGESTED };
    assert_eq!(through_base(open, None), IoReturn::BAD_ARGUMENT);
}

fn base_new_user_client() {
    struct Unopened;
    impl Service for Unopened {}

    let opened = |open| {
        let description = ServiceDescription::dext("TestDext", "com.example.test");
        Bench::run_for(with(open), ClientProcess::default(), description, Unopened, |bench| {
            bench.mock.open(bench.service, 0).map(drop)
        })
    };
    assert_eq!(opened(SUGGESTED), Err(IoReturn::UNSUPPORTED));
    let open = OpenPoints { base_new_user_client: IoReturn::ERROR, ..SUGGESTED };
    assert_eq!(opened(open), Err(IoReturn::ERROR));
}

fn close_waits_for_stop() {
    const STOPPING: Duration = Duration::from_secs(1);
    let closed_at = |open| {
        let dext = TestDext::new().stop(|| {
            DextProcess::current().unwrap().schedule().sleep(STOPPING);
        });
        Bench::connected(with(open), &dext, |bench, connection| {
            assert_eq!(connection.close(), IoReturn::SUCCESS);
            let stopped = dext.stops.take().len();
            (bench.schedule.now(), stopped)
        })
    };
    assert_eq!(closed_at(SUGGESTED), (Duration::ZERO, 0));
    let open = OpenPoints { close_waits_for_stop: true, ..SUGGESTED };
    assert_eq!(closed_at(open), (STOPPING, 1));
}

fn address_range_length() {
    let lengths = |open| {
        let cupboard = Cupboard::of(&[128]);
        let dext = TestDext::new().serves(&cupboard);
        Bench::connected(with(open), &dext, |_, connection| {
            connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
            let buffer = cupboard.buffer(0);
            assert_eq!(buffer.set_length(32), IoReturn::SUCCESS);
            (buffer.length(), buffer.address_range().length())
        })
    };
    assert_eq!(lengths(SUGGESTED), (32, 32));
    let open = OpenPoints { address_range_length: RangeLength::Capacity, ..SUGGESTED };
    assert_eq!(lengths(open), (32, 128));
}
