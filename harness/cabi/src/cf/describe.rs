//! Objects as text.

use super::number::Magnitude;
use super::object::{Body, CfRef, Item};
use std::sync::{PoisonError, RwLock};

/// As `CFShow` prints it, for people; not byte by byte what a Mac prints.
pub(super) fn describe(object: CfRef) -> String {
    let Some(found) = object.get() else { return "(null)".to_owned() };
    match &found.body {
        Body::Null => "<null>".to_owned(),
        Body::Boolean(value) => value.to_string(),
        Body::Number(number) => match number.value {
            Magnitude::Whole(value) => value.to_string(),
            Magnitude::Floating(value) => value.to_string(),
        },
        Body::String(_) => super::text_of(object).unwrap_or_default(),
        Body::Data(_) | Body::Borrowed(..) => {
            let bytes = super::data::copied(object).unwrap_or_default();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("<{hex}>")
        }
        Body::Array(items) | Body::Set(items) => {
            let items: Vec<_> = copy(items).iter().map(item).collect();
            format!("({})", items.join(", "))
        }
        Body::Dictionary(pairs) => {
            let pairs: Vec<_> = copy(pairs)
                .iter()
                .map(|(key, value)| format!("{} = {}", item(key), item(value)))
                .collect();
            format!("{{{}}}", pairs.join("; "))
        }
        body => format!("<object of type {} at {:#x}>", body.type_id(), object.address()),
    }
}

fn item(item: &Item) -> String {
    match item {
        Item::Object(object) => describe(object.get()),
        Item::Word(word) => format!("{word:#x}"),
    }
}

fn copy<T: Clone>(of: &RwLock<T>) -> T {
    of.read().unwrap_or_else(PoisonError::into_inner).clone()
}
