//! The long proofs about journals, as functions that a test runs on a sample and `cargo xtask prove`
//! in full.

mod kinds;

pub use kinds::{append_body, every_kind};
