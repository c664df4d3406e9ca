//! Values that are known to be private.

use super::likeness::{Likeness, tied};
use super::pseudonym::Alphabets;
use super::{Form, Pseudonym};
use std::fmt;

/// The fewest bytes of a value that can be looked for: shorter ones occur by chance, and need a rule of
/// their own.
pub const VALUE_MIN: usize = 4;

/// The most bytes of a value.
pub const VALUE_MAX: usize = 1024;

/// Pseudonyms that are tried until one is alike in its forms, up to so many bytes in all, where they are long. Of a
/// value whose forms are more alike than those of all but one in thousands the first is taken, where they are not.
const STEPS_MAX: usize = 4096;
const STEP_BYTES: usize = 16 * STEPS_MAX;

/// A value that must not leave: a serial number, an address of a network card, a name.
///
/// # Examples
///
/// ```
/// use dextape::redaction::PrivateValue;
///
/// // Read as the six bytes that it is, too.
/// let address = PrivateValue::of_text("a4:83:e7:12:34:56").unwrap();
/// assert_eq!(address.bytes(), [0xa4, 0x83, 0xe7, 0x12, 0x34, 0x56]);
/// assert!(PrivateValue::of_text("abc").is_none(), "too short to be looked for");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrivateValue {
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
}

/// What a value is at bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// Characters.
    Text,
    /// Decimal digits, which may stand as a binary number.
    Digits,
    /// Bytes, which may stand as digits.
    Bytes,
}

impl fmt::Debug for PrivateValue {
    /// The value itself is not shown: messages end in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateValue")
            .field("kind", &self.kind)
            .field("length", &self.bytes.len())
            .finish()
    }
}

impl PrivateValue {
    /// A value of these characters. Pairs of hexadecimal digits with `:` or `-` between them, and UUIDs,
    /// are the bytes that they stand for; digits alone are a number, too. `None` where it is too short
    /// or too long to be looked for.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let bytes = hex_groups(text).filter(|bytes| fits(bytes.len()));
        if let Some(bytes) = bytes {
            return Some(Self { kind: Kind::Bytes, bytes });
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit())
            && !text.starts_with('0')
            && text.parse::<u64>().is_ok();
        let kind = if digits { Kind::Digits } else { Kind::Text };
        fits(text.len()).then(|| Self { kind, bytes: text.as_bytes().to_vec() })
    }

    /// A value of these bytes: text where they are printable, up to zero bytes and spaces at the end, which are left
    /// out; of other bytes zero bytes at the end are left out, but for a single one behind five and more. `None` where it
    /// is too short or too long to be looked for, or one byte over and over.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let trimmed = match trimmed(bytes) {
            part if is_text(part) => part,
            // The last byte of an address or a key may be anything, and only zero bytes fill up what is no text.
            _ => match bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1) {
                length if bytes.len() >= 6 && length + 1 == bytes.len() => bytes,
                length => &bytes[..length],
            },
        };
        if !fits(trimmed.len()) || trimmed.iter().all(|byte| *byte == trimmed[0]) {
            return None;
        }
        // Letters beyond ASCII make a text, too; other bytes are UTF-8 by chance only where they are few.
        match std::str::from_utf8(trimmed) {
            Ok(text) if is_text(trimmed) => Self::of_text(text),
            _ => Some(Self { kind: Kind::Bytes, bytes: trimmed.to_vec() }),
        }
    }

    /// The bytes of the value, or its characters.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The value that stands in its place. Of a number it is one with as many digits in both ways of
    /// writing it, so that it needs as many bytes, and with its zero bytes. Two forms of the value that are
    /// equal stay so, and two that differ differ: its hexadecimal digits in both cases, and its bytes turned round.
    /// It is another value, but for what has no other of its form, as a text of nothing but marks.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::redaction::{PrivateValue, Pseudonym};
    ///
    /// let serial = PrivateValue::of_text("C02XL0GYJGH5").unwrap();
    /// let other = serial.pseudonym(&Pseudonym::new([3; 32]));
    /// assert_eq!(other.bytes().len(), 12);
    /// assert_ne!(other, serial);
    /// ```
    #[must_use]
    pub fn pseudonym(&self, pseudonym: &Pseudonym) -> Self {
        let (likeness, tied) = (self.likeness(), tied(&self.bytes));
        let mut walked = self.next(pseudonym, &tied);
        let first = walked.clone();
        // Each step is a permutation of all that are tied in this way, so the way to the next one that is alike is one
        // of those that are.
        for _ in 0..(STEP_BYTES / self.bytes.len().max(16)) {
            if walked == *self {
                break;
            }
            if walked.likeness() == likeness {
                return walked;
            }
            walked = walked.next(pseudonym, &tied);
        }
        if first == *self {
            // Of one letter over and over there are few.
            let untied: Vec<usize> = (0..self.bytes.len()).collect();
            return self.next(pseudonym, &untied);
        }
        first
    }

    fn likeness(&self) -> Likeness {
        match self.number() {
            Some(number) => Likeness::of(&self.bytes, &number.to_be_bytes()),
            None => Likeness::of(&self.bytes, &self.bytes),
        }
    }

    /// Another value of the same form, with the same bytes where they are tied, whatever else its own forms are like.
    fn next(&self, pseudonym: &Pseudonym, tied: &[usize]) -> Self {
        let form = match self.kind {
            Kind::Text => Form::Text,
            Kind::Bytes => Form::Bytes,
            Kind::Digits => {
                let number = self.number().map_or(0, |number| other_number(number, pseudonym));
                return Self { kind: self.kind, bytes: number.to_string().into_bytes() };
            }
        };
        let mut bytes = self.bytes.clone();
        let alphabets = Alphabets::of(form, &bytes);
        if alphabets != Alphabets::Single && !bytes.is_ascii() {
            // The bytes of one character are no others from behind.
            pseudonym.replace_at(&mut bytes, alphabets, &|_| true);
        } else {
            pseudonym.replace_at(&mut bytes, alphabets, &|index| tied[index] == index);
            for (index, first) in tied.iter().enumerate() {
                bytes[index] = bytes[*first];
            }
        }
        Self { kind: self.kind, bytes }
    }

    /// A value of the same kind that stands in its place; `None` where it is not as long.
    #[must_use]
    pub fn replaced_by(&self, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == self.bytes.len()).then(|| Self { kind: self.kind, bytes: bytes.to_vec() })
    }

    fn number(&self) -> Option<u64> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        text.parse().ok().filter(|_| self.kind == Kind::Digits)
    }
}

