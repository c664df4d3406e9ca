//! What can be wrong, with what, and why it may be right all the same.

use serde::Serialize;
use std::fmt;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The dext panics; on a Mac its process crashes.
    Crash,
    /// The dext does not come back.
    Hang,
    /// A call is accepted that the contract forbids.
    Accepted,
    /// A call is refused that the contract allows.
    Refused,
    /// An output is not what it should be.
    Output,
    /// Completions come too often, or not at all.
    Completion,
    /// A mapping is not what it should be.
    Memory,
    /// An error that is not documented.
    Code,
    /// What one client or one call did shows in another that should not see it.
    State,
    /// Something is left behind.
    Leak,
    /// The mock found a mistake.
    Lint,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Output => "output",
            Self::Completion => "completion",
            Self::Memory => "memory",
            Self::Code => "code",
            Self::State => "state",
            Self::Leak => "leak",
            Self::Lint => "lint",
        })
    }
}

/// What a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A method.
    Selector(u32),
    /// A memory type.
    MemoryType(u32),
    /// Open, close, or several methods together.
    Dext,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selector(selector) => write!(f, "selector {selector}"),
            Self::MemoryType(memory_type) => write!(f, "memory type {memory_type}"),
            Self::Dext => f.write_str("the dext"),
        }
    }
}

/// What is as it should be although it looks wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Justification {
    /// Problems of this kind.
    pub kind: ProblemKind,
    /// With this subject.
    pub subject: Subject,
    /// Why they are none.
    pub because: String,
}
