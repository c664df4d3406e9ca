//! Order, time and end of dispatch queues.

use super::*;
use crate::driverkit::bridge::{Phase, in_phase, run_on_queue};
use crate::driverkit::testing::{in_process, in_simulated_process, lints};
use crate::driverkit::{DextProcess, OsData, OsObject, OsSharedPtr, os_log, uptime};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

fn queue(name: &str) -> OsSharedPtr<DispatchQueue> {
    OsSharedPtr::adopt(DispatchQueue::create(name).unwrap())
}

#[test]
fn handlers_run_one_at_a_time_in_order_for_every_seed() {
    for seed in 0..20 {
        let log = in_simulated_process(seed, |process, schedule| {
            let queue = queue("work");
            for number in 0..3 {
                let clock = schedule.clone();
                queue.dispatch_async(move || {
                    os_log(format!("begin {number}"));
                    clock.sleep(Duration::from_millis(1));
                    os_log(format!("end {number}"));
                });
            }
            // A caller that comes later waits for its turn, too.
            queue.dispatch_sync(|| os_log("sync"));
            process.log()
        });
        let order = ["begin 0", "end 0", "begin 1", "end 1", "begin 2", "end 2", "sync"];
        assert_eq!(log, order, "seed {seed}");
    }
}

#[test]
fn no_handler_runs_beside_a_caller() {
    for seed in 0..5 {
        let log = in_simulated_process(seed, |process, schedule| {
            let queue = queue("work");
            queue.dispatch_sync(|| {
                queue.dispatch_async(|| os_log("handler"));
                schedule.sleep(Duration::from_millis(1));
                assert!(queue.on_queue());
                os_log("caller");
            });
            assert!(!queue.on_queue());
            queue.dispatch_sync(|| ());
            process.log()
        });
        assert_eq!(log, ["caller", "handler"], "seed {seed}");
    }
}

#[test]
fn handlers_of_two_queues_interleave_as_the_seed_says() {
    let order = |seed| {
        in_simulated_process(seed, |process, schedule| {
            let queues = [queue("a"), queue("b")];
            for step in 0..4 {
                for queue in &queues {
                    let line = format!("{}{step}", queue.name());
                    queue.dispatch_async(move || os_log(line));
                }
            }
            schedule.sleep(Duration::from_millis(1));
            process.log().concat()
        })
    };
    assert_eq!(order(5), order(5));
    let orders: std::collections::BTreeSet<_> = (0..20).map(order).collect();
    assert!(orders.len() > 1, "{orders:?}");
}

#[test]
fn what_is_dispatched_later_runs_at_its_time_in_order_of_asking() {
    let log = in_simulated_process(3, |process, schedule| {
        let queue = queue("work");
        for (name, seconds) in [("c", 3), ("a", 1), ("b", 1)] {
            queue.dispatch_after(Duration::from_secs(seconds), move || {
                os_log(format!("{name} at {:?}", uptime()));
            });
        }
        schedule.sleep(Duration::from_secs(4));
        process.log()
    });
    assert_eq!(log, ["a at 1s", "b at 1s", "c at 3s"]);
}

#[test]
fn a_released_queue_runs_what_was_dispatched_and_takes_no_more() {
    in_simulated_process(1, |process, schedule| {
        let queue = DispatchQueue::create("work").unwrap();
        queue.dispatch_async(|| os_log("ran"));
        queue.release();
        queue.dispatch_async(|| os_log("too late"));
        schedule.sleep(Duration::from_millis(1));
        assert_eq!(process.log(), ["ran"]);
        assert_eq!(lints(process), ["use-after-release"]);
    });
}

#[test]
fn a_killed_process_runs_nothing_more_and_drops_what_waited() {
    in_simulated_process(1, |process, schedule| {
        let queue = queue("work");
        let held = Arc::new(());
        let copy = Arc::clone(&held);
        queue.dispatch_async(move || {
            let _copy = copy;
            os_log("ran");
        });
        process.kill();
        schedule.sleep(Duration::from_millis(1));
        assert!(process.log().is_empty());
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(run_on_queue(&queue, || ()), None);
    });
}

#[test]
fn a_caller_that_waits_is_told_that_the_process_died() {
    in_simulated_process(1, |process, schedule| {
        let queue = queue("work");
        let clock = schedule.clone();
        queue.dispatch_async(move || clock.sleep(Duration::from_secs(1)));
        let waiter = schedule.spawn("waiter", {
            let queue = queue.get();
            move || run_on_queue(&queue, || "ran")
        });
        schedule.sleep(Duration::from_millis(1));
        process.kill();
        assert_eq!(waiter.join(), None);
        assert!(schedule.now() < Duration::from_secs(1));
    });
}

