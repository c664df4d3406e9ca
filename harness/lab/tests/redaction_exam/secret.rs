//! Private values as they occur, made up at random, and the forms in which they stand on tapes. Nothing of
//! the redactor is used here: what a form looks like is said once more, in the plainest way.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dextape::schedule::Generator;
use dextape_lab::PrivateValue;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Serial,
    Mac,
    Name,
    Uuid,
    Number,
    Email,
    User,
    Key,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Serial,
        Self::Mac,
        Self::Name,
        Self::Uuid,
        Self::Number,
        Self::Email,
        Self::User,
        Self::Key,
    ];
}

/// A private value.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) kind: Kind,
    /// As people write it.
    pub(crate) text: Option<String>,
    /// As machines keep it.
    pub(crate) binary: Option<Vec<u8>>,
    pub(crate) number: Option<u64>,
}

/// Bytes that stand for a value.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// True where `bytes` are characters that a text can hold.
    pub(crate) is_text: bool,
}

const UPPER: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const DIGITS: &[u8] = b"0123456789";
const SYLLABLES: [&str; 16] = [
    "ma", "ri", "lind", "quist", "jo", "han", "ver", "meer", "ö", "ta", "ke", "shi", "zu", "mül",
    "ler", "é",
];

/// One of `choices`.
pub(crate) fn pick<'a, T>(random: &mut Generator, choices: &'a [T]) -> &'a T {
    &choices[random.below(choices.len() as u64) as usize]
}

/// A number from `low` up to `high`, both included.
pub(crate) fn between(random: &mut Generator, low: u64, high: u64) -> usize {
    (low + random.below(high - low + 1)) as usize
}

/// Random bytes.
pub(crate) fn noise(random: &mut Generator, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.next_u64() as u8).collect()
}

fn of_alphabet(random: &mut Generator, alphabet: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(*pick(random, alphabet))).collect()
}

fn syllables(random: &mut Generator, count: usize, plain: bool) -> String {
    let mut text = String::new();
    while text.chars().count() < 4 || count > text.len() / 3 {
        let next = pick(random, &SYLLABLES);
        if !plain || next.is_ascii() {
            text.push_str(next);
        }
    }
    text
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}

/// Digits with something between each two of them.
fn hex(bytes: &[u8], separator: &str, upper: bool) -> String {
    let digits = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
    bytes.iter().map(digits).collect::<Vec<_>>().join(separator)
}

fn uuid_text(bytes: &[u8], upper: bool) -> String {
    let part = |from: usize, to: usize| hex(&bytes[from..to], "", upper);
    [part(0, 4), part(4, 6), part(6, 8), part(8, 10), part(10, 16)].join("-")
}

/// The last byte of each word first; the last word is filled up before.
fn swapped(bytes: &[u8], word: usize, padding: u8) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(word), padding);
    padded.chunks(word).flat_map(|word| word.iter().rev().copied()).collect()
}

fn wide(text: &str, big: bool) -> Vec<u8> {
    let unit = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
    text.encode_utf16().flat_map(unit).collect()
}

impl Secret {
    pub(crate) fn random(random: &mut Generator) -> Self {
        let kind = *pick(random, &Kind::ALL);
        let (mut text, mut binary, mut number) = (None, None, None);
        match kind {
            Kind::Serial => {
                let length = between(random, 8, 17);
                let mixed = [UPPER, DIGITS].concat();
                text = Some(format!("C{}", of_alphabet(random, &mixed, length)));
            }
            Kind::Mac => {
                let bytes = noise(random, 6);
                text = Some(hex(&bytes, ":", false));
                binary = Some(bytes);
            }
            Kind::Name => {
                let (first, last) = (syllables(random, 1, false), syllables(random, 2, false));
                text = Some(format!("{} {}", capital(&first), capital(&last)));
            }
            Kind::Uuid => {
                let bytes = noise(random, 16);
                text = Some(uuid_text(&bytes, true));
                binary = Some(bytes);
            }
            Kind::Number => {
                let bits = between(random, 28, 53);
                let value = (1 << bits) | random.below(1 << bits);
                text = Some(value.to_string());
                number = Some(value);
            }
            Kind::Email => {
                let (who, at) = (syllables(random, 1, true), syllables(random, 1, true));
                text = Some(format!("{who}.{}@{at}.example", of_alphabet(random, LOWER, 3)));
            }
            Kind::User => {
                let length = between(random, 4, 12);
                text = Some(of_alphabet(random, LOWER, length));
            }
            Kind::Key => {
                let length = between(random, 8, 32);
                binary = Some(noise(random, length));
            }
        }
        Self { kind, text, binary, number }
    }

