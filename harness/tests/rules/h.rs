//! Group H: death and removal.

use crate::RuleTest;
use crate::kit::{Answer, Bench, Call, Cupboard, Log, OLD_SCALAR, TestDext};
use dextape::IoReturn;
use dextape::boundary::{DeathWindow, Rule, Rules, SandboxFilter};
use dextape::call::{MapOptions, ServiceId};
use dextape::connection::{Connection, System};
use dextape::driverkit::{DextProcess, DispatchQueue, OsObject, defer_super_stop};
use dextape::kernel::{ClientProcess, MockSystem, ServiceDescription};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::H1, h1),
    (Rule::H2, h2),
    (Rule::H3, h3),
    (Rule::H4, h4),
    (Rule::H5, h5),
    (Rule::H6, h6),
    (Rule::H7, h7),
    (Rule::H8, h8),
    (Rule::H9, h9),
];

fn map(connection: &dyn Connection, memory_type: u32) -> Result<(), IoReturn> {
    connection.map_memory(memory_type, MapOptions::ANYWHERE, 0).map(drop)
}

/// What call, map and unmap give.
fn all(connection: &dyn Connection) -> [IoReturn; 3] {
    let mapped = map(connection, 0).err().unwrap_or(IoReturn::SUCCESS);
    [Call::default().sync(connection).result, mapped, connection.unmap_memory(0, 0)]
}

fn serving() -> TestDext {
    TestDext::new().serves(&Cupboard::of(&[128]))
}

fn h1(rules: Rules) {
    Bench::run(rules, &serving(), |bench| {
        let (never, failed, once) = (bench.open(), bench.open(), bench.open());
        assert_eq!(map(&*failed, 7), Err(IoReturn::BAD_ARGUMENT), "the dext has no such type");
        assert_eq!(map(&*once, 0), Ok(()));
        assert_eq!(once.unmap_memory(0, 0), IoReturn::SUCCESS);
        bench.mock.terminate(bench.service);
        assert_eq!(all(&*never), [IoReturn::MACH_SEND_INVALID_DEST; 3]);
        assert_eq!(all(&*failed), [IoReturn::MACH_SEND_INVALID_DEST; 3], "a failed map is none");
        assert_eq!(all(&*once), [IoReturn::BAD_ARGUMENT; 3], "even if since unmapped");
        let ways = |connection: &dyn Connection| {
            [connection.add_client(None), connection.set_notification_port(0, None, 0)]
        };
        assert_eq!(ways(&*never), [IoReturn::MACH_SEND_INVALID_DEST; 2]);
        assert_eq!(ways(&*once), [IoReturn::BAD_ARGUMENT; 2]);
        // A right of it is one to a dead name, but where the port stands for the mappings.
        assert_eq!(never.add_ref(), IoReturn::KERN_INVALID_RIGHT);
        assert_eq!(once.add_ref(), IoReturn::SUCCESS);
        // The client's own counts still come first.
        let too_many = Call { scalars: &[0; 17], ..Call::default() };
        assert_eq!(too_many.sync(&*once).result, IoReturn::MIG_ARRAY_TOO_LARGE);
    });
}

fn h2(rules: Rules) {
    Bench::run(rules, &serving(), |bench| {
        let (never, once) = (bench.open(), bench.open());
        assert_eq!(map(&*once, 0), Ok(()));
        bench.mock.terminate(bench.service);
        assert_eq!(never.close(), IoReturn::MACH_SEND_INVALID_DEST);
        assert_eq!(once.close(), IoReturn::SUCCESS);
        assert_eq!((bench.rights(never.id()), bench.rights(once.id())), (0, 0));
    });
}

/// What a dext can do to the system that it is a part of.
#[derive(Clone)]
struct Fate {
    system: Arc<Mutex<(Weak<MockSystem>, ServiceId)>>,
    strike: fn(&MockSystem, ServiceId),
}

impl Fate {
    fn new(strike: fn(&MockSystem, ServiceId)) -> Self {
        Self { system: Arc::new(Mutex::new((Weak::new(), ServiceId(0)))), strike }
    }

    fn of(&self, bench: &Bench<'_>) {
        *self.system.lock().unwrap() = (Arc::downgrade(&bench.mock), bench.service);
    }

    fn strike(&self) {
        let (system, service) = self.system.lock().unwrap().clone();
        (self.strike)(&system.upgrade().unwrap(), service);
    }
}

fn h3(rules: Rules) {
    let fate = Fate::new(MockSystem::terminate);
    let (log, striking) = (Log::new(), fate.clone());
    let seen = log.clone();
    let mut dext = TestDext::new().method(move |selector, arguments| {
        striking.strike();
        arguments.scalar_output[0] = 5;
        let process = dextape::driverkit::DextProcess::current().unwrap();
        process.schedule().sleep(std::time::Duration::from_millis(500));
        seen.push(());
        IoReturn(selector as u32)
    });
    // A stop stands in the same log, to see which comes first.
    dext.stops = Log::new();
    let stops = dext.stops.clone();
    Bench::connected(rules, &dext, |bench, connection| {
        fate.of(bench);
        let answer = Call { selector: 0, scalars_asked: 1, ..Call::default() }.sync(connection);
        let expected = Answer {
            result: IoReturn::SUCCESS,
            scalar_count: 1,
            structure_size: 0,
            scalars: vec![5],
            bytes: vec![],
        };
        assert_eq!(answer, expected);
        assert_eq!((log.take().len(), stops.take().len()), (1, 0), "the teardown has waited");
        bench.mock.settle();
        assert_eq!(stops.take().len(), 1);
    });
}

