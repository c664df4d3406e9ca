//! `report`.

use crate::common::Folder;
use std::io::{Cursor, Read as _, Write as _};

#[test]
fn what_is_no_bundle_is_invalid_and_what_is_not_there_a_wrong_question() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    let packed = folder.run(&["report", "pack", "a.tape.jsonl", "--out", "a.zip"]);
    assert_eq!(packed.code, Some(0), "{packed}");
    let mut changed = folder.read("a.zip");
    changed[100] ^= 1;
    folder.write("changed.zip", &changed);
    folder.write("cut.zip", &folder.read("a.zip")[..500]);
    let open = |bundle: &str| folder.run(&["report", "open", bundle, "--into", "out"]).to_string();
    let pack = |rest: &[&str]| folder.run(&[&["report", "pack"], rest].concat()).to_string();
    let said = [
        open("none.zip"),
        open("a.tape.jsonl"),
        open("changed.zip"),
        open("cut.zip"),
        pack(&["none.tape.jsonl", "--out", "b.zip"]),
        pack(&["a.zip", "--out", "b.zip"]),
        pack(&["a.tape.jsonl", "--out", "b.zip", "--replace-private"]),
        pack(&["a.tape.jsonl", "--out", "b.zip", "--environment", "version"]),
        folder.run(&["report", "close"]).to_string(),
    ];
    insta::assert_snapshot!(said.join("\n"));
    assert!(!folder.path("out").exists() && !folder.path("b.zip").exists(), "nothing is left");
}

#[test]
fn a_report_is_told_on_one_screen() {
    let folder = Folder::new();
    let fixtures =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/null-driver/null-driver.tape.jsonl");
    fs_err::create_dir_all(folder.path("fixtures/null-driver")).unwrap();
    fs_err::copy(fixtures, folder.path("fixtures/null-driver/a.tape.jsonl")).unwrap();
    let faults = ["--faults", "call 1 #1: error NoSpace"];
    let record = ["record", "null-driver", "--out", "field.tape.jsonl"];
    let said = folder.run(&[&record[..], &faults[..]].concat());
    assert_eq!(said.code, Some(0), "{said}");
    let log = "2026-11-23 12:00:00.1+0000 long ago\n2026-11-23 12:57:00.2+0000 it stalls\n  here\n";
    folder.write("log.txt", log.as_bytes());
    let pack = ["report", "pack", "field.tape.jsonl", "-o", "a.dextape", "--note", "it hangs"];
    let at = ["--log", "log.txt", "--log-at", "2026-11-23 12:57:10"];
    let said = folder.run(&[&pack[..], &at[..]].concat());
    assert_eq!(said.code, Some(0), "{said}");

    let open = ["report", "open", "a.dextape", "--into", "out", "--replay"];
    let said = folder.run(&open);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.lines().count() <= 50, "more than one screen: {said}");
    insta::assert_snapshot!(said);
    let said = folder.run(&[&open[..], &["--format", "json"]].concat());
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["about"][0]["nearest"]["scenario"], "null-driver");
    let rules = told["about"][0]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["one_of"] == serde_json::json!(["H6"])), "{told}");
}

#[test]
fn a_report_of_another_driver_is_near_no_scenario_and_tells_what_cut_it() {
    let folder = Folder::new();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/smc/small.tape.jsonl");
    fs_err::create_dir_all(folder.path("fixtures/smc")).unwrap();
    fs_err::copy(fixtures, folder.path("fixtures/smc/a.tape.jsonl")).unwrap();
    folder.every_kind("a.tape.jsonl");
    let said = folder.run(&["report", "pack", "a.tape.jsonl", "-o", "a.dextape"]);
    assert_eq!(said.code, Some(0), "{said}");
    let said = folder.run(&["report", "open", "a.dextape", "--into", "out"]);
    assert_eq!(said.code, Some(0), "{said}");
    let has = |text: &str| assert!(said.out.contains(text), "{text:?} is missing: {said}");
    has("no scenario is near");
    has(" missing at event ");
    has("triggered at event ");
}

