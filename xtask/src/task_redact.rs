//! `redact`: a copy of a tape with other values in the place of private ones.

use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::place::shown;
use crate::task_report::{private_values, redaction_policy};
use clap::Args;
use dextape::redaction::Pseudonym;
use dextape::tape::Tape;
use dextape_lab::{Leak, RedactError, Redacted, find_private, redact};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What is replaced, and where the copy goes.
#[derive(Debug, Args)]
pub(crate) struct Redact {
    /// The tape. It stays as it is.
    tape: PathBuf,
    /// Places of private values: they get pseudonyms, wherever they stand.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["protocol", "private"])]
    policy: Option<PathBuf>,
    /// The same, by the private fields of a protocol description.
    #[arg(long, value_name = "FILE")]
    protocol: Option<PathBuf>,
    /// Private values, one a line: they get pseudonyms, too.
    #[arg(long, value_name = "FILE")]
    private: Option<PathBuf>,
    /// Where the redacted tape goes; one that is there is replaced, unless it is read here.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

/// Writes the redacted tape, and tells where something was replaced; never what.
pub(crate) fn run(asked: &Redact, out: &mut Output) -> Result<(), Failure> {
    let read = [Some(&asked.tape), asked.policy.as_ref(), asked.protocol.as_ref()];
    for input in read.into_iter().chain([asked.private.as_ref()]).flatten() {
        if is_same_file(input, &asked.out) {
            return Err(Failure::environment(format!(
                "write the redacted tape to {}: that is {}, which is read; --out has to name another file",
                shown(&asked.out),
                shown(input)
            )));
        }
    }
    let policy = redaction_policy(asked.policy.as_deref(), asked.protocol.as_deref())?;
    let known = asked.private.as_deref().map_or_else(|| Ok(Vec::new()), private_values)?;
    let mut tape = Tape::read(&asked.tape).map_err(|error| Failure::tape(&error))?;
    let mut original = Tape::read(&asked.tape).map_err(|error| Failure::tape(&error))?;
    let was_valid = tape.validate().is_valid();
    let pseudonym = Pseudonym::random()
        .map_err(|error| Failure::environment(format!("draw a key for pseudonyms: {error}")))?;
    let about = format!("redact {}", shown(&asked.tape));
    let failed = |error: RedactError| match &error {
        RedactError::Tape(error) => Failure::tape(error).about(&about),
        _ => Failure::invalid(&error).about(&about),
    };
    let report = redact(&mut tape, &policy, &known, &pseudonym).map_err(failed)?;
    let places = find_private(&mut original, &report.values, usize::MAX).map_err(failed)?;
    tape.write(&asked.out).map_err(|error| Failure::tape(&error))?;

    let written = Tape::read(&asked.out).map_err(|error| Failure::tape(&error))?;
    let validation = written.validate();
    tell(&places, &report, &asked.out, out)?;
    if places.is_empty() && report.short == 0 {
        eprintln!(
            "note: nothing was replaced: no place of the policy is on the tape, and no private value"
        );
    }
    if validation.is_valid() {
        return Ok(());
    }
    let before = if was_valid { "" } else { " (it was not valid before, either)" };
    Err(Failure::Invalid(format!("validate {}{before}: {validation}", shown(&asked.out))))
}

/// True where both names lead to one file.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let (Ok(a), Ok(b)) = (fs_err::canonicalize(a), fs_err::canonicalize(b)) else { return false };
    a == b
}

fn tell(places: &[Leak], report: &Redacted, to: &Path, out: &mut Output) -> Result<(), Failure> {
    let to = shown(to);
    let found = places.iter().map(|leak| leak.value).collect::<BTreeSet<_>>().len();
    if out.format() == Format::Text {
        for leak in places {
            let mut line = format!("value {}: {}", leak.value + 1, leak.place);
            // Writing to a string cannot fail.
            let _ = match leak.event {
                Some(event) => write!(line, " of event {event}, as {}", leak.encoding),
                None => write!(line, ", as {}", leak.encoding),
            };
            line += if leak.spread { ", in pieces from there on" } else { "" };
            out.line(line)?;
        }
    }
    out.result(
        || {
            let mut text = String::new();
            if report.short > 0 {
                let _ = writeln!(
                    text,
                    "{} values too short to be looked for: replaced where the policy says, nowhere else",
                    report.short
                );
            }
            for place in &report.computed {
                let _ = writeln!(text, "the client computes with a value, a replay may part there: {place}");
            }
            for form in &report.apart {
                let _ = writeln!(text, "values as {form} no longer equal those in other forms");
            }
            let (values, count) = (report.values.len(), places.len());
            text + &format!("redacted {found} of {values} private values, at {count} places\n{to}")
        },
        || {
            let places: Vec<Value> = places
                .iter()
                .map(|it| {
                    json!({
                        "value": it.value + 1, "event": it.event, "place": it.place,
                        "form": it.encoding, "in_pieces": it.spread,
                    })
                })
                .collect();
            json!({
                "tape": to, "values": report.values.len(), "found": found, "places": places, "short": report.short,
                "computed": report.computed, "apart": report.apart,
            })
        },
    )
}
