//! Completions: waits, polls, futures, and the calls that they need.

use super::story::{Got, Story, Told, divergence, free, open};
use crate::IoReturn;
use crate::connection::{AsyncWake, CompletionQueue, Connection, MethodInput, MethodOutput};
use crate::replay::{DivergenceKind, PatchTiming, Policy, ReplayOptions, Replayer};
use crate::schedule::Schedule;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// An asynchronous call without inputs but a scalar.
fn start(scalar: u64) -> Told {
    Told { reply_scalars: Vec::new(), ..Told::scalar(1, scalar, 0) }
}

/// Makes that call.
fn make(
    connection: &dyn Connection,
    scalar: u64,
    queue: &dyn CompletionQueue,
    reference: &[u64],
) -> IoReturn {
    let wake = AsyncWake { queue: Some(queue), reference: Some(reference) };
    let input = MethodInput { scalars: &[scalar], ..MethodInput::default() };
    connection.call_async_method(1, &wake, &input, &mut MethodOutput::default())
}

#[test]
fn waits_and_polls_give_what_they_gave() {
    for policy in Policy::ALL {
        let mut story = Story::new();
        let connection = story.open(1);
        story.queue(1, 7);
        let call = story.call_async(1, connection, &start(5), 7, &[0, 11, 12]);
        story.wait(1, 7, Some(1000), None);
        let (first, second) =
            (story.posted(call, &[0, 11, 12], 1), story.posted(call, &[0, 11, 12], 2));
        story.wait(1, 7, None, Some(first));
        story.take(1, 7, second);
        let replayer = story.replayer(ReplayOptions::default().policy(policy));
        let system = free(&replayer);
        let connection = open(&*system);
        let queue = system.completion_queue();
        assert_eq!(queue.id().0, 7);
        assert_eq!(queue.poll(), None, "before its call");
        assert_eq!(make(&*connection, 5, &*queue, &[99, 11, 12]), IoReturn::SUCCESS);
        assert_eq!(queue.wait(Some(Duration::from_nanos(1000))), None, "{policy}");
        if !policy.is_keyed() {
            assert_eq!(queue.poll(), None, "a wait comes before");
        }
        let first = queue.wait(None).unwrap();
        assert_eq!((first.reference, &first.arguments[..]), ([0, 11, 12, 0, 0, 0, 0, 0], &[1][..]));
        assert_eq!(queue.poll().map(|second| second.arguments[0]), Some(2));
        assert_eq!(queue.poll(), None);
        assert!(replayer.finish().unwrap().is_complete());
    }
}

#[test]
fn a_completion_may_come_before_its_call_returns() {
    // D17: the other thread has it while the call is still under way.
    let mut story = Story::new();
    let connection = story.open(1);
    story.queue(1, 1);
    let told = start(5);
    let body = crate::tape::Body::AsyncCall {
        call: told.enter(),
        queue: Some(1),
        reference: Some(vec![0]),
    };
    let waiting = story.event(2, None, None, crate::tape::Body::Wait { queue: 1, timeout: None });
    let call = story.event(1, Some(connection), None, body);
    let posted = story.posted(call, &[0], 42);
    story.take(2, 1, posted);
    story.event(2, None, Some(waiting), crate::tape::Body::Woke { timed_out: false });
    story.event(1, Some(connection), Some(call), crate::tape::Body::Return(told.leave()));
    let replayer = story.replayer(ReplayOptions::default().policy(Policy::Lanes));
    let system = free(&replayer);
    let connection = open(&*system);
    let queue = system.completion_queue();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.wait(None));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiter.is_finished(), "not before its call is made");
        let _ = make(&*connection, 5, &*queue, &[0]);
        assert_eq!(waiter.join().unwrap().unwrap().arguments[0], 42);
    });
    assert!(replayer.finish().unwrap().is_complete());
}

