//! Notices of several queues, and waits for what never comes.

use super::story::{Story, Told, divergence, free, open};
use crate::IoReturn;
use crate::call::ServiceId;
use crate::connection::{Matching, Notice, NoticeKind, NoticeQueue, System};
use crate::replay::{DivergenceKind, OnDivergence, Policy, ReplayOptions, Replayer};
use crate::tape::Body;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

const LANE: u32 = 1;
/// A thread that only looks for notices.
const OTHER_LANE: u32 = 2;
const ARRIVED: Notice = Notice { kind: NoticeKind::Arrived, service: ServiceId(1) };
const TERMINATED: Notice = Notice { kind: NoticeKind::Terminated, service: ServiceId(1) };

fn watched(story: &mut Story, queue: u32) {
    let matching = Matching::service("Test");
    story.event(LANE, None, None, Body::Watch { queue, matching, result: IoReturn::SUCCESS });
    noticed(story, LANE, queue, NoticeKind::Arrived);
}

fn noticed(story: &mut Story, lane: u32, queue: u32, kind: NoticeKind) {
    story.event(lane, None, None, Body::Notice { queue, kind, service: 1 });
}

/// The call that ends the service.
fn last_call() -> Told {
    Told::scalar(0, 1, 2)
}

/// Two queues of one service, whose end `lane` sees through both, the second first.
fn two_queues(lane: u32, options: ReplayOptions) -> Replayer {
    let mut story = Story::new();
    let connection = story.open(LANE);
    watched(&mut story, 1);
    watched(&mut story, 2);
    story.call(LANE, connection, &last_call());
    noticed(&mut story, lane, 2, NoticeKind::Terminated);
    noticed(&mut story, lane, 1, NoticeKind::Terminated);
    story.replayer(options)
}

fn watch(system: &dyn System) -> Arc<dyn NoticeQueue> {
    system.watch(&Matching::service("Test")).unwrap()
}

fn all(queue: &dyn NoticeQueue) -> Vec<Notice> {
    std::iter::from_fn(|| queue.poll()).collect()
}

#[test]
fn a_notice_comes_after_what_it_came_after_through_each_queue() {
    for policy in Policy::ALL {
        let replayer = two_queues(LANE, ReplayOptions::default().policy(policy));
        let system = free(&replayer);
        let connection = open(&*system);
        let first = watch(&*system);
        assert_eq!(all(&*first), [ARRIVED], "{policy}: the end is not there yet");
        let second = watch(&*system);
        assert_eq!(all(&*second), [ARRIVED], "{policy}: the end is not there yet");
        assert_eq!(all(&*first), [], "{policy}");
        let _ = last_call().make(&*connection);
        let mut came = (Vec::new(), Vec::new());
        // In the order of the tape or in that of the polls, as the policy has it: the second round is
        // the last one either way.
        for _ in 0..2 {
            came.0.extend(all(&*first));
            came.1.extend(all(&*second));
        }
        assert_eq!(came, (vec![TERMINATED], vec![TERMINATED]), "{policy}");
        assert_eq!((first.poll(), second.poll()), (None, None));
        assert!(replayer.finish().unwrap().is_complete(), "{policy}");
    }
}

#[test]
fn a_thread_that_makes_no_calls_sees_a_notice_no_earlier() {
    for policy in [Policy::Ordered, Policy::Lanes, Policy::AnyOrder] {
        let replayer = two_queues(OTHER_LANE, ReplayOptions::default().policy(policy));
        let system = free(&replayer);
        let connection = open(&*system);
        let queues = [(); 2].map(|()| {
            let queue = watch(&*system);
            assert_eq!(all(&*queue), [ARRIVED], "{policy}");
            queue
        });
        // One of them would be its first operation on the tape.
        let before = std::thread::scope(|scope| {
            let look = || queues.iter().map(|queue| all(&**queue)).collect::<Vec<_>>();
            scope.spawn(look).join().unwrap()
        });
        assert_eq!(before, [[], []], "{policy}");
        let _ = last_call().make(&*connection);
        let after = std::thread::scope(|scope| {
            let look = || {
                let rounds = queues.iter().chain(&queues);
                rounds.flat_map(|queue| all(&**queue)).collect::<Vec<_>>()
            };
            scope.spawn(look).join().unwrap()
        });
        assert_eq!(after, [TERMINATED, TERMINATED], "{policy}");
        assert!(replayer.finish().unwrap().is_complete(), "{policy}");
    }
}

const PATIENCE: Duration = Duration::from_millis(30);

/// Waits as long as the system lets it.
fn wait_for_ever(system: &dyn System) {
    for waited in 0..1000 {
        system.check_wait(Duration::from_millis(waited * 10));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_wait_without_a_timeout_for_what_the_tape_does_not_hold_is_a_divergence() {
    let replayer = two_queues(LANE, ReplayOptions::default().patience(PATIENCE));
    let system = free(&replayer);
    let connection = open(&*system);
    let queues = [watch(&*system), watch(&*system)];
    let report = divergence(&replayer, || wait_for_ever(&*system));
    assert_eq!(report.kind, DivergenceKind::OutOfOrder, "the call is left: {report}");
    assert!(report.message.contains("nobody has gone on"), "{report}");

    let replayer = two_queues(LANE, ReplayOptions::default().patience(PATIENCE));
    drop((system, connection, queues));
    let system = free(&replayer);
    let connection = open(&*system);
    let queues = [watch(&*system), watch(&*system)];
    for queue in &queues {
        all(&**queue);
    }
    let _ = last_call().make(&*connection);
    for queue in &queues {
        all(&**queue);
    }
    for queue in &queues {
        all(&**queue);
    }
    let report = divergence(&replayer, || wait_for_ever(&*system));
    assert_eq!(report.kind, DivergenceKind::UsedUp, "{report}");
    assert!(report.message.contains("the tape holds nothing more"), "{report}");
}

#[test]
fn a_wait_without_a_timeout_ends_where_a_code_answers_divergences() {
    let answer = OnDivergence::Answer(IoReturn::NOT_READY);
    let options = ReplayOptions::default().patience(PATIENCE).on_divergence(answer);
    let replayer = two_queues(LANE, options);
    let system = free(&replayer);
    let ended = catch_unwind(AssertUnwindSafe(|| wait_for_ever(&*system)));
    assert!(ended.unwrap_err().downcast::<String>().unwrap().contains("nobody has gone on"));
    assert!(replayer.finish().is_err());
}

#[test]
fn a_wait_without_a_timeout_goes_on_while_somebody_does() {
    let mut story = Story::new();
    let connection = story.open(LANE);
    (0..20).for_each(|_| {
        story.call(LANE, connection, &last_call());
    });
    let replayer = story.replayer(ReplayOptions::default().patience(PATIENCE * 10));
    let system = free(&replayer);
    let connection = open(&*system);
    // Twice as long as its patience.
    for turn in 0..20 {
        let _ = last_call().make(&*connection);
        system.check_wait(PATIENCE * (turn + 1));
        std::thread::sleep(PATIENCE);
    }
    assert!(replayer.finish().unwrap().is_complete());
}
