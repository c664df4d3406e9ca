//! Several recordings of one run become one tape that serves further runs.
//!
//! `operations` takes tapes apart, `align` lays two beside each other, `fields` finds out what differs and
//! why, `learn` puts a tape together, `trial` measures how it serves a run that it has not seen.

mod align;
mod fields;
#[expect(clippy::module_inception, reason = "the verb of this room")]
mod learn;
mod operations;
mod trial;

pub use fields::{FieldClass, LearnedField};
pub use learn::{LearnError, LearnReport, Learned, learn};
pub use trial::{Trial, TrialError, trial};