/// Two calls, each completed by the dext in the other order, and a wait for each.
fn crossed(policy: Policy) -> Replayer {
    let mut story = Story::new();
    let connection = story.open(1);
    story.queue(1, 1);
    let one = story.call_async(1, connection, &start(1), 1, &[0, 1]);
    let first = story.posted(one, &[0, 1], 10);
    story.wait(1, 1, None, Some(first));
    let two = story.call_async(1, connection, &start(2), 1, &[0, 2]);
    let second = story.posted(two, &[0, 2], 20);
    story.wait(1, 1, None, Some(second));
    story.replayer(ReplayOptions::default().policy(policy).patience(Duration::from_millis(50)))
}

#[test]
fn in_any_order_a_wait_gives_the_completion_whose_call_was_made() {
    let replayer = crossed(Policy::AnyOrder);
    let system = free(&replayer);
    let connection = open(&*system);
    let queue = system.completion_queue();
    let _ = make(&*connection, 2, &*queue, &[0, 2]);
    assert_eq!(queue.wait(None).unwrap().arguments[0], 20);
    let _ = make(&*connection, 1, &*queue, &[0, 1]);
    assert_eq!(queue.wait(None).unwrap().arguments[0], 10);
    assert!(replayer.finish().unwrap().is_complete());
}

#[test]
fn a_wait_whose_call_nobody_makes_is_out_of_order() {
    let replayer = crossed(Policy::Ordered);
    let system = free(&replayer);
    let _connection = open(&*system);
    let queue = system.completion_queue();
    let report = divergence(&replayer, || {
        let _ = queue.wait(None);
    });
    assert_eq!(report.kind, DivergenceKind::OutOfOrder);
    assert!(report.message.contains("which nobody made"), "{report}");
}

#[test]
fn a_simulated_run_that_waits_for_ever_leaves_the_divergence_behind() {
    let replayer = crossed(Policy::Ordered);
    let stuck = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Schedule::simulate(1, |schedule| {
            let system = replayer.system(schedule);
            let _connection = open(&*system);
            system.completion_queue().wait(None)
        })
    }));
    let text = *stuck.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("main waits for its turn on the tape"), "{text}");
    let report = replayer.finish().unwrap_err();
    assert_eq!(report.kind, DivergenceKind::OutOfOrder);
    assert_eq!(report.place.map(|place| place.sequence), Some(5), "the call that nobody makes");
}

#[test]
fn a_wait_in_which_the_tape_ends_says_so() {
    let mut story = Story::new();
    story.queue(1, 1);
    story.event(1, None, None, crate::tape::Body::Wait { queue: 1, timeout: None });
    let options = ReplayOptions::default().patience(Duration::from_millis(50));
    let replayer = story.replayer(options);
    let queue = free(&replayer).completion_queue();
    let report = divergence(&replayer, || {
        let _ = queue.wait(None);
    });
    assert_eq!(report.kind, DivergenceKind::NeverRecorded);
    assert!(report.message.contains("the tape ends in this wait"), "{report}");
}

#[test]
fn a_poll_loop_may_turn_another_number_of_times() {
    let mut story = Story::new();
    let connection = story.open(1);
    story.queue(1, 1);
    let call = story.call_async(1, connection, &start(1), 1, &[0]);
    let posted = story.posted(call, &[0], 10);
    story.take(1, 1, posted);
    let told = Told::scalar(0, 1, 2);
    story.call(1, connection, &told);
    let replayer = story.replayer(ReplayOptions::default().policy(Policy::Exact));
    let system = free(&replayer);
    let connection = open(&*system);
    let queue = system.completion_queue();
    assert!((0..1000).all(|_| queue.poll().is_none()), "nothing before the call");
    let _ = make(&*connection, 1, &*queue, &[0]);
    assert_eq!(queue.poll().unwrap().arguments[0], 10);
    assert!((0..1000).all(|_| queue.poll().is_none()));
    let got: Got = told.make(&*connection);
    assert_eq!(got, told.got());
    assert!(replayer.finish().unwrap().is_complete());
}

