//! The forms in which a value can stand in bytes.

use super::value::{Kind, PrivateValue};
use std::fmt;
use std::fmt::Write as _;

/// One form of a value.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encoded {
    /// Its name, for people.
    pub name: &'static str,
    /// The bytes to look for.
    pub bytes: Vec<u8>,
    /// Where `bytes` are only the characters of base64 that the value fills wholly: its other bits.
    pub edges: Option<Edges>,
}

impl fmt::Debug for Encoded {
    /// The bytes are not shown: messages end in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("name", &self.name)
            .field("length", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Bits of a value in characters of base64 that it shares with what stands beside it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Edges {
    /// How many low bits of the character before are the value's, and which.
    before: (u32, usize),
    /// How many high bits of the character behind are the value's, and which.
    behind: (u32, usize),
}

impl fmt::Debug for Edges {
    /// The bits are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edges").finish_non_exhaustive()
    }
}

impl Edges {
    /// The character of base64 that is to stand before the form, where `character` does; `None` where none
    /// of the value's bits are in it, or it is no character of base64.
    #[must_use]
    pub fn before(self, character: u8) -> Option<u8> {
        shared(character, self.before, 0)
    }

    /// The character of base64 that is to stand behind the form, where `character` does; `None` as above.
    #[must_use]
    pub fn behind(self, character: u8) -> Option<u8> {
        shared(character, self.behind, 6 - self.behind.0)
    }
}

/// A character of which some bits are replaced.
fn shared(character: u8, (bits, value): (u32, usize), shift: u32) -> Option<u8> {
    let digit = |alphabet: &[u8; 64]| alphabet.iter().position(|it| *it == character);
    let (alphabet, held) =
        ALPHABETS.iter().find_map(|alphabet| Some((alphabet, digit(alphabet)?)))?;
    let mask = ((1 << bits) - 1) << shift;
    (bits > 0).then(|| alphabet[held & !mask | value << shift])
}

/// The alphabet of base64, and that for URLs.
const ALPHABETS: [&[u8; 64]; 2] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
];

/// All forms of a value. The forms of two values of one kind and length stand in the same order, and
/// are as many.
///
/// # Examples
///
/// ```
/// use dextape::redaction::{PrivateValue, encodings};
///
/// let value = PrivateValue::of_text("C02XL0GYJGH5").unwrap();
/// let forms = encodings(&value);
/// let hex = b"433032584c3047594a474835";
/// assert!(forms.iter().any(|form| form.name == "hex" && form.bytes == hex));
/// ```
#[must_use]
pub fn encodings(value: &PrivateValue) -> Vec<Encoded> {
    let mut all = Vec::new();
    match value.kind {
        Kind::Text => text(&value.bytes, &mut all),
        Kind::Digits => {
            text(&value.bytes, &mut all);
            let number: u64 = std::str::from_utf8(&value.bytes)
                .ok()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            binary(number, &mut all);
            add(&mut all, "hex of a number", format!("{number:x}").into_bytes());
            add(&mut all, "hex of a number", format!("{number:X}").into_bytes());
        }
        Kind::Bytes => bytes(&value.bytes, &mut all),
    }
    all
}

fn add(all: &mut Vec<Encoded>, name: &'static str, bytes: Vec<u8>) {
    all.push(Encoded { name, bytes, edges: None });
}

/// A number as eight or, where that is enough, as four bytes.
fn binary(number: u64, all: &mut Vec<Encoded>) {
    let significant = (8 - number.leading_zeros() as usize / 8).max(1);
    let little = number.to_le_bytes();
    let big = number.to_be_bytes();
    // The bytes that are not zero are enough to be recognised where they are four or more.
    let width = if significant > 4 { significant } else { 4 };
    add(all, "binary", little[..width].to_vec());
    add(all, "byte-swapped", big[8 - width..].to_vec());
    raw(&little[..width], all);
    raw(&big[8 - width..], all);
}

