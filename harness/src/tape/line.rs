//! One event line as it is spelled: a wide struct over every field of every kind, filled in one pass
//! over the text.

use super::event::KeyframeMemory;
use super::fields::{Field, Form, Kind, NUMBER_MAX};
use super::hex;
use super::payload::{Digest, Payload};
use super::value::{DictionarySeed, ValueSeed};
use crate::IoReturn;
use crate::call::Scalars;
use crate::limits::SCALARS_MAX;
use crate::registry::{Matching, Value};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The fields of a line. Numbers of every form stand in one array by field; no kind has two payloads,
/// two texts or two short lists, so there is one place for each.
#[derive(Debug)]
pub(super) struct Line {
    /// Set of the fields that the line has.
    pub(super) present: u128,
    /// The kind; `Err` with its name where this version does not know it.
    pub(super) kind: Result<Kind, String>,
    numbers: [u64; Field::ALL.len()],
    /// `structure_size` is null.
    pub(super) no_size: bool,
    /// `scalars` or `arguments`.
    pub(super) scalars: Scalars,
    /// `reference`.
    pub(super) reference: Vec<u64>,
    /// `input`, `structure` or `data`.
    pub(super) payload: Option<Payload>,
    /// `key` or `reason`.
    pub(super) text: String,
    /// What few lines have.
    pub(super) rare: Rare,
    /// Fields that this version does not know of this kind.
    pub(super) extra: BTreeMap<String, serde_json::Value>,
}

/// Fields that few lines have.
#[derive(Debug, Default)]
pub(super) struct Rare {
    pub(super) matching: Option<Matching>,
    pub(super) value: Option<Value>,
    /// `services` or `queues`.
    pub(super) numbers: Vec<u32>,
    pub(super) pending: Vec<u64>,
    pub(super) connections: Vec<(u32, u32)>,
    pub(super) memories: Vec<KeyframeMemory>,
}

impl Line {
    /// True where the line has the field.
    pub(super) const fn has(&self, field: Field) -> bool {
        self.present & field.bit() != 0
    }

    /// A number of any form; 0 where the line does not have it.
    pub(super) const fn number(&self, field: Field) -> u64 {
        self.numbers[field as usize]
    }

    /// A number of any form, where the line has it.
    pub(super) fn optional(&self, field: Field) -> Option<u64> {
        self.has(field).then(|| self.number(field))
    }
}

/// Reads a line. Payloads are decoded by way of `scratch`, which keeps its room from line to line.
pub(super) struct LineSeed<'s> {
    /// The kind, where an earlier pass found it behind fields that depend on it.
    pub(super) kind: Option<Result<Kind, String>>,
    pub(super) scratch: &'s mut Vec<u8>,
}

/// Text of the error by which the reader knows that it has to look for the kind first.
const KIND_IS_LATE: &str = "the kind before the fields of the kind";

/// Reads a line of text.
///
/// # Errors
///
/// The column and what was expected there.
pub(super) fn read_line(text: &[u8], scratch: &mut Vec<u8>) -> Result<Line, (u64, String)> {
    let read = |kind, scratch: &mut Vec<u8>| {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let line = LineSeed { kind, scratch }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(line)
    };
    let error: serde_json::Error = match read(None, scratch) {
        Ok(line) => return Ok(line),
        Err(error) => error,
    };
    let (column, message) = place(&error);
    if message != KIND_IS_LATE {
        return Err((column, message));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let kind = KindOnly.deserialize(&mut deserializer).map_err(|error| place(&error))?;
    read(Some(kind), scratch).map_err(|error| place(&error))
}

/// Column and text of a JSON error.
pub(super) fn place(error: &serde_json::Error) -> (u64, String) {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let message = message.strip_prefix("expected ").unwrap_or(message);
    // serde says what it found before what it expected.
    let (found, expected) = message.split_once(", expected ").unwrap_or(("", message));
    let found = found.strip_prefix("invalid type: ").or(found.strip_prefix("invalid value: "));
    let message = match error.classify() {
        serde_json::error::Category::Data => match found {
            Some(found) => format!("{expected}, found {found}"),
            None => message.to_owned(),
        },
        _ => format!("a JSON object on one line: {message}"),
    };
    (error.column() as u64, message)
}

impl<'de> DeserializeSeed<'de> for LineSeed<'_> {
    type Value = Line;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Line, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LineSeed<'_> {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event: an object with the keys seq, lane, pos and kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let scratch = self.scratch;
        let mut kind = self.kind;
        let mut line = Line {
            present: 0,
            kind: Err(String::new()),
            numbers: [0; Field::ALL.len()],
            no_size: false,
            scalars: Scalars::EMPTY,
            reference: Vec::new(),
            payload: None,
            text: String::new(),
            rare: Rare::default(),
            extra: BTreeMap::new(),
        };
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let field = match key {
                Key::Known(field) if field.is_common() => field,
                Key::Known(field) => match &kind {
                    None => return Err(A::Error::custom(KIND_IS_LATE)),
                    Some(Ok(kind)) if kind.fields() & field.bit() != 0 => field,
                    // A newer version may have given the field to this kind.
                    Some(_) => {
                        line.keep(field.key().to_owned(), &mut map)?;
                        continue;
                    }
                },
                Key::Other(key) => {
                    line.keep(key, &mut map)?;
                    continue;
                }
            };
            if line.has(field) {
                return Err(A::Error::custom(format_args!("each key once: {}", field.key())));
            }
            line.present |= field.bit();
            if field == Field::Kind {
                let Text(name) = map.next_value()?;
                let found = Kind::of(&name).ok_or_else(|| name.into_owned());
                kind = Some(found.clone());
                line.kind = found;
            } else {
                line.take(field, &mut map, scratch)?;
            }
        }
        Ok(line)
    }
}

