//! What a flight recorder would have kept of a whole tape.
//!
//! A recorder that may stay on for weeks keeps the beginning of each connection, which every run of its
//! client makes again, and the last events before the failure; between them stand a gap and a keyframe.
//! This makes the same of a whole tape, with all of it at hand: a small tape out of a large one, and what
//! a ring's own tape is compared with.

#[expect(clippy::module_inception, reason = "the verb of this room")]
mod cut;
mod kept;
mod standing;

pub use cut::{CutError, CutOptions, cut};
