//! What stands out on a tape.

use crate::drive::{DriveError, planned_faults};
use dextape::fault::{Fault, When};
use dextape::tape::{Body, Sequence, Tape};

/// What kind of thing a mark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A fault was planned here.
    Fault,
    /// A replay diverged here.
    Divergence,
}

impl MarkKind {
    /// The kind in a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Divergence => "divergence",
        }
    }
}

/// An event that a picture marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Number of the event.
    pub sequence: Sequence,
    /// What kind of thing it is.
    pub kind: MarkKind,
    /// What is told of it.
    pub text: String,
}

/// Marks where the faults that a tape was recorded with were to strike: at the operations that their sites
/// and counts name. Faults by chance have no place.
///
/// # Errors
///
/// [`DriveError::Faults`] where the tape's plan of faults cannot be read.
pub fn fault_marks(tape: &Tape) -> Result<Vec<Mark>, DriveError> {
    let plan = planned_faults(tape)?;
    let mut marks = Vec::new();
    for fault in &plan.faults {
        let mut count = 0;
        for event in tape.events() {
            let selector_is = |wanted: &Option<u32>, selector: u32| {
                wanted.is_none_or(|wanted| wanted == selector)
            };
            let (when, is_it) = match (fault, &event.body) {
                (Fault::Open { when, .. }, Body::Open { .. }) => (when, true),
                (
                    Fault::Call { selector, when, .. },
                    Body::Call(call) | Body::AsyncCall { call, .. },
                ) => (when, selector_is(selector, call.selector)),
                // A lost completion is on no tape; its call is.
                (Fault::Completion { selector, when, .. }, Body::AsyncCall { call, .. }) => {
                    (when, selector_is(selector, call.selector))
                }
                (Fault::Map { memory_type, when, .. }, Body::Map { memory_type: of, .. })
                | (Fault::Unmap { memory_type, when, .. }, Body::Unmap { memory_type: of, .. }) => {
                    (when, memory_type.is_none_or(|wanted| wanted == *of))
                }
                (Fault::At { time, .. }, _) if u128::from(event.time) >= time.as_nanos() => {
                    (&When::Nth(1), true)
                }
                _ => continue,
            };
            if !is_it {
                continue;
            }
            count += 1;
            let strikes = match *when {
                When::From(first) => count >= first,
                When::Nth(number) => count == number,
                When::Every(step) => step > 0 && count % step == 0,
                _ => false,
            };
            if strikes {
                let text = format!("planned fault: {fault}");
                marks.push(Mark { sequence: event.sequence, kind: MarkKind::Fault, text });
            }
        }
    }
    Ok(marks)
}
