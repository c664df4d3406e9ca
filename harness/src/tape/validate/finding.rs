//! What a validation found.

use super::super::event::Sequence;
use crate::boundary::Rule;
use std::fmt;

/// Findings that are kept; more are counted only.
pub const FINDINGS_MAX: usize = 1000;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Broken {
    /// The text cannot be read further.
    Text,
    /// Numbers of events: from 1 on, without holes but at gaps.
    Sequence,
    /// Positions in a lane, and its times.
    Lane,
    /// Processes: forked before they do something.
    Process,
    /// Causes: there, before their effect, and of the right kind.
    Cause,
    /// Enter and leave of the operations of a lane.
    Pairing,
    /// Connections: opened before they are used.
    Connection,
    /// Services, memories and queues: there before they are used, and used within their bounds.
    Resource,
    /// Fields that contradict each other.
    Fields,
    /// A rule of the boundary.
    Boundary(Rule),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Sequence => "sequence",
            Self::Lane => "lane",
            Self::Process => "process",
            Self::Cause => "cause",
            Self::Pairing => "pairing",
            Self::Connection => "connection",
            Self::Resource => "resource",
            Self::Fields => "fields",
            Self::Boundary(rule) => rule.number(),
        })
    }
}

/// One thing that is wrong with a tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapeFinding {
    /// Line of the text, where it is known.
    pub line: Option<u64>,
    /// The event, where it is one.
    pub sequence: Option<Sequence>,
    /// What is broken.
    pub broken: Broken,
    /// What was expected, and what was found.
    pub message: String,
}

impl fmt::Display for TapeFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        if let Some(sequence) = self.sequence {
            write!(f, "event {sequence}, ")?;
        }
        write!(f, "{}: {}", self.broken, self.message)
    }
}

/// What a validation found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validation {
    /// Events that were looked at.
    pub events: u64,
    /// Operations that were entered and never left, by their numbers: in flight when the recording
    /// ended.
    pub in_flight: Vec<Sequence>,
    /// The findings in the order of the tape, the first [`FINDINGS_MAX`].
    pub findings: Vec<TapeFinding>,
    /// All findings, also those that were not kept.
    pub found: u64,
}

impl Validation {
    /// True where nothing is wrong.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.found == 0
    }

    pub(super) fn add(&mut self, finding: TapeFinding) {
        self.found += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let unseen = self.found - self.findings.len() as u64;
        if unseen > 0 {
            writeln!(f, "and {unseen} more")?;
        }
        match self.found {
            0 => write!(f, "{} events, valid", self.events),
            1 => write!(f, "{} events, 1 finding", self.events),
            found => write!(f, "{} events, {found} findings", self.events),
        }
    }
}