#[test]
fn a_simulated_poll_finds_a_completion_when_it_was_posted() {
    let mut story = Story::new();
    let connection = story.open(1);
    story.queue(1, 1);
    let call = story.call_async(1, connection, &start(1), 1, &[0]);
    let posted = story.posted(call, &[0], 10);
    story.take(1, 1, posted);
    let (header, mut events) = story.events();
    for event in &mut events[posted as usize - 1..] {
        event.time += 5_000_000;
    }
    let tape = Arc::new(crate::tape::Tape::new(header, events));
    let replayer = Replayer::new(tape, ReplayOptions::default()).unwrap();
    let turns = Schedule::simulate(1, |schedule| {
        let system = replayer.system(schedule);
        let connection = open(&*system);
        let queue = system.completion_queue();
        let _ = make(&*connection, 1, &*queue, &[0]);
        let mut turns = 0;
        while queue.poll().is_none() {
            schedule.sleep(Duration::from_millis(1));
            turns += 1;
        }
        turns
    });
    assert_eq!(turns, 6, "5 ms after the call, and a bit");
    assert!(replayer.finish().unwrap().is_complete());
    // A client that lets no time pass is not left turning for ever.
    let replayer = crossed_poll();
    Schedule::simulate(1, |schedule| {
        let system = replayer.system(schedule);
        let connection = open(&*system);
        let queue = system.completion_queue();
        let _ = make(&*connection, 1, &*queue, &[0]);
        while queue.poll().is_none() {}
    });
    assert!(replayer.finish().unwrap().is_complete());
}

fn crossed_poll() -> Replayer {
    let mut story = Story::new();
    let connection = story.open(1);
    story.queue(1, 1);
    let call = story.call_async(1, connection, &start(1), 1, &[0]);
    let posted = story.posted(call, &[0], 10);
    story.take(1, 1, posted);
    story.replayer(ReplayOptions::default())
}

#[test]
fn a_future_is_woken_when_its_completion_is_due() {
    struct Count(AtomicU32);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    for policy in Policy::ALL {
        let mut story = Story::new();
        let connection = story.open(1);
        story.queue(1, 1);
        let call = story.call_async(1, connection, &start(1), 1, &[0]);
        let posted = story.posted(call, &[0], 10);
        story.take(1, 1, posted);
        let replayer = story.replayer(ReplayOptions::default().policy(policy));
        let system = free(&replayer);
        let connection = open(&*system);
        let queue = system.completion_queue();
        let count = Arc::new(Count(AtomicU32::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let mut next = pin!(queue.next());
        assert_eq!(next.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        let _ = make(&*connection, 1, &*queue, &[0]);
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "{policy}");
        let Poll::Ready(completion) = next.as_mut().poll(&mut context) else {
            panic!("it was woken for nothing ({policy})");
        };
        assert_eq!(completion.arguments[0], 10);
    }
}

#[test]
fn another_systems_queue_is_no_queue_of_the_tape() {
    let mut story = Story::new();
    let connection = story.open(1);
    let told = Told { result: IoReturn::MACH_SEND_INVALID_DEST, ..start(1) };
    story.call_async(1, connection, &told, 3, &[0]);
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let mut other = Story::new();
    other.queue(1, 3);
    let other = other.replayer(ReplayOptions::default());
    let foreign = free(&other).completion_queue();
    let result = make(&*connection, 1, &*foreign, &[0]);
    assert_eq!(result, IoReturn::MACH_SEND_INVALID_DEST, "D5");
}

#[test]
fn as_recorded_a_poll_finds_what_it_found_at_the_same_turn() {
    let mut story = Story::new();
    let connection = story.open(1);
    story.queue(1, 1);
    let call = story.call_async(1, connection, &start(1), 1, &[0]);
    let posted = story.posted(call, &[0], 10);
    let body = crate::tape::Body::Delivered { queue: 1, polls: 2 };
    story.event(1, Some(1), Some(posted), body);
    let options = ReplayOptions::default().patches(PatchTiming::AsRecorded);
    let replayer = story.replayer(options);
    let system = free(&replayer);
    let connection = open(&*system);
    let queue = system.completion_queue();
    let _ = make(&*connection, 1, &*queue, &[0]);
    assert_eq!((queue.poll(), queue.poll()), (None, None));
    assert!(queue.poll().is_some());
    assert!(replayer.finish().unwrap().is_complete());
}