#[test]
fn a_manifest_that_counts_other_events_than_there_are_is_refused_before_anything_is_done() {
    let folder = Folder::new();
    folder.run(&["record", "null-driver", "--out", "a.tape.jsonl"]);
    folder.run(&["report", "pack", "a.tape.jsonl", "-o", "a.dextape"]);
    // The tape is whole, and so is the seal: only the count is another one.
    let changed = resealed(&folder.read("a.dextape"), "\"events\": 76", "\"events\": 75");
    folder.write("b.dextape", &changed);
    let said = folder.run(&["report", "open", "b.dextape", "--into", "out", "--replay"]);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(
        said.out.contains("broken: expected the 75 events of the manifest, found 76"),
        "{said}"
    );
    assert!(said.out.contains("not replayed: it is broken"), "{said}");
    let changed = resealed(&folder.read("a.dextape"), "\"events\": 76", "\"events\": 1000001");
    folder.write("c.dextape", &changed);
    let said = folder.run(&["report", "open", "c.dextape", "--into", "c"]);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.err.contains("expected tapes of at most 1000000 events together"), "{said}");
    assert!(!folder.path("c").exists());
}

/// A bundle with another manifest, sealed again.
fn resealed(bundle: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bundle)).unwrap();
    let comment = String::from_utf8(archive.comment().to_vec()).unwrap();
    let sealed = comment.len() - 64;
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.set_comment(format!("{}{}", &comment[..sealed], "0".repeat(64))).unwrap();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let name = file.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        if name == "manifest.json" {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(from), "{text}");
            bytes = text.replace(from, to).into_bytes();
        }
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(name, options).unwrap();
        writer.write_all(&bytes).unwrap();
    }
    let mut bytes = writer.finish().unwrap().into_inner();
    let end = bytes.len() - 64;
    let hash = blake3::hash(&bytes[..end]).to_hex();
    bytes[end..].copy_from_slice(hash.as_bytes());
    bytes
}

#[test]
fn names_of_the_environment_are_behind_the_gate_too() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    folder.write("private.txt", b"C02XL0GYJGH5\n");
    let pack = [
        &["report", "pack", "a.tape.jsonl", "-o", "a.dextape", "--private", "private.txt"][..],
        &["--environment", "disk of C02XL0GYJGH5=full"],
    ]
    .concat();
    let said = folder.run(&pack);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.err.contains("note, log or environment: private value 1"), "{said}");
    let said = folder.run(&[&pack[..], &["--replace-private"]].concat());
    assert_eq!(said.code, Some(0), "{said}");
    let said = folder.run(&["report", "open", "a.dextape", "--into", "out"]);
    assert!(said.out.contains("disk of ") && !said.out.contains("C02XL0GYJGH5"), "{said}");
}

#[test]
fn a_client_and_a_dext_are_told_by_what_they_are_made_of() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    folder.write("broken", b"not a program");
    let pack = ["report", "pack", "a.tape.jsonl", "-o", "a.dextape"];
    let said = folder.run(&[&pack[..], &["--client", "broken"]].concat());
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.err.contains("broken"), "{said}");
    fs_err::create_dir(folder.path("A.dext")).unwrap();
    let said = folder.run(&[&pack[..], &["--dext", "A.dext"]].concat());
    assert!(said.err.contains("Info.plist"), "{said}");
    for (at, expected) in [("soon", "expected a time such as"), ("2026-11-23 12:57:10", "log.txt")]
    {
        folder.write("log.txt", b"no time\n");
        let log = ["--log", "log.txt", "--log-at", at];
        let said = folder.run(&[&pack[..], &log[..]].concat());
        assert_eq!(said.code, Some(2), "{said}");
        assert!(said.err.contains(expected), "{said}");
    }
}
