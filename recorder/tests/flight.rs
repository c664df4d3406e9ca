//! A sample of the long proof: a flight recorder takes no more memory and disk than it was given.

use dextape_recorder::exam::{FlightCost, fly};
use dextape_recorder::journal::RingOptions;

/// Events: a sample, or as many as the full proof asks for.
fn events() -> u64 {
    let asked = std::env::var("DEXTAPE_FLIGHT").ok().and_then(|events| events.parse().ok());
    asked.unwrap_or(200_000)
}

fn check(size: u64) -> FlightCost {
    let folder = tempfile::tempdir().unwrap();
    let cost = fly(folder.path(), RingOptions::of_size(size), events()).unwrap();
    let FlightCost { events, seconds, file, disk, memory, tape } = &cost;
    println!(
        "figures: a ring of {} MiB: {events} events, {:.0} a second, the client's work included; file {file} bytes, \
         {disk} on disk; memory grew by {memory:?} bytes; tape of {} events",
        size >> 20,
        *events as f64 / seconds,
        tape.events
    );
    assert!(*file <= size, "{cost:?}");
    // A file system counts a little for itself.
    assert!(*disk <= size + (256 << 10), "{cost:?}");
    if let Some((_, most)) = memory {
        // The segments in use, what is kept, and copies of it while it is saved: far from the whole ring.
        assert!(*most <= size / 4 + (8 << 20), "{cost:?}");
    }
    assert!(tape.gaps > 0 && tape.events > 2_000, "{cost:?}");
    cost
}

/// One after the other, since what is measured is the whole process.
#[test]
fn flies_within_its_bound() {
    check(2 << 20);
    if events() > 1_000_000 {
        check(64 << 20);
    }
}
