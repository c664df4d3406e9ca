//! Bytes taken apart by a structure.

use super::file::{Endian, FieldKind, Show};
use super::layout::{Element, Field, ScalarDescription, Structure, Values};
use crate::IoReturn;
use std::fmt::{self, Write};

/// One value of a structure: a field, or one element of an array of numbers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decoded<'a> {
    /// Its name, with those of the structures that it is in: `info.size`, `slots[3].flags`.
    pub path: String,
    /// Its first byte.
    pub at: usize,
    /// Its bytes.
    pub size: usize,
    /// Its value.
    pub value: FieldValue,
    /// The field that it is.
    pub field: &'a Field,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FieldValue {
    /// A number.
    Unsigned(u64),
    /// A number that may be negative.
    Signed(i64),
    /// A floating-point number.
    Float(f64),
    /// Bytes without a meaning of their own.
    Bytes(Vec<u8>),
    /// UTF-8 up to the first NUL; what is none is replaced.
    Text(String),
}

impl FieldValue {
    /// True for zeroes and what is empty.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Unsigned(value) => *value == 0,
            Self::Signed(value) => *value == 0,
            Self::Float(value) => *value == 0.0,
            Self::Bytes(bytes) => bytes.iter().all(|byte| *byte == 0),
            Self::Text(text) => text.is_empty(),
        }
    }
}

impl Structure {
    /// The values that stand in these bytes, `most` at most. A field that the bytes do not hold whole is
    /// left out.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::protocol::{FieldValue, Protocol};
    ///
    /// let protocol = Protocol::from_toml(
    ///     r#"
    ///     format = 1
    ///     [structures.Info]
    ///     fields = [{ name = "size", type = "u16", endian = "big" }]
    ///     [structures.Reply]
    ///     fields = [{ name = "code", type = "u8" }, { name = "info", type = "Info" }]
    ///     "#,
    /// )?;
    /// let values = protocol.structures["Reply"].decode(&[7, 0, 1, 2], 100);
    /// assert_eq!((&*values[1].path, values[1].at), ("info.size", 2));
    /// assert_eq!(values[1].value, FieldValue::Unsigned(0x102));
    /// # Ok::<(), dextape::protocol::ProtocolError>(())
    /// ```
    #[must_use]
    pub fn decode(&self, bytes: &[u8], most: usize) -> Vec<Decoded<'_>> {
        let mut found = Vec::new();
        self.decode_into(bytes, 0, "", most, &mut found);
        found
    }

    fn decode_into<'a>(
        &'a self,
        bytes: &[u8],
        base: usize,
        above: &str,
        most: usize,
        found: &mut Vec<Decoded<'a>>,
    ) {
        for field in &self.fields {
            let dot = if above.is_empty() { "" } else { "." };
            let path = format!("{above}{dot}{}", field.name);
            if field.is_bytes() {
                let at = base.saturating_add(field.at);
                // What a reply that is shorter than its structure still holds is shown.
                let end = at.saturating_add(field.size()).min(bytes.len());
                if let Some(part) = bytes.get(at..end).filter(|part| !part.is_empty()) {
                    if found.len() == most {
                        return;
                    }
                    let value = FieldValue::Bytes(part.to_vec());
                    found.push(Decoded { path, at, size: part.len(), value, field });
                }
                continue;
            }
            for index in 0..field.count.unwrap_or(1) {
                let path = match field.count {
                    Some(_) => format!("{path}[{index}]"),
                    None => path.clone(),
                };
                let size = field.element.size();
                let at = base.saturating_add(field.at).saturating_add(index.saturating_mul(size));
                if found.len() == most || at >= bytes.len() {
                    break;
                }
                if let Element::Structure(structure) = &field.element {
                    structure.decode_into(bytes, at, &path, most, found);
                } else if let Some(part) = bytes.get(at..at.saturating_add(size)) {
                    let value = value(&field.element, field.endian, part);
                    found.push(Decoded { path, at, size, value, field });
                }
            }
        }
    }

    /// The values as a line of text, those that are zero left out: `{key: '#KEY', info.size: 4}`.
    #[must_use]
    pub fn describe(&self, bytes: &[u8]) -> String {
        /// Values that a line shows before it is cut short.
        const SHOWN: usize = 24;
        let values = self.decode(bytes, 4096);
        let shown: Vec<_> = values.iter().filter(|decoded| !decoded.value.is_zero()).collect();
        let mut line = String::from("{");
        for (index, decoded) in shown.iter().take(SHOWN).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(line, "{comma}{}: {decoded}", decoded.path);
        }
        if shown.len() > SHOWN {
            let _ = write!(line, ", {} more", shown.len() - SHOWN);
        }
        if bytes.len() > self.size {
            let _ = write!(line, ", {} bytes behind it", bytes.len() - self.size);
        }
        if bytes.len() < self.size {
            let _ = write!(line, ", {} bytes short", self.size - bytes.len());
        }
        line.push('}');
        line
    }
}

