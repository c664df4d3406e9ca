//! Another value of the same form.
//!
//! A Feistel network over the characters: each position has its own alphabet, and what a round adds
//! to one half of the positions follows from the other half under a key. So it is a permutation of the
//! values of one form: equal values stay equal, and values that differ stay different.

/// Rounds; ten, because halves can be short.
const ROUNDS: u8 = 10;

/// What of a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// ASCII digits stay digits, lower-case letters lower-case ones, upper-case letters upper-case ones;
    /// other ASCII characters stay what they are. A character beyond ASCII becomes one of the 64 that share
    /// all but the last byte of its UTF-8; where the text is none, bytes above 127 change among themselves.
    Text,
    /// Bytes: zero bytes stay, and no other becomes one. Memory is zero at first, so a tape holds nothing
    /// of a zero byte that was never another, and nothing could be put in its place. What happens to be UTF-8
    /// stays so, with characters of as many bytes, since it may stand in a text; what is none becomes none.
    Bytes,
}

impl Form {
    /// The form that bytes seem to have: text where they are printable ASCII up to padding, else bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        if end > 0 && bytes[..end].iter().all(printable) { Self::Text } else { Self::Bytes }
    }
}

/// Makes pseudonyms under a key. Whoever has the key can make the same ones, so a key that was drawn at
/// random and thrown away leaves no way back.
///
/// # Examples
///
/// ```
/// use dextape::redaction::{Form, Pseudonym};
///
/// let pseudonym = Pseudonym::new([7; 32]);
/// let mut serial = *b"C02-XL0gY9";
/// pseudonym.replace(&mut serial, Form::Text);
/// assert_ne!(&serial, b"C02-XL0gY9");
/// assert!(serial[0].is_ascii_uppercase() && serial[1].is_ascii_digit() && serial[3] == b'-');
/// ```
#[derive(Clone)]
pub struct Pseudonym {
    key: [u8; 32],
}

impl std::fmt::Debug for Pseudonym {
    /// The key is not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pseudonym").finish_non_exhaustive()
    }
}

/// The bytes that change, and into which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabets {
    /// Those of [`Form::Text`].
    Text,
    /// Of characters in UTF-8, all of them and control characters too, but for zero.
    Characters,
    /// Each byte by itself, but for zero.
    Single,
}

impl Alphabets {
    pub(super) fn of(form: Form, bytes: &[u8]) -> Self {
        match form {
            Form::Text => Self::Text,
            Form::Bytes if std::str::from_utf8(bytes).is_ok() => Self::Characters,
            Form::Bytes => Self::Single,
        }
    }

    /// Index of each byte that changes, and where its alphabet begins and how large that is.
    fn places(self, bytes: &[u8]) -> Vec<(usize, u8, u16)> {
        match (self, std::str::from_utf8(bytes)) {
            (Self::Text, Ok(text)) => text.char_indices().filter_map(of_character).collect(),
            (Self::Characters, Ok(text)) => {
                text.char_indices().flat_map(|(at, it)| of_utf_8(at, it)).collect()
            }
            _ => {
                let form = if self == Self::Text { Form::Text } else { Form::Bytes };
                let alphabet = |(index, byte): (usize, &u8)| {
                    let (base, size) = alphabet(form, *byte)?;
                    Some((index, base, size))
                };
                bytes.iter().enumerate().filter_map(alphabet).collect()
            }
        }
    }
}

/// One character: where its alphabet begins, how large that is, and which of it stands there.
#[derive(Clone, Copy, Debug)]
struct Place {
    index: usize,
    base: u8,
    size: u16,
    value: u16,
}

