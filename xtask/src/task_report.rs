//! `report`: one file of tapes and what belongs to them, packed behind a gate and read as hostile input.

use crate::Registry;
use crate::execution::Execution;
use crate::exit::Failure;
use crate::output::Output;
use crate::place::{recording, shown};
use crate::play::{play, scenario_of};
use crate::task_record::name_and_value;
use crate::task_show::heading;
use clap::{Args, Subcommand};
use dextape::protocol::Protocol;
use dextape::redaction::{Pseudonym, RedactionPolicy};
use dextape::replay::ReplayOptions;
use dextape::tape::{
    Event, Host, Tape, TapeError, TapeReader, Transcript, TranscriptOptions, validate,
};
use dextape_lab::{
    Bundle, BundleError, Gate, Manifest, PackError, PrivateValue, Report as Content, VALUE_MAX,
    VALUE_MIN, pack_report,
};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most bytes that are read of a note, a log or a list of values.
const TEXT_MAX: u64 = 1 << 20;

/// Lines of transcript that are shown of a tape.
const LAST: usize = 12;

/// Failures that are shown of a tape.
const FAILURES: usize = 5;

/// What is done with a report.
#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Pack tapes, a note and a log into one file that holds no private value.
    Pack(Pack),
    /// Check a bundle, unpack its tapes, and tell what happened.
    Open(Open),
}

#[derive(Debug, Args)]
struct Pack {
    /// The tapes.
    #[arg(required = true)]
    tapes: Vec<PathBuf>,
    /// The bundle that is made; one that is there is replaced.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// What went wrong, in the user's words.
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// A log of the client; its last lines are packed.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How many lines.
    #[arg(long, default_value_t = 200, requires = "log")]
    log_lines: usize,
    /// Something that is known of client, machine or dext, such as `client version=2.1`.
    #[arg(long = "environment", value_name = "NAME=VALUE", value_parser = name_and_value)]
    environment: Vec<(String, String)>,
    /// Places of private values: they get pseudonyms, wherever they stand.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The same, by the private fields of a protocol description.
    #[arg(long, value_name = "FILE")]
    protocol: Option<PathBuf>,
    /// Private values, one a line: a bundle that holds one is refused.
    #[arg(long, value_name = "FILE")]
    private: Option<PathBuf>,
    /// Put pseudonyms in the place of those values, instead of refusing the bundle.
    #[arg(long, requires = "private")]
    replace_private: bool,
}

#[derive(Debug, Args)]
struct Open {
    /// The bundle.
    bundle: PathBuf,
    /// Where its tapes are unpacked to; a folder among what cargo builds by default.
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// Replay each tape to the client in Rust of its scenario.
    #[arg(long)]
    replay: bool,
    #[command(flatten)]
    execution: Execution,
}

/// Packs or opens a report.
pub(crate) fn run(registry: &Registry, asked: &Report, out: &mut Output) -> Result<(), Failure> {
    match &asked.verb {
        Verb::Pack(asked) => pack(asked, out),
        Verb::Open(asked) => open(registry, asked, out),
    }
}

fn pack(asked: &Pack, out: &mut Output) -> Result<(), Failure> {
    let policy = redaction_policy(asked.policy.as_deref(), asked.protocol.as_deref())?;
    let mut report = Content { note: asked.note.clone(), ..Content::default() };
    for path in &asked.tapes {
        let tape = Tape::read(path).map_err(|error| Failure::tape(&error))?;
        environment(&tape, &mut report.environment);
        let called = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        report.tapes.push((called, tape));
    }
    report.environment.extend(asked.environment.iter().cloned());
    if let Some(path) = &asked.log {
        report.log = last_lines(path, asked.log_lines)?;
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key)
        .map_err(|error| Failure::environment(format!("draw a key for pseudonyms: {error}")))?;
    let gate = Gate {
        policy,
        private: asked.private.as_deref().map_or_else(|| Ok(Vec::new()), private_values)?,
        replaces_private: asked.replace_private,
        pseudonym: Pseudonym::new(key),
    };
    let packed = pack_report(report, &gate).map_err(|error| match error {
        PackError::Tape(error) => Failure::tape(&error),
        error => Failure::invalid(error),
    })?;
    fs_err::write(&asked.out, &packed.bytes).map_err(Failure::environment)?;
    let (path, tapes) = (shown(&asked.out), packed.manifest.tapes.len());
    let (values, redactions) = (gate.private.len(), &packed.manifest.redactions);
    out.result(
        || {
            let redacted: String =
                redactions.iter().map(|it| format!("redacted: {it}\n")).collect();
            format!(
                "packed {tapes} tapes in {} bytes; none of {values} private values is in it\n\
                 {redacted}{path}",
                packed.bytes.len()
            )
        },
        || json!({ "bundle": path, "tapes": tapes, "private": values, "redactions": redactions }),
    )
}

