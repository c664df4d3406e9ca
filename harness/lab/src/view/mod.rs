//! A tape as people look at it: what an event's fields are and say, and what belongs to what.
//!
//! `names` is where a protocol's names come in, `described` takes them from a description, `fields` takes an event apart, `value` says what a field
//! holds, `links` knows which events belong together, `title` puts an event into a few words.

mod described;
mod fields;
mod links;
mod names;
mod title;
mod value;

pub use names::{Hex, NamedField, Names, Part};

pub(crate) use fields::{FieldName, for_each_field};
pub(crate) use links::Links;
pub(crate) use title::{is_failure, result_of, title};
pub(crate) use value::{FieldValue, printable, shown};
