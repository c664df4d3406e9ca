//! Group K: who waits for whom.

use crate::RuleTest;
use crate::kit::{Bench, Call, Cupboard, Log, TestDext};
use dextape::IoReturn;
use dextape::boundary::{Rule, Rules};
use dextape::call::MapOptions;
use dextape::connection::Connection;
use dextape::driverkit::DextProcess;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const TESTS: &[RuleTest] = &[(Rule::K2, k2), (Rule::K3, k3)];

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
