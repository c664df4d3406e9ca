//! The handbook: every chapter is there and linked, every rule of the boundary has its line, and every
//! command that can run here is run, with what it prints compared where the book shows that.

use dextape::boundary::Rule;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs_err::read_to_string(path).unwrap()
}

/// Where links of a text lead, without those to other sites.
fn links(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        if is_code {
            continue;
        }
        let ends = line.match_indices("](").filter_map(|(at, _)| {
            let rest = &line[at + 2..];
            rest.find(')').map(|end| rest[..end].to_owned())
        });
        all.extend(ends.filter(|link| !link.contains("://")));
    }
    all
}

fn chapters() -> Vec<PathBuf> {
    let docs = root().join("docs");
    links(&read(&docs.join("SUMMARY.md"))).iter().map(|link| docs.join(link)).collect()
}

#[test]
fn the_summary_has_each_page_and_no_link_is_dead() {
    let chapters: BTreeSet<PathBuf> = chapters().into_iter().collect();
    let mut pages = Vec::new();
    for folder in [root().join("docs"), root().join("docs/scenarios")] {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_page = path.extension().is_some_and(|ending| ending == "md");
            if is_page && path.file_name().is_none_or(|name| name != "SUMMARY.md") {
                pages.push(path);
            }
        }
    }
    let forgotten: Vec<_> = pages.iter().filter(|page| !chapters.contains(*page)).collect();
    assert!(forgotten.is_empty(), "not in docs/SUMMARY.md: {forgotten:?}");

    let mut dead = String::new();
    let readme = root().join("README.md");
    for page in chapters.iter().chain([&readme]) {
        for link in links(&read(page)) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let has_anchor = || {
                read(&target).lines().filter(|line| line.starts_with('#')).any(|heading| {
                    let kept =
                        |character: char| character.is_alphanumeric() || " -_".contains(character);
                    let slug: String = heading
                        .trim_start_matches('#')
                        .trim()
                        .chars()
                        .filter(|it| kept(*it))
                        .collect();
                    slug.to_lowercase().replace(' ', "-") == anchor
                })
            };
            if !target.exists() || (!anchor.is_empty() && !has_anchor()) {
                let _ = writeln!(dead, "{}: {link}", page.display());
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{dead}");
}

#[test]
fn each_rule_of_the_boundary_has_a_line_in_order() {
    let text = read(&root().join("docs/rules.md"));
    let told: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("- **")?.split_once("** "))
        .map(|(number, says)| {
            assert!(says.len() > 30, "{number}: {says:?} is no sentence");
            number
        })
        .collect();
    let rules: Vec<&str> = Rule::ALL.iter().map(|rule| rule.number()).collect();
    assert_eq!(told, rules);
}

/// A block of commands, and what the book says that it prints.
#[derive(Debug)]
struct Block {
    line: usize,
    marks: Vec<String>,
    commands: String,
    output: Option<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let mut body = String::new();
        for (_, line) in lines.by_ref().take_while(|(_, line)| !line.starts_with("```")) {
            body.push_str(line);
            body.push('\n');
        }
        let mut marks = info.split(',').map(str::to_owned);
        match marks.next().as_deref() {
            Some("sh") => blocks.push(Block {
                line: number + 1,
                marks: marks.collect(),
                commands: body,
                output: None,
            }),
            Some("text") if marks.any(|mark| mark == "output") => {
                let before = blocks.last_mut().expect("output stands behind its commands");
                assert!(before.output.replace(body).is_none(), "line {number}: a second output");
            }
            _ => {}
        }
    }
    blocks
}

fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let into = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &into);
        } else {
            fs_err::copy(entry.path(), into).unwrap();
        }
    }
}

/// What `cargo xtask` is in the book: the program that was just built.
const CARGO: &str = r#"cargo() {
    if [ "$1" != xtask ]; then echo "cargo $1 is not run for the book" >&2; return 99; fi
    shift; "$XTASK" "$@"
}
"#;

