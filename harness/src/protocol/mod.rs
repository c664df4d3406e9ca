//! Names for what passes: a protocol description, usually a file `protocol.toml` beside the client.
//!
//! It names selectors, scalars, fields of structures, memory types with their layouts, arguments of
//! completions and result codes. Whatever shows traffic uses the names: without a description
//! everything works in hexadecimal numbers. It also says what kind of value a field is: a handle that
//! the client made, a pointer with the length behind it, something that differs from run to run, or
//! something private.
//!
//! [`Protocol::read`] reads a file, [`Structure::decode`] takes bytes apart, [`described!`](crate::described)
//! makes a description of a Rust type.

mod decode;
mod described;
mod error;
mod file;
mod layout;
mod read;
mod text;

pub use decode::{Decoded, FieldValue};
pub use described::{Described, FieldType};
pub use error::ProtocolError;
pub use file::{Endian, FieldKind, MemoryCapture, Show};
pub use layout::{
    Element, Field, MemoryDescription, PointerLength, Protocol, ScalarDescription,
    SelectorDescription, Structure, Values,
};
#[cfg(feature = "schema")]
pub use read::schema;
