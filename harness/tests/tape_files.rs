//! Tapes as files: old versions, the compressed form, recovery, edits, and what the errors say.

use dextape::tape::{
    Body, Digest, Header, Payload, Readability, ResealOptions, Tape, TapeError, TapeFile,
    TapeReader, recover, reseal, sample, upgrade, validate,
};
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

/// A directory that goes away.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The sample's lines, without the closing one.
fn lines() -> Vec<String> {
    let text = sample::every_kind().to_text().unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.pop();
    lines
}

/// A tape of these lines with a right closing line.
fn closed(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    let events = lines.iter().filter(|line| line.starts_with("{\"seq\"")).count();
    let checksum = Digest::of(text.as_bytes());
    text.push_str(&format!("{{\"end\":{events},\"blake3\":\"{checksum}\"}}\n"));
    text
}

/// Reads a text to its end and gives the error.
fn error(text: &str) -> TapeError {
    match TapeReader::from_bytes(text.as_bytes()) {
        Err(error) => error,
        Ok(mut reader) => reader.find_map(Result::err).expect("the tape is whole"),
    }
}

/// One and the same tape as each version of the format has it. They stay as they are, whatever the
/// sample comes to hold.
fn tape_of(version: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/data/format-{version}.tape.jsonl"))
}

#[test]
fn an_old_version_gives_the_same_events_and_can_be_upgraded() {
    let reader = TapeReader::open(&tape_of("0.9")).unwrap();
    assert_eq!(reader.version().to_string(), "0.9");
    assert_eq!(reader.readability(), Readability::Upgraded);
    let mut old = Tape::collect(reader).unwrap();
    let mut new = Tape::read(&tape_of("1.0")).unwrap();
    let text = new.to_text().unwrap();
    assert_eq!(text, fs::read_to_string(tape_of("1.0")).unwrap());
    new.inline_blobs().unwrap();
    old.inline_blobs().unwrap();
    assert_eq!(old.header(), new.header());
    assert_eq!(old.events(), new.events());

    let directory = directory();
    let path = directory.path().join("new.tape.jsonl");
    assert_eq!(upgrade(&tape_of("0.9"), &path).unwrap(), new.events().len() as u64);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn versions_are_readable_too_old_too_new_or_newer_by_a_minor_number() {
    let of = |version: &str| {
        let mut lines = lines();
        lines[0] = lines[0].replace("\"tape\":\"1.0\"", &format!("\"tape\":\"{version}\""));
        closed(&lines)
    };
    let too_old = error(&of("0.8"));
    insta::assert_snapshot!(too_old, @"read the tape, line 1: expected format 0.9 or later, found 0.8; upgrade the tape with a release that reads it, or record again");
    let too_new = error(&of("2.0"));
    insta::assert_snapshot!(too_new, @"read the tape, line 1: expected format 1.x or earlier, found 2.0; update dextape to read this tape");
    assert!(too_old.is_unsupported_version() && too_new.is_unsupported_version());
    let newer = TapeReader::from_bytes(of("1.9").into_bytes()).unwrap();
    assert_eq!(newer.readability(), Readability::NewerMinor);
    let tape = Tape::collect(newer).unwrap();
    assert!(tape.to_text().unwrap().starts_with("{\"tape\":\"1.9\""), "a rewrite keeps it");
}

#[test]
fn the_compressed_form_is_the_same_tape() {
    let directory = directory();
    let path = directory.path().join("sample.tape.jsonl.zst");
    let tape = sample::every_kind();
    tape.write(&path).unwrap();
    let text = tape.to_text().unwrap();
    assert!(fs::metadata(&path).unwrap().len() < text.len() as u64 / 2);
    let mut read = Tape::read(&path).unwrap();
    assert_eq!(read.to_text().unwrap(), text, "blobs are loaded from it");
    read.inline_blobs().unwrap();
    assert_eq!(read.events(), tape.events());
    assert!(validate(&path).unwrap().is_valid());
    // Frames one after the other are one text, and the name does not matter.
    let frame = fs::read(&path).unwrap();
    let twice = directory.path().join("twice.tape.jsonl");
    fs::write(&twice, [&frame[..], &frame[..]].concat()).unwrap();
    let error = Tape::read(&twice).unwrap_err().to_string();
    assert!(error.contains("nothing after the closing line"), "{error}");
    fs::write(&twice, &frame[..frame.len() / 2]).unwrap();
    let error = Tape::read(&twice).unwrap_err().to_string();
    assert!(error.contains("expected a zstd frame"), "{error}");
}

/// A stream that gives a few bytes at a time.
struct Drops(io::Cursor<Vec<u8>>, usize);

impl Read for Drops {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = (self.1 * 7 + 3) % 5000;
        let most = into.len().min(self.1 + 1);
        self.0.read(&mut into[..most])
    }
}