/// Blocks of the README that are not run for the book, by their first line, and why.
const NOT_HERE: &[(&str, &str)] = &[
    ("cargo test --workspace --all-features", "it is what runs this"),
    ("cargo build -p dextape-libiokit", "tests/cli/exec.rs records and replays programs in C"),
    ("cargo xtask-live record smc --live", "only on a Mac"),
    (
        "cargo build --package dextape-interpose --lib --features live",
        "only on a Mac; .ci/run builds it and runs it under macho-run",
    ),
];

/// Steps of the workflow that neither a block of the book nor `.ci/run` runs, and why.
const NOT_RUN: &[(&str, &str)] = &[
    (
        "cargo nextest run --workspace --partition hash:${{ matrix.part }}/4",
        "another program than the one that runs this; that its parts are all of it is checked",
    ),
    ("cargo test --workspace --doc", "a part of what .ci/run runs"),
];

/// A workflow is YAML of the form that GitHub asks for, and its commands are those that are run here.
#[test]
fn the_workflow_is_one_and_its_commands_are_run() {
    use yaml_rust2::{Yaml, YamlLoader};

    let page = read(&root().join("docs/ci.md"));
    let (_, rest) = page.split_once("```yaml\n").expect("a workflow stands in the chapter");
    let (text, _) = rest.split_once("```").unwrap();
    let documents = YamlLoader::load_from_str(text).unwrap();
    let [workflow] = &documents[..] else { panic!("{} documents", documents.len()) };
    assert!(workflow["name"].as_str().is_some());
    let events: Vec<_> = workflow["on"].as_vec().unwrap().iter().filter_map(Yaml::as_str).collect();
    assert_eq!(events, ["push", "pull_request"]);

    let ci = read(&root().join(".ci/run"));
    let run_here: String = blocks(&page).into_iter().map(|block| block.commands).collect();
    let is_run =
        |command: &str| run_here.lines().chain(ci.lines()).any(|line| line.trim() == command);
    let mut told = Vec::new();
    let jobs = workflow["jobs"].as_hash().unwrap();
    for (name, job) in jobs {
        let name = name.as_str().unwrap();
        assert!(job["runs-on"].as_str().is_some(), "{name} runs nowhere");
        assert_eq!(job["env"]["DEXTAPE_MODE"].as_str(), Some("none"), "{name} may record");
        let steps = job["steps"].as_vec().unwrap();
        assert!(steps[0]["uses"].as_str().unwrap().starts_with("actions/checkout@"), "{name}");
        for step in steps {
            let (uses, run) = (step["uses"].as_str(), step["run"].as_str());
            assert!(uses.is_some() != run.is_some(), "{name}: a step uses or runs: {step:?}");
            let Some(command) = run else { continue };
            match NOT_RUN.iter().find(|(known, _)| *known == command) {
                Some((_, reason)) => told.push(format!("{command} ({reason})")),
                None => assert!(is_run(command), "{name}: nothing runs {command:?}"),
            }
            if let Some((_, count)) = command.split_once("${{ matrix.part }}/") {
                let parts = job["strategy"]["matrix"]["part"].as_vec().unwrap();
                let parts: Vec<_> = parts.iter().filter_map(Yaml::as_i64).collect();
                let all: Vec<i64> = (1..=count.parse().unwrap()).collect();
                assert_eq!(parts, all, "the parts are not all of it");
            }
        }
    }
    println!("not run: {}", told.join("; "));
    assert_eq!(told.len(), NOT_RUN.len(), "{told:?}");
}

