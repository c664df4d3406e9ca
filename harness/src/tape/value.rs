//! Registry values as JSON. Texts, booleans and arrays are themselves; what JSON has no form of its
//! own for is an object of one key: `{"number":"0x10"}`, `{"data":"00ff"}`, `{"dictionary":{..}}`.

use super::hex;
use crate::registry::{Matching, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// How deep arrays and dictionaries may lie in each other. The JSON reader gives up at 128, and a
/// dictionary takes two.
pub(super) const DEPTH_MAX: usize = 48;

/// Reads one value.
pub(super) struct ValueSeed;

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a registry value: a text, true or false, an array, or an object of one key `number`, \
             `data` or `dictionary`",
        )
    }

    fn visit_bool<E: Error>(self, boolean: bool) -> Result<Value, E> {
        Ok(Value::Boolean(boolean))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = array.next_element_seed(ValueSeed)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let form: String = map.next_key()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let value = match form.as_str() {
            "number" => {
                let text: String = map.next_value()?;
                Value::Number(hex::number(&text).ok_or_else(|| {
                    A::Error::custom(format_args!("a number such as \"0x10\", found {text:?}"))
                })?)
            }
            "data" => {
                let text: String = map.next_value()?;
                let mut bytes = Vec::new();
                if !hex::decode(text.as_bytes(), &mut bytes) {
                    return Err(A::Error::custom("pairs of hex digits"));
                }
                Value::Data(bytes)
            }
            "dictionary" => Value::Dictionary(map.next_value_seed(DictionarySeed)?),
            _ => return Err(A::Error::unknown_field(&form, &["number", "data", "dictionary"])),
        };
        match map.next_key::<String>()? {
            None => Ok(value),
            Some(_) => Err(A::Error::invalid_length(2, &self)),
        }
    }
}

/// Reads the entries of a dictionary.
pub(super) struct DictionarySeed;

impl<'de> DeserializeSeed<'de> for DictionarySeed {
    type Value = BTreeMap<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DictionarySeed {
    type Value = BTreeMap<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of registry values by key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(ValueSeed)?;
            if let Some(value) = entries.insert(key, value) {
                return Err(A::Error::custom(format_args!("each key once, found {value:?} again")));
            }
        }
        Ok(entries)
    }
}

/// How deep the value lies.
pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Dictionary(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Appends a text as a JSON string.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    // Writing to a vector cannot fail, and a text has no form that JSON lacks.
    serde_json::to_writer(&mut *out, text).unwrap_or_default();
}

/// Appends a value.
pub(super) fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::String(text) => push_text(out, text),
        Value::Number(number) => {
            out.extend_from_slice(b"{\"number\":\"");
            hex::push_number(out, *number);
            out.extend_from_slice(b"\"}");
        }
        Value::Data(bytes) => {
            out.extend_from_slice(b"{\"data\":\"");
            hex::push_bytes(out, bytes);
            out.extend_from_slice(b"\"}");
        }
        Value::Array(values) => {
            out.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_value(out, value);
            }
            out.push(b']');
        }
        Value::Dictionary(entries) => {
            out.extend_from_slice(b"{\"dictionary\":");
            push_entries(out, entries.iter().map(|(key, value)| (key.as_str(), value)));
            out.push(b'}');
        }
    }
}

/// Appends the conditions of a matching dictionary.
pub(super) fn push_matching(out: &mut Vec<u8>, matching: &Matching) {
    push_entries(out, matching.conditions());
}

fn push_entries<'a>(out: &mut Vec<u8>, entries: impl Iterator<Item = (&'a str, &'a Value)>) {
    out.push(b'{');
    for (index, (key, value)) in entries.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_text(out, key);
        out.push(b':');
        push_value(out, value);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, serde_json::Error> {
        ValueSeed.deserialize(&mut serde_json::Deserializer::from_str(text))
    }

    #[test]
    fn every_value_reads_back() {
        let value = Value::Dictionary(BTreeMap::from([
            ("array".to_owned(), Value::Array(vec![Value::Boolean(true), "a\n\"b".into()])),
            ("data".to_owned(), Value::Data(vec![0, 255])),
            ("number".to_owned(), Value::Number(u64::MAX)),
        ]));
        let mut text = Vec::new();
        push_value(&mut text, &value);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(
            text,
            r#"{"dictionary":{"array":[true,"a\n\"b"],"data":{"data":"00ff"},"number":{"number":"0xffffffffffffffff"}}}"#
        );
        assert_eq!(read(&text).unwrap(), value);
    }

    #[test]
    fn a_value_of_greatest_depth_reads_back_within_an_event() {
        let mut value = Value::Boolean(true);
        for _ in 0..DEPTH_MAX {
            value = Value::Dictionary(BTreeMap::from([(String::new(), value)]));
        }
        assert_eq!(depth(&value), DEPTH_MAX);
        let mut text = Vec::new();
        push_value(&mut text, &value);
        assert_eq!(read(std::str::from_utf8(&text).unwrap()).unwrap(), value);
    }

    #[test]
    fn other_json_is_refused() {
        for text in [
            "1",
            "null",
            "{}",
            r#"{"number":"16"}"#,
            r#"{"data":"0"}"#,
            r#"{"text":"a"}"#,
            r#"{"number":"0x1","data":""}"#,
            r#"{"dictionary":{"a":true,"a":true}}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