/// What a tape says of machine and dext.
fn environment(tape: &Tape, known: &mut BTreeMap<String, String>) {
    if let Host::Mac { model, system } = &tape.header().host {
        known.insert("model".to_owned(), model.clone());
        known.insert("system".to_owned(), system.clone());
    }
    for service in tape.header().services.values() {
        if let Some(bundle) = &service.bundle_id {
            let version = service.version.as_deref().unwrap_or("of no known version");
            known.insert(format!("dext {bundle}"), version.to_owned());
        }
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).map_err(Failure::environment)?;
    file.take(TEXT_MAX + 1).read_to_end(&mut bytes).map_err(Failure::environment)?;
    if bytes.len() as u64 > TEXT_MAX {
        return Err(Failure::environment(format!(
            "read {}: expected at most {TEXT_MAX} bytes; keep the lines that matter",
            shown(path)
        )));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_lines(path: &Path, most: usize) -> Result<String, Failure> {
    let text = text(path)?;
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(most)..].join("\n"))
}

/// The places that a policy and a protocol description name.
pub(crate) fn redaction_policy(
    policy: Option<&Path>,
    protocol: Option<&Path>,
) -> Result<RedactionPolicy, Failure> {
    let mut places = RedactionPolicy::new();
    if let Some(path) = policy {
        places.extend(RedactionPolicy::read(path).map_err(Failure::environment)?);
    }
    if let Some(path) = protocol {
        let protocol = Protocol::read(path).map_err(Failure::environment)?;
        places.extend(RedactionPolicy::of_protocol(&protocol));
    }
    Ok(places)
}

/// The private values of a file, one a line.
pub(crate) fn private_values(path: &Path) -> Result<Vec<PrivateValue>, Failure> {
    let text = text(path)?;
    let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            PrivateValue::of_text(line).ok_or_else(|| {
                Failure::environment(format!(
                    "read {}, line {number}: expected a value of {VALUE_MIN} to {VALUE_MAX} bytes; \
                     shorter ones need a field of a policy",
                    shown(path)
                ))
            })
        })
        .collect()
}

