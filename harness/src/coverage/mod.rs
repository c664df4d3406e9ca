//! What a run exercised: selectors, memory types, results, completion counts and rules of the boundary.
//!
//! A process that has the variable [`COVERAGE`] in its environment notes what its mock systems do in a
//! file of its own in that folder, whoever they belong to and on whichever threads they run.
//! `cargo xtask coverage FOLDER` puts the files of a whole test run together.

mod fact;
mod notes;

pub use fact::{COMPLETIONS_MAX, Fact, Note};
pub use notes::{COVERAGE, Notes, rules};
