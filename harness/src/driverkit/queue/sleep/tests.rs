//! Who sleeps on a queue, who runs there meanwhile, and when the sleep ends.

use crate::IoReturn;
use crate::driverkit::bridge::run_on_queue;
use crate::driverkit::testing::in_simulated_process;
use crate::driverkit::{DispatchQueue, OsSharedPtr, QueueOptions, os_log, uptime};
use std::time::Duration;

const EVENT: u64 = 7;

const SECOND: Duration = Duration::from_secs(1);

fn reentrant() -> OsSharedPtr<DispatchQueue> {
    let made = DispatchQueue::create_with_options("work", QueueOptions::REENTRANT);
    OsSharedPtr::adopt(made.unwrap())
}

fn says(what: &str) {
    os_log(format!("{what} at {:?}", uptime()));
}

#[test]
fn others_run_while_one_sleeps_and_never_beside_it() {
    for seed in 0..20 {
        let log = in_simulated_process(seed, |process, schedule| {
            let queue = reentrant();
            let waker = queue.get();
            let clock = schedule.clone();
            queue.dispatch_after(SECOND, move || {
                assert_eq!(waker.wakeup(EVENT), IoReturn::SUCCESS);
                says("wakes");
                clock.sleep(SECOND);
                says("leaves");
            });
            queue.dispatch_sync(|| {
                assert_eq!(queue.sleep(EVENT, None), IoReturn::SUCCESS);
                assert!(queue.on_queue());
                says("woken");
            });
            process.log()
        });
        assert_eq!(log, ["wakes at 1s", "leaves at 2s", "woken at 2s"], "seed {seed}");
    }
}

#[test]
fn a_sleep_ends_at_its_deadline() {
    in_simulated_process(1, |_, schedule| {
        let queue = reentrant();
        queue.dispatch_sync(|| {
            assert_eq!(queue.sleep(EVENT, Some(2 * SECOND)), IoReturn::TIMEOUT);
            assert_eq!(schedule.now(), 2 * SECOND);
            assert_eq!(queue.sleep(EVENT, Some(SECOND)), IoReturn::TIMEOUT, "it is past");
            // Nobody is left who could be woken by this.
            assert_eq!(queue.wakeup(EVENT), IoReturn::SUCCESS);
        });
    });
}

#[test]
fn a_wakeup_wakes_the_first_who_sleeps_for_that_event_or_all_of_them() {
    let sleepers = [("a", EVENT), ("b", EVENT), ("c", EVENT), ("other", EVENT + 1)];
    let log = in_simulated_process(3, |process, schedule| {
        let queue = reentrant();
        for (index, (name, event)) in sleepers.into_iter().enumerate() {
            let (sleeper, pause) = (queue.get(), Duration::from_millis(index as u64));
            queue.dispatch_after(pause, move || {
                let result = sleeper.sleep(event, Some(5 * SECOND));
                says(&format!("{name} {result}"));
            });
        }
        schedule.sleep(SECOND);
        queue.dispatch_sync(|| assert!(queue.wakeup(EVENT).is_success()));
        schedule.sleep(SECOND);
        queue.dispatch_sync(|| assert!(queue.wakeup_all(EVENT).is_success()));
        schedule.sleep(5 * SECOND);
        let mut log = process.log();
        // Two who wake at once go on in the order in which they come to run.
        log[1..3].sort();
        log
    });
    let success = IoReturn::SUCCESS;
    let timeout = IoReturn::TIMEOUT;
    let expected = [
        format!("a {success} at 1s"),
        format!("b {success} at 2s"),
        format!("c {success} at 2s"),
        format!("other {timeout} at 5s"),
    ];
    assert_eq!(log, expected);
}

/// The handler that sleeps is run by the queue's daemon, so another one has to serve meanwhile; when
/// the handler is done, one of them is left.
#[test]
fn a_handler_that_sleeps_does_not_stop_the_queue() {
    let log = in_simulated_process(5, |process, schedule| {
        let queue = reentrant();
        for (name, seconds) in [("long", 10), ("short", 3)] {
            let sleeper = queue.get();
            queue.dispatch_async(move || {
                let result = sleeper.sleep(EVENT, Some(Duration::from_secs(seconds)));
                assert_eq!(result, IoReturn::TIMEOUT);
                says(name);
            });
        }
        queue.dispatch_after(SECOND, || says("meanwhile"));
        schedule.sleep(4 * SECOND);
        queue.dispatch_async(|| says("after one"));
        schedule.sleep(8 * SECOND);
        queue.dispatch_async(|| says("after both"));
        schedule.sleep(SECOND);
        process.log()
    });
    let expected =
        ["meanwhile at 1s", "short at 3s", "after one at 4s", "long at 10s", "after both at 12s"];
    assert_eq!(log, expected);
}

#[test]
fn who_sleeps_on_a_released_queue_is_woken_by_what_was_dispatched() {
    let log = in_simulated_process(1, |process, schedule| {
        let queue = reentrant();
        let (sleeper, later) = (queue.get(), queue.get());
        queue.dispatch_after(2 * SECOND, move || {
            later.core().wake(EVENT, 1);
        });
        queue.dispatch_async(move || {
            let core = sleeper.core();
            os_log(format!("woken: {}", core.sleep(EVENT, None)));
        });
        schedule.sleep(SECOND);
        drop(queue);
        schedule.sleep(2 * SECOND);
        process.log()
    });
    assert_eq!(log, [format!("woken: {}", IoReturn::SUCCESS)]);
}

#[test]
fn the_death_of_the_process_ends_a_sleep() {
    in_simulated_process(1, |process, schedule| {
        let queue = reentrant();
        let sleeper = schedule.spawn("sleeper", {
            let queue = queue.get();
            move || run_on_queue(&queue, || queue.core().sleep(EVENT, None))
        });
        schedule.sleep(SECOND);
        process.kill();
        assert_eq!(sleeper.join(), Some(IoReturn::ABORTED));
        assert_eq!(schedule.now(), SECOND);
    });
}

#[test]
fn only_a_reentrant_queue_is_left_to_others() {
    in_simulated_process(1, |_, schedule| {
        let queue = OsSharedPtr::adopt(DispatchQueue::create("work").unwrap());
        queue.dispatch_sync(|| {
            assert_eq!(queue.sleep(EVENT, Some(SECOND)), IoReturn::UNSUPPORTED);
        });
        assert_eq!(schedule.now(), Duration::ZERO);
    });
}

#[test]
#[should_panic(expected = "failed to sleep on queue work: the caller does not run on it")]
fn only_who_runs_on_the_queue_can_sleep_there() {
    in_simulated_process(1, |_, _| assert!(reentrant().sleep(EVENT, None).is_success()));
}

#[test]
#[should_panic(expected = "failed to wake who sleeps on queue work: the caller does not run on it")]
fn only_who_runs_on_the_queue_can_wake() {
    in_simulated_process(1, |_, _| assert!(reentrant().wakeup(EVENT).is_success()));
}
