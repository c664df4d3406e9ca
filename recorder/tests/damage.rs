//! Damaged journals: a sample of the long proofs, and the memory that they take.

use dextape_recorder::exam::{cut_at_every_byte, damage_ring, flip_and_cut, forge};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts the bytes that are held, and the most that were.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all work is the system allocator's; the counts have no influence on it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One measurement at a time: the tests of this file may run as threads of one process.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Flips of the larger journal: a sample, or as many as `DEXTAPE_JOURNAL_FLIPS` says. With 10,000 of
/// them every byte of the smaller journal is cut, too.
fn flips() -> u64 {
    let asked = std::env::var("DEXTAPE_JOURNAL_FLIPS").ok().and_then(|flips| flips.parse().ok());
    asked.unwrap_or(120)
}

#[test]
fn a_journal_cut_anywhere_gives_its_beginning_or_is_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let step = if flips() >= 10_000 { 1 } else { 13 };
    let tally = cut_at_every_byte(folder.path(), step).unwrap();
    println!("{tally:?}");
    assert_eq!(tally.recovered + tally.refused, tally.runs);
    assert!(
        tally.refused <= 128 / step as u64 + 1,
        "only a cut in the first header loses everything"
    );
    assert!(tally.runs > 500);
}

#[test]
fn a_flipped_bit_costs_one_event_at_most_and_memory_is_bounded() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let tally = flip_and_cut(folder.path(), flips(), flips() / 5, 1).unwrap();
    println!("{tally:?}, at most {} bytes held", MOST.load(Ordering::Relaxed) - before);
    assert_eq!(tally.recovered + tally.refused, tally.runs);
    assert!(tally.lost_most > 0);
    assert!(MOST.load(Ordering::Relaxed) - before < 16 << 20);
}

#[test]
fn a_forged_journal_seals_to_a_tape_that_reads_back() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let tally = forge(folder.path(), flips(), 1).unwrap();
    println!("{tally:?}, at most {} bytes held", MOST.load(Ordering::Relaxed) - before);
    assert_eq!(tally.recovered, tally.runs);
    assert!(MOST.load(Ordering::Relaxed) - before < 16 << 20);
}

#[test]
fn a_damaged_or_forged_ring_gives_a_tape_or_is_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let tally = damage_ring(folder.path(), flips() / 12, 1).unwrap();
    println!("{tally:?}, at most {} bytes held", MOST.load(Ordering::Relaxed) - before);
    assert_eq!(tally.recovered + tally.refused, tally.runs);
    assert!(tally.recovered > tally.runs / 2, "{tally:?}");
    assert!(MOST.load(Ordering::Relaxed) - before < 24 << 20);
}
