//! What a tape of a ring looks like.

use super::oracle::compare;
use dextape::tape::{Body, Tape, validate};
use dextape_recorder::exam::Flight;
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

pub(crate) fn patient() -> JournalOptions {
    JournalOptions { wait: Duration::from_secs(20), ..JournalOptions::default() }
}

#[test]
fn a_ring_keeps_beginnings_a_gap_a_keyframe_and_the_newest_events() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let plain = Journal::create(&at("plain"), patient()).unwrap();
    let options = patient().ring(RingOptions::of_size(1 << 20).first_calls(5));
    let ring = Journal::create(&at("ring"), options).unwrap();
    let mut flight = Flight::new(&[&plain, &ring], 1);
    for events in [2_000, 20_000, 40_000] {
        assert!(flight.run(events));
        assert!(std::fs::metadata(at("ring")).unwrap().len() <= 1 << 20);
        seal(&at("plain"), &at("plain.tape.jsonl"), SealOptions::default()).unwrap();
        cut(&ring, &at("cut.tape.jsonl"), SealOptions::default()).unwrap();
        let (full, cut) = (read(&at("plain.tape.jsonl")), read(&at("cut.tape.jsonl")));
        println!("{events}: {:?}", compare(&full, &cut).unwrap());
    }
    let cut = read(&at("cut.tape.jsonl"));
    let names: Vec<_> = cut.events().iter().map(|event| event.body.name()).collect();
    let keyframe = names.iter().position(|name| *name == "keyframe").unwrap();
    assert!(names[..keyframe].contains(&"gap"));
    assert!(names[..keyframe].contains(&"opened"));
    assert!(matches!(cut.events()[0].body, Body::Queue { queue: 1 }));
}
