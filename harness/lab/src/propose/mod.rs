//! A first protocol description, guessed from tapes.
//!
//! `samples` collects what passed, by selector and memory type, `number` guesses what a column of numbers
//! means, `structure` where the fields of bytes begin and end, `propose` puts it together, `text` writes the
//! file with the evidence as comments.
//!
//! Everything is a guess: a width is that of the smallest aligned number that explains how the bytes
//! changed, and what never changed tells nothing. A guess that would have a recorder or a replayer compare
//! something in another way is made only where the evidence leaves little room.

mod number;
#[expect(clippy::module_inception, reason = "the verb of this room")]
mod propose;
mod samples;
mod structure;
mod text;

pub use propose::{Proposal, ProposeError, propose};
