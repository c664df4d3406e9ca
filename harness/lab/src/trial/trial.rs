//! Has a run play the client of a tape that was learned without it, and counts.

use super::key::{Answer, Made, calls, volatile_inputs, volatile_outputs};
use crate::drive::{Difference, DifferenceKind, DriveError, DriveOptions, drive};
use crate::learn::align;
use dextape::IoReturn;
use dextape::replay::{LoadError, OnDivergence, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Comparison, FieldRule, Payload, Sequence, Tape, TapeError};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a diverging client of a trial is told: no driver's code.
const DIVERGED: IoReturn = IoReturn(0xe0de_aded);

/// Why there is no trial. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// The learned tape cannot be replayed.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// The run cannot play its client.
    #[error("{0}")]
    Drive(#[from] DriveError),
    /// Bytes of a tape cannot be read.
    #[error("{0}")]
    Tape(#[from] TapeError),
    /// The runs differ over too long a stretch.
    #[error("align the run with the learned tape: they differ over too long a stretch")]
    TooLong,
}

/// A call that was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Its enter in the run.
    pub sequence: Sequence,
    /// What is wrong.
    pub how: FailedHow,
    /// Connection, selector, counts and lengths.
    pub call: String,
    /// What differs, where something is contradicted.
    pub difference: Option<String>,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, how, call, difference } = self;
        let how = match how {
            FailedHow::Diverged => "diverges",
            FailedHow::Contradicted => "is contradicted",
        };
        write!(f, "{sequence} {call} {how}")?;
        difference.iter().try_for_each(|difference| write!(f, "\n  {difference}"))
    }
}

/// What is wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailedHow {
    /// It diverges. Where fewer calls of its key have a counterpart than there are, that is as it should
    /// be for the rest of them; which ones cannot be said.
    Diverged,
    /// It is given an answer that the run contradicts.
    Contradicted,
}

/// How a learned tape served a run. Counts are of calls of methods unless something else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// All of them.
    pub calls: u64,
    /// Those with a counterpart in one of the runs that were learned from.
    pub counterparts: u64,
    /// Of those, the ones that strict order serves where exact bytes are compared, if it went on after
    /// each divergence where most follows: the longest common sequence with the first run.
    pub exact: u64,
    /// The same, where what the learned rules cover is not compared.
    pub masked: u64,
    /// Those that the replayer serves with the learned tape.
    pub served: u64,
    /// Of those without a counterpart, those that diverge.
    pub diverged: u64,
    /// Those that are given an answer which their own recording contradicts.
    pub contradicted: u64,
    /// Calls to which the run's driver gave something that none of the learned runs has there, outside of what
    /// is volatile in those: whatever a tape of those runs answers is not it. Such a field is no contradiction
    /// as long as it is one to one: each value of the run comes with one value of the tape, and back.
    pub unforeseen: u64,
    /// Other operations: opens, maps, searches and such.
    pub others: u64,
    /// Those of them that are served as they were recorded.
    pub others_served: u64,
    /// The calls that failed.
    pub failed: Vec<Failed>,
}

impl Trial {
    /// Of a thousand calls with a counterpart, as many have to be served.
    pub const AIM: u64 = 995;

    /// True where the aim is met: of the calls with a counterpart 99.5 % are served, those without one
    /// diverge, and nothing is contradicted.
    #[must_use]
    pub fn meets_the_aim(&self) -> bool {
        self.served * 1000 >= self.counterparts * Self::AIM
            && self.diverged == self.calls - self.counterparts
            && self.contradicted == 0
    }
}

