//! What a tape of a ring looks like.

use super::oracle::{Account, compare};
use dextape::tape::{Body, Tape, validate};
use dextape_recorder::exam::{Flight, cut_while_recording};
use dextape_recorder::journal::{Journal, JournalOptions, RingOptions};
use dextape_recorder::seal::{SealOptions, cut, seal};
use std::path::Path;
use std::time::Duration;

pub(crate) fn read(path: &Path) -> Tape {
    let validation = validate(path).unwrap();
    assert!(validation.is_valid(), "{validation}");
    let mut tape = Tape::read(path).unwrap();
    tape.inline_blobs().unwrap();
    tape
}

/// A journal whose appends wait for as long as a test may take.
pub(crate) fn patient() -> JournalOptions {
    JournalOptions { wait: Duration::from_secs(20), ..JournalOptions::default() }
}

pub(crate) fn smallest() -> RingOptions {
    RingOptions::of_size(1 << 20)
}

/// Records a client in a plain journal and in a ring, compares what is cut of the ring after so many events
/// with the full tape, and gives the ring's last tape.
fn twice(ring: RingOptions, seed: u64, cuts: &[u64]) -> (Tape, Account) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let plain = Journal::create(&at("plain"), patient()).unwrap();
    let size = ring.size;
    let ring = Journal::create(&at("ring"), patient().ring(ring)).unwrap();
    let mut flight = Flight::new(&[&plain, &ring], seed);
    let mut last = None;
    for events in cuts {
        assert!(flight.run(*events));
        assert!(std::fs::metadata(at("ring")).unwrap().len() <= size);
        seal(&at("plain"), &at("plain.tape.jsonl"), SealOptions::default()).unwrap();
        cut(&ring, &at("cut.tape.jsonl"), SealOptions::default()).unwrap();
        let (full, cut) = (read(&at("plain.tape.jsonl")), read(&at("cut.tape.jsonl")));
        let account = compare(&full, &cut);
        let account = account.unwrap_or_else(|what| panic!("seed {seed}, {events} events: {what}"));
        last = Some((cut, account));
    }
    last.unwrap()
}

fn kept(cut: &Tape) -> impl Iterator<Item = &Body> {
    let bodies = cut.events().iter().map(|event| &event.body);
    bodies.take_while(|body| !matches!(body, Body::Keyframe(_)))
}

#[test]
fn a_ring_keeps_beginnings_a_gap_a_keyframe_and_the_newest_events() {
    let (cut, account) = twice(smallest().first_calls(5), 1, &[2_000, 14_000]);
    let names: Vec<_> = kept(&cut).map(Body::name).collect();
    for name in ["gap", "opened", "mapped", "call", "return", "queue"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(account.kept > 100 && account.tail > 3_000, "{account:?}");
    assert!(account.memories > 0 && account.shadow_bytes > 1_000, "{account:?}");
}

#[test]
fn any_ring_says_what_the_full_tape_says() {
    let mut pending = 0;
    for seed in 10..13 {
        let (_, account) = twice(smallest().first_calls(seed as u32 % 3), seed, &[7_000]);
        assert_eq!((account.lost, account.forgotten), (0, 0), "{account:?}");
        pending += account.pending;
    }
    assert!(pending > 0, "no call was under way in any of them");
}

#[test]
fn sticky_selectors_are_kept_and_the_others_are_not() {
    let (cut, _) = twice(smallest().first_calls(0).sticky(3), 2, &[7_000]);
    let selectors: Vec<_> = kept(&cut)
        .filter_map(|body| match body {
            Body::Call(call) => Some(call.selector),
            _ => None,
        })
        .collect();
    let sticky = selectors.iter().filter(|selector| **selector == 3).count();
    // Calls that are under way at the gap are kept, too.
    assert!(sticky > 10 && selectors.len() - sticky <= 4, "{selectors:?}");
}

#[test]
fn shadow_pages_over_their_budget_are_named_and_not_guessed() {
    let (cut, account) = twice(smallest().shadows(6 << 10), 3, &[7_000]);
    assert!(account.lost > 0, "{account:?}");
    let notes = cut.events().iter().filter(|event| matches!(event.body, Body::Note { .. }));
    assert!(notes.count() > 0);
}

#[test]
fn a_prologue_has_its_budget() {
    let (_, little) = twice(smallest().prologue(4 << 10), 4, &[7_000]);
    let (_, more) = twice(smallest().prologue(64 << 10), 4, &[7_000]);
    assert!(little.kept < 60 && more.kept > 4 * little.kept, "{little:?} {more:?}");
}

#[test]
fn the_last_minutes_are_cut_by_time() {
    let ring = smallest().last(Duration::from_nanos(500));
    let (_, account) = twice(ring, 5, &[1_000, 7_000]);
    // The newest event is the last of them.
    assert_eq!(account.tail, 501);
}

#[test]
fn the_same_records_give_the_same_tape_whatever_the_helper_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut runs = Vec::new();
    for sleep in [0, 30_000] {
        let at = |name: &str| folder.path().join(format!("{name}-{}", runs.len()));
        let ring = Journal::create(&at("ring"), patient().ring(smallest())).unwrap();
        ring.make_helper_drowsy(Duration::from_micros(sleep));
        let mut flight = Flight::new(&[&ring], 6);
        let mut tapes = Vec::new();
        // Over more segments than are given up at once, so that the helper is now before that and now behind.
        for events in (6_000..6_480).step_by(60) {
            flight.run(events);
            cut(&ring, &at("cut"), SealOptions::default()).unwrap();
            tapes.push(std::fs::read(at("cut")).unwrap());
        }
        drop(ring);
        // And what is left when the recording has ended.
        seal(&at("ring"), &at("sealed"), SealOptions::default()).unwrap();
        let sealed = std::fs::read(at("sealed")).unwrap();
        assert!(tapes.last() == Some(&sealed), "run {}", runs.len());
        runs.push(tapes);
    }
    for (index, (left, right)) in runs[0].iter().zip(&runs[1]).enumerate() {
        assert!(left == right, "cut {index}");
    }
}

#[test]
fn a_tape_is_cut_while_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let events = cut_while_recording(folder.path(), 4).unwrap();
    assert!(events > 4_000, "{events}");
    // The copies that the cuts were made of are gone.
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "the journal and the last tape");
}
