//! As much of CoreFoundation as clients of IOKit use.

mod array;
mod base;
mod compare;
mod constants;
mod convert;
mod data;
mod describe;
mod dictionary;
mod mach_port;
mod number;
mod object;
pub(crate) mod report;
pub(crate) mod run_loop;
mod string;
mod timer;

pub(crate) use constants::make as make_constants;
pub(crate) use convert::{dictionary_value, from_value, text_of, to_value};
pub(crate) use object::{Body, CfRef, Owned};

/// The type of what belongs to `dispatch`.
pub(crate) const DISPATCH_TYPE: usize = object::type_id::DISPATCH;
