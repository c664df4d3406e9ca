//! What came out.

use dextape::tape::Sequence;
use serde::Serialize;
use std::fmt;

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DifferenceKind {
    /// The result code.
    Result,
    /// A scalar returned, or how many there are.
    Scalar,
    /// The structure returned, or its size.
    Structure,
    /// A completion: its status, its arguments, or that there is one.
    Completion,
    /// What the client reads in shared memory, or what a mapping is.
    Memory,
    /// What the registry says, or a notice of it.
    Registry,
    /// Which of two operations comes first.
    Order,
    /// An operation that does not come back.
    Hang,
    /// An operation that cannot be made here, because of what differed before or because the tape does
    /// not hold enough.
    NotMade,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Number of the event.
    pub sequence: Sequence,
    /// What differs.
    pub kind: DifferenceKind,
    /// The operation as it stands on the tape.
    pub operation: String,
    /// Which part of it, such as `scalar 2`.
    pub part: String,
    /// What the tape says.
    pub recorded: String,
    /// What came.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, part, recorded, found, .. } = self;
        write!(f, "{operation}\n  {part}: the tape says {recorded}, the dext {found}")
    }
}

/// What came of a drive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DriveReport {
    /// What differs, in the order of the tape.
    pub differences: Vec<Difference>,
    /// Further differences.
    pub left_out: u64,
    /// Operations made.
    pub operations: u64,
    /// Values that the tape's rules take for symbols.
    pub symbols: u64,
}

impl DriveReport {
    /// True where the dext answered as the tape says.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.differences.is_empty() && self.left_out == 0
    }
}

impl fmt::Display for DriveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        let count = self.differences.len() as u64 + self.left_out;
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "drove {} operations, {count} difference{plural}", self.operations)?;
        if self.left_out > 0 {
            write!(f, ", {} not shown", self.left_out)?;
        }
        Ok(())
    }
}
