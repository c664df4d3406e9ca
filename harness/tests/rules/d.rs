//! Group D: asynchronous calls and completions.

use crate::RuleTest;
use crate::kit::{Bench, Call, Log, TestDext, set_output};
use dextape::IoReturn;
use dextape::boundary::completion::{Callout, Enqueue, callout, enqueue};
use dextape::boundary::library::{Stop, request};
use dextape::boundary::{CallShape, Pointer, ReferenceShape, Rule, Rules, WakePort};
use dextape::call::Completion;
use dextape::connection::{AsyncWake, CompletionQueue, Connection, System};
use dextape::driverkit::{
    OsAction, OsObject, UserClientMethodDispatch, async_completion, super_external_method,
};
use dextape::kernel::MockSystem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::D1, d1),
    (Rule::D2, d2),
    (Rule::D3, d3),
    (Rule::D4, d4),
    (Rule::D5, d5),
    (Rule::D6, d6),
    (Rule::D7, d7),
    (Rule::D8, d8),
    (Rule::D9, d9),
    (Rule::D10, d10),
    (Rule::D11, d11),
    (Rule::D12, d12),
    (Rule::D13, d13),
    (Rule::D14, d14),
    (Rule::D17, d17),
    (Rule::D18, d18),
    (Rule::D19, d19),
    (Rule::D20, d20),
    (Rule::D21, d21),
];

/// A dext that keeps the completions it gets, with or without a reference of its own.
fn keeping(retain: bool) -> (TestDext, Log<OsAction>) {
    let log = Log::new();
    let kept = log.clone();
    let dext = TestDext::new().does(move |arguments| {
        if let Some(completion) = &arguments.completion {
            if retain {
                completion.retain();
            }
            kept.push(completion.clone());
        }
    });
    (dext, log)
}

/// A dext that completes each call at once, with these arguments.
fn completing(status: IoReturn, arguments: &'static [u64]) -> TestDext {
    TestDext::new().does(move |call| {
        async_completion(call.completion.as_ref().unwrap(), status, arguments);
    })
}

fn waking<'a>(queue: &'a dyn CompletionQueue, reference: &'a [u64]) -> AsyncWake<'a> {
    AsyncWake { queue: Some(queue), reference: Some(reference) }
}

fn call(connection: &dyn Connection, wake: &AsyncWake<'_>) -> IoReturn {
    Call::default().with_wake(connection, wake).result
}

fn all(queue: &dyn CompletionQueue) -> Vec<Completion> {
    std::iter::from_fn(|| queue.poll()).collect()
}

/// Makes a call with `reference` that is completed at once, and gives what comes back.
fn reference_back(rules: Rules, reference: Option<&[u64]>) -> [u64; 8] {
    Bench::connected(rules, &completing(IoReturn::SUCCESS, &[]), |bench, connection| {
        let queue = bench.queue();
        let wake = AsyncWake { queue: Some(&*queue), reference };
        assert_eq!(call(connection, &wake), IoReturn::SUCCESS);
        queue.poll().unwrap().reference
    })
}

fn d1(rules: Rules) {
    let (dext, log) = keeping(false);
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        let result = call(connection, &waking(&*queue, &[0; 9]));
        assert_eq!(result, IoReturn::MIG_ARRAY_TOO_LARGE);
        assert_eq!(log.take().len(), 0, "nothing is sent");
        assert_eq!(call(connection, &waking(&*queue, &[0; 8])), IoReturn::SUCCESS);
    });
}

fn d2(rules: Rules) {
    assert_eq!(reference_back(rules, None), [0; 8]);
}

fn d3(rules: Rules) {
    let (dext, log) = keeping(false);
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        assert_eq!(call(connection, &waking(&*queue, &[])), IoReturn::BAD_ARGUMENT);
    });
    assert_eq!(log.take().len(), 0, "the dext is not called");
}

/// A slice is never NULL.
fn d4(rules: Rules) {
    let shape = |count| {
        let reference = ReferenceShape { wake_port: WakePort::Own, pointer: Pointer::Null, count };
        CallShape { reference: Some(reference), ..CallShape::default() }
    };
    assert_eq!(request(rules, &shape(1)), Err(Stop::Fault));
    assert_eq!(request(rules, &shape(8)), Err(Stop::Fault));
    let too_many = Stop::Refused(IoReturn::MIG_ARRAY_TOO_LARGE);
    assert_eq!(request(rules, &shape(9)), Err(too_many));
    // Looked at before the scalars.
    let both = CallShape { scalar_count: 17, ..shape(1) };
    assert_eq!(request(rules, &both), Err(Stop::Fault));
}