impl Pseudonym {
    /// Pseudonyms under this key.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// Pseudonyms under a key that is drawn now and never shown.
    ///
    /// # Errors
    ///
    /// The system has no random bytes to give.
    pub fn random() -> std::io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(std::io::Error::other)?;
        Ok(Self::new(key))
    }

    /// Pseudonyms under a key that follows from a text, such as the content of a key file: the same text
    /// gives the same ones.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Self {
        Self::new(blake3::derive_key("dextape redaction key", text))
    }

    /// Pseudonyms that are others than these, for one place each: those of short values under one key alone
    /// would show which of them are equal, and how they differ.
    #[must_use]
    pub fn apart(&self, place: &[u8]) -> Self {
        Self::new(*blake3::keyed_hash(&self.key, place).as_bytes())
    }

    /// Puts the pseudonym of `bytes` in their place. It is equal to them only by a chance of one in
    /// as many as there are values of the form.
    pub fn replace(&self, bytes: &mut [u8], form: Form) {
        let alphabets = Alphabets::of(form, bytes);
        loop {
            self.replace_at(bytes, alphabets, &|_| true);
            // Walked on within what is no UTF-8, so that this stays a permutation.
            if alphabets != Alphabets::Single || Alphabets::of(form, bytes) == alphabets {
                return;
            }
        }
    }

    /// Other characters of these alphabets in the place of the bytes that are chosen.
    pub(super) fn replace_at(
        &self,
        bytes: &mut [u8],
        alphabets: Alphabets,
        is_chosen: &dyn Fn(usize) -> bool,
    ) {
        let length = bytes.len();
        let places = alphabets.places(bytes);
        let place = |(index, base, size)| Place {
            index,
            base,
            size,
            value: u16::from(bytes[index]) - u16::from(base),
        };
        let mut places: Vec<Place> =
            places.into_iter().filter(|(index, ..)| is_chosen(*index)).map(place).collect();
        let half = places.len() / 2;
        for round in 0..ROUNDS {
            let (low, high) = places.split_at_mut(half);
            let (from, to) = if round % 2 == 0 { (low, high) } else { (high, low) };
            self.add(round, length, from, to);
        }
        for place in places {
            // The alphabets end at 255.
            bytes[place.index] = (u16::from(place.base) + place.value) as u8;
        }
    }

    fn add(&self, round: u8, length: usize, from: &[Place], to: &mut [Place]) {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[round]);
        // The alphabets of all places are part of the form, so that forms are apart from each other.
        hasher.update(&(length as u64).to_le_bytes());
        for place in from {
            hasher.update(&[place.base]);
            hasher.update(&place.value.to_le_bytes());
        }
        let mut stream = hasher.finalize_xof();
        for place in to {
            let mut drawn = [0; 8];
            stream.fill(&mut drawn);
            let sum = u64::from(place.value) + u64::from_le_bytes(drawn) % u64::from(place.size);
            place.value = (sum % u64::from(place.size)) as u16;
        }
    }
}

/// First character and size of the alphabet that a byte belongs to; `None` for what stays.
fn alphabet(form: Form, byte: u8) -> Option<(u8, u16)> {
    match form {
        Form::Bytes => (byte != 0).then_some((1, 255)),
        Form::Text if byte.is_ascii_digit() => Some((b'0', 10)),
        Form::Text if byte.is_ascii_lowercase() => Some((b'a', 26)),
        Form::Text if byte.is_ascii_uppercase() => Some((b'A', 26)),
        Form::Text if byte >= 0x80 => Some((0x80, 128)),
        Form::Text => None,
    }
}

/// The byte of a character that changes, and its alphabet: of one beyond ASCII the last byte, so that it
/// stays as long in UTF-8 and in UTF-16. A zero byte in UTF-16 stays one, and no other becomes one.
fn of_character((at, character): (usize, char)) -> Option<(usize, u8, u16)> {
    let last = at + character.len_utf8() - 1;
    let code = u32::from(character);
    match u8::try_from(code).ok().filter(u8::is_ascii) {
        Some(byte) => alphabet(Form::Text, byte).map(|(base, size)| (last, base, size)),
        None if code & 0xff == 0 => None,
        None if code & 0xc0 == 0 => Some((last, 0x81, 63)),
        None => Some((last, 0x80, 64)),
    }
}