#[test]
fn the_commands_of_the_book_do_what_it_says() {
    let mut wrong = String::new();
    let (mut run, mut compared) = (0, 0);
    let (mut only_on_a_mac, mut in_a_checkout) = (Vec::new(), Vec::new());
    let built = Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap();
    let libraries = [built.join("deps"), built.to_owned()];
    let library = libraries.iter().find(|folder| folder.join("libIOKit.so").is_file());
    let story = read(&root().join(".ci/story"));
    let mut elsewhere = Vec::new();
    for page in chapters().into_iter().chain([root().join("README.md")]) {
        let mut blocks = blocks(&read(&page));
        if page.ends_with("README.md") {
            // The README shows no marks; what cannot run here is told by its first line.
            blocks.retain(|block| {
                let first = block.commands.lines().next().unwrap_or("");
                let reason = NOT_HERE.iter().find(|(command, _)| *command == first);
                elsewhere.extend(reason.map(|(command, reason)| format!("{command} ({reason})")));
                reason.is_none()
            });
        }
        if blocks.is_empty() {
            continue;
        }
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        let folder = tempfile::tempdir().unwrap();
        copy(&root().join("fixtures"), &folder.path().join("fixtures"));
        // What makes a folder a workspace here, with a package for tests.
        fs_err::write(folder.path().join("Cargo.lock"), "").unwrap();
        fs_err::create_dir(folder.path().join("scenarios")).unwrap();
        fs_err::write(folder.path().join("scenarios/Cargo.toml"), "").unwrap();
        fs_err::create_dir(folder.path().join("scenarios/libiokit")).unwrap();
        fs_err::write(folder.path().join("scenarios/libiokit/Cargo.toml"), "").unwrap();
        copy(&root().join("docs/field-report"), &folder.path().join("docs/field-report"));
        let harness = fs_err::canonicalize(root().join("harness")).unwrap();
        std::os::unix::fs::symlink(harness, folder.path().join("harness")).unwrap();
        for block in blocks {
            let place = format!("{name} line {}", block.line);
            let mut expected = 0;
            match block.marks.first().map(String::as_str) {
                None => {}
                Some("mac") => {
                    only_on_a_mac.push(place);
                    continue;
                }
                // With cargo itself, which .ci/story runs in a checkout.
                Some("checkout") => {
                    for line in block.commands.lines() {
                        assert!(story.contains(line), "{place}: not in .ci/story: {line}");
                    }
                    in_a_checkout.push(place);
                    continue;
                }
                Some(mark) => match mark.strip_prefix("exit=").map(str::parse) {
                    Some(Ok(code)) => expected = code,
                    _ => panic!("{place}: {mark:?} is no mark of a block"),
                },
            }
            let output = Command::new("sh")
                .args(["-e", "-c", &format!("exec 2>&1\n{CARGO}{}", block.commands)])
                .current_dir(folder.path())
                .env("XTASK", env!("CARGO_BIN_EXE_xtask"))
                .env_remove("CARGO_TARGET_DIR")
                .env("DEXTAPE_LIBRARY", library.map_or(Path::new(""), PathBuf::as_path))
                .stdin(Stdio::null())
                .output()
                .unwrap();
            run += 1;
            let said = String::from_utf8_lossy(&output.stdout);
            if output.status.code() != Some(expected) {
                let _ = writeln!(wrong, "{place}: exit code {:?}\n{said}", output.status.code());
            } else if let Some(shown) = &block.output {
                compared += 1;
                if said.trim_end() != shown.trim_end() {
                    let _ = writeln!(wrong, "{place} prints\n{said}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    println!("{run} blocks run, {compared} compared; only on a Mac: {}", only_on_a_mac.join(", "));
    assert_eq!(in_a_checkout.len(), 1, "{in_a_checkout:?}");
    println!("of the README run elsewhere: {}", elsewhere.join("; "));
    assert_eq!(elsewhere.len(), NOT_HERE.len(), "one of them is not in the README any more");
    assert_eq!(only_on_a_mac.len(), 4, "{only_on_a_mac:?}");
    assert!(run >= 15 && compared >= 10, "{run} run, {compared} compared");
}
