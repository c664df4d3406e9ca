//! Bundles: what may not leave, and what comes in from anybody.

use dextape::redaction::{Pseudonym, RedactionPolicy};
use dextape::registry::Value;
use dextape::schedule::Generator;
use dextape::tape::{Body, Event, Header, Tape, sample};
use dextape_lab::{Bundle, Gate, NEAR, Packed, PrivateValue, Report, TapeProfile, pack_report};
use std::io::{Cursor, Write as _};
use zip::write::SimpleFileOptions;

const SERIAL: &str = "C02XL0GYJGH5";

fn gate(policy: &str, private: &[&str], replaces_private: bool) -> Gate {
    Gate {
        policy: RedactionPolicy::from_toml(policy).unwrap(),
        private: private.iter().filter_map(|text| PrivateValue::of_text(text)).collect(),
        replaces_private,
        pseudonym: Pseudonym::new([7; 32]),
    }
}

fn tape(key: &str, value: &str) -> Tape {
    let outcome = Ok(Some(Value::from(value)));
    let body = Body::Property { service: 1, key: Some(key.to_owned()), outcome };
    Tape::new(Header::mock(), vec![Event::new(1, 1, 1, body)])
}

fn report(tapes: Vec<Tape>, note: &str, log: &str) -> Report {
    let tapes = (1..).zip(tapes).map(|(number, tape)| (format!("{number}.tape.jsonl"), tape));
    Report {
        tapes: tapes.collect(),
        note: note.to_owned(),
        log: log.to_owned(),
        ..Report::default()
    }
}

fn packed() -> Packed {
    let report = report(vec![sample::every_kind()], "it hangs", "one\ntwo");
    pack_report(report, &gate("format = 1", &[], false)).unwrap()
}

/// Reads all of a bundle.
fn read(bytes: Vec<u8>) -> Result<(String, String, Vec<Vec<u8>>), String> {
    let told = |error: dextape_lab::BundleError| error.to_string();
    let mut bundle = Bundle::read(Cursor::new(bytes)).map_err(told)?;
    let mut tapes = Vec::new();
    for index in 0..bundle.manifest().tapes.len() {
        let mut tape = Vec::new();
        bundle.unpack_tape(index, &mut tape).map_err(told)?;
        tapes.push(tape);
    }
    Ok((bundle.note().to_owned(), bundle.log().to_owned(), tapes))
}

/// Closes a bundle again that was changed.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sealed = bytes.len() - 64;
    let hash = blake3::hash(&bytes[..sealed]).to_hex();
    bytes[sealed..].copy_from_slice(hash.as_bytes());
    bytes
}

#[test]
fn what_a_policy_names_on_one_tape_is_replaced_on_all_and_in_the_texts() {
    let tapes = vec![tape("Comment", &format!("no. {SERIAL}")), tape("Serial", SERIAL)];
    let report = report(tapes, &format!("mine is {SERIAL}"), &format!("opened {SERIAL}"));
    let packed =
        pack_report(report, &gate("format = 1\nproperties = ['Serial']", &[], false)).unwrap();
    let (note, log, tapes) = read(packed.bytes).unwrap();
    let all = [note.as_bytes(), log.as_bytes(), &tapes[0], &tapes[1]];
    let other = note.strip_prefix("mine is ").unwrap();
    for text in all {
        let text = std::str::from_utf8(text).unwrap();
        assert!(!text.contains(SERIAL) && text.contains(other), "{text}");
    }
}

