//! What becomes of the six clients when their own code is changed at random (`cargo mutants`): which
//! mutants plain replay catches, which only runs that could as well have been, and which none. The table
//! is `docs/client-mutants.md`.
//!
//! `cargo xtask prove client-mutants` makes all mutants anew, which takes half an hour, and compares the
//! page; `DEXTAPE_CLIENT_MUTANTS_WRITE=1` beside `DEXTAPE_CLIENT_MUTANTS` writes it.
//! `DEXTAPE_CLIENT_MUTANTS_OF=ledger` makes those of one file only, and compares nothing.

use super::candidates::record;
use super::exam::CANDIDATES;
use super::found::{By, cell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs of the tape, and as many of the mock, that a mutant lives through if it is not caught.
const FULL: u64 = 1000;

/// What one run of the tests may take. A mutant that never ends is caught by that.
const SECONDS_MAX: u64 = 60;

/// Files of the clients with the tests that run them; all tests run what the clients share.
const FILES: [(&str, &str); 9] = [
    ("capture_ring", "capture_ring"),
    ("irq_page", "irq_page"),
    ("ledger", ""),
    ("null_driver", "null_driver"),
    ("nvme_rings", "nvme_rings"),
    ("shared_buffer", "shared_buffer"),
    ("stop", ""),
    ("usb_bulk", "usb_bulk"),
    ("waiting", ""),
];

/// What may come of a mutant, in the order of the page's columns.
const FATES: [&str; 7] = [
    "does not compile",
    "replay",
    "perturbed replay",
    "mock",
    "seeded bugs",
    "never ends",
    "survives",
];

/// The mutants of one file.
#[derive(Default)]
struct Fates {
    counts: [u64; FATES.len()],
    survivors: Vec<String>,
}

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/client-mutants.md")
}

/// Makes a package of the clients, with the tapes of the right ones. It shares the workspace's versions
/// and is built in a folder of its own.
fn package(folder: &Path, schedules: u64) {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = home.parent().unwrap();
    std::fs::create_dir_all(folder.join("src/exam")).unwrap();
    for entry in std::fs::read_dir(home.join("tests/bug_exam/exam")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join("src/exam").join(path.file_name().unwrap())).unwrap();
    }
    for file in ["lib.rs", "runs.rs"] {
        let from = home.join("tests/bug_finding/mutated").join(file);
        std::fs::copy(from, folder.join("src").join(file)).unwrap();
    }
    std::fs::write(folder.join("src/schedules"), schedules.to_string()).unwrap();
    let exam = std::fs::read_to_string(super::found::page()).unwrap();
    let mut bugs = String::new();
    for bug in CANDIDATES.iter().flat_map(|candidate| candidate.bugs) {
        if let Some((_, needed)) = cell(&exam, bug, By::Mock) {
            writeln!(bugs, "{bug:?}: {needed}").unwrap();
        }
    }
    std::fs::write(folder.join("src/bugs"), bugs).unwrap();
    std::fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let manifest = format!(
        "[package]\nname = \"dextape-mutated\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [workspace]\n\n[profile.dev]\ndebug = false\n\n[dependencies]\n\
         dextape.path = {:?}\ndextape-scenarios.path = {home:?}\n",
        workspace.join("harness"),
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    for candidate in &CANDIDATES {
        let name = format!("{}.tape.jsonl", candidate.scenario.name());
        record(candidate, None).write(&folder.join(name)).unwrap();
    }
}

/// Has the mutants of one file made and run.
fn mutate(folder: &Path, file: &str, test: &str) -> Fates {
    let output = folder.join(format!("out-{file}"));
    let _none = std::fs::remove_dir_all(&output);
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["mutants", "--in-place", "--no-config", "--colors", "never", "--dir"]);
    command.arg(folder).arg("--output").arg(&output);
    command.args(["--file", &format!("src/exam/{file}.rs")]);
    command.args(["--timeout", &SECONDS_MAX.to_string(), "--", "--lib", "--"]);
    command.args(["--nocapture", "--test-threads=1"]).args(Some(test).filter(|it| !it.is_empty()));
    command.env_remove("CARGO_TARGET_DIR");
    let ran = command.output().unwrap();
    let text = std::fs::read_to_string(output.join("mutants.out/outcomes.json"));
    let text = text.unwrap_or_else(|error| {
        let stderr = String::from_utf8_lossy(&ran.stderr);
        panic!("cargo mutants tells nothing: {error} (`cargo install cargo-mutants`)\n{stderr}")
    });
    fates(&output.join("mutants.out"), &serde_json::from_str(&text).unwrap())
}

/// Reads what cargo-mutants tells, and from the logs by which runs a mutant was caught.
fn fates(output: &Path, told: &serde_json::Value) -> Fates {
    let mut fates = Fates::default();
    for outcome in told["outcomes"].as_array().unwrap() {
        let mutant = &outcome["scenario"]["Mutant"];
        let summary = outcome["summary"].as_str().unwrap();
        if mutant.is_null() {
            assert_eq!(summary, "Success", "the clients as they are fail in {}", output.display());
            continue;
        }
        let fate = match summary {
            "Unviable" => "does not compile".to_owned(),
            "Timeout" => "never ends".to_owned(),
            "MissedMutant" => "survives".to_owned(),
            "CaughtMutant" => {
                let log = output.join(outcome["log_path"].as_str().unwrap());
                caught_by(&std::fs::read_to_string(log).unwrap())
            }
            other => panic!("cargo mutants tells {other}"),
        };
        fates.counts[FATES.iter().position(|it| *it == fate).unwrap()] += 1;
        if fate == "survives" {
            let name = mutant["name"].as_str().unwrap().trim_start_matches("src/exam/");
            fates.survivors.push(name.to_owned());
        }
    }
    fates
}

