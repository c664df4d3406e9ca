//! How a learned tape serves a run that it was not learned from.

use super::align::align;
use super::operations::{Operation, operations};
use crate::drive::{DifferenceKind, DriveError, DriveOptions, drive};
use dextape::IoReturn;
use dextape::replay::{LoadError, OnDivergence, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Comparison, Field, FieldRule, Sequence, Tape, TapeError};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
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

/// How a learned tape served a run. All are operations of that run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// All of them.
    pub operations: u64,
    /// Those with a counterpart: an operation of the same shape (kind, connection, selector, counts and
    /// lengths) on the learned tape, each of which is the counterpart of one.
    pub counterparts: u64,
    /// Those that strict order serves where exact bytes are compared, if it went on after each divergence
    /// where most follows: the longest common sequence.
    pub exact: u64,
    /// The same, with the learned rules.
    pub masked: u64,
    /// Of those with a counterpart, those that the replayer serves with the learned rules and policy.
    pub served: u64,
    /// Of those without a counterpart, those that diverge.
    pub diverged: u64,
    /// Those that are served an answer which their own recording contradicts, outside of what the rules
    /// call volatile.
    pub contradicted: u64,
}

/// Has the run play the client of the learned tape. What the driver gives is put in the place of what it
/// gave the run, as a client would hand it in.
///
/// # Errors
///
/// [`TrialError`] where one of the tapes does not serve for that.
pub fn trial(learned: &Arc<Tape>, run: &Tape) -> Result<Trial, TrialError> {
    let (ours, theirs) = (operations(learned)?, operations(run)?);
    // Which of several operations of one shape is the one too many cannot be said: shapes are counted.
    let mut shapes: BTreeMap<&str, Shape> = BTreeMap::new();
    ours.iter().for_each(|it| shapes.entry(&it.shape).or_default().learned += 1);
    theirs.iter().for_each(|it| shapes.entry(&it.shape).or_default().run += 1);
    let rules = &learned.header().rules;
    let strict = |theirs: &[Operation], ours: &[Operation]| {
        let score = |one: &Operation, other: &Operation| u32::from(one.same_inputs(other));
        align(theirs, ours, score, 1).map(|pairs| pairs.len() as u64).ok_or(TrialError::TooLong)
    };
    let blanked = |operations: &[Operation]| -> Vec<Operation> {
        operations.iter().map(|it| it.blanked(rules)).collect()
    };
    let mut told = Trial {
        operations: theirs.len() as u64,
        counterparts: shapes.values().map(Shape::counterparts).sum(),
        exact: strict(&theirs, &ours)?,
        masked: strict(&blanked(&theirs), &blanked(&ours))?,
        ..Trial::default()
    };

    let mut client = Tape::new(run.header().clone(), run.events().to_vec());
    client.events_mut().iter_mut().try_for_each(|event| {
        event.try_visit_payloads(|payload| -> Result<(), TapeError> {
            if let Some(bytes) = run.bytes(payload)? {
                *payload = dextape::tape::Payload::bytes(&bytes);
            }
            Ok(())
        })
    })?;
    client.header_mut().rules.clone_from(rules);
    // One lane waits for nobody, so this ends what will never come; a busy machine needs the rest.
    let short = Duration::from_secs(2);
    let options =
        ReplayOptions::default().on_divergence(OnDivergence::Answer(DIVERGED)).patience(short);
    let replayer = Replayer::new(Arc::clone(learned), options)?;
    let options = DriveOptions { patience: short, differences_max: usize::MAX };
    let report = drive(&Arc::new(client), &replayer.system(&Schedule::free()), options)?;
    // A divergence is what a trial is there to find.
    let _divergence = replayer.finish();

    let invented = DIVERGED.to_string();
    let (mut diverged, mut contradicted) = (BTreeSet::<Sequence>::new(), BTreeSet::new());
    for difference in &report.differences {
        let not_made = matches!(difference.kind, DifferenceKind::NotMade | DifferenceKind::Hang);
        if not_made || difference.found.contains(&invented) || difference.found == "gives none" {
            diverged.insert(difference.sequence);
        } else {
            contradicted.insert(difference.sequence);
        }
    }
    for operation in &theirs {
        let sequence = run.events()[operation.enter].sequence;
        let failed = diverged.contains(&sequence);
        if let Some(shape) = shapes.get_mut(operation.shape.as_str()).filter(|_| !failed) {
            shape.served += 1;
        }
        told.contradicted += u64::from(!failed && contradicted.contains(&sequence));
    }
    for shape in shapes.values() {
        told.served += shape.served.min(shape.counterparts());
        let without = shape.run - shape.counterparts();
        told.diverged += without.min(shape.run - shape.served);
    }
    Ok(told)
}

/// How many operations of one shape there are, and what became of them.
#[derive(Debug, Default)]
struct Shape {
    learned: u64,
    run: u64,
    served: u64,
}

impl Shape {
    fn counterparts(&self) -> u64 {
        self.run.min(self.learned)
    }
}

impl Operation {
    /// The same, with what rules cover set to zero.
    fn blanked(&self, rules: &[FieldRule]) -> Self {
        let mut blanked = self.clone();
        let Some(call) = &mut blanked.call else { return blanked };
        let of_call = |rule: &&FieldRule| {
            let covers = matches!(rule.comparison, Comparison::Masked | Comparison::Symbol(_));
            covers && rule.selector.is_none_or(|selector| selector == call.selector)
        };
        let fields: Vec<Field> = rules.iter().filter(of_call).map(|rule| rule.field).collect();
        for field in fields {
            match field {
                Field::ScalarInput(index) => {
                    call.scalars.get_mut(index).into_iter().for_each(|scalar| *scalar = 0);
                }
                Field::StructureInput(offset, length) => {
                    let bytes = call.input.iter_mut().skip(offset as usize);
                    bytes.take(length as usize).for_each(|byte| *byte = 0);
                }
                _ => {}
            }
        }
        blanked
    }
}