fn h4(rules: Rules) {
    let died = IoReturn::MIG_SERVER_DIED;
    let in_method = |selector| {
        let fate = Fate::new(MockSystem::crash);
        let striking = fate.clone();
        let dext = TestDext::new().method(move |_, arguments| {
            arguments.scalar_output.fill(1);
            striking.strike();
            IoReturn::SUCCESS
        });
        Bench::connected(rules, &dext, |bench, connection| {
            fate.of(bench);
            let answer = Call { selector, scalars_asked: 1, ..Call::default() }.sync(connection);
            assert_ne!(answer.scalars, [1], "the outputs are lost");
            answer.result
        })
    };
    assert_eq!(in_method(0), died);
    parked(rules);

    let fate = Fate::new(MockSystem::crash);
    let striking = fate.clone();
    let dext = TestDext::new().new_client(move |open_type| {
        if open_type == 1 {
            striking.strike();
        }
        Ok(true)
    });
    Bench::run(rules, &dext, |bench| {
        fate.of(bench);
        assert_eq!(bench.mock.open(bench.service, 1).unwrap_err(), died);
    });

    for (crash_at, mapped, unmapped) in
        [(1, Err(IoReturn::BAD_ARGUMENT), None), (2, Ok(()), Some(died))]
    {
        let fate = Fate::new(MockSystem::crash);
        let (striking, cupboard) = (fate.clone(), Cupboard::of(&[128]));
        let calls = Mutex::new(0);
        let dext = TestDext::new().memory(move |memory_type, options, memory| {
            *calls.lock().unwrap() += 1;
            if *calls.lock().unwrap() == crash_at {
                striking.strike();
                return IoReturn::NOT_READY;
            }
            cupboard.answer(memory_type, options, memory)
        });
        Bench::connected(rules, &dext, |bench, connection| {
            fate.of(bench);
            assert_eq!(map(connection, 0), mapped);
            if let Some(expected) = unmapped {
                assert_eq!(connection.unmap_memory(0, 0), expected);
            }
        });
    }
}

/// A dext that dies while a method of it waits, another has its turn to come, and a map waits for both.
fn parked(rules: Rules) {
    let cupboard = Cupboard::of(&[128]);
    let log = Log::new();
    let woken = log.clone();
    let dext = TestDext::new().serves(&cupboard).method(move |_, _| {
        DextProcess::current().unwrap().schedule().sleep(Duration::from_secs(60));
        woken.push(());
        IoReturn::SUCCESS
    });
    Bench::run(rules, &dext, |bench| {
        let connection: Arc<dyn Connection> = Arc::from(bench.open());
        let client = |name: &str, ask: fn(&dyn Connection) -> IoReturn| {
            let connection = Arc::clone(&connection);
            bench.schedule.spawn(name, move || ask(&*connection))
        };
        let call: fn(&dyn Connection) -> IoReturn = |it| Call::default().sync(it).result;
        let (first, second) = (client("first", call), client("second", call));
        bench.schedule.sleep(Duration::from_secs(1));
        let mapping = client("map", |it| map(it, 0).err().unwrap_or(IoReturn::SUCCESS));
        bench.schedule.sleep(Duration::from_secs(1));
        bench.mock.crash(bench.service);
        assert_eq!(first.join(), IoReturn::MIG_SERVER_DIED);
        assert_eq!(second.join(), IoReturn::MIG_SERVER_DIED);
        assert_eq!(mapping.join(), IoReturn::BAD_ARGUMENT);
        assert_eq!(bench.schedule.now(), Duration::from_secs(2), "when it died");
    });
    assert!(log.take().is_empty(), "the methods went no further");
}

fn h5(rules: Rules) {
    let windows = [
        (DeathWindow::QueuePortDead, IoReturn::MACH_SEND_INVALID_DEST),
        (DeathWindow::ServerInactive, IoReturn::OFFLINE),
        (DeathWindow::NoQueuePort, IoReturn::NOT_READY),
    ];
    for (window, code) in windows {
        Bench::run(rules, &serving(), |bench| {
            let (first, second) = (bench.open(), bench.open());
            bench.mock.begin_crash(bench.service, window);
            // What CopyClientMemoryForType gives is a bad argument on map (F5).
            assert_eq!(all(&*first), [code, IoReturn::BAD_ARGUMENT, code], "{window:?}");
            assert_eq!(bench.mock.open(bench.service, 0).unwrap_err(), code, "{window:?}");
            assert_eq!(first.trap(2, &[]), IoReturn::SUCCESS, "the kernel's own");
            assert_eq!(first.close(), IoReturn::SUCCESS, "the kernel's object is still there");
            bench.mock.end_crash(bench.service);
            assert_eq!(all(&*second), [IoReturn::MACH_SEND_INVALID_DEST; 3], "H1");
            assert_eq!(bench.mock.open(bench.service, 0).unwrap_err(), IoReturn::OFFLINE);
        });
    }
}

