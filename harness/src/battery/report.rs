//! What a battery tells.

use super::problem::{Justification, ProblemKind, Subject};
use serde::Serialize;
use std::fmt;

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
    /// Why it is as it should be, where the contract says so.
    pub justified: Option<String>,
    /// What tells it from others of its kind and subject.
    #[serde(skip)]
    key: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.replace('\n', "\n    ");
        write!(f, "{}, {}: {message}\n  when {}", self.kind, self.subject, self.trial)?;
        if self.count > 1 {
            write!(f, ", and in {} more trials", self.count - 1)?;
        }
        match &self.justified {
            Some(because) => write!(f, "\n  justified: {because}"),
            None => Ok(()),
        }
    }
}

/// What a battery found, by kind and subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What would be wrong, had the contract not said why it is so.
    pub justified: Vec<Problem>,
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

    /// Notes a problem, with its message to tell it from others.
    pub(super) fn add(
        &mut self,
        kind: ProblemKind,
        subject: Subject,
        message: String,
        trial: &str,
    ) {
        self.add_as(message.clone(), kind, subject, message, trial);
    }

    /// Notes a problem; those with the same key, kind and subject are one.
    pub(super) fn add_as(
        &mut self,
        key: String,
        kind: ProblemKind,
        subject: Subject,
        message: String,
        trial: &str,
    ) {
        let same = |problem: &&mut Problem| {
            (problem.kind, problem.subject) == (kind, subject) && problem.key == key
        };
        if let Some(problem) = self.problems.iter_mut().find(same) {
            problem.count += 1;
        } else {
            let trial = trial.to_owned();
            let justified = None;
            self.problems.push(Problem { kind, subject, message, trial, count: 1, justified, key });
        }
    }

    /// Sorts the problems, those apart that the contract justifies.
    pub(super) fn sort(&mut self, justified: &[Justification]) {
        let problems = std::mem::take(&mut self.problems);
        for mut problem in problems {
            let reason = justified
                .iter()
                .find(|known| (known.kind, known.subject) == (problem.kind, problem.subject));
            problem.justified = reason.map(|known| known.because.clone());
            let into = if reason.is_some() { &mut self.justified } else { &mut self.problems };
            into.push(problem);
        }
        self.problems.sort_by_key(|problem| (problem.kind, problem.subject));
        self.justified.sort_by_key(|problem| (problem.kind, problem.subject));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        for problem in &self.justified {
            writeln!(f, "{problem}")?;
        }
        let count = self.problems.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{} trials, {count} problem{plural}", self.trials)?;
        if !self.justified.is_empty() {
            write!(f, ", {} justified", self.justified.len())?;
        }
        if let Some(calls) = self.learned_from {
            write!(f, "; the contract was learned from {calls} calls and may be too narrow")?;
        }
        Ok(())
    }
}
