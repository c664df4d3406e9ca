//! One tape out of several.

use super::align::{BEST, align, by_shape};
use super::fields::{FieldClass, Fields, LearnedField};
use super::operations::operations;
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
            let class = format!("{class:?}").to_lowercase();
            let (one, other) = example;
            write!(f, "\n  {class} at {place} of call {selector}: ")?;
            write!(f, "differs in {differs} of {compared}, such as {one:#x} and {other:#x}")?;
        }
        for what in &self.unexplained {
            write!(f, "\n  unexplained: {what}")?;
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
/// [`Policy::AnyOrder`], since a further run need not do all of it.
///
/// # Errors
///
/// [`LearnError`] where there are fewer than two tapes, or they cannot be aligned.
pub fn learn(tapes: &[&Tape]) -> Result<Learned, LearnError> {
    let [first, others @ ..] = tapes else { return Err(LearnError::TooFew(0)) };
    if others.is_empty() {
        return Err(LearnError::TooFew(1));
    }
    let mut tape = Tape::new(first.header().clone(), first.events().to_vec());
    inline(first, &mut tape)?;
    let mut report =
        LearnReport { operations: vec![operations(&tape)?.len() as u64], ..LearnReport::default() };
    let mut fields = Fields::default();
    for (index, other) in others.iter().enumerate() {
        let (ours, theirs) = (operations(&tape)?, operations(other)?);
        let pairs = align(&ours, &theirs, by_shape, BEST).ok_or(LearnError::TooLong(index + 2))?;
        pairs.iter().for_each(|(one, other)| fields.add(&ours[*one], &theirs[*other]));
        report.operations.push(theirs.len() as u64);
        report.aligned.push(pairs.len() as u64);
        // What only the other run does goes behind what it does before that.
        let mut added: BTreeMap<usize, Vec<Event>> = BTreeMap::new();
        let (mut at, mut pairs) = (0, pairs.into_iter().peekable());
        for (number, operation) in theirs.iter().enumerate() {
            if let Some((own, _)) = pairs.next_if(|(_, their)| *their == number) {
                at = ours[own].leave.unwrap_or(ours[own].enter) + 1;
                continue;
            }
            let enter = &other.events()[operation.enter];
            // Numbers of further services and connections would be those of another tape.
            if !matches!(enter.body, Body::Call(_)) || operation.leave.is_none() {
                let what = format!("{} of run {} alone, left out", enter.body.name(), index + 2);
                report.unexplained.push(what);
                continue;
            }
            let places = [Some(operation.enter), operation.leave];
            for place in places.into_iter().flatten() {
                let mut event = other.events()[place].clone();
                event.try_visit_payloads(|payload| inlined(other, payload))?;
                added.entry(at).or_default().push(event);
            }
            report.inserted += 1;
        }
        insert(&mut tape, added);
    }
    let (rules, learned) = fields.learn();
    if fields.lengths > 0 {
        report
            .unexplained
            .push(format!("{} structures come back in other lengths", fields.lengths));
    }
    let is_data = |field: &&LearnedField| field.is_input && field.class == FieldClass::Data;
    let data = learned.iter().filter(is_data).count();
    if data > 0 {
        let what = format!("{data} fields handed in differ as data, and are not compared any more");
        report.unexplained.push(what);
    }
    report.fields = learned;
    let header = tape.header_mut();
    header.rules.extend(rules);
    header.policy = Some(Policy::AnyOrder.name().to_owned());
    header.provenance.push(format!("learned from {} runs", tapes.len()));
    Ok(Learned { tape, report })
}

fn inline(from: &Tape, tape: &mut Tape) -> Result<(), TapeError> {
    tape.events_mut()
        .iter_mut()
        .try_for_each(|event| event.try_visit_payloads(|payload| inlined(from, payload)))
}

fn inlined(from: &Tape, payload: &mut dextape::tape::Payload) -> Result<(), TapeError> {
    if let dextape::tape::Payload::Blob { digest, .. } = payload {
        *payload = dextape::tape::Payload::Bytes(from.load(*digest)?);
    }
    Ok(())
}

/// Puts events in and numbers all anew.
fn insert(tape: &mut Tape, mut added: BTreeMap<usize, Vec<Event>>) {
    let mut events = Vec::new();
    let old = std::mem::take(tape.events_mut());
    let end = old.len();
    let mut last: Option<Event> = None;
    for (place, event) in old.into_iter().map(Some).chain([None]).enumerate() {
        for mut more in added.remove(&place.min(end)).unwrap_or_default() {
            // In the lane and at the time of what stands before it.
            if let Some(before) = &last {
                (more.lane, more.process, more.time) = (before.lane, before.process, before.time);
            }
            events.push((more, true));
        }
        if let Some(event) = event {
            last = Some(event.clone());
            events.push((event, false));
        }
    }
    let mut numbers: BTreeMap<(bool, Sequence), Sequence> = BTreeMap::new();
    let mut positions: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for (index, (event, new)) in events.iter_mut().enumerate() {
        let sequence = index as Sequence + 1;
        numbers.insert((*new, event.sequence), sequence);
        event.sequence = sequence;
        event.cause = event.cause.and_then(|cause| numbers.get(&(*new, cause)).copied());
        if let Body::Patch { last_equal, .. } = &mut event.body {
            *last_equal = last_equal.and_then(|last| numbers.get(&(*new, last)).copied());
        }
        let position = positions.entry((event.process, event.lane)).or_default();
        *position += 1;
        event.position = *position;
    }
    *tape.events_mut() = events.into_iter().map(|(event, _)| event).collect();
}
