//! Group K: who waits for whom.

use crate::RuleTest;
use crate::kit::{Bench, Call, Cupboard, Log, TestDext};
use dextape::IoReturn;
use dextape::boundary::{Hold, LockedOperation, Locking, Rule, Rules};
use dextape::call::MapOptions;
use dextape::connection::{AsyncWake, Connection};
use dextape::driverkit::{DextProcess, OsObject, async_completion};
use dextape::kernel::ServiceDescription;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const TESTS: &[RuleTest] =
    &[(Rule::K1, k1), (Rule::K2, k2), (Rule::K3, k3), (Rule::K4, k4)];

const PARKED: Duration = Duration::from_secs(1);

/// A dext whose methods park, and log when they come and go.
fn parking() -> (TestDext, Log<&'static str>) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().does(move |_| {
        seen.push("in");
        DextProcess::current().unwrap().schedule().sleep(PARKED);
        seen.push("out");
    });
    (dext, log)
}

/// Map, unmap and close wait for a method that is parked on a queue of its own.
fn k2(rules: Rules) {
    let operations: [fn(&dyn Connection) -> IoReturn; 3] = [
        |connection| {
            let mapped = connection.map_memory(0, MapOptions::ANYWHERE, 0);
            mapped.err().unwrap_or(IoReturn::SUCCESS)
        },
        |connection| connection.unmap_memory(7, 0),
        |connection| connection.close(),
    ];
    for (operation, expected) in
        operations.into_iter().zip([IoReturn::SUCCESS, IoReturn::UNSUPPORTED, IoReturn::SUCCESS])
    {
        let dext = parking().0.with_method_queue().serves(&Cupboard::of(&[128]));
        Bench::run(rules, &dext, |bench| {
            let connection: Arc<dyn Connection> = Arc::from(bench.open());
            let caller = Arc::clone(&connection);
            let parked =
                bench.schedule.spawn("caller", move || Call::default().sync(&*caller).result);
            bench.schedule.sleep(PARKED / 10);
            assert_eq!(operation(&*connection), expected);
            assert_eq!(bench.schedule.now(), PARKED);
            assert_eq!(parked.join(), IoReturn::SUCCESS);
        });
    }
}

fn k3(rules: Rules) {
    let (dext, log) = parking();
    Bench::run(rules, &dext, |bench| {
        let connection: Arc<dyn Connection> = Arc::from(bench.open());
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let connection = Arc::clone(&connection);
                bench.schedule.spawn("caller", move || Call::default().sync(&*connection).result)
            })
            .collect();
        for call in calls {
            assert_eq!(call.join(), IoReturn::SUCCESS);
        }
        assert_eq!(bench.schedule.now(), 3 * PARKED);
    });
    assert_eq!(log.take(), ["in", "out", "in", "out", "in", "out"]);
}