/// The bytes of a character in UTF-8, each with what it can become whatever the others are, so that the whole
/// stays a character of as many bytes.
fn of_utf_8(at: usize, character: char) -> Vec<(usize, u8, u16)> {
    let mut bytes = [0; 4];
    let bytes = character.encode_utf8(&mut bytes).as_bytes();
    let (first, second) = match bytes[0] {
        0 => return Vec::new(),
        1..0x80 => return vec![(at, 1, 127)],
        0x80..0xe0 => (Some((0xc2, 30)), (0x80, 64)),
        // Of some leads not every byte can follow, so they stay what they are.
        0xe0 => (None, (0xa0, 32)),
        0xed => (None, (0x80, 32)),
        0xe1..0xed => (Some((0xe1, 12)), (0x80, 64)),
        0xee..0xf0 => (Some((0xee, 2)), (0x80, 64)),
        0xf0 => (None, (0x90, 48)),
        0xf4.. => (None, (0x80, 16)),
        0xf1..0xf4 => (Some((0xf1, 3)), (0x80, 64)),
    };
    let first = first.map(|(base, size)| (at, base, size));
    let rest = (at + 2..at + bytes.len()).map(|at| (at, 0x80, 64));
    first.into_iter().chain([(at + 1, second.0, second.1)]).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn replaced(key: u8, bytes: &[u8], form: Form) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        Pseudonym::new([key; 32]).replace(&mut bytes, form);
        bytes
    }

    #[test]
    fn values_of_one_form_change_places_and_none_is_given_twice() {
        let all: BTreeSet<_> =
            (0..10_000).map(|n| replaced(1, format!("{n:04}").as_bytes(), Form::Text)).collect();
        assert_eq!(all.len(), 10_000);
        assert!(all.iter().all(|value| value.iter().all(u8::is_ascii_digit)));
        let bytes: BTreeSet<_> =
            (1..=65_535_u16).map(|n| replaced(3, &n.to_le_bytes(), Form::Bytes)).collect();
        assert_eq!(bytes.len(), 65_535);
    }

    #[test]
    fn the_form_stays() {
        let text = replaced(1, b"aZ9 -\xc3\xa9", Form::Text);
        assert!(text[0].is_ascii_lowercase() && text[1].is_ascii_uppercase());
        assert!(text[2].is_ascii_digit() && text[3..5] == *b" -" && text[5] >= 0x80);
        let padded = replaced(1, &[1, 0, 2, 0, 0], Form::Bytes);
        assert!(padded[2] != 0 && padded[1] == 0 && padded[3..] == [0, 0]);
        assert!((0..=255).all(|key| !replaced(key, &[1, 2, 3, 4], Form::Bytes).contains(&0)));
        assert_eq!(replaced(1, &[0; 4], Form::Bytes), [0; 4]);
        assert_eq!(replaced(1, b"", Form::Text), b"");
        assert_eq!(Form::of(b"abc\0\0"), Form::Text);
        assert_eq!(Form::of(b"ab\x01"), Form::Bytes);
        assert_eq!(Form::of(&[0, 0]), Form::Bytes);
    }

    #[test]
    fn a_text_stays_utf_8_and_as_long_in_utf_16() {
        let original = "J\u{fc}rgen \u{100}\u{13f} \u{1f600}";
        let units: Vec<u16> = original.encode_utf16().collect();
        for key in 0..=255 {
            let text = String::from_utf8(replaced(key, original.as_bytes(), Form::Text)).unwrap();
            let changed: Vec<u16> = text.encode_utf16().collect();
            assert_eq!(changed.len(), units.len());
            for (one, other) in units.iter().zip(&changed) {
                let zeroes = |unit: &u16| unit.to_be_bytes().map(|byte| byte == 0);
                assert_eq!(zeroes(one), zeroes(other), "{text}");
            }
        }
        let others: BTreeSet<_> =
            (0x80_u8..0xc0).map(|last| replaced(1, &[b'a', 0xc3, last], Form::Text)).collect();
        assert_eq!(others.len(), 64, "none is given twice");
    }

    #[test]
    fn bytes_that_are_utf_8_stay_so_and_others_do_not_become_it() {
        let mut all = String::from("\u{1}a\u{7f}");
        for first in ['\u{80}', '\u{800}', '\u{1000}', '\u{d000}', '\u{e000}', '\u{10000}'] {
            all.extend([first, char::from_u32(u32::from(first) + 0x7ff).unwrap_or(first)]);
        }
        all.extend(['\u{40000}', '\u{10ffff}']);
        let lengths = |text: &str| text.chars().map(char::len_utf8).collect::<Vec<_>>();
        for key in 0..=255 {
            let text = String::from_utf8(replaced(key, all.as_bytes(), Form::Bytes)).unwrap();
            assert_eq!(lengths(&text), lengths(&all), "{text:?}");
            assert!(!text.contains('\0'));
            let other = replaced(key, &[0x41, 0xc3], Form::Bytes);
            assert!(std::str::from_utf8(&other).is_err(), "{other:x?}");
        }
    }

    #[test]
    fn another_key_gives_another_value() {
        let values: BTreeSet<_> =
            (0..50).map(|key| replaced(key, b"SERIAL01", Form::Text)).collect();
        assert_eq!(values.len(), 50);
        assert_eq!(replaced(5, b"SERIAL01", Form::Text), replaced(5, b"SERIAL01", Form::Text));
    }
}
