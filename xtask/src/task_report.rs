//! `report`: one file of tapes and what belongs to them, packed behind a gate and read as hostile input.

use crate::Registry;
use crate::exit::Failure;
use crate::output::Output;
use crate::place::shown;
use crate::report_client::about_program;
use crate::report_log::{Moment, lines_near};
use crate::report_open::{Open, open};
use crate::task_record::name_and_value;
use clap::{Args, Subcommand};
use dextape::protocol::Protocol;
use dextape::redaction::{Pseudonym, RedactionPolicy};
use dextape::tape::{Host, Tape};
use dextape_lab::{
    Gate, PackError, PrivateValue, Report as Content, VALUE_MAX, VALUE_MIN, pack_report,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The most bytes that are read of a note, a log or a list of values.
const TEXT_MAX: u64 = 1 << 20;

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
    /// How many lines at most.
    #[arg(long, default_value_t = 200, requires = "log")]
    log_lines: usize,
    /// When it happened, as `log show` writes it (`2026-11-23 12:57:01`): lines around that time are
    /// packed, and not the last ones.
    #[arg(long, value_name = "TIME", requires = "log")]
    log_at: Option<Moment>,
    /// How many seconds before and after it.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "log_at")]
    log_seconds: u32,
    /// The client, a program for macOS or its app: version and entitlements are packed.
    #[arg(long, value_name = "APP")]
    client: Option<PathBuf>,
    /// The dext's bundle: version and entitlements are packed.
    #[arg(long, value_name = "DEXT")]
    dext: Option<PathBuf>,
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
    for (what, path) in [("client", &asked.client), ("dext", &asked.dext)] {
        if let Some(path) = path {
            report.environment.extend(about_program(what, path)?);
        }
    }
    report.environment.extend(asked.environment.iter().cloned());
    report.log = match (&asked.log, asked.log_at) {
        (None, _) => String::new(),
        (Some(path), None) => last_lines(path, asked.log_lines)?,
        (Some(path), Some(at)) => lines_near(path, at, asked.log_seconds, asked.log_lines)?,
    };
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