impl Line {
    fn keep<'de, A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error> {
        let value = map.next_value()?;
        if self.extra.contains_key(&key) {
            return Err(A::Error::custom(format_args!("each key once: {key}")));
        }
        self.extra.insert(key, value);
        Ok(())
    }

    fn take<'de, A: MapAccess<'de>>(
        &mut self,
        field: Field,
        map: &mut A,
        scratch: &mut Vec<u8>,
    ) -> Result<(), A::Error> {
        let index = field as usize;
        match field.form() {
            Form::Count => {
                self.numbers[index] = map.next_value_seed(NumberSeed(field, NUMBER_MAX))?;
            }
            Form::Number => {
                self.numbers[index] =
                    map.next_value_seed(NumberSeed(field, u64::from(u32::MAX)))?;
            }
            Form::Width => {
                let width = map.next_value_seed(NumberSeed(field, 8))?;
                if !matches!(width, 1 | 2 | 4 | 8) {
                    return Err(A::Error::custom("`width` to be 1, 2, 4 or 8"));
                }
                self.numbers[index] = width;
            }
            Form::Hex => self.numbers[index] = map.next_value_seed(HexSeed(field))?,
            Form::HexOrNull => match map.next_value::<Option<Text<'_>>>()? {
                Some(Text(text)) => self.numbers[index] = hex_number(field, &text)?,
                None => self.no_size = true,
            },
            Form::Hexes if field == Field::Reference => {
                self.reference = map.next_value_seed(HexesSeed(field))?;
            }
            Form::Hexes => self.scalars = map.next_value_seed(ScalarsSeed(field))?,
            Form::Flag => {
                if !map.next_value::<bool>()? {
                    self.present &= !field.bit();
                }
            }
            Form::Code => {
                let Text(text) = map.next_value()?;
                let code: IoReturn = text.parse().map_err(|_| {
                    let found: String = text.chars().take(64).collect();
                    A::Error::custom(format_args!(
                        "`{}` to be a name such as kIOReturnBadArgument or hex such as \
                         0xe00002c2, found {found:?}",
                        field.key()
                    ))
                })?;
                self.numbers[index] = u64::from(code.0);
            }
            Form::Payload => self.payload = Some(map.next_value_seed(PayloadSeed(field, scratch))?),
            Form::Text => {
                let Text(text) = map.next_value()?;
                self.text = text.into_owned();
            }
            Form::Word(words) => {
                let Text(text) = map.next_value()?;
                let word = words.iter().position(|word| *word == text);
                self.numbers[index] = word.ok_or_else(|| {
                    A::Error::custom(format_args!(
                        "`{}` to be one of {}, found {text:?}",
                        field.key(),
                        words.join(", ")
                    ))
                })? as u64;
            }
            Form::Matching => {
                self.rare.matching =
                    Some(map.next_value_seed(DictionarySeed)?.into_iter().collect());
            }
            Form::Value => self.rare.value = Some(map.next_value_seed(ValueSeed)?),
            Form::Numbers => self.rare.numbers = map.next_value()?,
            Form::Counts => self.rare.pending = map.next_value_seed(CountsSeed(field))?,
            Form::Pairs => self.rare.connections = map.next_value()?,
            Form::Memories => self.rare.memories = map.next_value_seed(MemoriesSeed(scratch))?,
            Form::Kind => {}
        }
        Ok(())
    }
}

/// A text, borrowed from the line where it has no escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

enum Key {
    Known(Field),
    Other(String),
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(Field::of(key).map_or_else(|| Key::Other(key.to_owned()), Key::Known))
    }
}

struct NumberSeed(Field, u64);

impl<'de> DeserializeSeed<'de> for NumberSeed {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_u64(self)
    }
}

impl Visitor<'_> for NumberSeed {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` to be a whole number from 0 to {}", self.0.key(), self.1)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        if number > self.1 {
            return Err(E::custom(format_args!(
                "`{}` to be a whole number from 0 to {}, found {number}",
                self.0.key(),
                self.1
            )));
        }
        Ok(number)
    }
}

fn hex_number<E: Error>(field: Field, text: &str) -> Result<u64, E> {
    hex::number(text).ok_or_else(|| {
        let found: String = text.chars().take(24).collect();
        E::custom(format_args!(
            "`{}` to be \"0x\" and 1 to 16 hex digits, found {found:?}",
            field.key()
        ))
    })
}

