//! Small logs of our own become tapes, and broken ones an error.

use dextape::replay::{ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Tape, Transcript, TranscriptOptions};
use dextape_lab::{DriveOptions, ImportReport, drive, import_imf};
use std::sync::Arc;

const LOG: &str = include_str!("data/small.imf.log");

fn import(log: &[u8]) -> Result<(Tape, ImportReport), String> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("small.log"), folder.path().join("small.tape.jsonl"));
    std::fs::write(&from, log).unwrap();
    let report = import_imf(&from, &to).map_err(|error| {
        assert!(!to.exists(), "no half tape");
        error.to_string()
    })?;
    Ok((Tape::read(&to).unwrap(), report))
}

#[test]
fn a_small_log_becomes_a_tape() {
    let (tape, report) = import(LOG.as_bytes()).unwrap();
    assert_eq!(tape.validate().found, 0, "{}", tape.validate());
    let mut transcript = Transcript::new(TranscriptOptions::default());
    let mut text = String::new();
    for event in tape.events() {
        transcript.event(event, &mut text);
    }
    transcript.finish(&mut text);
    insta::assert_snapshot!(format!("{report}\n{text}"));
    let header = tape.header();
    assert_eq!(header.extra["lacks"].as_array().unwrap().len(), report.lacks.len());
    assert_eq!(header.services[&1].name.as_deref(), Some("Lamp"));
}

#[test]
fn the_tape_of_a_log_replays() {
    let tape = Arc::new(import(LOG.as_bytes()).unwrap().0);
    let replayer = Replayer::new(Arc::clone(&tape), ReplayOptions::default()).unwrap();
    let system = replayer.system(&Schedule::free());
    let driven = drive(&tape, &system, DriveOptions::default()).unwrap();
    assert!(driven.is_same(), "{driven}");
    assert!(replayer.finish().unwrap().is_complete());
}

#[test]
fn what_is_no_log_is_told_with_line_column_and_remedy() {
    let lines: Vec<&str> = LOG.lines().collect();
    let changed = |from: &str, to: &str| {
        assert!(LOG.contains(from), "{from}");
        LOG.replacen(from, to, 1)
    };
    let logs = [
        String::new(),
        "hello".to_owned(),
        lines[1..].join("\n"),
        [lines[0], lines[2]].join("\n"),
        changed("'cnt':0x1", "'cnt':0x"),
        changed("'name':'selector'", "'name':'selectr'"),
        changed("0xb00,", "0xb01,"),
        changed("[0x1,0x2,0x3,0x4,]", "[0x1,0x2,0x3,]"),
        changed("[0x1,0x2,0x3,0x4,]", "[0x1,0x2,0x3,0x104,]"),
        LOG.replace("IOServiceOpen'", "IOServiceOpenEx'"),
    ];
    let said = logs.map(|log| import(log.as_bytes()).err().unwrap_or_else(|| "fine".to_owned()));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_log_that_is_cut_off_or_broken_anywhere_never_panics() {
    let bytes = LOG.as_bytes();
    let whole = import(bytes).unwrap().0.events().len();
    for end in (0..bytes.len()).step_by(37) {
        if let Ok((tape, report)) = import(&bytes[..end]) {
            assert!(tape.events().len() < whole || report.cut_off.is_none());
            assert_eq!(tape.validate().found, 0, "cut at {end}");
        }
    }
    for at in (0..bytes.len()).step_by(23) {
        let mut broken = bytes.to_vec();
        broken[at] ^= 1 << (at % 8);
        // Digits may become others, which is another log; all that counts is that it comes back.
        let _log = import(&broken);
    }
}
