//! `index` and `export`: many tapes as tables.

use crate::common::{Folder, Said};
use dextape_lab::COLUMNS;
use serde_json::Value;
use std::io::Read as _;
use std::process::{Command, Stdio};

/// A folder with a tape of a scenario, one of every kind of event in a folder below, and one that is broken.
fn three_tapes() -> Folder {
    let folder = Folder::new();
    let said = folder.run(&["record", "null-driver", "--out", "tapes/a.tape.jsonl"]);
    assert_eq!(said.code, Some(0), "{said}");
    fs_err::create_dir(folder.path("tapes/below")).unwrap();
    folder.every_kind("tapes/below/b.tape.jsonl");
    let mut broken = folder.read("tapes/a.tape.jsonl");
    broken.truncate(broken.len() / 2);
    folder.write("tapes/c.tape.jsonl", &broken);
    folder
}

fn lines(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn events_of(rows: &[Value], tape: &str) -> usize {
    rows.iter().filter(|row| row["tape"] == tape).count()
}

#[test]
fn an_index_has_a_line_for_each_tape_and_says_which_is_broken() {
    let folder = three_tapes();
    let said = folder.run(&["index", "tapes"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said}");
    let rows = lines(&said.out);
    let tapes: Vec<_> = rows.iter().map(|row| row["tape"].as_str().unwrap()).collect();
    assert_eq!(tapes, ["a.tape.jsonl", "below/b.tape.jsonl", "c.tape.jsonl"]);
    assert_eq!((&rows[0]["scenario"], &rows[0]["events"]), (&"null-driver".into(), &76.into()));
    assert!(rows[2]["error"].as_str().unwrap().contains("c.tape.jsonl"), "{}", rows[2]);

    let said = folder.run(&["index", "tapes", "--out", "tapes.jsonl"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{said}");
    assert_eq!(lines(&String::from_utf8(folder.read("tapes.jsonl")).unwrap()), rows);
}

#[test]
fn an_export_has_a_row_for_each_event_in_the_columns_it_tells_and_fails_for_a_broken_tape() {
    let folder = three_tapes();
    let columns = lines(&folder.run(&["export", "--columns", "--format", "json"]).out);
    let columns: Vec<_> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(columns, COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>());

    let said = folder.run(&["export", "tapes", "--out", "events.jsonl"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said}");
    assert!(said.err.contains("failed to read tapes/c.tape.jsonl, line "), "{said}");
    assert!(said.err.contains("export 1 of 3 tapes whole"), "{said}");
    let rows = lines(&String::from_utf8(folder.read("events.jsonl")).unwrap());
    assert_eq!(events_of(&rows, "a.tape.jsonl"), 76);
    assert_eq!(events_of(&rows, "below/b.tape.jsonl"), 96);
    assert!((1..76).contains(&events_of(&rows, "c.tape.jsonl")), "what was read of it is there");
    for row in &rows {
        let unknown = row.as_object().unwrap().keys().find(|name| !columns.contains(&&***name));
        assert_eq!(unknown, None);
    }

    let said = folder.run(&["export", "tapes/a.tape.jsonl"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert_eq!(lines(&said.out).len(), 76);
}

#[test]
fn parquet_is_a_feature() {
    let folder = three_tapes();
    let said = folder.run(&["export", "tapes/a.tape.jsonl", "--out", "events.parquet"]);
    if cfg!(feature = "parquet") {
        assert_eq!(said.code, Some(0), "{said}");
        let file = folder.read("events.parquet");
        assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
    } else {
        assert_eq!(said.code, Some(2), "{said}");
        assert!(said.err.contains("built without the feature parquet"), "{said}");
        assert!(!folder.path("events.parquet").exists());
    }
}

#[test]
fn wrong_questions_about_tables() {
    let folder = Folder::new();
    fs_err::create_dir(folder.path("empty")).unwrap();
    folder.every_kind("a.tape.jsonl");
    let ask = |arguments: &[&str]| {
        let Said { code, err, .. } = folder.run(arguments);
        let error = err.lines().find(|line| line.starts_with("error: ")).unwrap_or(&err).to_owned();
        format!("{arguments:?}: {code:?} {error}")
    };
    let said = [
        ask(&["index"]),
        ask(&["index", "empty"]),
        ask(&["index", "none"]),
        ask(&["index", "a.tape.jsonl", "--out", "none/tapes.jsonl"]),
        ask(&["export"]),
        ask(&["export", "empty"]),
        ask(&["export", "--columns", "a.tape.jsonl"]),
        ask(&["export", "a.tape.jsonl", "--protocol", "none.toml"]),
        ask(&["coverage", "none"]),
        ask(&["coverage", "empty"]),
        ask(&["coverage", "a.tape.jsonl", "--known", "none"]),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_reader_of_a_table_that_goes_early_ends_it_quietly() {
    let folder = Folder::new();
    // More than any pipe holds.
    let mut tape = dextape::tape::sample::every_kind();
    let (first, count) = (tape.events()[0].clone(), 2_000);
    *tape.events_mut() = (1..=count)
        .map(|sequence| {
            let mut event = first.clone();
            (event.sequence, event.position) = (sequence, sequence);
            event
        })
        .collect();
    fs_err::create_dir(folder.path("many")).unwrap();
    tape.write(&folder.path("many/0.tape.jsonl")).unwrap();
    for arguments in [&["export", "many"][..], &["coverage", "many", "--known", "many"]] {
        let mut child = folder
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut some = [0; 20];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}

/// The example of the handbook, which runs it on tapes that are there, asked of a report that has the
/// failure, of one that has it before the completion, and of one without it.
#[test]
fn the_query_of_the_handbook_finds_the_reports_with_a_failure_after_a_completion() {
    let page =
        fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tables.md")).unwrap();
    let between = |from: &str| {
        let (_, rest) = page.split_once(from).unwrap();
        rest.split_once("\nEND\n").unwrap().0.to_owned()
    };
    let folder = Folder::new();
    folder.write("failed-after.sql", between("failed-after.sql <<'END'\n").as_bytes());
    folder.write("ask.py", between("ask.py <<'END'\n").as_bytes());
    let row = |tape: &str, sequence: u64, kind: &str, selector: u64, failed: bool| {
        let result = if failed { "kIOReturnNoSpace" } else { "kIOReturnSuccess" };
        serde_json::json!({
            "tape": tape, "sequence": sequence, "connection": 1, "kind": kind,
            "selector": selector, "failed": failed, "result": result,
        })
    };
    let rows = [
        row("after", 3, "delivered", 1, false),
        row("after", 5, "return", 4, true),
        row("after", 9, "return", 4, true),
        row("before", 3, "return", 4, true),
        row("before", 5, "delivered", 1, false),
        row("never", 3, "delivered", 1, false),
        row("never", 5, "return", 4, false),
        row("of another", 3, "delivered", 2, false),
        row("of another", 5, "return", 4, true),
    ];
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    folder.write("events.jsonl", text.as_bytes());
    let query = fs_err::File::open(folder.path("failed-after.sql")).unwrap().into_parts().0;
    let output = Command::new("python3")
        .arg("ask.py")
        .current_dir(folder.as_ref())
        .stdin(query)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "after  kIOReturnNoSpace  5  2\n");
}
