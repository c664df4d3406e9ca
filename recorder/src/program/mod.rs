//! Recordings of whole programs, each of which has a tape that it was told: where their journals are, what
//! becomes of the tape of a child or of what a program turns into by `exec`, and what is left behind by one
//! that crashed.

mod begin;
mod left;
mod names;

pub use begin::{Begun, begin};
pub use left::{Left, is_left, seal_left};
pub(crate) use names::stem;
pub use names::{journal_of, tapes_of_others};
