//! The report of a divergence as text.

use super::difference::{OTHER_CONNECTION, OTHER_THING};
use super::divergence::{Difference, Divergence, Remedy, Shown};
use std::fmt;

/// Bytes of a row.
const ROW: usize = 16;
/// Rows with a difference that are shown of one field.
const ROWS: usize = 8;

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "replay diverged ({}, policy {}): {}", self.kind, self.policy, self.message)?;
        write!(f, "  client: {}", self.operation)?;
        match (&self.place, &self.expected) {
            (Some(place), Some(event)) => {
                write!(f, "\n  tape:   {event}\n          {place}")?;
            }
            _ => write!(f, "\n  tape:   holds nothing more here")?,
        }
        for difference in &self.differences {
            write!(f, "\n  {difference}")?;
        }
        if !self.candidates.is_empty() {
            write!(f, "\n  nearest on the tape:")?;
        }
        for candidate in &self.candidates {
            let used = if candidate.used { ", used" } else { "" };
            let sequence = candidate.place.sequence;
            write!(f, "\n    event {sequence}, ")?;
            match candidate.distance {
                0 => write!(f, "equal{used}: {}", candidate.event)?,
                OTHER_THING.. => write!(f, "another operation{used}: {}", candidate.event)?,
                OTHER_CONNECTION.. => {
                    write!(f, "on another connection{used}: {}", candidate.event)?;
                }
                distance => write!(f, "distance {distance}{used}: {}", candidate.event)?,
            }
        }
        if !self.remedies.is_empty() {
            write!(f, "\n  to go on:")?;
        }
        for remedy in &self.remedies {
            write!(f, "\n    {remedy}")?;
        }
        if self.invented > 0 {
            write!(
                f,
                "\n  {} answers since then are invented, this one's among them",
                self.invented
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mask(rule) => {
                write!(f, "mask the field, in the header's \"rules\": {rule}")
            }
            Self::Policy(policy) => write!(f, "replay with the policy {policy}"),
            Self::Record { command } => write!(f, "record again: {command}"),
            Self::Advice(advice) => f.write_str(advice),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = &self.field;
        match (&self.recorded, &self.actual) {
            (
                Shown::Bytes { offset, bytes, length },
                Shown::Bytes { bytes: actual, length: actual_length, .. },
            ) => {
                if length == actual_length {
                    write!(f, "{field} ({length} bytes) differs:")?;
                } else {
                    write!(f, "{field} differs: recorded {length} bytes, client {actual_length}:")?;
                }
                rows(f, *offset, bytes, actual)?;
                self.named.iter().try_for_each(|field| write!(f, "\n    {field}"))
            }
            (recorded, actual) => {
                write!(f, "{field} differs: recorded {}, client {}", text(recorded), text(actual))
            }
        }
    }
}

fn text(shown: &Shown) -> &str {
    match shown {
        Shown::Text(text) => text,
        Shown::Bytes { .. } => "bytes",
    }
}

/// Rows with a difference, one above the other, with a mark under each byte that differs.
fn rows(f: &mut fmt::Formatter<'_>, offset: u64, recorded: &[u8], actual: &[u8]) -> fmt::Result {
    let length = recorded.len().max(actual.len());
    let row = |bytes: &[u8], start: usize| {
        let from = start.min(bytes.len());
        bytes[from..bytes.len().min(start + ROW)].to_vec()
    };
    let mut shown = 0;
    for start in (0..length).step_by(ROW) {
        let (recorded, actual) = (row(recorded, start), row(actual, start));
        if recorded == actual {
            continue;
        }
        if shown == ROWS {
            return write!(f, "\n    ..");
        }
        shown += 1;
        write!(f, "\n    {:08x} recorded", offset.saturating_add(start as u64))?;
        hex(f, &recorded)?;
        write!(f, "\n             client  ")?;
        hex(f, &actual)?;
        write!(f, "\n                     ")?;
        let last = (0..ROW).rev().find(|index| recorded.get(*index) != actual.get(*index));
        for index in 0..=last.unwrap_or(0) {
            let mark = if recorded.get(index) == actual.get(index) { "   " } else { " ^^" };
            f.write_str(mark)?;
        }
    }
    Ok(())
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
}