/// Characters in all the ways in which they are stored.
fn text(text: &[u8], all: &mut Vec<Encoded>) {
    let wide = |big: bool| {
        let text = String::from_utf8_lossy(text);
        let units = text.encode_utf16();
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let (little, big): (Vec<u8>, Vec<u8>) = (wide(false), wide(true));
    let cases = [text.to_vec(), text.to_ascii_lowercase(), text.to_ascii_uppercase()];
    for case in cases {
        add(all, "text", case);
    }
    add(all, "UTF-16", little.clone());
    add(all, "UTF-16", big.clone());
    swapped(text, all);
    raw(text, all);
    separated(text, all);
    raw(&little, all);
    raw(&big, all);
}

/// Bytes, and the digits that they are written as.
fn bytes(bytes: &[u8], all: &mut Vec<Encoded>) {
    add(all, "bytes", bytes.to_vec());
    swapped(bytes, all);
    raw(bytes, all);
    let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
    raw(&reversed, all);
    separated(bytes, all);
    for separator in [":", "-", " ", ", ", ","] {
        let listed: Vec<String> = bytes.iter().map(u8::to_string).collect();
        add(all, "decimal bytes", listed.join(separator).into_bytes());
    }
    if let [a, b, c, d, e, f, g, h, rest @ ..] = bytes
        && rest.len() == 8
    {
        // A UUID as a machine with little-endian numbers keeps its first three fields.
        let mixed = [&[*d, *c, *b, *a, *f, *e, *h, *g], rest].concat();
        raw(&mixed, all);
        add(all, "byte-swapped", mixed);
    }
    if bytes.len() == 16 {
        for upper in [false, true] {
            let mut line = String::new();
            for (index, byte) in bytes.iter().enumerate() {
                line.push_str(if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" });
                let _ = if upper { write!(line, "{byte:02X}") } else { write!(line, "{byte:02x}") };
            }
            wide("UUID", line.into_bytes(), all);
        }
    }
    if bytes.len() <= 16 {
        let number = |bytes: &mut dyn Iterator<Item = &u8>| {
            bytes.fold(0_u128, |number, byte| number << 8 | u128::from(*byte))
        };
        for number in [number(&mut bytes.iter()), number(&mut bytes.iter().rev())] {
            wide("decimal", number.to_string().into_bytes(), all);
            // Without zeroes in front, as `%x` writes it.
            wide("hex", format!("{number:x}").into_bytes(), all);
            wide("hex", format!("{number:X}").into_bytes(), all);
        }
    }
}

/// Pairs of hexadecimal digits with something between them.
fn separated(bytes: &[u8], all: &mut Vec<Encoded>) {
    for separator in [":", "-", " ", ", ", ","] {
        for upper in [false, true] {
            let digits =
                |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
            let line = bytes.iter().map(digits).collect::<Vec<_>>().join(separator);
            wide("hex", line.into_bytes(), all);
        }
    }
}

/// Characters, and the same in UTF-16.
fn wide(name: &'static str, line: Vec<u8>, all: &mut Vec<Encoded>) {
    add(all, name, line.iter().flat_map(|byte| [*byte, 0]).collect());
    add(all, name, line.iter().flat_map(|byte| [0, *byte]).collect());
    add(all, name, line);
}

/// Whole, and in words of two, four and eight bytes, with the last byte first. A last word that the value
/// does not fill is filled up with zeroes or spaces, which stand before its bytes then.
fn swapped(bytes: &[u8], all: &mut Vec<Encoded>) {
    add(all, "byte-swapped", bytes.iter().rev().copied().collect());
    for word in [2, 4, 8] {
        for padding in [0, b' '] {
            let mut padded = bytes.to_vec();
            padded.resize(bytes.len().next_multiple_of(word), padding);
            padded.chunks_mut(word).for_each(<[u8]>::reverse);
            add(all, "byte-swapped", padded);
        }
    }
}

/// Bytes as hex and as base64 at each of the three places where a value can begin.
fn raw(bytes: &[u8], all: &mut Vec<Encoded>) {
    for upper in [false, true] {
        let mut line = String::new();
        for byte in bytes {
            let _ = if upper { write!(line, "{byte:02X}") } else { write!(line, "{byte:02x}") };
        }
        wide("hex", line.into_bytes(), all);
    }
    for alphabet in ALPHABETS {
        for phase in 0..3 {
            all.push(base64(alphabet, phase, bytes));
        }
    }
}

/// The characters of base64 that hold nothing but bits of `bytes`, where those begin `phase` bytes behind
/// a multiple of three.
fn base64(alphabet: &[u8; 64], phase: usize, bytes: &[u8]) -> Encoded {
    let bit = |index: usize| usize::from(bytes[index / 8] >> (7 - index % 8) & 1);
    let bits = |from: usize, to: usize| (from..to).fold(0, |value, at| value << 1 | bit(at));
    let all = 8 * bytes.len();
    let first = (8 * phase).next_multiple_of(6) - 8 * phase;
    let rest = (all - first) % 6;
    let inner = (first..all - rest).step_by(6).map(|at| alphabet[bits(at, at + 6)]).collect();
    let edges = Edges {
        before: (first as u32, bits(0, first)),
        behind: (rest as u32, bits(all - rest, all)),
    };
    Encoded { name: "base64", bytes: inner, edges: Some(edges) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;

    fn holds(value: &PrivateValue, bytes: &[u8]) -> bool {
        encodings(value)
            .iter()
            .any(|encoded| bytes.windows(encoded.bytes.len()).any(|window| window == encoded.bytes))
    }

    #[test]
    fn base64_is_found_at_each_place() {
        let value = PrivateValue::of_text("C02XL0GYJGH5").unwrap();
        for before in 0..7 {
            for engine in
                [base64::prelude::BASE64_STANDARD, base64::prelude::BASE64_URL_SAFE_NO_PAD]
            {
                let mut whole = vec![0xfb; before];
                whole.extend_from_slice(value.bytes());
                whole.extend_from_slice(b"\xff\xfe");
                let text = engine.encode(&whole);
                assert!(holds(&value, text.as_bytes()), "{before} bytes before it: {text}");
            }
        }
        assert!(!holds(&value, base64::prelude::BASE64_STANDARD.encode("C02XL0GYJGH").as_bytes()));
    }

    #[test]
    fn bytes_are_found_in_the_ways_in_which_they_are_written() {
        let address = PrivateValue::of_text("a4:83:e7:12:34:56").unwrap();
        for text in [
            "A4:83:E7:12:34:56",
            "a483e7123456",
            "a4-83-e7-12-34-56",
            "164, 131, 231, 18, 52, 86",
            "180886424400982",
            "563412e783a4",
        ] {
            assert!(holds(&address, text.as_bytes()), "{text}");
        }
        assert!(holds(&address, &[0x56, 0x34, 0x12, 0xe7, 0x83, 0xa4]));
        assert_eq!(0xa483_e712_3456_u64, 180_886_424_400_982, "the decimal digits above");
        let number = PrivateValue::of_text("4815162342").unwrap();
        assert!(holds(&number, &4_815_162_342_u64.to_le_bytes()));
        assert!(holds(&number, &4_815_162_342_u64.to_be_bytes()));
        assert!(holds(&number, b"0x11f018be6"));
        let name: Vec<u8> = "Ada L".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert!(holds(&PrivateValue::of_text("Ada L").unwrap(), &name));
    }

    #[test]
    fn forms_of_values_of_one_form_are_as_many() {
        for (one, other) in [
            ("C02XL0GYJGH5", "A11BC2DEFGH3"),
            ("4815162342", "9999999999"),
            ("a4:83:e7:12:34:56", "ff:01:00:00:00:01"),
        ] {
            let (one, other) =
                (PrivateValue::of_text(one).unwrap(), PrivateValue::of_text(other).unwrap());
            let (one, other) = (encodings(&one), encodings(&other));
            assert_eq!(one.len(), other.len());
            assert!(one.iter().zip(&other).all(|(one, other)| one.name == other.name));
        }
    }
}
