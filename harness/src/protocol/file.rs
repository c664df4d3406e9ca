//! What stands in a file, before anything is looked up.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file. Tables that are keyed by a number take it in decimal or, with `0x`, in hexadecimal form.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Version of this format: 1.
    pub(super) format: u32,
    /// Name of the protocol, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// Classes, user classes or names by which the service is matched. Where it is empty, the
    /// description is for every service of a tape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) services: Vec<String>,
    /// Selectors, by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) selectors: BTreeMap<String, Selector>,
    /// Structures, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) structures: BTreeMap<String, StructureText>,
    /// Enumerations, by name: names and their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) enums: BTreeMap<String, BTreeMap<String, Number>>,
    /// Sets of flags, by name: names and their masks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) flags: BTreeMap<String, BTreeMap<String, Number>>,
    /// Memory types, by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) memory: BTreeMap<String, Memory>,
    /// Names of result codes of the dext's own, by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) results: BTreeMap<String, String>,
    /// Registry properties of a kind of their own, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) properties: BTreeMap<String, Property>,
}

/// A selector.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Selector {
    /// Its name.
    pub(super) name: String,
    /// Scalars handed in, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) inputs: Vec<Scalar>,
    /// Scalars returned, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) outputs: Vec<Scalar>,
    /// Name of the structure handed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<String>,
    /// Name of the structure returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<String>,
    /// Arguments of its completions, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) completion: Vec<Scalar>,
    /// A bounded recording keeps the first calls of this selector on each connection, because later
    /// ones do not work without them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) sticky: bool,
}

/// A scalar: its name, or what else is to be said of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(super) enum Scalar {
    /// Its name.
    Name(String),
    /// Name and more.
    More(ScalarMore),
}

/// Name and more of a scalar.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ScalarMore {
    /// Its name.
    pub(super) name: String,
    /// What kind of value it is.
    #[serde(default, skip_serializing_if = "FieldKind::is_data")]
    pub(super) kind: FieldKind,
    /// Of a pointer: the bytes behind it, a number or the name of another scalar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) length: Option<Length>,
    /// Name of its enumeration.
    #[serde(default, rename = "enum", skip_serializing_if = "Option::is_none")]
    pub(super) names: Option<String>,
    /// Name of its set of flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) flags: Option<String>,
    /// How it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) show: Option<Show>,
}

/// A structure.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct StructureText {
    /// Its bytes; where it is left out, up to the end of the last field, as C counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    /// No padding between fields that state no place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) packed: bool,
    /// Byte order of fields that state none.
    #[serde(default, skip_serializing_if = "Endian::is_little")]
    pub(super) endian: Endian,
    /// Its fields, in their order.
    #[serde(default)]
    pub(super) fields: Vec<FieldText>,
}

/// A field of a structure.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct FieldText {
    /// Its name.
    pub(super) name: String,
    /// `u8` to `u64`, `i8` to `i64`, `f32`, `f64`, `bytes`, `text` or the name of a structure.
    #[serde(rename = "type")]
    pub(super) of: String,
    /// Its first byte; where it is left out, behind the field before, aligned as C does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<u64>,
    /// How many there are, for an array; of `bytes` and `text` their length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u64>,
    /// Its byte order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) endian: Option<Endian>,
    /// What kind of value it is.
    #[serde(default, skip_serializing_if = "FieldKind::is_data")]
    pub(super) kind: FieldKind,
    /// Of a pointer: the bytes behind it, a number or the name of another field of the structure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) length: Option<Length>,
    /// Name of its enumeration.
    #[serde(default, rename = "enum", skip_serializing_if = "Option::is_none")]
    pub(super) names: Option<String>,
    /// Name of its set of flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) flags: Option<String>,
    /// How it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) show: Option<Show>,
}

/// A memory type.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    /// Its name.
    pub(super) name: String,
    /// Name of the structure that stands in it, from its first byte on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) layout: Option<String>,
    /// The structure is repeated up to the end of the memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) repeated: bool,
    /// What is known of how it may be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) capture: Option<MemoryCapture>,
}

/// A registry property.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Property {
    /// What kind of value it is.
    pub(super) kind: FieldKind,
}

/// A number, or a text that states one in hexadecimal form.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(super) enum Number {
    /// Up to 2^63 - 1, or negative.
    Number(i64),
    /// Such as `"0xe00002c2"`.
    Text(String),
}

/// The bytes behind a pointer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(super) enum Length {
    /// So many.
    Bytes(u64),
    /// As many as the field of this name says.
    Field(String),
}

/// What kind of value a field is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldKind {
    /// The same in every run that does the same.
    #[default]
    Data,
    /// Made by the client, opaque to the dext: the first use binds, later uses must agree.
    Handle,
    /// Given out by the dext, handed back by the client.
    Issued,
    /// An address of the client's memory.
    Pointer,
    /// Differs from run to run, and nothing depends on it.
    Volatile,
    /// Counts upwards.
    Counter,
    /// A time.
    Time,
    /// Tells of a person or a machine: never leaves unredacted.
    Private,
    /// Holds nothing.
    Padding,
}

impl FieldKind {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_data(&self) -> bool {
        *self == Self::Data
    }

    /// True for what may differ between two runs of one program that do the same.
    #[must_use]
    pub const fn may_differ(self) -> bool {
        !matches!(self, Self::Data | Self::Private)
    }
}

/// Byte order of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Endian {
    /// The least significant byte first, as every Mac stores numbers.
    #[default]
    Little,
    /// The most significant byte first, as many devices do.
    Big,
}

impl Endian {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_little(&self) -> bool {
        *self == Self::Little
    }
}

/// How a number is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Show {
    /// In decimal digits.
    Decimal,
    /// In hexadecimal digits.
    Hex,
    /// As four characters, the highest byte first.
    FourCharacters,
    /// As an `IOReturn`.
    Result,
}

/// What is known of how a memory may be read by a recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MemoryCapture {
    /// Ordinary memory: reading it changes nothing, so it may be compared as often as one likes.
    Ordinary,
    /// Registers of a device: reading may change them, so only the client reads.
    Registers,
    /// Never looked at.
    Uncaptured,
}