#[test]
fn a_text_longer_than_any_buffer_keeps_its_checksum_and_the_places_of_its_blobs() {
    let mut script = sample::Script::new();
    for number in 0..40_u8 {
        // Blobs shorter and longer than the reader's buffer, and many short lines between them.
        let length = if number % 8 == 0 { 300_000 } else { 1000 };
        for data in [sample::noise(number, length), sample::noise(number, 250)] {
            let data = Payload::Bytes(data);
            let write = Body::Write { memory: 1, offset: 0, width: None, data };
            for _ in 0..50 {
                script.event(1, None, None, write.clone());
            }
        }
    }
    let tape = Tape::new(Header::mock(), script.into_events());
    let text = tape.to_text().unwrap();
    assert!(text.len() > 3 << 20, "{}", text.len());
    let mut read = Tape::from_bytes(text.as_bytes()).unwrap();
    read.inline_blobs().unwrap();
    assert_eq!(read.events(), tape.events());
    let drops = Drops(io::Cursor::new(text.clone().into_bytes()), 1);
    let mut reader = TapeReader::from_stream(Box::new(drops)).unwrap();
    let digest = Digest::of(&sample::noise(39, 1000));
    reader.by_ref().for_each(|event| drop(event.unwrap()));
    assert!(reader.is_closed());
    assert_eq!(reader.blobs().len(), 40);
    assert_eq!(reader.blobs().size(digest), Some(1000));

    let directory = directory();
    for name in ["long.tape.jsonl", "long.tape.jsonl.zst"] {
        let path = directory.path().join(name);
        tape.write(&path).unwrap();
        let read = Tape::read(&path).unwrap();
        assert_eq!(*read.load(digest).unwrap(), *sample::noise(39, 1000));
    }
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let directory = directory();
    let path = directory.path().join("a.tape.jsonl");
    fs::write(&path, "before").unwrap();
    let tape = sample::every_kind();
    let mut file = TapeFile::create(&path, tape.header()).unwrap();
    file.event(&tape.events()[0]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    drop(file);
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left behind");
    tape.write(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), tape.to_text().unwrap());
    let nowhere = directory.path().join("none/a.tape.jsonl");
    let error = tape.write(&nowhere).unwrap_err().to_string();
    assert!(error.contains("none/a.tape.jsonl"), "{error}");
}

#[test]
fn a_tape_stays_readable_when_a_new_one_takes_its_name() {
    let directory = directory();
    let path = directory.path().join("a.tape.jsonl");
    let tape = sample::every_kind();
    tape.write(&path).unwrap();
    let read = Tape::read(&path).unwrap();
    Tape::new(Header::mock(), Vec::new()).write(&path).unwrap();
    assert_eq!(read.to_text().unwrap(), tape.to_text().unwrap());
}

#[test]
fn a_tape_that_was_cut_off_is_recovered_in_place() {
    let directory = directory();
    let path = directory.path().join("a.tape.jsonl");
    let text = sample::every_kind().to_text().unwrap();
    // In the middle of the leave of the first call: the call stays entered.
    let end = text.find("\"kind\":\"return\"").unwrap();
    fs::write(&path, &text[..end]).unwrap();
    let cut = Tape::read(&path).unwrap_err();
    assert!(cut.is_cut_off());
    let recovery = recover(&path, &path).unwrap();
    assert_eq!(recovery.events, 15);
    let tape = Tape::read(&path).unwrap();
    assert_eq!(tape.events(), &sample::every_kind().events()[..15]);
    assert_eq!(tape.header().provenance, ["trimmed", "recovered: 15 events, cut off in line 17"]);
    let validation = validate(&path).unwrap();
    assert!(validation.is_valid(), "{validation}");
    assert_eq!(validation.in_flight, [15]);
    let again = recover(&path, &path).unwrap();
    assert!(again.trouble.is_none());
    assert_eq!(Tape::read(&path).unwrap().header(), tape.header(), "a whole tape is left alone");
}

