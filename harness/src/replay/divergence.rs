//! The place where a client does something that the tape does not hold.

use crate::tape::{FieldRule, Sequence};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A divergence: the report of the first one of a replay. Cheap to clone.
///
/// Its `Display` is the whole report, for people.
#[derive(Clone, PartialEq)]
pub struct Divergence(Arc<DivergenceReport>);

impl Divergence {
    pub(super) fn new(report: DivergenceReport) -> Self {
        Self(Arc::new(report))
    }

    pub(super) fn with_invented(&self, invented: u64) -> Self {
        Self::new(DivergenceReport { invented, ..(*self.0).clone() })
    }
}

impl Deref for Divergence {
    type Target = DivergenceReport;

    fn deref(&self) -> &DivergenceReport {
        &self.0
    }
}

impl std::error::Error for Divergence {}

impl fmt::Debug for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What kind of divergence it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DivergenceKind {
    /// The tape holds the operation, but not as often as the client made it.
    UsedUp,
    /// The tape holds the operation at another place, or what it waits for never came.
    OutOfOrder,
    /// The tape holds the operation at this place, with other inputs.
    Differs,
    /// The tape does not hold it at all, or not its outcome.
    NeverRecorded,
    /// The connection or memory is not in a state in which the tape holds anything for it.
    WrongState,
}

impl DivergenceKind {
    /// The kind in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UsedUp => "used up",
            Self::OutOfOrder => "out of order",
            Self::Differs => "differs",
            Self::NeverRecorded => "never recorded",
            Self::WrongState => "wrong state",
        }
    }
}

impl fmt::Display for DivergenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Everything that is known about a divergence.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DivergenceReport {
    /// What kind it is.
    pub kind: DivergenceKind,
    /// What the client did.
    pub operation: String,
    /// What is wrong with it, as one sentence.
    pub message: String,
    /// Where the tape stood: the event that came next for the client.
    pub place: Option<Place>,
    /// The event there, as one line.
    pub expected: Option<String>,
    /// How the operation differs from that event, or from the nearest one where there is none.
    pub differences: Vec<Difference>,
    /// The nearest events of the tape, at most three, nearest first.
    pub candidates: Vec<Candidate>,
    /// What would make the replay accept it, most likely remedy first.
    pub remedies: Vec<Remedy>,
    /// The policy of the replay.
    pub policy: super::Policy,
    /// Answers invented so far, under [`OnDivergence::Answer`](super::OnDivergence::Answer).
    pub invented: u64,
}

/// A place on a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Global number of the event.
    pub sequence: Sequence,
    /// Line of the tape's file, where the tape came from one; the first is 1.
    pub line: Option<u64>,
    /// Lane.
    pub lane: u32,
    /// Position in the lane, from 1 on.
    pub position: u64,
    /// Connection.
    pub connection: Option<u32>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}", self.sequence)?;
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        write!(f, ", lane {} position {}", self.lane, self.position)?;
        if let Some(connection) = self.connection {
            write!(f, ", connection {connection}")?;
        }
        Ok(())
    }
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The field, in words.
    pub field: String,
    /// What the tape holds.
    pub recorded: Shown,
    /// What the client gave.
    pub actual: Shown,
    /// The rules that would mask it; none where no rule can.
    pub masks: Vec<FieldRule>,
    /// The fields within it that differ, with both values, by the names of
    /// [`ReplayOptions::protocol`](super::ReplayOptions::protocol).
    pub named: Vec<String>,
}

/// A value of a field as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As text.
    Text(String),
    /// Bytes, shown in hex side by side; the first few kibibytes around the first difference.
    Bytes {
        /// Offset of the first byte shown.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
        /// Length of the whole field.
        length: u64,
    },
}

/// An event near to what the client did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// Where it is.
    pub place: Place,
    /// The event, as one line.
    pub event: String,
    /// How far it is: bytes and fields that differ; 0 is an equal one.
    pub distance: u64,
    /// True where the client has done it already.
    pub used: bool,
}

/// What would make a replay accept what the client did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Remedy {
    /// A rule for the header's `rules`, which masks the field.
    Mask(FieldRule),
    /// Another policy.
    Policy(super::Policy),
    /// A new recording.
    Record {
        /// The command.
        command: String,
    },
    /// Something to do by hand.
    Advice(String),
}
