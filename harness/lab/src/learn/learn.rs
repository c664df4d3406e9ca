//! One tape out of several.

use super::align::{BEST, align_courses, alike};
use super::fields::{FieldClass, Fields, LearnedField};
use super::flow::Flows;
use super::merge::{Merge, inlined};
use super::operations::{Names, operations};
use super::pairs::pair;
use super::redactions::{Redaction, propose};
use dextape::replay::Policy;
use dextape::tape::{Body, Event, Sequence, Tape, TapeError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Why nothing can be learned. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// One run says nothing of what differs.
    #[error("learn from {0} tape: record the same run at least twice")]
    TooFew(usize),
    /// They differ over too long a stretch.
    #[error(
        "align tape {0} with the first: they differ over too long a stretch; trim them to the same run"
    )]
    TooLong(usize),
    /// Events are missing on one: what was done there differs from run to run, and nothing says how.
    #[error(
        "learn from tape {0}: events are missing at event {1}, and what differs there is not known; record \
         without a ring"
    )]
    Gap(usize, Sequence),
    /// Bytes of a tape cannot be read.
    #[error("{0}")]
    Tape(#[from] TapeError),
}

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LearnReport {
    /// Operations of each run.
    pub operations: Vec<u64>,
    /// Operations that each further run has in common with what came before it.
    pub aligned: Vec<u64>,
    /// Operations of further runs that were put in.
    pub inserted: u64,
    /// Fields that differ.
    pub fields: Vec<LearnedField>,
    /// What could not be explained.
    pub unexplained: Vec<String>,
    /// What should perhaps be taken out before a tape is given away.
    #[serde(serialize_with = "as_texts")]
    pub redactions: Vec<Redaction>,
}

fn as_texts<S: serde::Serializer>(all: &[Redaction], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(all.iter().map(ToString::to_string))
}

impl fmt::Display for LearnReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "learned from {} runs of {:?} operations",
            self.operations.len(),
            self.operations
        )?;
        write!(f, ", {:?} in common, {} put in", self.aligned, self.inserted)?;
        for field in &self.fields {
            let LearnedField { selector, place, class, compared, differs, example, .. } = field;
            let (service, open_type) = (&field.service, field.open_type.unwrap_or_default());
            let class = format!("{class:?}").to_lowercase();
            let (one, other) = example;
            write!(f, "\n  {class} at {place} of call {selector}")?;
            if let Some(service) = service {
                write!(f, " on {service} {open_type}")?;
            }
            write!(f, ": differs in {differs} of {compared}, such as {one:#x} and {other:#x}")?;
            if field.compared_still {
                f.write_str("; compared still, since answers depend on it")?;
            }
        }
        for what in &self.unexplained {
            write!(f, "\n  unexplained: {what}")?;
        }
        for redaction in &self.redactions {
            write!(f, "\n  perhaps to be redacted: {redaction}")?;
        }
        Ok(())
    }
}

/// What was learned.
#[derive(Debug)]
pub struct Learned {
    /// The tape: the first run, with what others do beside it, and with rules.
    pub tape: Tape,
    /// What they rest on.
    pub report: LearnReport,
}

/// Learns from recordings of the same run: aligns them, sorts what differs into classes, and makes rules of
/// it. What only a further run does is put in where that did it, and the policy becomes
/// [`Policy::Nearest`], since a further run need not do all of it.
///
/// # Errors
///
/// [`LearnError`] where there are fewer than two tapes, or they cannot be aligned.
pub fn learn(tapes: &[&Tape]) -> Result<Learned, LearnError> {
    let [first, others @ ..] = tapes else { return Err(LearnError::TooFew(0)) };
    if others.is_empty() {
        return Err(LearnError::TooFew(1));
    }
    for (number, tape) in (1..).zip(tapes) {
        let is_gap = |event: &&Event| matches!(event.body, Body::Gap { .. });
        if let Some(gap) = tape.events().iter().find(is_gap) {
            return Err(LearnError::Gap(number, gap.sequence));
        }
    }
    let mut names = Names::default();
    let runs = tapes.iter().map(|tape| operations(tape, &mut names));
    let runs = runs.collect::<Result<Vec<_>, _>>()?;
    let flows = Flows::find(&runs, &names);
    // A first look, to see how fields have to be treated.
    let mut rough = Fields::default();
    for (index, run) in runs.iter().enumerate().skip(1) {
        let pairs = align_courses(&runs[0], run, alike, BEST);
        let pairs = pairs.ok_or(LearnError::TooLong(index + 1))?;
        pairs.iter().for_each(|(one, other)| rough.add(&runs[0][*one], &run[*other]));
    }
    let treatments = rough.treatments(&flows, &runs);

    let mut tape = Tape::new(first.header().clone(), first.events().to_vec());
    tape.events_mut()
        .iter_mut()
        .try_for_each(|event| event.try_visit_payloads(|payload| inlined(first, payload)))?;
    let mut report =
        LearnReport { operations: vec![runs[0].len() as u64], ..LearnReport::default() };
    let mut fields = Fields::default();
    for (index, (other, theirs)) in others.iter().zip(&runs[1..]).enumerate() {
        let ours = operations(&tape, &mut names)?;
        let pairs = pair(&ours, theirs, &flows, &treatments);
        let mut pairs = pairs.ok_or(LearnError::TooLong(index + 2))?;
        pairs.pairs.iter().for_each(|(one, other)| fields.add(&ours[*one], &theirs[*other]));
        report.operations.push(theirs.len() as u64);
        report.aligned.push(pairs.pairs.len() as u64);
        let mut merge = Merge::new(&mut tape, other, &flows);
        merge.insert(&ours, theirs, &mut pairs)?;
        report.inserted += merge.inserted;
        for (name, count) in merge.left_out {
            let what = format!("{count} times {name} of run {} alone, left out", index + 2);
            report.unexplained.push(what);
        }
    }
    let (rules, learned) = fields.learn(&flows, &treatments, &names);
    if fields.lengths > 0 {
        let what = format!("{} structures come back in other lengths", fields.lengths);
        report.unexplained.push(what);
    }
    let is_data = |field: &&LearnedField| field.is_input && field.class == FieldClass::Data;
    let data = learned.iter().filter(is_data).count();
    if data > 0 {
        let what = format!("{data} fields handed in differ as data, and are not compared any more");
        report.unexplained.push(what);
    }
    report.redactions = propose(&learned, &runs[0], &names);
    report.fields = learned;
    let still = rough.compared_still(&treatments);
    report.fields.extend(still.told(&flows, &names, &BTreeMap::new()));
    let header = tape.header_mut();
    header.rules.extend(rules);
    header.policy = Some(Policy::Nearest.name().to_owned());
    header.provenance.push(format!("learned from {} runs", tapes.len()));
    Ok(Learned { tape, report })
}
