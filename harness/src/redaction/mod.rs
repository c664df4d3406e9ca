//! What must not leave: private values, and what stands in their place.
//!
//! A [`RedactionPolicy`] names the places of private values: by selector and range, by memory type and
//! range, by registry property. A [`Pseudonym`] puts another value of the same form in their place, so
//! that a tape still replays for every client that only copies or compares it: lengths, characters'
//! classes and equalities hold, and two values that differ stay two, as do two forms of one.
//!
//! [`Substitutes`] puts the pseudonyms of [known values](PrivateValue) wherever those stand in bytes, in any of
//! their [forms](encodings).

mod encoding;
mod likeness;
mod policy;
mod pseudonym;
mod substitutes;
mod value;

pub use encoding::{Edges, Encoded, encodings};
#[cfg(feature = "schema")]
pub use policy::schema;
pub use policy::{FieldPlace, PolicyError, PolicyField, PolicyMemory, RedactionPolicy, When};
pub use pseudonym::{Form, Pseudonym};
pub use substitutes::Substitutes;
pub use value::{PrivateValue, VALUE_MAX, VALUE_MIN, trimmed};
