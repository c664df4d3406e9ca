//! Snapshots of traffic, for reviews: what a client did, one line an operation. Needs the feature
//! `insta`.
//!
//! [`assert_transcript!`](crate::assert_transcript) is a macro, so that a snapshot lands beside the
//! test that asserts it.

mod assert;
mod mask;

#[doc(hidden)]
pub use assert::{transcript, transcript_by};
#[doc(hidden)]
pub use insta;
