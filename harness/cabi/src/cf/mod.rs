//! As much of CoreFoundation as clients of IOKit use.

mod array;
mod base;
mod compare;
mod constants;
mod convert;
mod data;
mod describe;
mod dictionary;
mod number;
mod object;
pub(crate) mod report;
mod string;

pub(crate) use constants::{constant, constant_string, make as make_constants};
pub(crate) use convert::{dictionary_value, from_value, text_of, to_value};
pub(crate) use object::{Body, CfRef, Index, Item, Owned, Range, TypeId};
