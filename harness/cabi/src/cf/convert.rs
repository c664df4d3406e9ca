//! Between objects and the values of a registry.

use super::constants::{constant, kCFBooleanFalse, kCFBooleanTrue};
use super::dictionary::pairs;
use super::number::{Magnitude, Number, SINT64};
use super::object::{Body, CfRef, Item, Owned};
use dextape::connection::Value;
use std::sync::{PoisonError, RwLock};

/// Nesting that is followed; deeper is nothing that a registry holds.
const DEPTH_MAX: u32 = 32;

/// A new object of a value, for the client to release.
pub(crate) fn from_value(value: &Value) -> Owned {
    let text = |text: &str| Owned::make(Body::string(text.as_bytes()));
    match value {
        Value::Boolean(true) => Owned::retained(constant(&kCFBooleanTrue)),
        Value::Boolean(false) => Owned::retained(constant(&kCFBooleanFalse)),
        Value::Number(number) => Owned::make(Body::Number(Number {
            value: Magnitude::Whole(number.cast_signed()),
            kind: SINT64,
        })),
        Value::String(string) => text(string),
        Value::Data(bytes) => Owned::make(Body::Data(RwLock::new(bytes.clone()))),
        Value::Array(items) => {
            let items = items.iter().map(|item| Item::Object(from_value(item))).collect();
            Owned::make(Body::Array(RwLock::new(items)))
        }
        Value::Dictionary(entries) => {
            let entry = |(key, value): (&String, &Value)| {
                (Item::Object(text(key)), Item::Object(from_value(value)))
            };
            Owned::make(Body::Dictionary(RwLock::new(entries.iter().map(entry).collect())))
        }
        // A kind of value that is newer than this library.
        _ => Owned::make(Body::Null),
    }
}

/// The value of an object; `None` where it, or something in it, is nothing that a registry holds.
pub(crate) fn to_value(object: CfRef) -> Option<Value> {
    value(object, DEPTH_MAX)
}

fn value(object: CfRef, depth: u32) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    Some(match &object.get()?.body {
        Body::Boolean(value) => Value::Boolean(*value),
        Body::Number(number) => Value::Number(number.value.as_whole().cast_unsigned()),
        Body::String(_) => Value::String(text_of(object)?),
        Body::Data(_) | Body::Borrowed(..) => Value::Data(super::data::copied(object)?),
        Body::Array(items) | Body::Set(items) => {
            let items = items.read().unwrap_or_else(PoisonError::into_inner).clone();
            let values = items.iter().map(|item| value(item.word(), depth));
            Value::Array(values.collect::<Option<_>>()?)
        }
        Body::Dictionary(_) => {
            let entries = pairs(object)?.clone();
            let entry = |(key, held): &(Item, Item)| {
                Some((text_of(key.word())?, value(held.word(), depth)?))
            };
            Value::Dictionary(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// The text of a string; what is no Unicode is replaced. `None` for anything else.
pub(crate) fn text_of(object: CfRef) -> Option<String> {
    match &object.get()?.body {
        Body::String(bytes) => {
            let bytes = bytes.read().unwrap_or_else(PoisonError::into_inner);
            let text = bytes.split_last().map_or(&[][..], |(_, text)| text);
            Some(String::from_utf8_lossy(text).into_owned())
        }
        _ => None,
    }
}

/// The entries of a dictionary with string keys; `None` for anything else.
pub(crate) fn dictionary_value(object: CfRef) -> Option<Vec<(String, Item)>> {
    let entries = pairs(object)?.clone();
    entries.into_iter().map(|(key, value)| Some((text_of(key.word())?, value))).collect()
}
