//! When two objects are equal.

use super::data;
use super::number::Magnitude;
use super::object::{Body, CfRef, Item};
use std::hash::{DefaultHasher, Hasher};
use std::sync::{PoisonError, RwLock};

fn copy<T: Clone>(of: &RwLock<T>) -> T {
    of.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// As `CFEqual`. A collection is never compared while it is held.
pub(super) fn equal(a: CfRef, b: CfRef) -> bool {
    if a == b {
        return true;
    }
    // Words of the client's own are told from objects by the collections that hold them; a key that
    // looks like neither is compared by its value alone.
    let is_word = |value: CfRef| value.address() < 4096 || !value.address().is_multiple_of(8);
    if is_word(a) || is_word(b) {
        return false;
    }
    let items = |a: &[Item], b: &[Item]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a.word(), b.word()))
    };
    match (&a.object().body, &b.object().body) {
        (Body::Boolean(a), Body::Boolean(b)) => a == b,
        (Body::Number(a), Body::Number(b)) => match (a.value, b.value) {
            (Magnitude::Whole(a), Magnitude::Whole(b)) => a == b,
            (a, b) => a.as_float() == b.as_float(),
        },
        (Body::String(a), Body::String(b)) => copy(a) == copy(b),
        (Body::Data(_) | Body::Borrowed(..), Body::Data(_) | Body::Borrowed(..)) => {
            data::copied(a) == data::copied(b)
        }
        (Body::Array(a), Body::Array(b)) | (Body::Set(a), Body::Set(b)) => {
            items(&copy(a), &copy(b))
        }
        (Body::Dictionary(a), Body::Dictionary(b)) => {
            let (a, b) = (copy(a), copy(b));
            let same = |(key, value): &(Item, Item)| {
                let other = b.iter().find(|(other, _)| equal(key.word(), other.word()));
                other.is_some_and(|(_, other)| equal(value.word(), other.word()))
            };
            a.len() == b.len() && a.iter().all(same)
        }
        (Body::Null, Body::Null) => true,
        _ => false,
    }
}

/// As `CFHash`: equal objects have equal ones.
pub(super) fn hash(value: CfRef) -> usize {
    let mut hasher = DefaultHasher::new();
    match &value.object().body {
        Body::Boolean(value) => hasher.write_u8(u8::from(*value)),
        Body::Number(number) => hasher.write_u64(number.value.as_float().to_bits()),
        Body::String(bytes) => hasher.write(&copy(bytes)),
        Body::Data(_) | Body::Borrowed(..) => {
            hasher.write(&data::copied(value).unwrap_or_default());
        }
        Body::Array(items) | Body::Set(items) => hasher.write_usize(copy(items).len()),
        Body::Dictionary(pairs) => hasher.write_usize(copy(pairs).len()),
        _ => hasher.write_usize(value.address()),
    }
    hasher.finish() as usize
}
