//! Group H: death and removal.

use crate::RuleTest;
use crate::kit::{Answer, Bench, Call, Cupboard, Log, TestDext};
use dextape::IoReturn;
use dextape::boundary::{Rule, Rules};
use dextape::call::{MapOptions, ServiceId};
use dextape::connection::{Connection, System};
use dextape::kernel::MockSystem;
use std::sync::{Arc, Mutex, Weak};

pub(crate) const TESTS: &[RuleTest] =
    &[(Rule::H1, h1), (Rule::H2, h2), (Rule::H3, h3), (Rule::H4, h4)];

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