fn d5(rules: Rules) {
    let (dext, log) = keeping(false);
    Bench::connected(rules, &dext, |bench, connection| {
        let foreign = MockSystem::new(bench.schedule).completion_queue();
        let result = call(connection, &waking(&*foreign, &[0]));
        assert_eq!(result, IoReturn::MACH_SEND_INVALID_RIGHT);
        assert_eq!(log.take().len(), 0, "the dext is not called");
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        let result = call(connection, &waking(&*foreign, &[0]));
        assert_eq!(result, IoReturn::MACH_SEND_INVALID_DEST, "there is nobody to send it to");
    });
}

fn d6(rules: Rules) {
    const DEMANDING: UserClientMethodDispatch<()> = UserClientMethodDispatch {
        check_completion_exists: 1,
        ..UserClientMethodDispatch::UNCHECKED
    };
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().method(move |selector, arguments| {
        seen.push(arguments.completion.is_some());
        if selector == 1 {
            return super_external_method(selector, arguments, Some(&DEMANDING), Some(&()));
        }
        set_output(arguments, 1, 2);
        IoReturn::SUCCESS
    });
    Bench::connected(rules, &dext, |_, connection| {
        let wake = AsyncWake { queue: None, reference: Some(&[0, 1]) };
        let answer = Call { bytes_asked: 8, ..Call::default() }.with_wake(connection, &wake);
        assert_eq!((answer.result, answer.structure_size), (IoReturn::SUCCESS, 2));
        let answer = Call { selector: 1, ..Call::default() }.with_wake(connection, &wake);
        assert_eq!(answer.result, IoReturn::BAD_ARGUMENT);
    });
    assert_eq!(log.take(), [false, false]);
}

fn d7(rules: Rules) {
    let reference = [99, 1, 2];
    assert_eq!(reference_back(rules, Some(&reference))[0], 0);
    assert_eq!(reference, [99, 1, 2], "the caller's own array is left alone");
}

fn d8(rules: Rules) {
    let back = reference_back(rules, Some(&[0, 11, 12, 13]));
    assert_eq!(back, [0, 11, 12, 13, 0, 0, 0, 0]);
    let back = reference_back(rules, Some(&[0, 1, 2, 3, 4, 5, 6, u64::MAX]));
    assert_eq!(back, [0, 1, 2, 3, 4, 5, 6, u64::MAX]);
}

/// Which entries a run loop calls; a Rust client has no callback there.
fn d9(rules: Rules) {
    let reference = [10, 11, 12, 13, 14, 15, 16, 17];
    assert_eq!(callout(rules, &reference), Callout { function: 11, refcon: 12 });
}

fn d10(rules: Rules) {
    let dext = TestDext::new().method(|selector, arguments| {
        arguments.scalar_output.fill(5);
        set_output(arguments, 6, 3);
        IoReturn(selector as u32)
    });
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        let wake = waking(&*queue, &[0]);
        let asked = Call { scalars_asked: 2, bytes_asked: 4, ..Call::default() };
        let answer = asked.with_wake(connection, &wake);
        assert_eq!(answer.result, IoReturn::SUCCESS);
        assert_eq!((answer.scalar_count, answer.structure_size), (2, 3));
        assert_eq!((&answer.scalars[..], &answer.bytes[..3]), (&[5, 5][..], &[6, 6, 6][..]));
        let failing = Call { selector: IoReturn::BUSY.0, ..asked };
        let answer = failing.with_wake(connection, &wake);
        assert_eq!((answer.result, answer.structure_size), (IoReturn::BUSY, 4));
    });
}

fn d11(rules: Rules) {
    let (dext, log) = keeping(true);
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        assert_eq!(call(connection, &waking(&*queue, &[0, 7])), IoReturn::SUCCESS);
        let action = &log.take()[0];
        for index in 0..3 {
            async_completion(action, IoReturn::SUCCESS, &[index]);
        }
        let completions = all(&*queue);
        let arguments: Vec<_> =
            completions.iter().map(|completion| completion.arguments[0]).collect();
        assert_eq!(arguments, [0, 1, 2]);
        assert!(completions.iter().all(|completion| completion.reference[1] == 7));
        action.release();
    });
}

fn d12(rules: Rules) {
    let (dext, log) = keeping(false);
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        assert_eq!(call(connection, &waking(&*queue, &[0])), IoReturn::SUCCESS);
        let action = &log.take()[0];
        assert_eq!(action.retain_count(), 0);
        async_completion(action, IoReturn::SUCCESS, &[]);
        assert_eq!(all(&*queue), []);
    });
}

