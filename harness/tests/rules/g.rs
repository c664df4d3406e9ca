//! Group G: open and close.

use crate::RuleTest;
use crate::kit::{Bench, Call, Log, TestDext};
use dextape::IoReturn;
use dextape::boundary::entitlement::{DEXT_ENTITLEMENTS, USER_CLIENT_ENTITLEMENTS};
use dextape::boundary::library::Destination;
use dextape::boundary::other::{self, Serialised};
use dextape::boundary::{Rule, Rules};
use dextape::call::{ConnectionId, ServiceId};
use dextape::connection::{Connection, System, Value};
use dextape::driverkit::{Created, DextProcess, Provider, Service, create};
use dextape::kernel::{ClientProcess, MockSystem, ServiceDescription};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::G1, g1),
    (Rule::G2, g2),
    (Rule::G3, g3),
    (Rule::G4, g4),
    (Rule::G5, g5),
    (Rule::G6, g6),
    (Rule::G7, g7),
    (Rule::G8, g8),
    (Rule::G9, g9),
    (Rule::G10, g10),
    (Rule::G11, g11),
    (Rule::G12, g12),
    (Rule::G13, g13),
    (Rule::G14, g14),
    (Rule::G15, g15),
    (Rule::G16, g16),
    (Rule::G17, g17),
    (Rule::G18, g18),
    (Rule::G19, g19),
    (Rule::G20, g20),
    (Rule::G21, g21),
    (Rule::G22, g22),
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

/// What an open of a dext gives, and how often the dext was asked and its user client stopped.
fn opening(
    rules: Rules,
    client: ClientProcess,
    description: ServiceDescription,
    dext: TestDext,
) -> (Result<(), IoReturn>, usize, usize) {
    let log = Log::new();
    let (seen, stops) = (log.clone(), dext.stops.clone());
    let dext = dext.new_client(move |_| {
        seen.push(());
        Ok(true)
    });
    let opened = Bench::run_for(rules, client, description, dext, |bench| {
        let opened = bench.mock.open(bench.service, 0).map(drop);
        bench.mock.settle();
        assert_eq!(bench.mock.leaks(), []);
        opened
    });
    (opened, log.take().len(), stops.take().len())
}

const BUNDLE: &str = "com.example.test";

fn described() -> ServiceDescription {
    ServiceDescription::dext("TestDext", BUNDLE)
}

fn g4(rules: Rules) {
    let dext = TestDext::new().kernel_class("IOUserService");
    let opened = opening(rules, ClientProcess::default(), described(), dext);
    assert_eq!(opened, (Err(IoReturn::UNSUPPORTED), 1, 1), "and the object is terminated");
}

fn g5(rules: Rules) {
    let stranger = || ClientProcess::new(501, "client");
    let opens = |client, description| opening(rules, client, description, TestDext::new()).0;
    let refused = Err(IoReturn::NOT_PERMITTED);
    assert_eq!(opens(stranger(), described()), Ok(()), "the dext lets in anybody");
    assert_eq!(opens(stranger(), described().guarded()), refused);
    assert_eq!(opens(stranger().may_open("com.example.other"), described().guarded()), refused);
    assert_eq!(opens(stranger().may_open(BUNDLE), described().guarded()), Ok(()));

    // Groups of which one has to be there as a whole, whoever may come in.
    let group = |keys: &[&str]| Value::Array(keys.iter().map(|key| Value::from(*key)).collect());
    let groups = Value::Array(vec![group(&["one", "two"]), group(&["three"])]);
    let grouped = described().user_client_property(DEXT_ENTITLEMENTS, groups);
    let has = |keys: &[&str]| {
        keys.iter().fold(stranger().may_open(BUNDLE), |client, key| client.entitled(key, false))
    };
    for (keys, expected) in
        [(&[][..], refused), (&["one"], refused), (&["one", "two"], Ok(())), (&["three"], Ok(()))]
    {
        assert_eq!(opens(has(keys), grouped.clone()), expected, "{keys:?}");
        assert_eq!(opens(has(keys), grouped.clone().guarded()), expected, "{keys:?}");
    }
}

fn g6(rules: Rules) {
    let opened = opening(rules, ClientProcess::default(), described().guarded(), TestDext::new());
    assert_eq!(opened, (Err(IoReturn::NOT_PERMITTED), 1, 1), "made, and then stopped");
}

fn g7(rules: Rules) {
    const KEY: &str = "com.example.private";
    let description = described().user_client_property(USER_CLIENT_ENTITLEMENTS, KEY);
    let opens = |client| opening(rules, client, description.clone(), TestDext::new());
    let refused = (Err(IoReturn::NOT_PRIVILEGED), 1, 1);
    assert_eq!(opens(ClientProcess::default()), refused);
    assert_eq!(opens(ClientProcess::default().entitled(KEY, false)), refused);
    assert_eq!(opens(ClientProcess::default().entitled(KEY, true)).0, Ok(()));
}

