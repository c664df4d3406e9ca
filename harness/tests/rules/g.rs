//! Group G: open and close.

use crate::RuleTest;
use crate::kit::{Bench, Call, Log, TestDext};
use dextape::IoReturn;
use dextape::boundary::library::Destination;
use dextape::boundary::{Rule, Rules, creator};
use dextape::call::ServiceId;
use dextape::connection::System;

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::G1, g1),
    (Rule::G2, g2),
    (Rule::G3, g3),
    (Rule::G9, g9),
    (Rule::G12, g12),
    (Rule::G13, g13),
    (Rule::G15, g15),
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
        assert!(bench.mock.add_right(connection.id()));
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
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        drop(connection);
        bench.mock.terminate(bench.service);
        bench.mock.settle();
        assert_eq!(dext.stops.take().len(), 1, "exactly once");
    });
}

/// A Rust client makes no traps.
fn g21(rules: Rules) {
    let others =
        [Destination::Null, Destination::Dead, Destination::Unknown, Destination::OtherKind];
    for other in others {
        assert_eq!(other.check_trap(rules), Err(IoReturn::BAD_ARGUMENT), "{other:?}");
    }
    assert_eq!(Destination::Connection.check_trap(rules), Ok(()));
}