struct HexSeed(Field);

impl<'de> DeserializeSeed<'de> for HexSeed {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for HexSeed {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` to be a text such as \"0x10\"", self.0.key())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        hex_number(self.0, text)
    }
}

macro_rules! list_seed {
    ($seed:ident $value:ty, $what:literal, |$list:ident, $next:ident, $field:ident| $push:expr, $start:expr, $element:expr) => {
        struct $seed(Field);

        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$value, D::Error> {
                from.deserialize_seq(self)
            }
        }

        impl<'de> Visitor<'de> for $seed {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}` to be {}", self.0.key(), $what)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<$value, A::Error> {
                let $field = self.0;
                let mut $list = $start;
                while let Some($next) = array.next_element_seed($element($field))? {
                    $push?;
                }
                Ok($list.into())
            }
        }
    };
}

list_seed!(HexesSeed Vec<u64>, "an array of texts such as \"0x10\"",
    |list, next, field| Ok::<(), A::Error>(list.push(next)), Vec::new(), HexSeed);
list_seed!(CountsSeed Vec<u64>, "an array of whole numbers",
    |list, next, field| Ok::<(), A::Error>(list.push(next)), Vec::new(), |field| NumberSeed(field, NUMBER_MAX));
list_seed!(ScalarsSeed Scalars, "an array of at most 16 texts such as \"0x10\"",
    |list, next, field| list.push(next).ok_or_else(|| A::Error::custom(format_args!(
        "`{}` to have at most {SCALARS_MAX} entries", field.key()))), ScalarList::default(), HexSeed);

/// Scalars while they are gathered.
#[derive(Default)]
struct ScalarList {
    count: usize,
    values: [u64; SCALARS_MAX],
}

impl ScalarList {
    fn push(&mut self, value: u64) -> Option<()> {
        *self.values.get_mut(self.count)? = value;
        self.count += 1;
        Some(())
    }
}

impl From<ScalarList> for Scalars {
    fn from(list: ScalarList) -> Self {
        Self::clamped(&list.values[..list.count])
    }
}

struct PayloadSeed<'s>(Field, &'s mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for PayloadSeed<'_> {
    type Value = Payload;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Payload, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PayloadSeed<'_> {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` to be pairs of hex digits, or blob:, hash: or redacted:", self.0.key())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Payload, E> {
        self.1.clear();
        if hex::decode(text.as_bytes(), self.1) {
            return Ok(Payload::Bytes(Arc::from(self.1.as_slice())));
        }
        reference(text).ok_or_else(|| {
            E::custom(format_args!(
                "`{}` to be pairs of hex digits, blob:SIZE:HASH, hash:SIZE:HASH or redacted:SIZE",
                self.0.key()
            ))
        })
    }
}

/// A payload whose bytes do not stand in the line.
fn reference(text: &str) -> Option<Payload> {
    let (form, rest) = text.split_once(':')?;
    if form == "redacted" {
        return Some(Payload::Redacted { length: hex::number(rest)? });
    }
    let (length, digest) = rest.split_once(':')?;
    let (length, digest) = (hex::number(length)?, digest.parse::<Digest>().ok()?);
    match form {
        "blob" => Some(Payload::Blob { digest, length }),
        "hash" => Some(Payload::Hash { digest, length }),
        _ => None,
    }
}

/// Finds the kind of a line and passes over all else.
struct KindOnly;

impl<'de> DeserializeSeed<'de> for KindOnly {
    type Value = Result<Kind, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for KindOnly {
    type Value = Result<Kind, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut kind = None;
        while let Some(key) = map.next_key_seed(KeySeed)? {
            if matches!(key, Key::Known(Field::Kind)) {
                let Text(name) = map.next_value()?;
                kind = Some(Kind::of(&name).ok_or_else(|| name.into_owned()));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        kind.ok_or_else(|| A::Error::custom("the key `kind`"))
    }
}

struct MemoriesSeed<'s>(&'s mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for MemoriesSeed<'_> {
    type Value = Vec<KeyframeMemory>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        // Keyframes are rare, so a derived form and a second step are fast enough.
        let texts = Vec::<MemoryText>::deserialize(deserializer)?;
        texts.into_iter().map(|text| text.read(self.0)).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemoryText {
    memory: u32,
    #[serde(default)]
    conn: Option<u32>,
    #[serde(default)]
    memory_type: u32,
    length: String,
    #[serde(default)]
    shadow: Vec<(String, String)>,
}

impl MemoryText {
    fn read<E: Error>(self, scratch: &mut Vec<u8>) -> Result<KeyframeMemory, E> {
        let shadow = self.shadow.iter().map(|(offset, data)| {
            let data = PayloadSeed(Field::Memories, scratch).visit_str(data)?;
            Ok((hex_number(Field::Memories, offset)?, data))
        });
        Ok(KeyframeMemory {
            memory: self.memory,
            connection: self.conn,
            memory_type: self.memory_type,
            length: hex_number(Field::Memories, &self.length)?,
            shadow: shadow.collect::<Result<_, _>>()?,
        })
    }
}
