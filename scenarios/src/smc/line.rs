//! One line of a dump: a key with its type, attributes and value.

use super::abi::{DATA_MAX, FourCharacters, KeyInfo};
use std::fmt::{self, Write as _};

/// The byte that a dumper prints as code where the call itself failed, so that there is none.
pub const CODE_OF_A_FAILED_CALL: u8 = 0xff;

/// What a dump says of a key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The value.
    Value(Vec<u8>),
    /// `NOT READABLE`, and the result byte where the dump states one.
    NotReadable {
        /// The result byte; `0xff` is that of a call that failed.
        code: Option<u8>,
    },
}

impl Reading {
    /// The value of a key of `size` bytes as a dumper prints it, of which the reply carried `data`.
    ///
    /// A reply carries 32 bytes, and for a longer key the dumper prints on past the end of its buffer:
    /// the key that it stands at, in the byte order of memory, and zeros. On one machine a key of 64
    /// bytes is readable and its line shows just that.
    #[must_use]
    pub fn printed(key: FourCharacters, size: u32, data: &[u8; DATA_MAX]) -> Self {
        let size = size as usize;
        let mut value = data[..size.min(DATA_MAX)].to_vec();
        if size > DATA_MAX {
            value.extend(key.0.to_le_bytes());
            // No key is longer than a byte can say; a service that claims more is not believed.
            value.resize(size.min(usize::from(u8::MAX)), 0);
        }
        Self::Value(value)
    }
}

/// One line of a dump.
///
/// # Examples
///
/// ```
/// use dextape_scenarios::smc::KeyLine;
///
/// let text = "[zCRS] type [ui8?] 75693800 len [ 1] attr [11] -> NOT READABLE, code 85";
/// let line: KeyLine = text.parse()?;
/// assert_eq!(line.key.to_string(), "zCRS");
/// assert_eq!(line.to_string(), text);
/// # Ok::<(), dextape_scenarios::smc::LineError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    /// The key.
    pub key: FourCharacters,
    /// Its size, type and attributes.
    pub info: KeyInfo,
    /// Its value, or why there is none.
    pub reading: Reading,
}

impl fmt::Display for KeyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyInfo { data_size, data_type, data_attributes, .. } = self.info;
        write!(
            f,
            "[{}] type [{data_type}] {:08X} len [{data_size:2}] attr [{data_attributes:02X}] -> ",
            self.key, data_type.0
        )?;
        match &self.reading {
            Reading::Value(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}")),
            Reading::NotReadable { code: None } => f.write_str("NOT READABLE"),
            Reading::NotReadable { code: Some(code) } => {
                write!(f, "NOT READABLE, code {code:02X}")
            }
        }
    }
}

/// Why a text is no line of a dump.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} in column {column}")]
pub struct LineError {
    /// Column of the first character that does not fit, from 1 on.
    pub column: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// What is left of a line, and how far one has read.
struct Rest<'a> {
    text: &'a str,
    column: usize,
}

impl<'a> Rest<'a> {
    fn error(&self, expected: &'static str) -> LineError {
        LineError { column: self.column, expected }
    }

    fn take(&mut self, bytes: usize, expected: &'static str) -> Result<&'a str, LineError> {
        let (taken, rest) = self.text.split_at_checked(bytes).ok_or(self.error(expected))?;
        self.text = rest;
        self.column += bytes;
        Ok(taken)
    }

    fn skip(&mut self, word: &'static str) -> Result<(), LineError> {
        let expected = self.error(word);
        self.text = self.text.strip_prefix(word).ok_or(expected)?;
        self.column += word.len();
        Ok(())
    }

    fn four(&mut self, expected: &'static str) -> Result<[u8; 4], LineError> {
        let error = self.error(expected);
        let characters = self.take(4, expected)?.as_bytes();
        let printable = characters.iter().all(|&byte| byte == b' ' || byte.is_ascii_graphic());
        characters.try_into().ok().filter(|_| printable).ok_or(error)
    }

    fn hex(&mut self, digits: usize, expected: &'static str) -> Result<u32, LineError> {
        let error = self.error(expected);
        let text = self.take(digits, expected)?;
        let upper = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
        if upper { u32::from_str_radix(text, 16).map_err(|_| error) } else { Err(error) }
    }
}

impl std::str::FromStr for KeyLine {
    type Err = LineError;

