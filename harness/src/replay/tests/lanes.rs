//! Several threads on one connection.

use super::story::{Story, Told, divergence, free, open};
use crate::call::MapOptions;
use crate::replay::{DivergenceKind, PatchTiming, Policy, ReplayOptions};
use crate::schedule::Schedule;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Lane 1 opens; lanes 2 and 3 make three calls each, one after the other.
fn interleaved() -> (Story, Vec<Told>, Vec<Told>) {
    let calls = |lane: u64| -> Vec<Told> {
        (1..=3).map(|step| Told::scalar(lane as u32, lane * 10 + step, lane * 100 + step)).collect()
    };
    let (second, third) = (calls(2), calls(3));
    let mut story = Story::new();
    let connection = story.open(1);
    for (one, other) in second.iter().zip(&third) {
        story.call(2, connection, one);
        story.call(3, connection, other);
    }
    (story, second, third)
}

#[test]
fn lanes_are_the_default_where_threads_share_a_connection() {
    let (story, ..) = interleaved();
    assert_eq!(story.replayer(ReplayOptions::default()).policy(), Policy::Lanes);
    let mut story = Story::new();
    let (one, two) = (story.open(1), story.open(1));
    story.call(2, one, &Told::scalar(0, 1, 2));
    story.call(3, two, &Told::scalar(0, 1, 2));
    let ordered = story.replayer(ReplayOptions::default());
    assert_eq!(ordered.policy(), Policy::Ordered, "a thread a connection");
}

#[test]
fn lanes_interleave_as_they_like() {
    let (story, second, third) = interleaved();
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let all = |calls: &[Told]| {
        for call in calls {
            assert_eq!(call.make(&*connection), call.got());
        }
    };
    // All of one, then all of the other.
    std::thread::scope(|scope| {
        scope.spawn(|| all(&third)).join().unwrap();
        scope.spawn(|| all(&second)).join().unwrap();
    });
    assert!(replayer.finish().unwrap().is_complete());
}

#[test]
fn exact_waits_for_its_turn() {
    let (story, second, third) = interleaved();
    let replayer = story.replayer(ReplayOptions::default().policy(Policy::Exact));
    let connection = open(&*free(&replayer));
    std::thread::scope(|scope| {
        let late = scope.spawn(|| {
            for call in &third {
                assert_eq!(call.make(&*connection), call.got());
            }
        });
        std::thread::sleep(Duration::from_millis(20));
        assert!(!late.is_finished(), "the other lane's turn");
        scope.spawn(|| {
            for call in &second {
                assert_eq!(call.make(&*connection), call.got());
            }
        });
    });
    assert!(replayer.finish().unwrap().is_complete());
}

/// A read that changes nothing is no event. Where it stood before a call of its thread, it sees no patch
/// that was found behind that call, by another thread and without a read.
#[test]
fn as_recorded_a_thread_does_not_read_what_another_saw_behind_its_next_call() {
    let word = 0x1234_u16;
    let [kick, first, second] = [0, 1, 2].map(|selector| Told::scalar(selector, 2, 3));
    for policy in [Policy::Exact, Policy::Lanes] {
        let options = ReplayOptions::default().policy(policy).patches(PatchTiming::AsRecorded);
        let mut story = Story::new();
        story.open(1);
        story.map(1, 1);
        story.call(2, 1, &first);
        story.call(1, 1, &kick);
        story.call(2, 1, &second);
        story.patch(1, 1, 0, &word.to_le_bytes(), 0);
        let replayer = story.replayer(options);
        let connection = open(&*free(&replayer));
        let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).unwrap();
        let kicked = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Its first call shows which lane it is.
                assert_eq!(first.make(&*connection), first.got());
                kicked.wait();
                kicked.wait();
                for _ in 0..3 {
                    assert_eq!(mapping.load::<u16>(0), Ok(0), "{policy}: before its call");
                }
                assert_eq!(second.make(&*connection), second.got());
            });
            kicked.wait();
            assert_eq!(kick.make(&*connection), kick.got());
            kicked.wait();
        });
        assert_eq!(mapping.load::<u16>(0), Ok(word), "{policy}");
        assert!(replayer.finish().unwrap().is_complete());
    }
}