#[test]
fn an_edited_tape_is_closed_again_and_says_so() {
    let directory = directory();
    let path = directory.path().join("a.tape.jsonl");
    let text = sample::every_kind().to_text().unwrap();
    let edited = text.replacen("\"selector\":1", "\"selector\":21", 1);
    fs::write(&path, &edited).unwrap();
    assert!(Tape::read(&path).is_err());
    let resealed = reseal(&path, &path, ResealOptions::default()).unwrap();
    assert_eq!((resealed.events, resealed.changed), (96, true));
    let tape = Tape::read(&path).unwrap();
    assert_eq!(tape.header().provenance, ["trimmed", "edited"]);
    assert!(tape.to_text().unwrap().contains("\"selector\":21"));
    let again = reseal(&path, &path, ResealOptions::default()).unwrap();
    assert!(!again.changed);
    // What cannot be read stays an error, and the file as it was.
    fs::write(&path, text.replace("\"kind\":\"exec\"", "\"kind\":7")).unwrap();
    assert!(reseal(&path, &path, ResealOptions::default()).is_err());
    assert!(fs::read_to_string(&path).unwrap().contains("\"kind\":7"));
}

#[test]
fn events_that_were_taken_out_leave_no_holes_when_they_are_numbered_anew() {
    let directory = directory();
    let path = directory.path().join("a.tape.jsonl");
    let mut without = lines();
    // Two whole operations: the refused open and the call that failed.
    without.retain(|line| {
        !["{\"seq\":11,", "{\"seq\":12,", "{\"seq\":17,", "{\"seq\":18,"]
            .iter()
            .any(|start| line.starts_with(start))
    });
    fs::write(&path, closed(&without)).unwrap();
    assert!(!validate(&path).unwrap().is_valid());
    reseal(&path, &path, ResealOptions::renumbering()).unwrap();
    let validation = validate(&path).unwrap();
    assert!(validation.is_valid(), "{validation}");
    assert_eq!(validation.events, 92);

    without.retain(|line| !line.starts_with("{\"seq\":13,"));
    fs::write(&path, closed(&without)).unwrap();
    let error = reseal(&path, &path, ResealOptions::renumbering()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("expected event 13 to stand before"), "{error}");
}

