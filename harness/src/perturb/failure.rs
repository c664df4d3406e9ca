//! A run that failed, for people.

use super::origin::{Client, Origin};
use super::{Deviation, Deviations, Explored};
use crate::fault::{Fault, When};
use std::fmt;
use std::path::PathBuf;

/// The first run of a check that failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What the client said, or its panic.
    pub what: String,
    /// The seed of the check; `None` where the list was given.
    pub seed: Option<u64>,
    /// Which run of the seed it was, from 0 on.
    pub schedule: u64,
    /// All in which it differed.
    pub had: Deviations,
    /// In what it has to differ: without any one of these it does not fail.
    pub deviations: Deviations,
    /// To each of these what stands at its place.
    pub described: Vec<String>,
    /// The tape of the run, or why there is none.
    pub tape: Result<PathBuf, String>,
    /// What was tried until then.
    pub explored: Explored,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.deviations.is_empty() {
            writeln!(f, "the client fails as recorded: {}", self.what)?;
        } else {
            writeln!(f, "the client fails in a run that could as well have been: {}", self.what)?;
            let lines = self.deviations.0.iter().map(ToString::to_string);
            let lines: Vec<String> = lines.collect();
            let width = lines.iter().map(String::len).max().unwrap_or(0);
            writeln!(f, "what differs from the recorded run:")?;
            for (line, place) in lines.iter().zip(&self.described) {
                match &**place {
                    "" => writeln!(f, "    {line}")?,
                    place => writeln!(f, "    {line:width$}  ({place})")?,
                }
            }
        }
        if let Some(seed) = self.seed {
            writeln!(f, "again: DEXTAPE_SEED={seed}/{}", self.schedule)?;
        }
        writeln!(f, "   or: DEXTAPE_DEVIATIONS='{}'", self.deviations)?;
        match &self.tape {
            Ok(path) => writeln!(f, "tape: {}", path.display())?,
            Err(why) => writeln!(f, "no tape: {why}")?,
        }
        write!(f, "{}", self.explored)
    }
}

/// What stands at the place of each deviation, in the run that has them all.
pub(super) fn describe(origin: &Origin<'_>, list: &Deviations, client: Client<'_>) -> Vec<String> {
    let run = origin.run(list, true, None, client);
    // Completions are counted as they come where none is late or lost.
    let counts = |deviation: &Deviation| completion_of(deviation).is_some();
    let posts = match origin {
        Origin::Live { .. } if list.0.iter().any(counts) => {
            origin.run(&Deviations::NONE, true, None, client).moments
        }
        _ => Vec::new(),
    };
    let describe = |deviation: &Deviation| match *deviation {
        Deviation::Stall { lane, operation, .. } | Deviation::Wake { lane, operation } => {
            let made = run.made.iter().find(|made| (made.lane, made.number) == (lane, operation));
            made.map_or(String::new(), |made| format!("{}, at {:?}", made.operation, made.began))
        }
        Deviation::Timer { lane, wait, .. } => {
            let timer = run.timers.iter().find(|(of, nth, _)| (*of, *nth) == (lane, wait));
            timer.map_or(String::new(), |(_, _, long)| format!("after {long:?}"))
        }
        _ => match completion_of(deviation).and_then(|nth| posts.get(nth)) {
            Some(at) => format!("which comes at {at:?} otherwise"),
            None => origin.describe(deviation),
        },
    };
    list.0.iter().map(describe).collect()
}

/// Which of all completions it is that a fault strikes, from 0 on.
fn completion_of(deviation: &Deviation) -> Option<usize> {
    match deviation {
        Deviation::Fault(Fault::Completion { selector: None, when: When::Nth(nth), .. }) => {
            usize::try_from(nth.checked_sub(1)?).ok()
        }
        _ => None,
    }
}
