//! Several recordings of one run become one tape that serves further runs.
//!
//! `operations` takes tapes apart, `flow` finds what the driver gives and the client hands in again, `align`
//! lays two runs beside each other, `fields` finds out what differs and why, `pairs` says which operations
//! are the same, `merge` puts in what only one run does, `redactions` says what a recording gives away, and
//! `learn` does all of that.

mod align;
mod fields;
mod flow;
#[expect(clippy::module_inception, reason = "the verb of this room")]
mod learn;
mod merge;
mod operations;
mod pairs;
mod place;
mod redactions;

pub(crate) use align::align;
pub use fields::{FieldClass, LearnedField};
pub use learn::{LearnError, LearnReport, Learned, learn};
pub use redactions::{Redaction, RedactionReason};