/// A number of 1, 2, 4 or 8 bytes.
fn unsigned(endian: Endian, bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    match endian {
        Endian::Little => wide[..bytes.len()].copy_from_slice(bytes),
        Endian::Big => {
            for (to, from) in wide.iter_mut().zip(bytes.iter().rev()) {
                *to = *from;
            }
        }
    }
    u64::from_le_bytes(wide)
}

fn value(element: &Element, endian: Endian, bytes: &[u8]) -> FieldValue {
    match element {
        Element::Unsigned(_) => FieldValue::Unsigned(unsigned(endian, bytes)),
        Element::Signed(size) => {
            let unused = 64 - 8 * (*size as u32);
            FieldValue::Signed((unsigned(endian, bytes) << unused).cast_signed() >> unused)
        }
        Element::Float(4) => {
            FieldValue::Float(f64::from(f32::from_bits(unsigned(endian, bytes) as u32)))
        }
        Element::Float(_) => FieldValue::Float(f64::from_bits(unsigned(endian, bytes))),
        Element::Text(_) => {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            FieldValue::Text(String::from_utf8_lossy(&bytes[..end]).into_owned())
        }
        Element::Bytes(_) | Element::Structure(_) => FieldValue::Bytes(bytes.to_vec()),
    }
}

impl fmt::Display for Decoded<'_> {
    /// Writes the value by its names and as its field wants it shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field;
        match &self.value {
            FieldValue::Unsigned(value) => {
                number(f, *value, self.size, field.values.as_deref(), field.show, field.kind)
            }
            FieldValue::Signed(value) => match field.values.as_deref() {
                Some(values) => number(
                    f,
                    value.cast_unsigned(),
                    self.size,
                    Some(values),
                    field.show,
                    field.kind,
                ),
                None => write!(f, "{value}"),
            },
            FieldValue::Float(value) => write!(f, "{value}"),
            FieldValue::Bytes(bytes) => {
                /// Bytes that a line shows before they are cut short.
                const SHOWN: usize = 16;
                for byte in bytes.iter().take(SHOWN) {
                    write!(f, "{byte:02x}")?;
                }
                if bytes.len() > SHOWN { write!(f, ".. ({} bytes)", bytes.len()) } else { Ok(()) }
            }
            FieldValue::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl ScalarDescription {
    /// A value of this scalar by its names, and as the description wants it shown.
    #[must_use]
    pub fn describe(&self, value: u64) -> String {
        struct Shown<'a>(&'a ScalarDescription, u64);
        impl fmt::Display for Shown<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self(scalar, value) = *self;
                number(f, value, 8, scalar.values.as_deref(), scalar.show, scalar.kind)
            }
        }
        Shown(self, value).to_string()
    }
}