/// Whatever goes wrong, the boundary has none of these codes for it.
fn h6(rules: Rules) {
    let driver_codes = [
        IoReturn::NOT_ATTACHED,
        IoReturn::NO_DEVICE,
        IoReturn::NOT_OPEN,
        IoReturn::ABORTED,
        IoReturn::NOT_RESPONDING,
        IoReturn::NO_SPACE,
        IoReturn::TIMEOUT,
        IoReturn::EXCLUSIVE_ACCESS,
        IoReturn::LOCKED_READ,
        IoReturn::LOCKED_WRITE,
    ];
    let ends: [fn(&MockSystem, ServiceId); 3] =
        [MockSystem::terminate, MockSystem::crash, |mock, service| {
            mock.begin_crash(service, DeathWindow::QueuePortDead)
        }];
    for end in ends {
        Bench::run(rules, &serving(), |bench| {
            let (never, once, closed) = (bench.open(), bench.open(), bench.open());
            assert_eq!(map(&*once, 0), Ok(()));
            assert_eq!(closed.close(), IoReturn::SUCCESS);
            end(&bench.mock, bench.service);
            let mut seen = vec![bench.mock.open(bench.service, 0).unwrap_err()];
            seen.extend(bench.mock.open(ServiceId(99), 0).err());
            for connection in [&never, &once, &closed] {
                seen.extend(all(&**connection));
                seen.extend([connection.trap(2, &[]), connection.close(), connection.close()]);
            }
            for code in seen {
                assert!(!driver_codes.contains(&code), "{code}");
            }
        });
    }
    // From a driver they come through.
    for code in driver_codes {
        let dext = TestDext::new().method(move |_, _| code);
        Bench::connected(rules, &dext, |_, connection| {
            assert_eq!(Call::default().sync(connection).result, code);
        });
    }
}

fn h7(rules: Rules) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let dext = TestDext::new().does(|arguments| {
        DextProcess::current().unwrap().schedule().sleep(DAY);
        arguments.scalar_output[0] = 7;
    });
    Bench::connected(rules, &dext, |bench, connection| {
        let answer = Call { scalars_asked: 1, ..Call::default() }.sync(connection);
        assert_eq!((answer.result, answer.scalars), (IoReturn::SUCCESS, vec![7]));
        assert_eq!(bench.schedule.now(), DAY);
    });
}

fn h8(rules: Rules) {
    let filter = SandboxFilter::default()
        .refuse_method(3, IoReturn(0x1234))
        .refuse_trap(5, IoReturn::NOT_PERMITTED);
    let client = ClientProcess::default().sandbox(filter);
    let log = Log::new();
    let asked = log.clone();
    let dext = TestDext::new().method(move |selector, arguments| {
        asked.push(selector);
        arguments.scalar_output.fill(1);
        IoReturn::SUCCESS
    });
    let description = ServiceDescription::dext("TestDext", "com.example.test");
    Bench::run_for(rules, client, description, dext, |bench| {
        let connection = bench.open();
        let call = |selector| {
            let call = Call { selector, scalars_asked: 1, ..Call::default() };
            let answer = call.sync(&*connection);
            (answer.result, answer.scalars[0])
        };
        assert_eq!(call(3), (IoReturn(0x1234), OLD_SCALAR), "the filter's own code");
        assert_eq!(call(4), (IoReturn::SUCCESS, 1));
        assert_eq!(log.take(), [4], "the dext is not called");
        assert_eq!(connection.trap(5, &[]), IoReturn::NOT_PERMITTED);
        assert_eq!(connection.trap(6, &[]), IoReturn::SUCCESS);
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        assert_eq!(connection.trap(5, &[]), IoReturn::BAD_ARGUMENT, "G21 comes first");
    });
}

/// A dext that passes `Stop` to its base two seconds later.
fn h9(rules: Rules) {
    let dext = || {
        TestDext::new().stop(|| {
            let stop = defer_super_stop().unwrap();
            let queue = DispatchQueue::create("later").unwrap();
            queue.dispatch_after(Duration::from_secs(2), move || stop.super_stop());
            queue.release();
        })
    };
    let torn_down = |end: fn(&Bench<'_>, &dyn Connection)| {
        Bench::connected(rules, &dext(), |bench, connection| {
            end(bench, connection);
            assert_eq!(bench.schedule.now(), Duration::ZERO, "nobody waits for a teardown");
            bench.mock.settle();
            bench.schedule.now()
        })
    };
    let closed = torn_down(|_, connection| assert_eq!(connection.close(), IoReturn::SUCCESS));
    assert_eq!(closed, Duration::from_secs(2), "the provider is active: Stop is a call");
    let removed = torn_down(|bench, _| bench.mock.terminate(bench.service));
    assert_eq!(removed, Duration::ZERO, "the provider is inactive: Stop is one-way");
}