#[test]
fn a_bundle_that_holds_a_known_value_is_refused_unless_it_is_to_be_replaced() {
    let gate_of = |replaces| gate("format = 1", &["Ada Lovelace", SERIAL], replaces);
    let whole = || report(vec![tape("Owner", SERIAL)], "from Ada Lovelace", "");
    let refused = pack_report(whole(), &gate_of(false)).unwrap_err();
    insta::assert_snapshot!(format!("failed to {refused}"), @r#"failed to pack the report: tapes/1.tape.jsonl: private value 2 stands in property "Owner" of event 1, as text; note, log or environment: private value 1 stands in a remark of event 2, as text; name their places in a policy, or have them replaced with --replace-private"#);
    let (note, _, tapes) = read(pack_report(whole(), &gate_of(true)).unwrap().bytes).unwrap();
    assert!(!note.contains("Ada Lovelace") && note.starts_with("from "));
    assert!(!String::from_utf8_lossy(&tapes[0]).contains(SERIAL));
}

#[test]
fn any_changed_byte_is_an_error_and_behind_a_new_seal_an_error_or_the_same_content() {
    let bytes = packed().bytes;
    let whole = read(bytes.clone()).unwrap();
    let mut random = Generator::new(1);
    let (mut refused, mut same) = (0, 0);
    for _ in 0..1_000 {
        let mut changed = bytes.clone();
        let at = random.below(changed.len() as u64) as usize;
        changed[at] ^= 1 << random.below(8);
        assert!(read(changed.clone()).is_err(), "byte {at}");
        match read(resealed(changed)) {
            Err(_) => refused += 1,
            // Times, rights and versions in the directory say nothing of the content.
            Ok(content) => {
                assert_eq!(content.2, whole.2, "byte {at}");
                same += 1;
            }
        }
    }
    for end in 0..bytes.len().min(200) {
        assert!(read(bytes[..bytes.len() - end - 1].to_vec()).is_err());
    }
    assert!(refused > 500, "{refused} refused, {same} the same");
}

#[test]
fn bombs_and_names_that_lead_elsewhere_are_refused() {
    let zip = |name: &str, bytes: &[u8]| {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let comment = format!("dextape report, blake3 {}", "0".repeat(64));
        zip.set_comment(comment).unwrap();
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
        resealed(zip.finish().unwrap().into_inner())
    };
    let said = [
        read(zip("manifest.json", &vec![b' '; 8 << 20])),
        read(zip("../../manifest.json", b"{}")),
        read(zip("manifest.json", b"{}")),
        read(zip(
            "manifest.json",
            br#"{"format":1,"packed_by":"","environment":{},"tapes":[],"files":[{"name":"../a","size":1,"blake3":""}],"redactions":[]}"#,
        )),
        read(b"PK".to_vec()),
    ];
    let said: Vec<_> =
        said.into_iter().map(|it| format!("failed to {}", it.unwrap_err())).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    failed to read manifest.json of the bundle: expected a deflated file of at most 1048576 bytes; have it packed and sent again
    failed to read manifest.json of the bundle: expected what a zip holds (specified file not found in archive); have it packed and sent again
    failed to read manifest.json of the bundle: expected a manifest (missing field `format` at line 1 column 2); have it packed and sent again
    failed to read manifest.json of the bundle: expected a line for each file; have it packed and sent again
    failed to read the bundle: expected a zip whose comment is "dextape report, blake3 " and the 64 digits of its hash: it is too short; `cargo xtask report pack` makes one
    "#);
}

/// The tapes of each scenario's folder of fixtures.
fn fixtures() -> Vec<(String, Vec<Tape>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    let mut scenarios = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "regressions" || !path.is_dir() {
            continue;
        }
        let mut files: Vec<_> =
            std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.to_string_lossy().ends_with(".tape.jsonl"));
        files.sort();
        scenarios.push((name, files.iter().map(|file| Tape::read(file).unwrap()).collect()));
    }
    scenarios.sort_by(|(one, _): &(String, Vec<Tape>), (other, _)| one.cmp(other));
    scenarios
}

#[test]
fn a_tape_is_nearest_to_the_other_tapes_of_its_scenario() {
    let fixtures = fixtures();
    let own = |tape: &Tape| TapeProfile::of(tape.header(), tape.events());
    // Of a driver of another name only the shapes of the calls are left.
    let unnamed = |tape: &Tape| TapeProfile::of(&Header::mock(), tape.events());
    let (mut tapes, mut found, mut found_unnamed) = (0, 0, 0);
    for (at, (_, of_scenario)) in fixtures.iter().enumerate() {
        for (left_out, tape) in of_scenario.iter().enumerate().filter(|_| of_scenario.len() > 1) {
            let nearest = |profile: &TapeProfile| {
                let percent = |(other, (_, tapes)): (usize, &(String, Vec<Tape>))| {
                    let mut joined = TapeProfile::default();
                    let others = tapes.iter().enumerate();
                    for (_, tape) in others.filter(|(it, _)| (other, *it) != (at, left_out)) {
                        joined.join(own(tape));
                    }
                    (profile.percent_in(&joined).unwrap(), other)
                };
                fixtures.iter().enumerate().map(percent).max().unwrap()
            };
            tapes += 1;
            found += usize::from(matches!(nearest(&own(tape)), (NEAR.., it) if it == at));
            found_unnamed += usize::from(nearest(&unnamed(tape)).1 == at);
        }
    }
    println!("{tapes} tapes: {found} by name and shape, {found_unnamed} by shape alone");
    assert!(tapes >= 40, "{tapes}");
    assert_eq!(found, tapes);
    assert!(found_unnamed * 10 >= tapes * 9, "{found_unnamed} of {tapes}");
}

#[test]
fn a_tape_of_nothing_known_is_near_nothing() {
    let sample = dextape::tape::sample::every_kind();
    let profile = TapeProfile::of(sample.header(), sample.events());
    for (name, tapes) in fixtures() {
        let mut joined = TapeProfile::default();
        tapes.iter().for_each(|tape| joined.join(TapeProfile::of(tape.header(), tape.events())));
        assert!(profile.percent_in(&joined).unwrap() < NEAR, "{name}");
    }
}
