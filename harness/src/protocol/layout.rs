//! A description with its names looked up: what selectors, structures and memories look like.

use super::file::{Endian, FieldKind, MemoryCapture, Show};
use crate::IoReturn;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A protocol description.
///
/// # Examples
///
/// ```
/// use dextape::protocol::Protocol;
///
/// let protocol = Protocol::from_toml(
///     r#"
///     format = 1
///     [selectors.2]
///     name = "read_key"
///     inputs = ["index"]
///     input = "Request"
///     [structures.Request]
///     fields = [
///         { name = "key", type = "u32", show = "four_characters" },
///         { name = "size", type = "u8" },
///         { name = "token", type = "u64", kind = "handle" },
///     ]
///     "#,
/// )?;
/// let selector = &protocol.selectors[&2];
/// assert_eq!(selector.name, "read_key");
/// let request = selector.input.as_ref().unwrap();
/// assert_eq!((request.size, request.fields[2].at), (16, 8), "aligned as C does it");
/// # Ok::<(), dextape::protocol::ProtocolError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Protocol {
    /// Its name, for people.
    pub name: Option<String>,
    /// Classes, user classes or names by which the service is matched; any where it is empty.
    pub services: Vec<String>,
    /// The selectors, by number.
    pub selectors: BTreeMap<u32, SelectorDescription>,
    /// The structures, by name.
    pub structures: BTreeMap<String, Arc<Structure>>,
    /// The memory types, by number.
    pub memory: BTreeMap<u32, MemoryDescription>,
    /// Names of result codes of the dext's own.
    pub results: BTreeMap<u32, String>,
    /// Registry properties of a kind of their own.
    pub properties: BTreeMap<String, FieldKind>,
}

impl Protocol {
    /// True where the description is for a service that was matched by this class or name.
    #[must_use]
    pub fn describes(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|name| name == service)
    }

    /// The name of a selector.
    #[must_use]
    pub fn selector_name(&self, selector: u32) -> Option<&str> {
        self.selectors.get(&selector).map(|selector| &*selector.name)
    }

    /// A result code as people read it: the protocol's own name for it where it has one.
    #[must_use]
    pub fn result_text(&self, result: IoReturn) -> String {
        match self.results.get(&result.0) {
            Some(name) => format!("{name} ({:#010x})", result.0),
            None => result.to_string(),
        }
    }

    /// Calls that a later part of a run cannot do without.
    pub fn sticky_selectors(&self) -> impl Iterator<Item = u32> {
        self.selectors.iter().filter(|(_, selector)| selector.sticky).map(|(number, _)| *number)
    }
}

/// What is known of a selector.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SelectorDescription {
    /// Its name.
    pub name: String,
    /// Scalars handed in, in their order.
    pub inputs: Vec<ScalarDescription>,
    /// Scalars returned, in their order.
    pub outputs: Vec<ScalarDescription>,
    /// The structure handed in.
    pub input: Option<Arc<Structure>>,
    /// The structure returned.
    pub output: Option<Arc<Structure>>,
    /// Arguments of its completions, in their order.
    pub completion: Vec<ScalarDescription>,
    /// Later calls do not work without the first of this selector.
    pub sticky: bool,
}

impl SelectorDescription {
    /// One of this name, without scalars and structures.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// What is known of a scalar.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ScalarDescription {
    /// Its name.
    pub name: String,
    /// What kind of value it is.
    pub kind: FieldKind,
    /// Of a pointer: the bytes behind it.
    pub length: Option<PointerLength>,
    /// Names of its values.
    pub values: Option<Arc<Values>>,
    /// How it is shown.
    pub show: Option<Show>,
}

impl ScalarDescription {
    /// One of this name, of kind [`FieldKind::Data`].
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// The bytes behind a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerLength {
    /// So many.
    Bytes(u64),
    /// As many as a field says: its index in the structure, or among the scalars.
    Field(usize),
}

