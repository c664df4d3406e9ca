//! Tests: what is written reads back, and has one spelling.

use super::fields::{Field, Kind};
use super::*;
use std::collections::BTreeSet;

fn inlined(text: &str) -> Tape {
    let mut tape = Tape::from_bytes(text.as_bytes()).unwrap();
    tape.inline_blobs().unwrap();
    tape
}

#[test]
fn the_sample_holds_every_kind_and_reads_back() {
    let tape = sample::every_kind();
    let kinds: BTreeSet<Kind> = tape.events().iter().filter_map(|e| e.body.kind()).collect();
    assert_eq!(kinds.len(), Kind::ALL.len());
    let text = tape.to_text().unwrap();
    assert!(text.len() <= 32 << 10, "{}", text.len());
    let read = inlined(&text);
    assert_eq!(read.header(), tape.header());
    for (read, written) in read.events().iter().zip(tape.events()) {
        assert_eq!(read, written);
    }
    assert_eq!(read.events().len(), tape.events().len());
    assert_eq!(Tape::from_bytes(text.as_bytes()).unwrap().to_text().unwrap(), text);
}

#[test]
fn keys_stand_in_the_order_of_the_table_and_belong_to_their_kind() {
    let text = sample::every_kind().to_text().unwrap();
    let mut used = 0;
    for line in text.lines().filter(|line| line.starts_with("{\"seq\"")) {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let object = value.as_object().unwrap();
        let kind = Kind::of(object["kind"].as_str().unwrap()).unwrap();
        let mut places = Vec::new();
        for key in object.keys() {
            let field = Field::of(key).unwrap();
            assert!(field.is_common() || kind.fields() & field.bit() != 0, "{key} of {line}");
            places.push((line.find(&format!("\"{key}\":")).unwrap(), field));
            used |= field.bit();
        }
        places.sort();
        assert!(places.is_sorted_by_key(|(_, field)| *field), "{line}");
    }
    let unused: Vec<_> = Field::ALL.iter().filter(|field| used & field.bit() == 0).collect();
    assert_eq!(unused, [&Field::MustUnderstand], "the sample shows every field");
}

proptest::proptest! {
    #[test]
    fn any_tape_reads_back_and_has_one_spelling(tape in arbitrary::tape(12)) {
        let text = tape.to_text().unwrap();
        let mut read = Tape::from_bytes(text.as_bytes()).unwrap();
        proptest::prop_assert_eq!(&read.to_text().unwrap(), &text);
        read.inline_blobs().unwrap();
        proptest::prop_assert_eq!(read.header(), tape.header());
        proptest::prop_assert_eq!(read.events(), tape.events());
    }

    #[test]
    fn validation_and_transcripts_take_any_events(tape in arbitrary::tape(12)) {
        let _ = tape.validate();
        let text = tape.transcript(TranscriptOptions::default());
        proptest::prop_assert!(text.lines().count() <= tape.events().len());
        let _ = tape.transcript(TranscriptOptions { hex: true, times: true, ..Default::default() });
    }
}

#[test]
fn fields_of_a_newer_version_survive_a_rewrite() {
    let line = r#"{"seq":1,"lane":1,"pos":1,"kind":"close","queue":"later","x":[1,{"y":null}]}"#;
    let unknown = r#"{"seq":2,"lane":1,"pos":2,"kind":"later","selector":"text","z":-1}"#;
    let mut text = Tape::new(Header::mock(), Vec::new()).to_text().unwrap();
    text.truncate(text.find('\n').unwrap() + 1);
    text = text.replace("\"tape\":\"1.0\"", "\"tape\":\"1.7\"").replace("}\n", ",\"new\":true}\n");
    text = format!("{text}{line}\n{unknown}\n");
    let closing = format!("{{\"end\":2,\"blake3\":\"{}\"}}\n", Digest::of(text.as_bytes()));
    text.push_str(&closing);
    let reader = TapeReader::from_bytes(text.as_bytes()).unwrap();
    assert_eq!(reader.readability(), Readability::NewerMinor);
    let tape = Tape::collect(reader).unwrap();
    assert_eq!(tape.to_text().unwrap(), text);
    assert_eq!(tape.events()[1].body, Body::Unknown { kind: "later".to_owned() });
    // The order of keys does not matter: the kind is looked for where it comes late.
    let shuffled = text.replace(
        r#"{"seq":1,"lane":1,"pos":1,"kind":"close","queue":"later""#,
        r#"{"queue":"later", "pos":1 ,"seq":1,"lane":1,"kind":"close""#,
    );
    assert_ne!(shuffled, text);
    let mut reader = TapeReader::from_bytes(shuffled.into_bytes()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap(), tape.events()[0]);
}

#[test]
fn numbers_that_json_would_lose_are_not_written() {
    let event = Event::new(1 << 53, 1, 1, Body::Opened);
    let error = Tape::new(Header::mock(), vec![event]).to_text().unwrap_err();
    insta::assert_snapshot!(error, @"write the tape, line 2: expected `seq` to be at most 9007199254740991, found 9007199254740992; mend the event before it is written");
}