/// A number of as many digits, decimal and hexadecimal, with zero bytes where `number` has them.
fn other_number(number: u64, pseudonym: &Pseudonym) -> u64 {
    let digits = |number: u64| (number.checked_ilog10(), (67 - number.leading_zeros()) / 4);
    let mut walked = number;
    // A permutation of the numbers with these zero bytes, walked until it comes to one: to the number
    // itself at the latest, and one in a thousand or more will do.
    loop {
        let mut bytes = walked.to_le_bytes();
        pseudonym.replace_at(&mut bytes, Alphabets::Single, &|_| true);
        walked = u64::from_le_bytes(bytes);
        if digits(walked) == digits(number) {
            return walked;
        }
    }
}

/// Without zero bytes and spaces at the end, which are padding.
///
/// # Examples
///
/// ```
/// assert_eq!(dextape::redaction::trimmed(b"Ada  \0\0"), b"Ada");
/// ```
#[must_use]
pub fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// Characters that a person could have written.
fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.contains(char::is_control))
}

fn fits(length: usize) -> bool {
    (VALUE_MIN..=VALUE_MAX).contains(&length)
}

/// Bytes written as groups of hexadecimal digits: `aa:bb:cc`, `aa-bb-cc`, or a UUID.
fn hex_groups(text: &str) -> Option<Vec<u8>> {
    let separator = if text.contains(':') { ':' } else { '-' };
    let groups: Vec<&str> = text.split(separator).collect();
    let pairs = groups.iter().all(|group| group.len() == 2);
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let uuid = separator == '-' && lengths == [8, 4, 4, 4, 12];
    if groups.len() < 2 || !(pairs || uuid) {
        return None;
    }
    let digits: Vec<u8> = groups.concat().into_bytes();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            pair.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::encodings;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_value_is_what_it_is_at_bottom() {
        let kind = |text| PrivateValue::of_text(text).map(|value| value.kind);
        assert_eq!(kind("C02XL0GYJGH5"), Some(Kind::Text));
        assert_eq!(kind("4815162342"), Some(Kind::Digits));
        assert_eq!(kind("0815162342"), Some(Kind::Text), "a zero in front is none of a number");
        assert_eq!(kind("99999999999999999999999"), Some(Kind::Text));
        assert_eq!(kind("a4-83-E7-12"), Some(Kind::Bytes));
        assert_eq!(kind("9f2c1a00-1d2e-4a5b-8c7d-0123456789ab"), Some(Kind::Bytes));
        assert_eq!(kind("a4:83"), Some(Kind::Text), "two bytes are too few");
        assert_eq!(kind("ab:c"), Some(Kind::Text));
        assert_eq!(PrivateValue::of_bytes(b"Ada Lo  \0\0").unwrap().bytes(), b"Ada Lo");
        let key = [0x81, 2, 3, 4, 5, 6, 7, b' '];
        assert_eq!(PrivateValue::of_bytes(&key).unwrap().bytes(), key);
        let key = [0x81, 2, 3, 4, 5, 6, b' ', b' '];
        assert_eq!(PrivateValue::of_bytes(&key).unwrap().bytes(), key);
        assert_eq!(
            PrivateValue::of_bytes(&[0x81, 2, 3, 4, 0, 0]).unwrap().bytes(),
            [0x81, 2, 3, 4]
        );
        assert_eq!(PrivateValue::of_bytes(&[0xff; 8]), None);
        assert_eq!(PrivateValue::of_bytes(&[1, 2, 3, 0]), None);
        assert_eq!(PrivateValue::of_bytes(&[1, 2, 3, 4, 0]).unwrap().bytes(), [1, 2, 3, 4]);
        for number in [0x0100_0304_0506_u64, 1 << 40, 9_999_999_999, u64::MAX, 100_000_000] {
            let value = PrivateValue::of_text(&number.to_string()).unwrap();
            let other = value.pseudonym(&Pseudonym::new([3; 32])).number().unwrap();
            let zeroes = |number: u64| number.to_le_bytes().map(|byte| byte == 0);
            assert_eq!(zeroes(other), zeroes(number), "{other:x}");
            assert_eq!(format!("{other:x}").len(), format!("{number:x}").len());
            assert_eq!(other.to_string().len(), number.to_string().len());
        }
        let name = PrivateValue::of_bytes("Jürgen Öst\0".as_bytes()).unwrap();
        assert_eq!((name.kind, name.bytes()), (Kind::Text, "Jürgen Öst".as_bytes()));
        let other = name.pseudonym(&Pseudonym::new([3; 32]));
        let other = std::str::from_utf8(other.bytes()).unwrap();
        assert!(other != "Jürgen Öst" && other.chars().count() == 10, "{other}");
        let shown = format!("{:?}", PrivateValue::of_text("Ada Lovelace"));
        assert!(!shown.contains("Ada"), "{shown}");
    }

    #[test]
    fn forms_of_a_pseudonym_are_equal_where_those_of_the_value_are() {
        let forms = |value: &PrivateValue| {
            let mut forms: Vec<_> = encodings(value);
            forms.retain(|form| form.edges.is_none());
            forms.into_iter().map(|form| form.bytes).collect::<Vec<_>>()
        };
        for text in
            ["laabj", "suma", "isppaktmo", "C30Z144E02TKU", "pppq", "11:22:33:5a", "4815162342"]
        {
            let value = PrivateValue::of_text(text).unwrap();
            for key in 0..64 {
                let other = value.pseudonym(&Pseudonym::new([key; 32]));
                let (old, new) = (forms(&value), forms(&other));
                for (one, other) in (0..old.len()).flat_map(|one| (0..one).map(move |it| (one, it)))
                {
                    assert!(old[one] == old[other] || new[one] != new[other], "{text}, key {key}");
                }
            }
        }
        for (text, count) in [("mvkvm", 26 * 26 * 26), ("abba", 26 * 26), ("aaaa", 26)] {
            let value = PrivateValue::of_text(text).unwrap();
            let others: BTreeSet<_> =
                (0..=255).map(|key| value.pseudonym(&Pseudonym::new([key; 32]))).collect();
            let same = |other: &&PrivateValue| other.bytes.iter().eq(other.bytes.iter().rev());
            // Of one letter over and over the only other one may be the same.
            let tied = others.iter().filter(same).count();
            assert!(tied == others.len() || text == "aaaa", "{text}");
            assert!(!others.contains(&value) && tied > count.min(200) / 2, "{text}");
        }
        let key = Pseudonym::new([3; 32]);
        let all = || {
            (b'a'..=b'z').flat_map(|one| (b'a'..=b'z').map(move |other| [one, other, other, one]))
        };
        let others: BTreeSet<_> = all()
            .map(|text| PrivateValue::of_bytes(&text).map(|value| value.pseudonym(&key)))
            .collect();
        assert_eq!(others.len(), 26 * 25 + 1, "those of one letter are none");
    }
}
