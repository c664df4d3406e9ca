//! What goes into a journal comes out of it.

use dextape::tape::Body;
use dextape_recorder::exam::{append_body, every_kind};
use dextape_recorder::journal::{
    Content, Data, Entry, Journal, JournalError, JournalOptions, JournalReader, Record, Stamp,
    Status,
};
use std::path::Path;
use std::time::Duration;

fn small() -> JournalOptions {
    JournalOptions { segment_size: 4096, ahead: 1, ..JournalOptions::default() }
}

fn read(path: &Path) -> Vec<Entry> {
    JournalReader::open(path).unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_kind_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kinds");
    let journal = Journal::create(&path, small()).unwrap();
    let mut expected = Vec::new();
    for (index, body) in every_kind().into_iter().enumerate() {
        let stamp = Stamp {
            lane: index as u32 % 3,
            connection: (index % 2 == 1).then_some(index as u32),
            cause: None,
            time: index as u64 * 1000,
        };
        let token = append_body(&journal, stamp, &body).unwrap();
        expected.push(Entry { position: token.get(), stamp, content: Content::Event(body) });
    }
    // Once while the journal is open, once after.
    assert_eq!(read(&path), expected);
    drop(journal);
    assert_eq!(read(&path), expected);
    assert!(expected.len() > 50);
}

#[test]
fn a_second_journal_of_that_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("twice");
    let first = Journal::create(&path, small()).unwrap();
    assert!(matches!(Journal::create(&path, small()), Err(JournalError::Exists { .. })));
    drop(first);
}

#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("private");
    let _journal = Journal::create(&path, small()).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn long_records_go_in_chunks_and_come_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long");
    let journal = Journal::create(&path, small()).unwrap();
    for length in (0..6000).step_by(7).chain([100_000, 1_000_000]) {
        let bytes: Vec<u8> = (0..length).map(|index| (index / 3) as u8).collect();
        let data = Data::Bytes(&bytes);
        let write = Record::Write { memory: 1, offset: 0, width: None, data };
        journal.append(Stamp { lane: 1, time: length as u64, ..Stamp::default() }, &write).unwrap();
    }
    drop(journal);
    let mut seen = 0;
    for entry in read(&path) {
        let Content::Event(Body::Write { data, .. }) = entry.content else { panic!("{entry:?}") };
        let bytes = data.as_bytes().unwrap();
        assert_eq!(bytes.len() as u64, entry.stamp.time);
        assert!(bytes.iter().enumerate().all(|(index, byte)| *byte == (index / 3) as u8));
        seen += 1;
    }
    assert_eq!(seen, 6000_usize.div_ceil(7) + 2);
}

#[test]
fn threads_get_increasing_tokens_and_lose_nothing() {
    const EACH: u64 = 5_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("threads");
    let options = JournalOptions { wait: Duration::from_secs(20), ..small() };
    let journal = Journal::create(&path, options).unwrap();
    std::thread::scope(|scope| {
        for lane in 1..=4 {
            let journal = &journal;
            scope.spawn(move || {
                let mut before = None;
                for time in 0..EACH {
                    let stamp = Stamp { lane, connection: None, cause: before, time };
                    let token = journal.append(stamp, &Record::Queue { queue: lane });
                    assert!(token > before && token.is_some());
                    before = token;
                }
            });
        }
    });
    drop(journal);
    let entries = read(&path);
    assert_eq!(entries.len() as u64, 4 * EACH);
    assert!(entries.is_sorted_by_key(|entry| entry.position));
    for lane in 1..=4 {
        let mut before = None;
        let of_lane = entries.iter().filter(|entry| entry.stamp.lane == lane);
        for (time, entry) in of_lane.enumerate() {
            assert_eq!((entry.stamp.time, entry.stamp.cause), (time as u64, before));
            before = entry.token();
        }
    }
}

#[test]
fn holes_are_stepped_over_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("holes");
    let journal = Journal::create(&path, small()).unwrap();
    for queue in 0..400 {
        journal.append(Stamp::default(), &Record::Queue { queue }).unwrap();
        if queue % 10 == 0 {
            journal.leave_hole(Stamp::default(), u64::from(queue), queue % 20 == 0);
        }
    }
    drop(journal);
    let mut reader = JournalReader::open(&path).unwrap();
    for queue in 0..400 {
        let entry = reader.next().unwrap().unwrap();
        assert_eq!(entry.content, Content::Event(Body::Queue { queue }));
    }
    assert!(reader.next().is_none());
    assert_eq!(reader.holes(), 20, "those whose length was published");
}

#[test]
fn a_full_journal_says_where_it_stops_and_how_much_it_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full");
    let options = JournalOptions { size_max: 3 * 4096, ..small() };
    let journal = Journal::create(&path, options).unwrap();
    let mut kept = 0;
    for queue in 0..1000 {
        let token = journal.append(
            Stamp { lane: 1, time: u64::from(queue), ..Stamp::default() },
            &Record::Queue { queue },
        );
        if token.is_some() {
            assert_eq!(kept, queue, "nothing is kept after the first loss");
            kept += 1;
        }
    }
    let Status::Stopped { reason } = journal.status() else { panic!("it still records") };
    assert!(reason.contains("largest size"), "{reason}");
    drop(journal);
    let entries = read(&path);
    assert_eq!(entries.len(), kept as usize + 2);
    let gap =
        |events, reason: &str| Content::Event(Body::Gap { events, reason: reason.to_owned() });
    let [.., stop, count] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(stop.content, gap(None, &reason));
    assert_eq!(stop.stamp.time, u64::from(kept), "when the first record was refused");
    assert_eq!(count.content, gap(Some(u64::from(1000 - kept)), "recording had stopped"));
}

#[test]
fn what_is_set_aside_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trimmed");
    let journal = Journal::create(&path, JournalOptions::default()).unwrap();
    let token = journal.append(Stamp::default(), &Record::Exec).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() >= 1 << 20);
    drop(journal);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), token.get() + 40);
    assert_eq!(read(&path).len(), 1);
}

#[test]
fn what_is_no_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none");
    assert!(matches!(JournalReader::open(&path), Err(JournalError::Io { .. })));
    for bytes in [&b""[..], b"{\"kind\": \"header\"}\n", &[0; 10_000]] {
        std::fs::write(&path, bytes).unwrap();
        let error = JournalReader::open(&path).unwrap_err();
        assert!(matches!(error, JournalError::NotAJournal { .. }), "{error}");
    }
}