    fn from_str(text: &str) -> Result<Self, LineError> {
        const SIZE: &str = "a size from 0 to 255, right-aligned in two columns";
        let mut rest = Rest { text, column: 1 };
        rest.skip("[")?;
        let key = FourCharacters::new(rest.four("a key of four characters")?);
        rest.skip("] type [")?;
        let type_error = rest.error("the characters of the type word");
        let type_text = rest.take(4, "a type of four characters")?;
        rest.skip("] ")?;
        let data_type = FourCharacters(rest.hex(8, "the type in eight hex digits")?);
        if data_type.to_string() != type_text {
            return Err(type_error);
        }
        rest.skip(" len [")?;
        let size_error = rest.error(SIZE);
        let width = rest.text.find(']').filter(|width| (2..=3).contains(width));
        let size_text = rest.take(width.ok_or(size_error.clone())?, SIZE)?;
        let size: u8 = size_text.trim_start().parse().map_err(|_| size_error.clone())?;
        if format!("{size:2}") != size_text {
            return Err(size_error);
        }
        rest.skip("] attr [")?;
        let data_attributes = rest.hex(2, "the attributes in two hex digits")? as u8;
        rest.skip("] -> ")?;
        let data_size = u32::from(size);
        let info = KeyInfo { data_size, data_type, data_attributes, padding: [0; 3] };
        let reading = match rest.text {
            "NOT READABLE" => {
                rest.skip("NOT READABLE")?;
                Reading::NotReadable { code: None }
            }
            refused if refused.starts_with("NOT READABLE") => {
                rest.skip("NOT READABLE, code ")?;
                let code = rest.hex(2, "a result byte in two hex digits")? as u8;
                Reading::NotReadable { code: Some(code) }
            }
            _ => {
                let mut value = Vec::with_capacity(usize::from(size));
                while value.len() < usize::from(size) {
                    value.push(rest.hex(2, "the value, two hex digits a byte of its size")? as u8);
                }
                Reading::Value(value)
            }
        };
        if rest.text.is_empty() {
            Ok(Self { key, info, reading })
        } else {
            Err(rest.error("the end of the line"))
        }
    }
}

/// The names of several keys in one text: four characters each, a comma between.
///
/// Keys may hold commas themselves, so it is the columns that count.
#[must_use]
pub fn join_keys(keys: impl IntoIterator<Item = FourCharacters>) -> String {
    let mut text = String::new();
    for key in keys {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{key}");
    }
    text
}

/// Reads what [`join_keys`] writes; `None` where it is something else.
#[must_use]
pub fn split_keys(text: &str) -> Option<Vec<FourCharacters>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let mut chunks = text.as_bytes().chunks(5).peekable();
    let mut keys = Vec::new();
    while let Some(chunk) = chunks.next() {
        let name: [u8; 4] = match (chunk, chunks.peek()) {
            ([name @ .., b','], Some(_)) | (name, None) => name.try_into().ok()?,
            _ => return None,
        };
        name.iter().all(|&byte| byte == b' ' || byte.is_ascii_graphic()).then_some(())?;
        keys.push(FourCharacters::new(name));
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[&str] = &[
        "[#KEY] type [ui32] 75693332 len [ 4] attr [80] -> 000002C4",
        "[+LKS] type [flag] 666C6167 len [ 1] attr [90] -> 01",
        "[zCRS] type [ui8?] 75693800 len [ 1] attr [11] -> NOT READABLE",
        "[AC-E] type [flag] 666C6167 len [ 1] attr [50] -> NOT READABLE, code 85",
        "[LGPD] type [hex_] 6865785F len [113] attr [50] -> NOT READABLE, code 85",
        "[ALSC] type [{alc] 7B616C63 len [ 3] attr [C0] -> 00FF10",
        "[ZERO] type [hex_] 6865785F len [ 0] attr [80] -> ",
    ];

    #[test]
    fn lines_read_back_as_they_were() {
        for text in LINES {
            let line: KeyLine = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(line.to_string(), *text);
        }
    }

    #[test]
    fn what_differs_anywhere_is_refused_with_its_column() {
        let cases = [
            ("#KEY] type", 1, "["),
            ("[#KE", 2, "a key of four characters"),
            ("[#K\u{1}Y] type [ui32]", 2, "a key of four characters"),
            (
                "[#KEY] type [ui8 ] 75693332 len [ 4] attr [80] -> 000002C4",
                14,
                "the characters of the type word",
            ),
            ("[#KEY] type [ui32] 7569333x len", 20, "the type in eight hex digits"),
            (
                "[#KEY] type [ui32] 75693332 len [4] attr [80] -> 000002C4",
                34,
                "a size from 0 to 255, right-aligned in two columns",
            ),
            (
                "[#KEY] type [ui32] 75693332 len [999] attr [80] -> 00",
                34,
                "a size from 0 to 255, right-aligned in two columns",
            ),
            (
                "[#KEY] type [ui32] 75693332 len [ 4] attr [80] -> 0002C4",
                57,
                "the value, two hex digits a byte of its size",
            ),
            (
                "[#KEY] type [ui32] 75693332 len [ 4] attr [80] -> 000002C4 ",
                59,
                "the end of the line",
            ),
            (
                "[#KEY] type [ui32] 75693332 len [ 4] attr [80] -> NOT READABLE, code 8",
                70,
                "a result byte in two hex digits",
            ),
        ];
        for (text, column, expected) in cases {
            assert_eq!(text.parse::<KeyLine>(), Err(LineError { column, expected }), "{text}");
        }
    }

    #[test]
    fn a_long_value_goes_on_into_the_memory_behind_it() {
        let key = FourCharacters::new(*b"AOPc");
        let Reading::Value(value) = Reading::printed(key, 40, &[7; 32]) else { unreachable!() };
        assert_eq!(value[..32], [7; 32]);
        assert_eq!(value[32..], *b"cPOA\0\0\0\0");
        let Reading::Value(value) = Reading::printed(key, u32::MAX, &[7; 32]) else {
            unreachable!()
        };
        assert_eq!(value.len(), 255);
    }

    #[test]
    fn names_of_keys_may_hold_commas() {
        let keys = [*b"CRDP", *b",,,,", *b"a b!"].map(FourCharacters::new);
        let text = join_keys(keys);
        assert_eq!(text, "CRDP,,,,,,a b!");
        assert_eq!(split_keys(&text).as_deref(), Some(&keys[..]));
        assert_eq!(split_keys(""), Some(Vec::new()));
        for text in ["CRD", "CRDP,", "CRDPKPST", "CRDP,KPS", "\u{e9}\u{e9}"] {
            assert_eq!(split_keys(text), None, "{text}");
        }
    }
}