/// Names of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// One name a value, with the name of the enumeration.
    Enum(String, BTreeMap<u64, String>),
    /// Names of bits, with the name of the set: each mask once, in the order of the masks.
    Flags(String, BTreeMap<u64, String>),
}

/// What is known of a structure.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Structure {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: usize,
    /// Its fields, in their order; they may overlap, as in a union.
    pub fields: Vec<Field>,
}

impl Structure {
    /// The field of this name, itself or, with dots between, a field of a field.
    #[must_use]
    pub fn field(&self, path: &str) -> Option<(usize, &Field)> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)));
        let field = self.fields.iter().find(|field| field.name == first)?;
        match (rest, &field.element) {
            (None, _) => Some((field.at, field)),
            (Some(rest), Element::Structure(structure)) => {
                structure.field(rest).map(|(at, inner)| (field.at + at, inner))
            }
            (Some(_), _) => None,
        }
    }
}

/// A field of a structure.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its first byte.
    pub at: usize,
    /// What one of it is.
    pub element: Element,
    /// How many there are; `None` for one that is no array.
    pub count: Option<usize>,
    /// Byte order of numbers.
    pub endian: Endian,
    /// What kind of value it is.
    pub kind: FieldKind,
    /// Of a pointer: the bytes behind it.
    pub length: Option<PointerLength>,
    /// Names of its values.
    pub values: Option<Arc<Values>>,
    /// How it is shown.
    pub show: Option<Show>,
}

impl Field {
    /// A field of kind [`FieldKind::Data`], in the byte order of a Mac.
    #[must_use]
    pub fn new(name: impl Into<String>, at: usize, element: Element) -> Self {
        Self {
            name: name.into(),
            at,
            element,
            count: None,
            endian: Endian::Little,
            kind: FieldKind::Data,
            length: None,
            values: None,
            show: None,
        }
    }

    /// Its bytes, all elements of an array.
    #[must_use]
    pub fn size(&self) -> usize {
        self.element.size().saturating_mul(self.count.unwrap_or(1))
    }
}

/// What a field, or one element of an array, is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Element {
    /// A number from 0 on, of 1, 2, 4 or 8 bytes.
    Unsigned(usize),
    /// A number that may be negative, of 1, 2, 4 or 8 bytes.
    Signed(usize),
    /// A floating-point number of 4 or 8 bytes.
    Float(usize),
    /// So many bytes without a meaning of their own.
    Bytes(usize),
    /// So many bytes of UTF-8, up to the first NUL.
    Text(usize),
    /// A structure.
    Structure(Arc<Structure>),
}

impl Element {
    /// Its bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Unsigned(size)
            | Self::Signed(size)
            | Self::Float(size)
            | Self::Bytes(size)
            | Self::Text(size) => *size,
            Self::Structure(structure) => structure.size,
        }
    }

    /// What C aligns it to.
    pub(super) fn alignment(&self) -> usize {
        match self {
            Self::Unsigned(size) | Self::Signed(size) | Self::Float(size) => *size,
            Self::Bytes(_) | Self::Text(_) => 1,
            Self::Structure(structure) => structure.alignment(),
        }
    }
}

impl Structure {
    /// The largest alignment of its fields; one that is packed states its places, so that this is only
    /// asked where it matters.
    fn alignment(&self) -> usize {
        self.fields
            .iter()
            .map(|field| field.element.alignment())
            .filter(|alignment| self.size.is_multiple_of(*alignment))
            .max()
            .unwrap_or(1)
    }
}

/// What is known of a memory type.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MemoryDescription {
    /// Its name.
    pub name: String,
    /// The structure that stands in it, from its first byte on.
    pub layout: Option<Arc<Structure>>,
    /// The structure is repeated up to the end of the memory.
    pub repeated: bool,
    /// How it may be read by a recorder; `None` where nothing is known.
    pub capture: Option<MemoryCapture>,
}
