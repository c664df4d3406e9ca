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