#[test]
fn errors_say_where_what_and_what_to_do() {
    let changed = |from: &str, to: &str| {
        let lines: Vec<_> = lines().iter().map(|line| line.replacen(from, to, 1)).collect();
        error(&closed(&lines))
    };
    let text = sample::every_kind().to_text().unwrap();
    insta::assert_snapshot!(error(""), @r#"read the tape, line 1: expected the header of a tape, which begins with {"tape":"1.0"; give a *.tape.jsonl or *.tape.jsonl.zst file"#);
    insta::assert_snapshot!(error("# notes\n"), @r#"read the tape, line 1: expected the header of a tape, which begins with {"tape":"1.0"; give a *.tape.jsonl or *.tape.jsonl.zst file"#);
    insta::assert_snapshot!(error(&text[..text.len() - 200]), @"read the tape, line 99: expected a closing line, found the end of the text; run `cargo xtask recover` to keep its whole events");
    insta::assert_snapshot!(error(&format!("{text}\n")), @"read the tape, line 102: expected nothing after the closing line; remove what follows, then run `cargo xtask reseal`");
    insta::assert_snapshot!(error(&text.replace("{\"end\":96", "{\"end\":95")), @"read the tape, line 101: expected 95 events as the closing line says, found 96; run `cargo xtask reseal` if the edit was yours, or take the original");
    insta::assert_snapshot!(changed("\"host\":\"mock\"", "\"host\":\"here\""), @r#"read the tape, line 1, column 55: expected `host` to be "mock" or an object with `model` and `system`, found string "here"; mend the line and run `cargo xtask reseal`, or record the tape again"#);
    insta::assert_snapshot!(changed("\"lane\":2", "\"lane\":-2"), @"read the tape, line 47, column 19: expected `lane` to be a whole number from 0 to 4294967295, found integer `-2`; mend the line and run `cargo xtask reseal`, or record the tape again");
    insta::assert_snapshot!(changed("\"op\":\"swap\"", "\"op\":\"mul\""), @r#"read the tape, line 55, column 125: expected `op` to be one of swap, add, or, and, compare_exchange, found "mul"; mend the line and run `cargo xtask reseal`, or record the tape again"#);
    insta::assert_snapshot!(changed("\"width\":8", "\"width\":3"), @"read the tape, line 58, column 115: expected `width` to be 1, 2, 4 or 8; mend the line and run `cargo xtask reseal`, or record the tape again");
    insta::assert_snapshot!(changed("\"time\":\"0x3e8\"", "\"time\":1000"), @r#"read the tape, line 3, column 37: expected `time` to be a text such as "0x10", found integer `1000`; mend the line and run `cargo xtask reseal`, or record the tape again"#);
    insta::assert_snapshot!(changed("\"input\":\"01020304\"", "\"input\":\"0102030\""), @"read the tape, line 16, column 137: expected `input` to be pairs of hex digits, blob:SIZE:HASH, hash:SIZE:HASH or redacted:SIZE; mend the line and run `cargo xtask reseal`, or record the tape again");
    insta::assert_snapshot!(changed("kIOReturnBadArgument", "kIOReturnBad"), @r#"read the tape, line 19, column 104: expected `result` to be a name such as kIOReturnBadArgument or hex such as 0xe00002c2, found "kIOReturnBad"; mend the line and run `cargo xtask reseal`, or record the tape again"#);
    insta::assert_snapshot!(changed(",\"service\":1}", "}"), @"read the tape, line 14: expected the key `service`, which the kind open has to have; mend the line and run `cargo xtask reseal`, or record the tape again");
    insta::assert_snapshot!(changed("\"pos\":3,", "\"pos\":3,\"pos\":3,"), @"read the tape, line 4, column 31: expected each key once: pos; mend the line and run `cargo xtask reseal`, or record the tape again");
    insta::assert_snapshot!(changed("\"kind\":\"exec\"", "\"kind\":\"eject\",\"must_understand\":true"), @r#"read the tape, line 97: expected a kind that this version knows, found "eject", which must be understood; update dextape to read this tape"#);
    insta::assert_snapshot!(changed("\"size\":\"0x12c\"", "\"size\":\"0x12d\""), @"read the tape, line 20: expected the blob 0f7d05da9f2de54ebead0333704d25949783d05e539ab672a2a4d54913b78632 to hold the bytes of its hash and size; take the blob line from the original, or record again");
    insta::assert_snapshot!(changed("\"blob\":\"", "\"blob\":\"no"), @r#"read the tape, line 20, column 1: expected a blob line: {"blob":"<64 hex digits>","size":"0x..","lz4":"<base64>"}; mend the line and run `cargo xtask reseal`, or record the tape again"#);
    insta::assert_snapshot!(changed("\"op\":\"add\"", "\"op\":\"add\",\"expected\":\"0x1\""), @"read the tape, line 56: expected `expected` with the operation compare_exchange only; mend the line and run `cargo xtask reseal`, or record the tape again");
    let without: Vec<_> =
        lines().into_iter().filter(|line| !line.starts_with("{\"blob\"")).collect();
    let no_blob = error(&closed(&without)).to_string();
    let digest = Digest::of(&sample::noise(1, 300)).to_string();
    insta::assert_snapshot!(no_blob.replace(&digest, "DIGEST"), @"read the tape, line 20: expected the blob DIGEST to stand before its use; put the blob line back before the event that uses it");
    let checksum = error(&text.replacen("\"selector\":1", "\"selector\":9", 1)).to_string();
    let (start, found) = checksum.split_once(", found ").unwrap();
    assert!(start.starts_with("read the tape, line 101: expected the checksum "), "{start}");
    assert!(
        found.ends_with("; run `cargo xtask reseal` if the edit was yours, or take the original")
    );
    let missing = Tape::read("none.tape.jsonl".as_ref()).unwrap_err();
    insta::assert_snapshot!(missing, @"read none.tape.jsonl: No such file or directory (os error 2); see that the file is there and readable, and the disk not full");
}