    /// As somebody would hand it to the redactor.
    pub(crate) fn value(&self, random: &mut Generator) -> PrivateValue {
        let as_bytes = self.text.is_none() || random.below(3) == 0;
        let value = match (&self.text, &self.binary) {
            (_, Some(bytes)) if as_bytes => PrivateValue::of_bytes(bytes),
            (Some(text), _) => PrivateValue::of_text(text),
            (None, _) => None,
        };
        value.expect("made-up values are neither too short nor too long")
    }

    /// One of the forms in which it may stand.
    pub(crate) fn form(&self, random: &mut Generator) -> Form {
        let mut forms = self.forms(random);
        let index = random.below(forms.len() as u64) as usize;
        forms.swap_remove(index)
    }

    /// The form in which nobody can miss it.
    pub(crate) fn plain(&self) -> Form {
        match (&self.text, &self.binary) {
            (Some(text), _) => Form { name: "text", bytes: text.as_bytes().into(), is_text: true },
            (None, binary) => {
                let bytes = binary.clone().unwrap_or_default();
                Form { name: "bytes", bytes, is_text: false }
            }
        }
    }

    fn forms(&self, random: &mut Generator) -> Vec<Form> {
        let mut forms = Vec::new();
        let mut add = |name, bytes: Vec<u8>, is_text| forms.push(Form { name, bytes, is_text });
        if let Some(text) = &self.text {
            add("UTF-8", text.as_bytes().into(), true);
            add("UTF-16, little-endian", wide(text, false), false);
            add("UTF-16, big-endian", wide(text, true), false);
        }
        if self.kind == Kind::Uuid
            && let Some(bytes) = &self.binary
        {
            add("UTF-8", uuid_text(bytes, false).into(), true);
            let mut mixed = bytes.clone();
            mixed[0..4].reverse();
            mixed[4..6].reverse();
            mixed[6..8].reverse();
            add("byte-swapped as a GUID", mixed, false);
        }
        if let Some(number) = self.number {
            add("number, little-endian", number.to_le_bytes().into(), false);
            add("number, big-endian", number.to_be_bytes().into(), false);
            if let Ok(small) = u32::try_from(number) {
                add("number of 4 bytes, little-endian", small.to_le_bytes().into(), false);
                add("number of 4 bytes, big-endian", small.to_be_bytes().into(), false);
            }
            add("hex of the number", format!("{number:#x}").into(), true);
            add("hex of the number", format!("{number:X}").into(), true);
        }
        // What is behind the remaining forms: the bytes themselves, or the characters.
        let bytes = match (&self.binary, &self.text) {
            (Some(binary), _) => binary.clone(),
            (None, Some(text)) => text.as_bytes().into(),
            (None, None) => Vec::new(),
        };
        if self.binary.is_some() {
            add("bytes", bytes.clone(), false);
        }
        let padding = if random.below(2) == 0 { 0 } else { b' ' };
        add("byte-swapped in words of 2", swapped(&bytes, 2, padding), false);
        add("byte-swapped in words of 4", swapped(&bytes, 4, padding), false);
        add("byte-swapped in words of 8", swapped(&bytes, 8, padding), false);
        add("byte-swapped whole", bytes.iter().rev().copied().collect(), false);
        if self.number.is_none() {
            for (name, separator) in [
                ("hex", ""),
                ("hex with colons", ":"),
                ("hex with hyphens", "-"),
                ("hex with spaces", " "),
            ] {
                let digits = hex(&bytes, separator, random.below(2) == 0);
                if random.below(4) == 0 {
                    add("hex in UTF-16", wide(&digits, random.below(2) == 0), false);
                } else {
                    add(name, digits.into(), true);
                }
            }
        }
        for (phase, name) in
            [(0, "base64, phase 0"), (1, "base64, phase 1"), (2, "base64, phase 2")]
        {
            let mut around = {
                let before = 3 * random_count(random) + phase;
                noise(random, before)
            };
            around.extend(&bytes);
            let behind = between(random, 0, 5);
            around.extend(noise(random, behind));
            let url = random.below(4) == 0;
            let encoded =
                if url { URL_SAFE_NO_PAD.encode(&around) } else { STANDARD.encode(&around) };
            add(name, encoded.into(), true);
        }
        forms
    }
}

fn random_count(random: &mut Generator) -> usize {
    random.below(4) as usize
}
