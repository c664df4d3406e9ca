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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// The field that begins at this byte, the innermost where several do.
    #[must_use]
    pub fn path_at(&self, at: usize) -> Option<String> {
        self.fields.iter().find_map(|field| {
            let within = at.checked_sub(field.at).filter(|within| *within < field.size())?;
            if field.is_bytes() {
                return (within == 0).then(|| field.name.clone());
            }
            let size = field.element.size().max(1);
            let index = within / size;
            let name = match field.count {
                Some(_) if within % size == 0 || matches!(field.element, Element::Structure(_)) => {
                    format!("{}[{index}]", field.name)
                }
                _ => field.name.clone(),
            };
            match &field.element {
                Element::Structure(structure) => {
                    structure.path_at(within % size).map(|path| format!("{name}.{path}"))
                }
                _ => (within % size == 0).then_some(name),
            }
        })
    }

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
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// True for an array of single bytes without names, which is shown as bytes.
    pub(super) fn is_bytes(&self) -> bool {
        self.element == Element::Unsigned(1) && self.count.is_some() && self.values.is_none()
    }

    /// Its bytes, all elements of an array.
    #[must_use]
    pub fn size(&self) -> usize {
        self.element.size().saturating_mul(self.count.unwrap_or(1))
    }
}

/// What a field, or one element of an array, is.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

impl MemoryDescription {
    /// The layout that a byte is in, and where that begins.
    fn layout_at(&self, offset: u64) -> Option<(&Structure, u64)> {
        let layout = self.layout.as_deref()?;
        let size = layout.size as u64;
        let begin = if self.repeated && size > 0 { offset - offset % size } else { 0 };
        (offset - begin < size).then_some((layout, begin))
    }

    /// The field that begins at this byte; in a repeated layout with the index of its repetition.
    #[must_use]
    pub fn field_at(&self, offset: u64) -> Option<String> {
        let (layout, begin) = self.layout_at(offset)?;
        let path = layout.path_at((offset - begin) as usize)?;
        Some(match self.repeated {
            true => format!("{}[{}].{path}", self.name, begin / layout.size as u64),
            false => format!("{}.{path}", self.name),
        })
    }

    /// These bytes of the memory by the fields that they are: a value alone where they are just one
    /// field, a list where they are several; `None` where they hold no field whole.
    #[must_use]
    pub fn describe_part(&self, offset: u64, bytes: &[u8]) -> Option<String> {
        /// Bytes that are looked at for it.
        const MAX: usize = 1 << 16;
        /// Values that a line shows before it is cut short.
        const SHOWN: usize = 16;
        let (layout, begin) = self.layout_at(offset)?;
        let skip = (offset - begin) as usize;
        if skip > MAX {
            return None;
        }
        let mut bytes_in_place = vec![0; skip];
        bytes_in_place.extend_from_slice(&bytes[..bytes.len().min(MAX)]);
        let repetitions = if self.repeated { usize::MAX } else { 1 };
        let first = begin / (layout.size as u64).max(1);
        let (mut listed, mut whole) = (Vec::new(), 0);
        for (index, part) in bytes_in_place.chunks(layout.size.max(1)).enumerate().take(repetitions)
        {
            for decoded in layout.decode(part, MAX) {
                if index == 0 && decoded.at < skip {
                    continue;
                }
                if index == 0 && decoded.at == skip && decoded.size == bytes.len() {
                    return Some(decoded.to_string());
                }
                whole += 1;
                if !decoded.value.is_zero() && listed.len() < SHOWN {
                    let repetition = match self.repeated {
                        true => format!("[{}].", first + index as u64),
                        false => String::new(),
                    };
                    listed.push(format!("{repetition}{}: {decoded}", decoded.path));
                }
            }
        }
        if whole == 0 {
            return None;
        }
        Some(format!("{} bytes {{{}}}", bytes.len(), listed.join(", ")))
    }
}
