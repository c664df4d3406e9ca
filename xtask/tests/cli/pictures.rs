//! `show --html`, `--perfetto` and `--tui`, and `diff --html`.

use crate::common::Folder;
use dextape::tape::{Body, Tape};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn a_page_is_one_file_that_names_no_other() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    folder.every_kind("b.tape.jsonl");
    let asked: [&[&str]; 2] = [
        &["show", "a.tape.jsonl", "--html", "page.html"],
        &["diff", "a.tape.jsonl", "b.tape.jsonl", "--html", "page.html"],
    ];
    for asked in asked {
        let said = folder.run(asked);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said}");
        assert!(
            said.out.starts_with("page.html: ") && said.out.ends_with("open it in a browser\n")
        );
        let page = String::from_utf8(folder.read("page.html")).unwrap();
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        for other in ["http://", "https://", " src=", "@import", "url("] {
            assert!(!page.contains(other), "the page has {other}");
        }
        let told = folder.run(&[asked, &["--format", "json"]].concat());
        let told: Value = serde_json::from_str(&told.out).unwrap();
        assert_eq!(told["bytes"], page.len());
    }
}

#[test]
fn a_picture_shows_a_whole_tape_and_needs_a_place() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    for filter in [["--selector", "2"], ["--kind", "call"], ["--lane", "1"]] {
        let asked = [&["show", "a.tape.jsonl", "--html", "page.html"], &filter[..]].concat();
        let said = folder.run(&asked);
        assert_eq!(said.code, Some(2), "{said}");
        assert!(said.err.contains("cannot be used with"), "{said}");
    }
    for picture in ["--html", "--perfetto"] {
        let said = folder.run(&["show", "a.tape.jsonl", picture, "no/such/folder"]);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said}");
        assert!(said.err.starts_with("error: failed to "), "{said}");
        assert!(said.err.contains("no/such/folder"), "{said}");
    }
    assert!(!folder.path("page.html").exists());
}

/// What the viewer of Perfetto and chrome://tracing ask of a trace: JSON with `traceEvents`, of which each has
/// the keys of its phase; threads that are named once; slices of a thread that stand within each other or apart;
/// flows whose three parts have one number, in the order of time, each on a thread that is there.
#[test]
fn a_trace_is_as_its_viewer_wants_it() {
    let folder = Folder::new();
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let tapes = [
        "capture-ring/right",
        "hid-frames/notice-of-each",
        "nvme-rings/right",
        "null-driver/threads",
    ];
    let mut flows_seen = 0;
    for tape in tapes {
        let path = fixtures.join(format!("{tape}.tape.jsonl"));
        let path = path.to_string_lossy();
        let said = folder.run(&["show", &path, "--perfetto", "trace.json"]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said}");
        let trace: Value = serde_json::from_slice(&folder.read("trace.json")).unwrap();
        let mut threads: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        let mut slices: BTreeMap<(u64, u64), Vec<(f64, f64)>> = BTreeMap::new();
        let mut flows: BTreeMap<u64, Vec<(String, f64)>> = BTreeMap::new();
        for event in trace["traceEvents"].as_array().unwrap() {
            let phase = event["ph"].as_str().unwrap();
            let of = || (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
            assert!(!event["name"].as_str().unwrap().is_empty(), "{event}");
            let ts = event["ts"].as_f64();
            match phase {
                "M" if event["name"] == "thread_name" => *threads.entry(of()).or_default() += 1,
                "M" => {}
                "X" => {
                    let dur = event["dur"].as_f64().unwrap();
                    assert!(dur >= 0.0, "{event}");
                    slices.entry(of()).or_default().push((ts.unwrap(), ts.unwrap() + dur));
                }
                "s" | "t" | "f" => {
                    assert!(event["cat"].is_string(), "a flow is of a category: {event}");
                    assert!(threads.contains_key(&of()), "{event}");
                    let flow = flows.entry(event["id"].as_u64().unwrap()).or_default();
                    flow.push((phase.to_owned(), ts.unwrap()));
                }
                "i" | "C" => assert!(ts.is_some(), "{event}"),
                other => panic!("{tape}: no phase of the format is {other}"),
            }
        }
        assert!(threads.values().all(|count| *count == 1), "{threads:?}");
        for (thread, slices) in &mut slices {
            assert!(threads.contains_key(thread), "{tape}: {thread:?} has no name");
            slices.sort_by(|one, other| one.0.total_cmp(&other.0).then(other.1.total_cmp(&one.1)));
            let mut open: Vec<f64> = Vec::new();
            for (from, to) in slices {
                open.retain(|end| end > from);
                assert!(open.iter().all(|end| *to <= *end), "{tape}: slices of {thread:?} cross");
                open.push(*to);
            }
        }
        let posted = Tape::read(path.as_ref().as_ref()).unwrap();
        let posted = posted.events().iter().filter(|it| matches!(it.body, Body::Posted { .. }));
        assert_eq!(flows.len(), posted.count(), "{tape}: a flow for each completion");
        for (id, flow) in flows {
            let phases: String = flow.iter().map(|(phase, _)| phase.as_str()).collect();
            // What was never delivered has no end, and the viewer shows none.
            assert!(["stf", "st"].contains(&phases.as_str()), "{tape}: flow {id} is {phases}");
            assert!(flow.windows(2).all(|two| two[0].1 <= two[1].1), "{tape}: flow {id} goes back");
            flows_seen += 1;
        }
    }
    assert!(flows_seen > 10, "only {flows_seen} flows");
}

#[test]
fn without_a_terminal_there_is_an_error_with_a_remedy() {
    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    insta::assert_snapshot!(folder.run(&["show", "a.tape.jsonl", "--tui"]), @r"
    --- stderr
    error: failed to show the tape in a terminal: standard input is none; leave out --tui for a transcript, or use --html FILE
    --- exit code 2
    ");
}

/// In a terminal that `script` (util-linux) lends: it draws, moves, and q leaves it as it was.
#[cfg(target_os = "linux")]
#[test]
fn in_a_terminal_it_draws_and_quits() {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    let folder = Folder::new();
    folder.every_kind("a.tape.jsonl");
    let program = env!("CARGO_BIN_EXE_xtask");
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--flush", "--command"])
        .arg(format!("stty rows 30 cols 120; exec '{program}' show a.tape.jsonl --tui"))
        .arg("/dev/null")
        .current_dir(&folder)
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`script` of util-linux lends a terminal");
    let mut keys = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let mut seen = String::new();
    let mut until = |seen: &mut String, wanted: &str| {
        let mut part = [0; 4096];
        while !seen.contains(wanted) {
            let count = screen.read(&mut part).unwrap();
            assert!(count > 0, "it ended before it showed {wanted:?}: {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&part[..count]));
        }
    };
    until(&mut seen, "a.tape.jsonl");
    until(&mut seen, "96 events");
    keys.write_all(b"jjq").unwrap();
    // The alternate screen is left, and the cursor is back.
    until(&mut seen, "\u{1b}[?1049l");
    until(&mut seen, "\u{1b}[?25h");
    drop(keys);
    assert!(child.wait().unwrap().success());
}