fn number(
    f: &mut fmt::Formatter<'_>,
    value: u64,
    size: usize,
    values: Option<&Values>,
    show: Option<Show>,
    kind: FieldKind,
) -> fmt::Result {
    match values {
        Some(Values::Enum(_, names)) => {
            if let Some(name) = names.get(&value) {
                return write!(f, "{name} ({value})");
            }
        }
        Some(Values::Flags(_, names)) => return flags(f, value, names),
        None => {}
    }
    let default = match kind {
        FieldKind::Handle | FieldKind::Issued | FieldKind::Pointer => Show::Hex,
        _ => Show::Decimal,
    };
    match show.unwrap_or(default) {
        Show::Hex => write!(f, "{value:#x}"),
        Show::FourCharacters => {
            f.write_char('\'')?;
            for byte in value.to_be_bytes().into_iter().skip(8 - size.min(4)) {
                for shown in std::ascii::escape_default(byte) {
                    f.write_char(char::from(shown))?;
                }
            }
            f.write_char('\'')
        }
        Show::Result => write!(f, "{}", IoReturn(value as u32)),
        Show::Decimal => write!(f, "{value}"),
    }
}

/// Names of the bits that are set, and what is left without a name.
fn flags(
    f: &mut fmt::Formatter<'_>,
    value: u64,
    names: &std::collections::BTreeMap<u64, String>,
) -> fmt::Result {
    let mut rest = value;
    let mut bar = "";
    for (mask, name) in names {
        if *mask != 0 && value & mask == *mask {
            write!(f, "{bar}{name}")?;
            bar = " | ";
            rest &= !mask;
        }
    }
    if rest != 0 || bar.is_empty() { write!(f, "{bar}{rest:#x}") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::Protocol;

    const ALL: &str = r##"
        format = 1
        [enums.Command]
        read = 5
        none = -1
        [flags.Bits]
        ready = 1
        error = 0x80
        both = 0x81
        [structures.Slot]
        fields = [{ name = "id", type = "u16" }, { name = "bits", type = "u8", flags = "Bits" }]
        [structures.Request]
        size = 64
        fields = [
            { name = "command", type = "u8", enum = "Command" },
            { name = "below", type = "i16" },
            { name = "key", type = "u32", show = "four_characters" },
            { name = "code", type = "u32", show = "result" },
            { name = "big", type = "u32", endian = "big", show = "hex" },
            { name = "slots", type = "Slot", count = 2 },
            { name = "name", type = "text", count = 6 },
            { name = "rest", type = "u8", count = 18 },
            { name = "temperature", type = "f32", at = 60 },
        ]
    "##;

    #[test]
    fn every_type_is_shown_as_it_says() {
        let protocol = Protocol::from_toml(ALL).unwrap();
        let request = &protocol.structures["Request"];
        let mut bytes = [0; 66];
        bytes[0] = 5;
        bytes[2..4].copy_from_slice(&(-2_i16).to_le_bytes());
        bytes[4..8].copy_from_slice(&u32::from_be_bytes(*b"#K\0Y").to_le_bytes());
        bytes[8..12].copy_from_slice(&0xe000_02c2_u32.to_le_bytes());
        bytes[12..16].copy_from_slice(&[0, 0, 1, 2]);
        bytes[16..20].copy_from_slice(&[7, 0, 0x85, 0]);
        bytes[20..24].copy_from_slice(&[0, 1, 0, 0]);
        bytes[24..28].copy_from_slice(b"ab\0c");
        bytes[40] = 0xff;
        bytes[60..64].copy_from_slice(&36.5_f32.to_le_bytes());
        // The padding of a slot counts, and `both` is named beside the bits that it is made of.
        assert_eq!(
            request.describe(&bytes),
            "{command: read (5), below: -2, key: '#K\\x00Y', \
             code: kIOReturnBadArgument (0xe00002c2), big: 0x102, slots[0].id: 7, \
             slots[0].bits: ready | error | both | 0x4, slots[1].id: 256, name: \"ab\", \
             rest: 00000000000000000000ff0000000000.. (18 bytes), temperature: 36.5, \
             2 bytes behind it}"
        );
        assert_eq!(request.describe(&bytes[..3]), "{command: read (5), 61 bytes short}");
        assert_eq!(request.decode(&bytes, 3).len(), 3);
        assert_eq!(request.field("slots.id").map(|(at, field)| (at, field.size())), Some((16, 2)));
    }
}
