//! Group G: open and close.

use crate::RuleTest;
use crate::kit::{Bench, Call, Log, TestDext};
use dextape::IoReturn;
use dextape::boundary::library::Destination;
use dextape::boundary::other::{self, Serialised};
use dextape::boundary::{Rule, Rules, creator};
use dextape::call::{ConnectionId, ServiceId};
use dextape::connection::{Connection, System, Value};
use dextape::kernel::MockSystem;

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::G1, g1),
    (Rule::G2, g2),
    (Rule::G3, g3),
    (Rule::G9, g9),
    (Rule::G12, g12),
    (Rule::G13, g13),
    (Rule::G15, g15),
    (Rule::G16, g16),
    (Rule::G17, g17),
    (Rule::G18, g18),
    (Rule::G19, g19),
    (Rule::G20, g20),
    (Rule::G21, g21),
];

fn g1(rules: Rules) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().new_client(move |open_type| {
        seen.push(open_type);
        Ok(true)
    });
    Bench::run(rules, &dext, |bench| {
        let error = bench.mock.open(ServiceId(99), 0).unwrap_err();
        assert_eq!(error, IoReturn::BAD_ARGUMENT);
    });
    assert!(log.take().is_empty(), "the dext is not asked");
}

fn g2(rules: Rules) {
    for code in [IoReturn::NOT_PERMITTED, IoReturn(0x1234)] {
        let dext = TestDext::new().new_client(move |_| Err(code));
        Bench::run(rules, &dext, |bench| {
            assert_eq!(bench.mock.open(bench.service, 0).unwrap_err(), code);
        });
    }
}

fn g3(rules: Rules) {
    let dext = TestDext::new().new_client(|_| Ok(false));
    Bench::run(rules, &dext, |bench| {
        assert_eq!(bench.mock.open(bench.service, 0).unwrap_err(), IoReturn::ERROR);
    });
}

fn g9(rules: Rules) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().new_client(move |open_type| {
        seen.push(open_type);
        Ok(true)
    });
    Bench::run(rules, &dext, |bench| {
        let first = bench.mock.open(bench.service, 0x8765_4321).unwrap();
        let second = bench.mock.open(bench.service, 0x8765_4321).unwrap();
        assert_ne!(first.id(), second.id());
    });
    assert_eq!(log.take(), [0x8765_4321, 0x8765_4321], "a new user client each time");
    assert_eq!(creator(501, "client"), "pid 501, client");
}

fn g12(rules: Rules) {
    Bench::connected(rules, &TestDext::new(), |bench, connection| {
        bench.mock.terminate(bench.service);
        assert_eq!(bench.rights(connection.id()), 1);
        assert_eq!(connection.close(), IoReturn::MACH_SEND_INVALID_DEST);
        assert_eq!(bench.rights(connection.id()), 0, "dropped all the same");
    });
}

fn g13(rules: Rules) {
    let dext = TestDext::new();
    Bench::connected(rules, &dext, |bench, connection| {
        assert_eq!(connection.add_ref(), IoReturn::SUCCESS);
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        let answer = Call::default().sync(connection);
        assert_eq!(answer.result, IoReturn::MACH_SEND_INVALID_DEST, "terminated at once");
        assert_eq!(connection.close(), IoReturn::MACH_SEND_INVALID_DEST, "H2");
        assert_eq!(bench.rights(connection.id()), 0);
        bench.mock.settle();
        assert_eq!(dext.stops.take().len(), 1);
    });
}

fn g15(rules: Rules) {
    let dext = TestDext::new();
    Bench::run(rules, &dext, |bench| {
        drop(bench.open());
        bench.mock.settle();
        assert_eq!(dext.stops.take().len(), 1, "without a close");

        let connection = bench.open();
        assert_eq!(connection.add_ref(), IoReturn::SUCCESS);
        assert_eq!(connection.release(), IoReturn::SUCCESS);
        assert_eq!(Call::default().sync(&*connection).result, IoReturn::SUCCESS);
        assert_eq!(connection.release(), IoReturn::SUCCESS, "the last right");
        assert_eq!(connection.release(), IoReturn::KERN_INVALID_NAME);
        assert_eq!(connection.add_ref(), IoReturn::KERN_INVALID_NAME);
        bench.mock.settle();
        assert_eq!(dext.stops.take().len(), 1, "without a close");

        let connection = bench.open();
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        drop(connection);
        bench.mock.terminate(bench.service);
        bench.mock.settle();
        assert_eq!(dext.stops.take().len(), 1, "exactly once");
    });
}

/// A connection whose dext was removed, that never mapped.
fn dead(bench: &Bench<'_>) -> Box<dyn Connection> {
    let connection = bench.open();
    bench.mock.terminate(bench.service);
    connection
}