#[test]
fn a_handler_works_for_the_process_and_client_that_dispatched_it() {
    in_simulated_process(1, |process, schedule| {
        let queue = queue("work");
        let weak = process.downgrade();
        in_phase(process, Some(4), Phase::Start, || {
            queue.dispatch_async(move || {
                let _leaked = OsData::with_bytes(&[1]);
                let current = DextProcess::current().map(|process| process.downgrade());
                assert!(current.is_some_and(|current| current.ptr_eq(&weak)));
            });
        });
        schedule.sleep(Duration::from_millis(1));
        assert_eq!(process.leaks_of(4).leaks().len(), 1);
    });
}

#[test]
#[should_panic(expected = "would wait for itself")]
fn waiting_for_the_queue_that_one_runs_on_panics() {
    in_simulated_process(1, |_, _| {
        let queue = queue("work");
        queue.dispatch_sync(|| queue.dispatch_sync(|| ()));
    });
}

#[test]
fn a_copy_of_the_default_queue_does_not_end_it() {
    in_process(|process| {
        assert_eq!(DispatchQueue::copy_default().err(), Some(IoReturn::NOT_FOUND));
        let default = queue("Default");
        crate::driverkit::bridge::set_default_queue(process, None, &default);
        let copy = in_phase(process, Some(1), Phase::Start, DispatchQueue::copy_default);
        let copy = copy.unwrap();
        assert!(Arc::ptr_eq(&copy.core(), &default.core()), "a user client without its own");
        let thread = || {
            let (sender, receiver) = mpsc::channel();
            default.dispatch_async(move || sender.send(std::thread::current().id()).unwrap());
            receiver.recv_timeout(Duration::from_secs(10)).unwrap()
        };
        let before = thread();
        copy.release();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(thread(), before, "its thread has not ended");
    });
}

/// Whether nobody holds the core any more: its daemon is gone.
fn ends(core: &std::sync::Weak<QueueCore>) -> bool {
    (0..10_000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        core.strong_count() == 0
    })
}

#[test]
fn a_free_queue_ends_its_thread_when_it_is_released() {
    in_process(|_| {
        let queue = DispatchQueue::create("work").unwrap();
        let core = Arc::downgrade(&queue.core());
        queue.dispatch_async(|| ());
        queue.release();
        drop(queue);
        assert!(ends(&core));
    });
}

#[test]
fn a_free_queue_ends_its_thread_with_its_process() {
    let process = DextProcess::new("com.example.dext", &Schedule::free());
    let inside = process.enter();
    let queue = DispatchQueue::create("work").unwrap();
    let core = Arc::downgrade(&queue.core());
    queue.dispatch_after(Duration::from_secs(3600), || ());
    drop((queue, inside, process));
    assert!(ends(&core), "although the object leaked and a handler waits for its time");
}

#[test]
fn a_panic_in_a_handler_leaves_the_queue_usable() {
    in_process(|_| {
        let queue = queue("work");
        queue.dispatch_async(|| panic!("on purpose"));
        let runs = Arc::new(AtomicUsize::new(0));
        let ran = Arc::clone(&runs);
        // The panic may still be on its way: both a daemon and a caller get through after it.
        queue.dispatch_sync(|| ());
        let (sender, receiver) = mpsc::channel();
        queue.dispatch_async(move || {
            ran.fetch_add(1, Ordering::Relaxed);
            sender.send(()).unwrap();
        });
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)), Ok(()));
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_cancelled_queue_runs_what_it_has_says_so_and_takes_no_more() {
    let log = in_simulated_process(1, |process, schedule| {
        let queue = DispatchQueue::create("work").unwrap();
        queue.dispatch_async(|| os_log("before"));
        assert_eq!(queue.cancel(|| os_log("cancelled")), IoReturn::SUCCESS);
        queue.dispatch_async(|| os_log("after"));
        queue.dispatch_after(Duration::from_secs(1), || os_log("later"));
        queue.dispatch_sync(|| os_log("at once"));
        assert_eq!(queue.cancel(|| os_log("again")), IoReturn::SUCCESS);
        schedule.sleep(Duration::from_secs(2));
        queue.release();
        assert_eq!(queue.cancel(|| ()), IoReturn::BAD_ARGUMENT);
        process.log()
    });
    assert_eq!(log, ["before", "cancelled"]);
}
