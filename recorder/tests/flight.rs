//! A sample of the long proof: a flight recorder takes no more memory and disk than it was given. And a
//! program that it watches dies as it would without.

use dextape_recorder::exam::{FlightCost, fly};
use dextape_recorder::flight::{FlightOptions, FlightRecorder};
use dextape_recorder::journal::{JournalOptions, RingOptions};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use std::path::PathBuf;
use std::process::Command;

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

/// The variable by which a process knows that it is the one that traps, and where.
const TRAPPED: &str = "DEXTAPE_TEST_TRAPPED";

/// The program that traps, in a process of its own; returns at once in any other.
#[test]
fn the_trapped() {
    let Some(folder) = std::env::var_os(TRAPPED).map(PathBuf::from) else { return };
    let journal = JournalOptions::default().ring(RingOptions::of_size(1 << 20));
    let options = RecordOptions { journal, ..RecordOptions::default() };
    let session = RecordingSession::start(&folder.join("client.journal"), options).unwrap();
    let (tape, triggers) = (folder.join("client.tape.jsonl"), "signal:crash".parse().unwrap());
    let _flight =
        FlightRecorder::start(&session, &tape, triggers, FlightOptions::default()).unwrap();
    // As a failed assertion of a client in C does it.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it touches nothing; the process is to end by it.
    unsafe {
        std::arch::asm!("int3");
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("brk #1");
    }
    std::process::exit(0);
}

/// On x86 the instruction is over when its signal comes: a handler that only puts the default back has the
/// program go on behind it.
#[test]
fn a_trap_ends_the_program_and_has_a_tape_cut() {
    use std::os::unix::process::ExitStatusExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_trapped", "--test-threads", "1"]).env(TRAPPED, folder.path());
    let output = command.output().unwrap();
    // 5 is SIGTRAP everywhere.
    assert_eq!(output.status.signal(), Some(5), "{output:?}");
    assert!(folder.path().join("client-cut-1.tape.jsonl").exists(), "{output:?}");
}