/// Properties of the user client that say what the kernel locks of itself.
fn k1(rules: Rules) {
    let of = |told: &[(&str, bool)]| {
        Locking::of_properties(rules, |name| {
            told.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
        })
    };
    let holds = |locking: Locking| {
        use LockedOperation::{
            AddClient, Close, GetService, Map, Method, SetNotificationPort, Trap, Unmap,
        };
        let all = [Method, Map, Unmap, AddClient, SetNotificationPort, Close, GetService, Trap];
        all.map(|operation| locking.hold(rules, operation))
    };
    use Hold::{Exclusive as E, None as N, Shared as S};
    let (default, single) = (Locking::DEFAULT, Locking::SINGLE_THREAD);
    let shared = [S, E, E, E, E, E, N, N];
    assert_eq!(holds(of(&[])), shared, "methods share it");
    assert_eq!(holds(of(&[(default, true)])), shared);
    assert_eq!(holds(of(&[(default, true), (single, true)])), [E, E, E, E, E, E, N, N]);
    // Whoever gives one property gives all of them.
    let unlocked = [N, N, N, N, E, E, N, N];
    assert_eq!(holds(of(&[(default, false)])), unlocked);
    assert_eq!(holds(of(&[(Locking::SET_PROPERTIES, true)])), unlocked);
    assert_eq!(holds(of(&[(single, true)])), unlocked);

    assert_eq!(time_of_two_methods(rules, &[(default, true)]), PARKED, "both inside at once");
    let alone = time_of_two_methods(rules, &[(default, true), (single, true)]);
    assert_eq!(alone, 2 * PARKED, "one after the other");

    // What does not lock at all is not waited for.
    let dext = parking().0.with_method_queue().serves(&Cupboard::of(&[128]));
    let description = ServiceDescription::dext("TestDext", "com.example.test")
        .user_client_property(Locking::DEFAULT, false);
    Bench::run_as(rules, description, &dext, |bench| {
        let connection: Arc<dyn Connection> = Arc::from(bench.open());
        let caller = Arc::clone(&connection);
        let parked = bench.schedule.spawn("caller", move || Call::default().sync(&*caller).result);
        bench.schedule.sleep(PARKED / 10);
        connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        assert_eq!(connection.unmap_memory(0, 0), IoReturn::SUCCESS);
        assert_eq!(bench.schedule.now(), PARKED / 10);
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        assert_eq!(bench.schedule.now(), PARKED / 10);
        assert_eq!(parked.join(), IoReturn::SUCCESS);
    });
}

/// How long two methods take that come at once, each of which leaves the queue to others while it
/// waits.
fn time_of_two_methods(rules: Rules, properties: &[(&str, bool)]) -> Duration {
    let mut description = ServiceDescription::dext("TestDext", "com.example.test");
    for (name, value) in properties {
        description = description.user_client_property(name, *value);
    }
    let dext = TestDext::new().with_reentrant_queue();
    let queues = dext.method_queues.clone();
    let dext = dext.method(move |_, _| {
        let queue = queues.take().remove(0);
        queues.push(queue.clone());
        let clock = DextProcess::current().unwrap().schedule().clone();
        queue.sleep(1, Some(clock.now() + PARKED))
    });
    Bench::run_as(rules, description, &dext, |bench| {
        let connection: Arc<dyn Connection> = Arc::from(bench.open());
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let connection = Arc::clone(&connection);
                bench.schedule.spawn("caller", move || Call::default().sync(&*connection).result)
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.join(), IoReturn::TIMEOUT);
        }
        bench.schedule.now()
    })
}

/// A completion comes through while a map has the connection for itself.
fn k4(rules: Rules) {
    let kept = Log::new();
    let keeping = kept.clone();
    let dext = TestDext::new()
        .does(move |arguments| {
            let completion = arguments.completion.as_ref().unwrap();
            completion.retain();
            keeping.push(completion.clone());
        })
        .memory(|_, _, _| {
            DextProcess::current().unwrap().schedule().sleep(PARKED);
            IoReturn::UNSUPPORTED
        });
    Bench::run(rules, &dext, |bench| {
        let connection: Arc<dyn Connection> = Arc::from(bench.open());
        let queue = bench.queue();
        let wake = AsyncWake { queue: Some(&*queue), reference: Some(&[0]) };
        assert_eq!(Call::default().with_wake(&*connection, &wake).result, IoReturn::SUCCESS);
        let mapping = Arc::clone(&connection);
        let mapping = bench.schedule.spawn("mapper", move || mapping.unmap_memory(0, 0));
        bench.schedule.sleep(PARKED / 10);
        let action = kept.take().remove(0);
        let firing = action.clone();
        // Any thread of the dext may do it, and is not kept waiting.
        let fired = bench.schedule.spawn("dext thread", move || {
            async_completion(&firing, IoReturn::SUCCESS, &[6]);
        });
        fired.join();
        assert_eq!(queue.poll().map(|completion| completion.arguments[0]), Some(6));
        assert_eq!(bench.schedule.now(), PARKED / 10);
        assert_eq!(mapping.join(), IoReturn::UNSUPPORTED);
        action.release();
    });
}