/// Has the run play the client of a tape that was learned from other runs. What the driver gives is put in
/// the place of what it gave the run, as a client would hand it in: where rules of the learned tape say so.
///
/// # Errors
///
/// [`TrialError`] where one of the tapes does not serve for that.
pub fn trial(learned: &Arc<Tape>, from: &[&Tape], run: &Tape) -> Result<Trial, TrialError> {
    let before = from.iter().map(|tape| calls(tape)).collect::<Result<Vec<_>, _>>()?;
    let own = calls(run)?;
    let before: Vec<&[Made]> = before.iter().map(Vec::as_slice).collect();
    let volatile = volatile_inputs(&before, &own);
    // Which of several calls of one key is the one too many cannot be said: keys are counted.
    let mut keys: BTreeMap<String, Key> = BTreeMap::new();
    for run in &before {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        run.iter().for_each(|call| *counts.entry(call.key(&volatile)).or_default() += 1);
        for (key, count) in counts {
            let key = keys.entry(key).or_default();
            key.before = key.before.max(count);
        }
    }
    own.iter().for_each(|call| keys.entry(call.key(&volatile)).or_default().run += 1);
    let rules = &learned.header().rules;
    let first = before.first().copied().unwrap_or_default();
    let mut told = Trial {
        calls: own.len() as u64,
        counterparts: keys.values().map(Key::counterparts).sum(),
        exact: in_order(first, &own, &[])?,
        masked: in_order(first, &own, rules)?,
        ..Trial::default()
    };

    // Symbols first: the client hands in what it was given. Then what of the answers is volatile.
    let symbols = rules.iter().filter(|rule| matches!(rule.comparison, Comparison::Symbol(_)));
    let mut client_rules: Vec<FieldRule> = symbols.cloned().collect();
    let answers = volatile_outputs(&before, &own, &volatile);
    told.unforeseen = answers.calls;
    let rule = |(on, selector, field): Answer, comparison| FieldRule {
        selector: Some(selector),
        on: Some(on),
        field,
        comparison,
    };
    client_rules.extend(answers.known.into_iter().map(|it| rule(it, Comparison::Masked)));
    for (number, answer) in answers.unforeseen.into_iter().enumerate() {
        let name = format!("unforeseen {number}");
        client_rules.push(rule(answer, Comparison::Symbol(name)));
    }
    let report = play(learned, run, client_rules)?;
    let invented = DIVERGED.to_string();
    let mut failed: BTreeMap<Sequence, (FailedHow, &Difference)> = BTreeMap::new();
    for difference in &report.differences {
        let not_made = matches!(difference.kind, DifferenceKind::NotMade | DifferenceKind::Hang);
        if not_made || difference.found.contains(&invented) || difference.found == "gives none" {
            failed.insert(difference.sequence, (FailedHow::Diverged, difference));
        } else {
            let contradicted = (FailedHow::Contradicted, difference);
            failed.entry(difference.sequence).or_insert(contradicted);
        }
    }
    let made: BTreeSet<Sequence> = own.iter().map(|call| call.sequence).collect();
    let others_failed = failed.keys().filter(|sequence| !made.contains(sequence)).count() as u64;
    told.others = report.operations.saturating_sub(told.calls);
    told.others_served = told.others.saturating_sub(others_failed);
    for call in &own {
        let how = failed.get(&call.sequence);
        if how.is_none_or(|(how, _)| *how != FailedHow::Diverged)
            && let Some(key) = keys.get_mut(&call.key(&volatile))
        {
            key.served += 1;
        }
        let Some((how, difference)) = how else { continue };
        told.contradicted += u64::from(*how == FailedHow::Contradicted);
        told.failed.push(Failed {
            sequence: call.sequence,
            how: *how,
            call: call.shape.clone(),
            difference: (*how == FailedHow::Contradicted).then(|| difference.to_string()),
        });
    }
    for key in keys.values() {
        told.served += key.served.min(key.counterparts());
        told.diverged += (key.run - key.counterparts()).min(key.run - key.served);
    }
    Ok(told)
}

/// Plays the client of `run` with these rules against the learned tape.
fn play(
    learned: &Arc<Tape>,
    run: &Tape,
    rules: Vec<FieldRule>,
) -> Result<crate::drive::DriveReport, TrialError> {
    let mut client = Tape::new(run.header().clone(), run.events().to_vec());
    client.events_mut().iter_mut().try_for_each(|event| {
        event.try_visit_payloads(|payload| -> Result<(), TapeError> {
            if let Some(bytes) = run.bytes(payload)? {
                *payload = Payload::bytes(&bytes);
            }
            Ok(())
        })
    })?;
    client.header_mut().rules = rules;
    // One lane waits for nobody, so this ends what will never come; a busy machine needs the rest.
    let short = Duration::from_secs(2);
    let options =
        ReplayOptions::default().on_divergence(OnDivergence::Answer(DIVERGED)).patience(short);
    let replayer = Replayer::new(Arc::clone(learned), options)?;
    let options = DriveOptions { patience: short, differences_max: usize::MAX };
    let report = drive(&Arc::new(client), &replayer.system(&Schedule::free()), options)?;
    // A divergence is what a trial is there to find.
    let _divergence = replayer.finish();
    Ok(report)
}

/// How many calls strict order serves, where inputs that rules cover are not compared.
fn in_order(ours: &[Made], theirs: &[Made], rules: &[FieldRule]) -> Result<u64, TrialError> {
    let mut kinds: BTreeMap<(&str, usize), bool> = BTreeMap::new();
    for call in ours.iter().chain(theirs) {
        for at in 0..call.inputs.len() {
            kinds.entry((&call.kind, at)).or_insert_with(|| {
                rules.iter().any(|rule| {
                    rule.selector.is_none_or(|selector| selector == call.selector)
                        && rule.on.as_ref().is_none_or(|on| Some(on) == call.on.as_ref())
                        && call.is_input(at, rule.field)
                })
            });
        }
    }
    let compared = |call: &Made| -> (String, Vec<u64>) {
        let inputs = call.inputs.iter().enumerate();
        let inputs = inputs.filter(|(at, _)| !kinds[&(call.kind.as_str(), *at)]);
        (call.shape.clone(), inputs.map(|(_, value)| *value).collect())
    };
    let mut numbers: BTreeMap<(String, Vec<u64>), usize> = BTreeMap::new();
    let mut number = |calls: &[Made]| -> Vec<usize> {
        let mut of = |call| {
            let next = numbers.len();
            *numbers.entry(compared(call)).or_insert(next)
        };
        calls.iter().map(&mut of).collect()
    };
    let (ours, theirs) = (number(ours), number(theirs));
    let pairs = align(&theirs, &ours, |one, other| u32::from(one == other), 1);
    pairs.map(|pairs| pairs.len() as u64).ok_or(TrialError::TooLong)
}

/// How many calls of one key there are, and what became of them.
#[derive(Debug, Default)]
struct Key {
    /// In that of the runs learned from which has most.
    before: u64,
    run: u64,
    served: u64,
}

impl Key {
    fn counterparts(&self) -> u64 {
        self.run.min(self.before)
    }
}