#[test]
fn a_turn_that_never_comes_is_out_of_order() {
    let (story, _, third) = interleaved();
    let options =
        ReplayOptions::default().policy(Policy::Exact).patience(Duration::from_millis(30));
    let replayer = story.replayer(options);
    let connection = open(&*free(&replayer));
    let other =
        std::thread::scope(|scope| scope.spawn(|| third[0].make(&*connection)).join().is_err());
    assert!(other);
    let report = replayer.finish().unwrap_err();
    assert_eq!(report.kind, DivergenceKind::OutOfOrder);
    assert_eq!(report.place.map(|place| place.sequence), Some(4), "the call of lane 2");
}

#[test]
fn a_thread_that_fits_no_lane_diverges() {
    let (story, second, _) = interleaved();
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let report = divergence(&replayer, || drop(second[0].make(&*connection)));
    assert_eq!(
        report.kind,
        DivergenceKind::OutOfOrder,
        "the thread that opened has lane 1\n{report}"
    );
}

#[test]
fn simulated_tasks_take_the_lanes_of_their_numbers() {
    // Both lanes begin alike, and go on differently.
    let same = Told::scalar(0, 1, 1);
    let (second, third) = (Told::scalar(0, 2, 2), Told::scalar(0, 3, 3));
    for seed in 0..20 {
        let mut story = Story::new();
        let connection = story.open(1);
        story.call(2, connection, &same);
        story.call(3, connection, &same);
        story.call(3, connection, &third);
        story.call(2, connection, &second);
        let replayer = story.replayer(ReplayOptions::default());
        Schedule::simulate(seed, |schedule| {
            let connection = Arc::new(open(&*replayer.system(schedule)));
            for last in [&second, &third] {
                let (connection, last, same) =
                    (Arc::clone(&connection), last.clone(), same.clone());
                drop(schedule.spawn("client", move || {
                    assert_eq!(same.make(&**connection), same.got());
                    assert_eq!(last.make(&**connection), last.got());
                }));
            }
        });
        assert!(replayer.finish().unwrap().is_complete());
    }
}

#[test]
fn threads_that_race_get_what_is_theirs() {
    const THREADS: u64 = 4;
    const CALLS: u64 = 200;
    for policy in [Policy::Lanes, Policy::Exact, Policy::AnyOrder] {
        let told = |lane: u64, call: u64| Told::scalar(7, lane << 32 | call, call * lane);
        let mut story = Story::new();
        let connection = story.open(1);
        for call in 0..CALLS {
            for lane in 2..2 + THREADS {
                story.call(lane as u32, connection, &told(lane, call));
            }
        }
        let replayer = story.replayer(ReplayOptions::default().policy(policy));
        let connection = open(&*free(&replayer));
        std::thread::scope(|scope| {
            for lane in 2..2 + THREADS {
                let connection = &connection;
                scope.spawn(move || {
                    for call in 0..CALLS {
                        let told = told(lane, call);
                        assert_eq!(told.make(&**connection), told.got());
                    }
                });
            }
        });
        assert!(replayer.finish().unwrap().is_complete(), "{policy}");
    }
}

#[test]
fn a_divergence_of_one_thread_wakes_those_who_wait() {
    let (story, second, third) = interleaved();
    let replayer = story.replayer(ReplayOptions::default().policy(Policy::Exact));
    let connection = open(&*free(&replayer));
    let woken = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| third[0].make(&*connection));
        std::thread::sleep(Duration::from_millis(20));
        let other = scope.spawn(|| second[2].make(&*connection));
        assert!(other.join().is_err());
        let report = *waiter.join().unwrap_err().downcast::<String>().unwrap();
        assert!(report.starts_with("replay diverged"), "{report}");
        woken.store(true, Ordering::Relaxed);
    });
    assert!(woken.into_inner());
    assert!(replayer.finish().is_err());
}