fn d13(rules: Rules) {
    let (dext, log) = keeping(true);
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        assert_eq!(call(connection, &waking(&*queue, &[0])), IoReturn::SUCCESS);
        let action = &log.take()[0];
        async_completion(action, IoReturn::SUCCESS, &[1; 17]);
        assert_eq!(all(&*queue), [], "dropped without a word");
        async_completion(action, IoReturn::SUCCESS, &[2; 16]);
        assert_eq!(all(&*queue)[0].arguments[..], [2; 16]);
        action.release();
    });
}

fn d14(rules: Rules) {
    for status in [IoReturn::ABORTED, IoReturn(0x1234)] {
        let dext = completing(status, &[]);
        Bench::connected(rules, &dext, |bench, connection| {
            let queue = bench.queue();
            let result = call(connection, &waking(&*queue, &[0]));
            assert_eq!(result, IoReturn::SUCCESS, "the call's own result");
            assert_eq!(queue.poll().unwrap().status, status);
        });
    }
}

fn d17(rules: Rules) {
    let order = Log::new();
    let returning = order.clone();
    let dext = TestDext::new().does(move |arguments| {
        let completion = arguments.completion.as_ref().unwrap();
        for argument in [1, 2, 3] {
            async_completion(completion, IoReturn::SUCCESS, &[argument]);
        }
        let schedule = dextape::driverkit::DextProcess::current().unwrap().schedule().clone();
        schedule.sleep(Duration::from_millis(5));
        returning.push(99);
    });
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        let (waiter, seen) = (Arc::clone(&queue), order.clone());
        let receiver = bench.schedule.spawn("receiver", move || {
            for _ in 0..3 {
                seen.push(waiter.wait(None).unwrap().arguments[0]);
            }
        });
        assert_eq!(call(connection, &waking(&*queue, &[0])), IoReturn::SUCCESS);
        receiver.join();
    });
    assert_eq!(order.take(), [1, 2, 3, 99], "in order, and before the call returned");
}

fn d18(rules: Rules) {
    let (dext, log) = keeping(true);
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        assert_eq!(call(connection, &waking(&*queue, &[0])), IoReturn::SUCCESS);
        let action = &log.take()[0];
        for argument in 0..65_540 {
            async_completion(action, IoReturn::SUCCESS, &[argument]);
        }
        let completions = all(&*queue);
        assert_eq!(completions.len(), 65_534);
        assert_eq!(completions.last().unwrap().arguments[0], 65_533, "the later ones are dropped");
        action.release();
    });
    assert_eq!(enqueue(rules, 65_533), Enqueue::Last);
    assert_eq!(enqueue(rules, 65_534), Enqueue::Drop);
}

fn d19(rules: Rules) {
    let (dext, log) = keeping(true);
    Bench::connected(rules, &dext, |bench, connection| {
        let posted = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&posted);
        let queue = bench.queue();
        queue.observe_posts(Arc::new(move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
        }));
        assert_eq!(call(connection, &waking(&*queue, &[0])), IoReturn::SUCCESS);
        let action = &log.take()[0];
        async_completion(action, IoReturn::SUCCESS, &[]);
        drop(queue);
        async_completion(action, IoReturn::SUCCESS, &[]);
        assert_eq!(posted.load(Ordering::SeqCst), 1, "the port is gone");
        action.release();
    });
}

fn d20(rules: Rules) {
    let (dext, log) = keeping(true);
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        assert_eq!(call(connection, &waking(&*queue, &[0])), IoReturn::SUCCESS);
        let action = &log.take()[0];
        bench.mock.crash(bench.service);
        assert_eq!(all(&*queue), [], "nothing is made up for what is outstanding");
        async_completion(action, IoReturn::SUCCESS, &[]);
        assert_eq!(all(&*queue), []);
    });
}

fn d21(rules: Rules) {
    let (dext, log) = keeping(true);
    Bench::connected(rules, &dext, |bench, connection| {
        let queue = bench.queue();
        assert_eq!(call(connection, &waking(&*queue, &[0])), IoReturn::SUCCESS);
        let action = &log.take()[0];
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        bench.mock.settle();
        async_completion(action, IoReturn::SUCCESS, &[4]);
        assert_eq!(queue.poll().map(|completion| completion.arguments[0]), Some(4));
        action.release();
    });
}
