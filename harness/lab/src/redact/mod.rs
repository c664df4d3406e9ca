//! Taking private values out of tapes, and refusing tapes that still hold one.
//!
//! [`redact`](redact()) puts pseudonyms where a [policy](dextape::redaction::RedactionPolicy) says that
//! private values stand, and wherever else those values or other known ones occur: as bytes, hex,
//! decimal, UTF-8, UTF-16, byte-swapped or base64, in one piece or spread over calls.
//! [`find_private`] looks for known values in the same way, and nothing that it finds may leave.

mod apply;
mod cells;
mod choose;
mod copies;
mod find;
mod hits;
mod places;
mod streams;

pub use apply::{RedactError, Redacted, redact};
pub use dextape::redaction::{PrivateValue, VALUE_MAX, VALUE_MIN};
pub use find::{Leak, find_private};