fn g8(rules: Rules) {
    let dext = TestDext::new().new_client(|_| {
        let process = DextProcess::current().unwrap();
        process.schedule().sleep(Duration::from_secs(60));
        Ok(true)
    });
    Bench::run(rules, &dext, |bench| {
        let (mock, clock, service) =
            (Arc::clone(&bench.mock), bench.schedule.clone(), bench.service);
        let killer = bench.schedule.spawn("killer", move || {
            clock.sleep(Duration::from_secs(1));
            mock.crash(service);
        });
        let opened = bench.mock.open(bench.service, 0).map(drop);
        assert_eq!(opened, Err(IoReturn::MIG_SERVER_DIED));
        assert_eq!(bench.schedule.now(), Duration::from_secs(1), "when it died");
        killer.join();
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
    let description = described().user_client_property("Colour", "green");
    let client = ClientProcess::new(501, "panel");
    Bench::run_for(rules, client, description, TestDext::new(), |bench| {
        let connection = bench.open();
        let properties = bench.mock.user_client_properties(connection.id()).unwrap();
        assert_eq!(properties["IOUserClientCreator"], Value::from("pid 501, panel"));
        assert_eq!(properties["Colour"], Value::from("green"));
    });
}

/// A dext without `NewUserClient`.
struct Unopened;

impl Service for Unopened {}

fn g10(rules: Rules) {
    Bench::run_for(rules, ClientProcess::default(), described(), Unopened, |bench| {
        assert_eq!(bench.mock.open(bench.service, 0).unwrap_err(), IoReturn::UNSUPPORTED);
    });
}

fn g11(rules: Rules) {
    let entries = |entries: &[(&str, &str)]| {
        let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value)));
        Value::Dictionary(entries.collect())
    };
    let description = described()
        .property("Good", entries(&[("IOClass", "IOUserUserClient"), ("Colour", "green")]))
        .property("Text", "IOUserUserClient")
        .property("NoClass", entries(&[("IOUserClass", "TestClient")]));
    let log: Log<Result<Created, IoReturn>> = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().new_client(move |_| {
        let nub = Provider::new("IOUserResources");
        seen.push(create(Some(&nub), "Good"));
        for key in ["Good", "Missing", "Text", "NoClass"] {
            seen.push(create(None, key));
        }
        DextProcess::current().unwrap().schedule().sleep(Duration::from_secs(1));
        seen.push(create(None, "Good"));
        Ok(true)
    });
    Bench::run_for(rules, ClientProcess::default(), description, dext, |bench| {
        let (mock, service) = (Arc::clone(&bench.mock), bench.service);
        let clock = bench.schedule.clone();
        let remover = bench.schedule.spawn("remover", move || {
            clock.sleep(Duration::from_millis(500));
            mock.terminate(service);
        });
        drop(bench.mock.open(bench.service, 0));
        remover.join();
    });
    let classes: Vec<_> =
        log.take().into_iter().map(|created| created.map(|created| created.class)).collect();
    let (bad, unsupported) = (Err(IoReturn::BAD_ARGUMENT), Err(IoReturn::UNSUPPORTED));
    let good = Ok("IOUserUserClient".to_owned());
    let expected = [
        unsupported.clone(),
        good,
        bad.clone(),
        bad.clone(),
        bad,
        // Its provider went meanwhile.
        unsupported,
    ];
    assert_eq!(classes, expected);
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

fn g14(rules: Rules) {
    let log = Log::new();
    let (opens, stops) = (log.clone(), log.clone());
    let dext = TestDext::new()
        .new_client(move |_| {
            opens.push("open");
            Ok(true)
        })
        .stop(move || {
            let process = DextProcess::current().unwrap();
            process.schedule().sleep(Duration::from_secs(1));
            stops.push("stop");
        });
    Bench::run(rules, &dext, |bench| {
        assert_eq!(bench.open().close(), IoReturn::SUCCESS);
        assert_eq!(log.take(), ["open"], "the close has not waited");
        let again = bench.open();
        bench.mock.settle();
        assert_eq!(log.take().len(), 2, "the open and the stop of the first, in either order");
        assert_eq!(Call::default().sync(&*again).result, IoReturn::SUCCESS);
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

/// Nothing that a Rust client sends carries rights.
fn g22(rules: Rules) {
    let refused = Err(IoReturn::MACH_SEND_INVALID_RIGHT);
    assert_eq!(Destination::Connection.check_carried(rules), refused);
    assert_eq!(Destination::OtherKind.check_carried(rules), Ok(()), "a service can be sent");
}
