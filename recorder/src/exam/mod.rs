//! The long proofs about journals, as functions that a test runs on a sample and `cargo xtask prove`
//! in full.

mod damage;
mod kinds;

pub use damage::{Tally, cut_at_every_byte, flip_and_cut, sample_journal};
pub use kinds::{append_body, every_kind};