/// Which runs caught a mutant, the earliest where several clients share its code: those before the first
/// stage at which a test was left.
fn caught_by(log: &str) -> String {
    let stages: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix("stage: ")).collect();
    let begins = |next: Option<&&str>| next.is_none_or(|next| *next == "replay");
    let left = (stages.iter().enumerate())
        .filter(|(at, stage)| **stage != "none" && begins(stages.get(at + 1)))
        .map(|(_, stage)| *stage);
    let place = |stage: &&str| FATES.iter().position(|fate| fate == stage);
    left.min_by_key(place).expect("a test that failed has begun").to_owned()
}

/// The cells of the page's rows.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter_map(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(cells.split(" | ").collect())
    })
}

/// Why a mutant of the page survives, by its name.
fn reasons(text: &str) -> BTreeMap<String, String> {
    let survivors = rows(text).filter(|cells| cells.len() == 2 && cells[0].starts_with('`'));
    survivors.map(|cells| (cells[0].trim_matches('`').to_owned(), cells[1].to_owned())).collect()
}

/// A mutant's name as the page has it: a bar would end the cell.
fn escaped(name: &str) -> String {
    name.replace('|', "¦")
}

fn write(found: &[(&str, Fates)], reasons: &BTreeMap<String, String>) -> String {
    let mut text = PAGE.replace("FULL", &FULL.to_string());
    writeln!(text, "| file | mutants | {} |", FATES.join(" | ")).unwrap();
    writeln!(text, "|---|{}", "--:|".repeat(FATES.len() + 1)).unwrap();
    let mut all = [0; FATES.len()];
    let mut line = |name: &str, counts: &[u64; FATES.len()]| {
        let cells: Vec<String> = counts.iter().map(u64::to_string).collect();
        let sum: u64 = counts.iter().sum();
        writeln!(text, "| {name} | {sum} | {} |", cells.join(" | ")).unwrap();
    };
    for (file, fates) in found {
        line(file, &fates.counts);
        all.iter_mut().zip(fates.counts).for_each(|(all, count)| *all += count);
    }
    line("all", &all);
    text.push_str(SURVIVORS);
    for name in found.iter().flat_map(|(_, fates)| &fates.survivors) {
        let name = escaped(name);
        let why = reasons.get(&name).map_or("?", String::as_str);
        writeln!(text, "| `{name}` | {why} |").unwrap();
    }
    text
}

#[test]
fn the_table_of_mutants_is_what_becomes_of_them() {
    let asked = std::env::var("DEXTAPE_CLIENT_MUTANTS").ok();
    let Some(schedules) = asked.map(|asked| asked.parse().expect("a number of runs")) else {
        println!("skipped: mutants are asked for by DEXTAPE_CLIENT_MUTANTS={FULL}");
        return;
    };
    let only = std::env::var("DEXTAPE_CLIENT_MUTANTS_OF").ok();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/client-mutants");
    package(&folder, schedules);
    let mut found = Vec::new();
    for (file, test) in FILES {
        if only.as_ref().is_none_or(|only| only == file) {
            found.push((file, mutate(&folder, file, test)));
        }
    }
    let held = std::fs::read_to_string(page()).unwrap_or_default();
    let text = write(&found, &reasons(&held));
    println!("{text}");
    if only.is_some() || schedules != FULL {
        return;
    }
    if std::env::var_os("DEXTAPE_CLIENT_MUTANTS_WRITE").is_some() {
        std::fs::write(page(), &text).unwrap();
        return;
    }
    // Which of the runs comes first to a mutant that never ends is a matter of the machine.
    assert!(
        held == text,
        "docs/client-mutants.md differs; DEXTAPE_CLIENT_MUTANTS_WRITE=1 writes it"
    );
}

/// Each survivor of the page has a reason, and the figures are those of the rows.
#[test]
fn the_page_gives_a_reason_for_each_survivor() {
    let text = std::fs::read_to_string(page()).unwrap();
    let reasons = reasons(&text);
    let missing: Vec<&String> =
        reasons.iter().filter(|(_, why)| why.len() < 4).map(|(name, _)| name).collect();
    assert!(missing.is_empty(), "no reason for {missing:#?}");
    let all = rows(&text).find(|cells| cells[0] == "all").expect("a row for all");
    assert_eq!(all.last().unwrap().parse::<usize>(), Ok(reasons.len()));
    for cells in rows(&text).filter(|cells| cells.len() == FATES.len() + 2) {
        let Ok(counts) = cells[1..].iter().map(|it| it.parse()).collect::<Result<Vec<u64>, _>>()
        else {
            continue;
        };
        assert_eq!(counts[0], counts[1..].iter().sum::<u64>(), "{}", cells[0]);
    }
}

const PAGE: &str = "\
# Mutants of the six clients

`cargo mutants` changes the code of the exam's six clients (`scenarios/tests/bug_exam/exam`), one place at a
time: an operator, a condition, the whole of a function. Each mutant is played the tape of the right client.
If it passes, it lives through FULL runs that the tape could as well have given, and then through FULL of the
mock, with faults. At last it is run with each of its seeded bugs, as in the [exam](bug-exam.md), to see
whether they are still found. The columns say which of these caught it first: by a check of the client, a
panic, or its going where the tape does not. Those that never end are stopped.

`cargo xtask prove client-mutants` makes all of them anew and compares this page. It takes half an hour and
`cargo install cargo-mutants --locked`.

";

const SURVIVORS: &str = "
## Survivors

| mutant | why |
|---|---|
";
