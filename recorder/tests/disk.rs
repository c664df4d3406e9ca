//! A journal that the disk gives no more room stops, says so, and its client never notices.

#![cfg(target_os = "linux")]

use dextape::tape::Body;
use dextape_recorder::journal::{
    Content, Journal, JournalOptions, JournalReader, Record, Stamp, Status,
};
use std::path::PathBuf;
use std::process::Command;

/// The variable by which a process knows that it is the one with little room.
const POOR: &str = "DEXTAPE_TEST_POOR";

/// The side with little room, in a process of its own; returns at once in any other.
#[test]
fn the_poor() {
    let Some(path) = std::env::var_os(POOR).map(PathBuf::from) else { return };
    let limit = libc::rlimit { rlim_cur: 40_000, rlim_max: 40_000 };
    // SAFETY: limits the files of this process, which does nothing else.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
    let options = JournalOptions { segment_size: 4096, ahead: 2, ..JournalOptions::default() };
    let journal = Journal::create(&path, options).unwrap();
    let kept = (0..2000)
        .filter(|time| {
            let stamp = Stamp { lane: 1, time: *time, ..Stamp::default() };
            journal.append(stamp, &Record::Queue { queue: 1 }).is_some()
        })
        .count();
    assert!((100..2000).contains(&kept), "{kept} records were kept");
    assert!(matches!(journal.status(), Status::Stopped { .. }));
    journal.finish();
    // Ends without giving anything back, as a killed process would.
    std::process::exit(0);
}

#[test]
fn a_full_disk_stops_the_recording_and_not_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("poor");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_poor", "--test-threads", "1"]).env(POOR, &path);
    let output = command.output().unwrap();
    // A signal of the disk (SIGXFSZ here, SIGBUS from a map) would have ended it otherwise.
    assert!(output.status.success(), "{output:?}");
    let entries: Vec<_> = JournalReader::open(&path).unwrap().map(Result::unwrap).collect();
    let [kept @ .., stop, count] = &entries[..] else { panic!("{entries:?}") };
    assert!(kept.iter().all(|entry| entry.content == Content::Event(Body::Queue { queue: 1 })));
    let Content::Event(Body::Gap { events: None, reason }) = &stop.content else {
        panic!("{stop:?}")
    };
    assert!(reason.contains("could not grow beyond byte 36864"), "{reason}");
    let lost = Some(2000 - kept.len() as u64);
    assert!(
        matches!(&count.content, Content::Event(Body::Gap { events, .. }) if *events == lost),
        "{count:?}"
    );
}
