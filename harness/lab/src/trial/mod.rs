//! How a tape that was learned serves a run that it was not learned from.
//!
//! What counts is said in `docs/learning.md`. `key` says which calls of several runs are the same, from the
//! tapes alone; `trial` has the run play the client and counts. Nothing here is shared with `learn` but
//! the rules on the learned tape, and the search for a longest common sequence.

mod key;
#[expect(clippy::module_inception, reason = "the verb of this room")]
mod trial;

pub use trial::{Failed, FailedHow, Trial, TrialError, trial};