const GONE: IoReturn = IoReturn::MACH_SEND_INVALID_DEST;

fn g16(rules: Rules) {
    Bench::connected(rules, &TestDext::new(), |bench, connection| {
        let own = bench.queue();
        let other = MockSystem::new(bench.schedule).completion_queue();
        let set = |queue| connection.set_notification_port(0, queue, 7);
        assert_eq!(set(Some(&*own)), IoReturn::UNSUPPORTED);
        assert_eq!(set(None), IoReturn::UNSUPPORTED);
        assert_eq!(set(Some(&*other)), IoReturn::MACH_SEND_INVALID_RIGHT, "as in D5");
        let dead = dead(bench);
        assert_eq!(dead.set_notification_port(0, Some(&*other), 7), GONE);
    });
}

fn g17(rules: Rules) {
    Bench::connected(rules, &TestDext::new(), |bench, connection| {
        let client = bench.open();
        assert_eq!(connection.add_client(Some(client.id())), IoReturn::UNSUPPORTED);
        assert_eq!(connection.add_client(None), IoReturn::BAD_ARGUMENT);
        assert_eq!(connection.add_client(Some(ConnectionId(99))), IoReturn::BAD_ARGUMENT);
        assert_eq!(client.close(), IoReturn::SUCCESS);
        assert_eq!(connection.add_client(Some(client.id())), IoReturn::BAD_ARGUMENT, "a dead name");
        let dead = dead(bench);
        assert_eq!(dead.add_client(None), GONE, "the destination comes first");
    });
}

fn g18(rules: Rules) {
    Bench::connected(rules, &TestDext::new(), |bench, connection| {
        assert_eq!(connection.get_service(), Err(IoReturn::UNSUPPORTED));
        assert_eq!(dead(bench).get_service(), Err(GONE));
    });
}

fn g19(rules: Rules) {
    Bench::connected(rules, &TestDext::new(), |bench, connection| {
        let small = Value::from("on");
        assert_eq!(connection.set_property("Light", Some(&small)), IoReturn::UNSUPPORTED);
        assert_eq!(connection.set_properties(None), IoReturn::UNSUPPORTED, "not serialisable");
        // The signature and the word of the kind leave as much.
        let most = Value::Data(vec![0; (4 << 20) - 8]);
        assert_eq!(connection.set_properties(Some(&most)), IoReturn::UNSUPPORTED);
        let more = Value::Data(vec![0; (4 << 20) - 7]);
        assert_eq!(connection.set_properties(Some(&more)), IoReturn::MESSAGE_TOO_LARGE);
        let dead = dead(bench);
        assert_eq!(dead.set_properties(None), IoReturn::UNSUPPORTED, "the library comes first");
        assert_eq!(dead.set_properties(Some(&more)), GONE);
    });
    // Only a message that is made by hand cannot be parsed.
    let unparsable = Serialised::Bytes { size: 8, parses: false };
    assert_eq!(other::set_properties(rules, Ok(()), unparsable), Err(IoReturn::BAD_ARGUMENT));
}

fn g20(rules: Rules) {
    let dext = TestDext::new().method(|_, _| panic!("the dext is not asked"));
    Bench::connected(rules, &dext, |_, connection| {
        for index in [2, 3, u32::MAX] {
            for arguments in 0..=6 {
                assert_eq!(connection.trap(index, &[7; 6][..arguments]), IoReturn::SUCCESS);
            }
        }
        // Event links and work groups, of which there is none by that name.
        for index in [0, 1] {
            assert_eq!(connection.trap(index, &[0x1000, 4, 0x203]), IoReturn::NOT_FOUND);
            assert_eq!(connection.trap(index, &[]), IoReturn(14), "EFAULT: a name at address 0");
        }
    });
}

/// What stands for a connection is for a C client to say; a Rust client has one that ended.
fn g21(rules: Rules) {
    let others =
        [Destination::Null, Destination::Dead, Destination::Unknown, Destination::OtherKind];
    for other in others {
        assert_eq!(other.check_trap(rules), Err(IoReturn::BAD_ARGUMENT), "{other:?}");
    }
    assert_eq!(Destination::Connection.check_trap(rules), Ok(()));
    Bench::run(rules, &TestDext::new(), |bench| {
        let closed = bench.open();
        assert_eq!(closed.close(), IoReturn::SUCCESS);
        assert_eq!(closed.trap(2, &[]), IoReturn::BAD_ARGUMENT);
        assert_eq!(dead(bench).trap(2, &[]), IoReturn::BAD_ARGUMENT);
    });
}
