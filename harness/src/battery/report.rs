//! What a battery tells.

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

/// One problem, and how many trials showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// With what.
    pub subject: Subject,
    /// What happened.
    pub message: String,
    /// What was done when it was first seen.
    pub trial: String,
    /// How many trials showed it.
    pub count: u64,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.replace('\n', "\n    ");
        write!(f, "{}, {}: {message}\n  when {}", self.kind, self.subject, self.trial)?;
        if self.count > 1 {
            write!(f, ", and in {} more trials", self.count - 1)?;
        }
        Ok(())
    }
}

/// What a battery found, by kind and subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Trials made, each on a dext of its own.
    pub trials: u64,
    /// From how many calls the contract was learned, if it was.
    pub learned_from: Option<u64>,
}

impl Report {
    /// True where nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn add(
        &mut self,
        kind: ProblemKind,
        subject: Subject,
        message: String,
        trial: &str,
    ) {
        let same = |problem: &&mut Problem| {
            (problem.kind, problem.subject) == (kind, subject) && problem.message == message
        };
        if let Some(problem) = self.problems.iter_mut().find(same) {
            problem.count += 1;
        } else {
            let trial = trial.to_owned();
            self.problems.push(Problem { kind, subject, message, trial, count: 1 });
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let count = self.problems.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{} trials, {count} problem{plural}", self.trials)?;
        if let Some(calls) = self.learned_from {
            write!(f, "; the contract was learned from {calls} calls and may be too narrow")?;
        }
        Ok(())
    }
}