fn open(registry: &Registry, asked: &Open, out: &mut Output) -> Result<(), Failure> {
    let refused = |error: BundleError| {
        let failure = match &error {
            BundleError::Io(_) => Failure::environment(&error),
            _ => Failure::invalid(&error),
        };
        failure.about(&format!("open {}", shown(&asked.bundle)))
    };
    let file = fs_err::File::open(&asked.bundle).map_err(Failure::environment)?;
    let mut bundle = Bundle::read(file).map_err(refused)?;
    let folder = match &asked.into {
        Some(folder) => folder.clone(),
        None => {
            let stem = asked.bundle.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            recording("report").with_file_name(format!("{stem}-report"))
        }
    };
    fs_err::create_dir_all(&folder).map_err(Failure::environment)?;
    let mut tapes = Vec::new();
    for index in 0..bundle.manifest().tapes.len() {
        let path = folder.join(format!("{}.tape.jsonl", index + 1));
        let mut unpacked =
            tempfile::NamedTempFile::new_in(&folder).map_err(Failure::environment)?;
        bundle.unpack_tape(index, &mut unpacked).map_err(refused)?;
        unpacked.persist(&path).map_err(Failure::environment)?;
        tapes.push(path);
    }
    let mut screen = facts(bundle.manifest(), bundle.note(), bundle.log());
    let mut is_valid = true;
    for (path, entry) in tapes.iter().zip(&bundle.manifest().tapes) {
        let refused = |error: TapeError| Failure::tape(&error);
        let reader = TapeReader::open(path).map_err(refused)?;
        let validation = validate(path).map_err(refused)?;
        is_valid &= validation.is_valid();
        let called = entry.called.escape_debug();
        // Writing to a string cannot fail.
        let _ = writeln!(screen, "\n{} ({called}): {}", shown(path), heading(reader.header()));
        for finding in validation.findings.iter().take(FAILURES) {
            let _ = writeln!(screen, "  broken: {finding}");
        }
        let _ = writeln!(
            screen,
            "  {} events, {} in flight at the end; the last:",
            validation.events,
            validation.in_flight.len()
        );
        let mut failed = TranscriptOptions::default();
        failed.errors_only = true;
        let (mut all, mut failed) =
            (Last::new(LAST, TranscriptOptions::default()), Last::new(FAILURES, failed));
        for event in reader {
            let event = event.map_err(refused)?;
            all.event(&event);
            failed.event(&event);
        }
        all.finish(&mut screen);
        let _ = writeln!(screen, "  {} failures; the last:", failed.count());
        failed.finish(&mut screen);
        if asked.replay {
            let tape = Tape::read(path).map_err(refused)?;
            let (scenario, parameters) = scenario_of(&registry.scenarios, &tape)?;
            let played = play(scenario, &parameters, &Arc::new(tape), ReplayOptions::default());
            let told = played.map_or_else(|it| it.text().to_owned(), |it| it.report.to_string());
            let _ = writeln!(screen, "  replayed to the client of {}: {told}", scenario.name());
        }
        let path = shown(path);
        let _ = writeln!(
            screen,
            "  next: cargo xtask minimize {path} -o small.tape.jsonl --fails-with PROGRAM\n\
             \x20       cargo xtask adopt small.tape.jsonl --source CLIENT.c"
        );
    }
    let manifest = bundle.manifest();
    let paths: Vec<_> = tapes.iter().map(|path| shown(path)).collect();
    out.result(
        || screen.trim_end().to_owned(),
        || {
            json!({
                "environment": manifest.environment, "note": bundle.note(), "tapes": paths,
                "redactions": manifest.redactions, "valid": is_valid,
            })
        },
    )?;
    if asked.execution.is_asked() {
        for path in &tapes {
            crate::task_execute::replay(&asked.execution, path, false, out)?;
        }
    }
    if is_valid {
        Ok(())
    } else {
        Err(Failure::Invalid(format!("validate the tapes of {}", shown(&asked.bundle))))
    }
}

/// What the bundle says, with nothing in it that a terminal would obey.
fn facts(manifest: &Manifest, note: &str, log: &str) -> String {
    let mut screen = format!("packed by {}\n", manifest.packed_by.escape_debug());
    for (name, value) in &manifest.environment {
        let _ = writeln!(screen, "{}: {}", name.escape_debug(), value.escape_debug());
    }
    for line in note.lines().take(LAST) {
        let _ = writeln!(screen, "note: {}", line.escape_debug());
    }
    for redaction in &manifest.redactions {
        let _ = writeln!(screen, "redacted: {}", redaction.escape_debug());
    }
    let lines: Vec<&str> = log.lines().collect();
    for line in &lines[lines.len().saturating_sub(FAILURES)..] {
        let _ = writeln!(screen, "log: {}", line.escape_debug());
    }
    screen
}

/// The last lines of a transcript of a tape that may be long.
struct Last {
    transcript: Transcript,
    text: String,
    lines: VecDeque<String>,
    most: usize,
    count: u64,
}

impl Last {
    fn new(most: usize, options: TranscriptOptions) -> Self {
        let transcript = Transcript::new(options);
        Self { transcript, text: String::new(), lines: VecDeque::new(), most, count: 0 }
    }

    fn event(&mut self, event: &Event) {
        self.transcript.event(event, &mut self.text);
        self.take();
    }

    fn take(&mut self) {
        for line in self.text.lines() {
            if self.lines.len() == self.most {
                self.lines.pop_front();
            }
            let line: String = line.chars().take(120).collect();
            self.lines.push_back(line.replace(char::is_control, "?"));
            self.count += 1;
        }
        self.text.clear();
    }

    /// The lines so far, with the one that is still held.
    fn count(&mut self) -> u64 {
        self.transcript.finish(&mut self.text);
        self.take();
        self.count
    }

    fn finish(mut self, screen: &mut String) {
        self.count();
        for line in &self.lines {
            // Writing to a string cannot fail.
            let _ = writeln!(screen, "  {line}");
        }
    }
}
