//! `OSDictionary`, `OSArray`, and what they hold.

use super::object::{Object, Payload, handle};
use super::plain::{OsBoolean, OsNumber, OsString};
use super::{OsData, OsObject};
use crate::registry::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a container holds: a pointer to an object of a class of data. Cloning it retains nothing.
#[derive(Clone, Debug)]
pub enum OsValue {
    /// `OSDictionary`.
    Dictionary(OsDictionary),
    /// `OSArray`.
    Array(OsArray),
    /// `OSString`.
    String(OsString),
    /// `OSNumber`.
    Number(OsNumber),
    /// `OSBoolean`.
    Boolean(OsBoolean),
    /// `OSData`.
    Data(OsData),
}

macro_rules! from_object {
    ($($variant:ident($object:ty);)*) => {
        $(
            impl From<$object> for OsValue {
                fn from(object: $object) -> Self {
                    Self::$variant(object)
                }
            }

            impl From<&$object> for OsValue {
                fn from(object: &$object) -> Self {
                    Self::$variant(object.clone())
                }
            }
        )*
    };
}

from_object! {
    Dictionary(OsDictionary);
    Array(OsArray);
    String(OsString);
    Number(OsNumber);
    Boolean(OsBoolean);
    Data(OsData);
}

impl OsValue {
    /// New objects of a value of the registry, with one reference; what they contain is theirs.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Boolean(value) => Self::Boolean(OsBoolean::with_bool(*value)),
            Value::Number(value) => Self::Number(OsNumber::with_word(*value)),
            Value::String(text) => Self::String(OsString::with_text(text)),
            Value::Data(bytes) => Self::Data(OsData::with_bytes(bytes)),
            Value::Array(values) => {
                let array = OsArray::with_capacity(0);
                values.iter().map(Self::of).for_each(|value| array.adopt(value));
                Self::Array(array)
            }
            Value::Dictionary(values) => {
                let dictionary = OsDictionary::with_capacity(0);
                values.iter().for_each(|(key, value)| dictionary.adopt(key, Self::of(value)));
                Self::Dictionary(dictionary)
            }
        }
    }

    /// The same as a value of the registry.
    #[must_use]
    #[track_caller]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Dictionary(dictionary) => Value::Dictionary(dictionary.to_values()),
            Self::Array(array) => {
                let values = array.values();
                Value::Array(values.iter().map(Self::to_value).collect())
            }
            Self::String(text) => Value::String(text.text().to_string()),
            Self::Number(number) => Value::Number(number.value()),
            Self::Boolean(boolean) => Value::Boolean(boolean.value()),
            Self::Data(data) => Value::Data(data.bytes().to_vec()),
        }
    }

    /// Adds a reference to the object.
    #[track_caller]
    pub fn retain(&self) {
        match self {
            Self::Dictionary(object) => object.retain(),
            Self::Array(object) => object.retain(),
            Self::String(object) => object.retain(),
            Self::Number(object) => object.retain(),
            Self::Data(object) => object.retain(),
            Self::Boolean(_) => {}
        }
    }

    /// Takes a reference to the object away.
    #[track_caller]
    pub fn release(&self) {
        match self {
            Self::Dictionary(object) => object.release(),
            Self::Array(object) => object.release(),
            Self::String(object) => object.release(),
            Self::Number(object) => object.release(),
            Self::Data(object) => object.release(),
            Self::Boolean(_) => {}
        }
    }
}

/// Values by keys. It retains what is set and releases what is taken out; what it gives has no
/// reference of the caller's.
///
/// # Examples
///
/// ```
/// use dextape::driverkit::{DextProcess, OsDictionary, OsObject, OsString};
/// use dextape::schedule::Schedule;
///
/// let process = DextProcess::new("com.example.dext", &Schedule::free());
/// let _inside = process.enter();
/// let properties = OsDictionary::with_capacity(2);
/// let colour = OsString::with_text("green");
/// properties.set_value("Colour", &colour);
/// assert_eq!(colour.retain_count(), 2);
/// colour.release();
/// properties.set_u64("Ports", 4);
/// assert_eq!(properties.u64("Ports"), Some(4));
/// properties.release();
/// assert!(process.leaks().is_empty());
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "OSDictionary")]
pub struct OsDictionary {
    object: Arc<Object<DictionaryPayload>>,
}

#[derive(Default)]
pub(crate) struct DictionaryPayload(Mutex<BTreeMap<String, OsValue>>);

impl DictionaryPayload {
    fn values(&self) -> MutexGuard<'_, BTreeMap<String, OsValue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Payload for DictionaryPayload {
    const CLASS: &'static str = "OSDictionary";

    fn freed(&self) {
        let values = std::mem::take(&mut *self.values());
        values.values().for_each(OsValue::release);
    }

    fn killed(&self) {
        // What it contained is gone with the process as well.
        self.values().clear();
    }
}

handle!(OsDictionary, DictionaryPayload);

impl OsDictionary {
    /// An empty dictionary, with one reference. It grows beyond its capacity.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    #[doc(alias = "withCapacity")]
    pub fn with_capacity(capacity: u32) -> Self {
        let _ = capacity;
        Self { object: Object::create(DictionaryPayload::default()) }
    }

    /// Sets a value and retains it; one that was there is released. False where the dictionary is
    /// gone.
    #[track_caller]
    #[doc(alias = "setObject")]
    #[doc(alias = "OSDictionarySetValue")]
    pub fn set_value(&self, key: &str, value: impl Into<OsValue>) -> bool {
        let value = value.into();
        if !self.object.alive() {
            return false;
        }
        value.retain();
        self.adopt(key, value);
        true
    }

    /// Sets a number of 64 bits.
    #[track_caller]
    #[doc(alias = "OSDictionarySetUInt64Value")]
    pub fn set_u64(&self, key: &str, value: u64) -> bool {
        self.object.alive() && {
            self.adopt(key, OsValue::of(&Value::Number(value)));
            true
        }
    }

    /// Sets a text.
    #[track_caller]
    #[doc(alias = "OSDictionarySetStringValue")]
    pub fn set_text(&self, key: &str, text: &str) -> bool {
        self.object.alive() && {
            self.adopt(key, OsValue::String(OsString::with_text(text)));
            true
        }
    }

    /// The value of a key, without a reference of the caller's.
    #[must_use]
    #[track_caller]
    #[doc(alias = "getObject")]
    #[doc(alias = "OSDictionaryGetValue")]
    pub fn value(&self, key: &str) -> Option<OsValue> {
        if self.object.alive() { self.object.payload.values().get(key).cloned() } else { None }
    }

    /// The number of a key; `None` where there is none.
    #[must_use]
    #[track_caller]
    #[doc(alias = "OSDictionaryGetUInt64Value")]
    pub fn u64(&self, key: &str) -> Option<u64> {
        match self.value(key) {
            Some(OsValue::Number(number)) => Some(number.value()),
            _ => None,
        }
    }

    /// The text of a key; `None` where there is none.
    #[must_use]
    #[track_caller]
    #[doc(alias = "OSDictionaryGetStringValue")]
    pub fn text(&self, key: &str) -> Option<Arc<str>> {
        match self.value(key) {
            Some(OsValue::String(text)) => Some(text.text()),
            _ => None,
        }
    }

    /// Takes a value out and releases it.
    #[track_caller]
    #[doc(alias = "removeObject")]
    pub fn remove_value(&self, key: &str) {
        if self.object.alive() {
            let old = self.object.payload.values().remove(key);
            // Released after the lock: a container may be freed with it.
            if let Some(old) = old {
                old.release();
            }
        }
    }

    /// Number of values; 0 once it is gone.
    #[must_use]
    #[track_caller]
    #[doc(alias = "getCount")]
    pub fn count(&self) -> usize {
        if self.object.alive() { self.object.payload.values().len() } else { 0 }
    }

    /// The keys, sorted.
    #[must_use]
    #[track_caller]
    pub fn keys(&self) -> Vec<String> {
        if self.object.alive() {
            self.object.payload.values().keys().cloned().collect()
        } else {
            Vec::new()
        }
    }

    /// New objects of properties, in a dictionary with one reference.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    pub fn of(values: &BTreeMap<String, Value>) -> Self {
        let dictionary = Self::with_capacity(0);
        values.iter().for_each(|(key, value)| dictionary.adopt(key, OsValue::of(value)));
        dictionary
    }

    /// The same as values of the registry.
    #[must_use]
    #[track_caller]
    pub fn to_values(&self) -> BTreeMap<String, Value> {
        if !self.object.alive() {
            return BTreeMap::new();
        }
        let values = self.object.payload.values().clone();
        values.iter().map(|(key, value)| (key.clone(), value.to_value())).collect()
    }

    /// Sets a value whose reference becomes the dictionary's.
    #[track_caller]
    fn adopt(&self, key: &str, value: OsValue) {
        let old = self.object.payload.values().insert(key.to_owned(), value);
        // Released after the lock: a container may be freed with it.
        if let Some(old) = old {
            old.release();
        }
    }
}

/// Values in order. It retains what is added and releases what is taken out; what it gives has no
/// reference of the caller's.
#[derive(Clone, Debug)]
#[doc(alias = "OSArray")]
pub struct OsArray {
    object: Arc<Object<ArrayPayload>>,
}

#[derive(Default)]
pub(crate) struct ArrayPayload(Mutex<Vec<OsValue>>);

impl ArrayPayload {
    fn values(&self) -> MutexGuard<'_, Vec<OsValue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Payload for ArrayPayload {
    const CLASS: &'static str = "OSArray";

    fn freed(&self) {
        let values = std::mem::take(&mut *self.values());
        values.iter().for_each(OsValue::release);
    }

    fn killed(&self) {
        self.values().clear();
    }
}

handle!(OsArray, ArrayPayload);

impl OsArray {
    /// An empty array, with one reference. It grows beyond its capacity.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    #[doc(alias = "withCapacity")]
    pub fn with_capacity(capacity: u32) -> Self {
        let _ = capacity;
        Self { object: Object::create(ArrayPayload::default()) }
    }

    /// Adds a value at the end and retains it. False where the array is gone.
    #[track_caller]
    #[doc(alias = "setObject")]
    pub fn push(&self, value: impl Into<OsValue>) -> bool {
        let value = value.into();
        if !self.object.alive() {
            return false;
        }
        value.retain();
        self.adopt(value);
        true
    }

    /// The value of that index, without a reference of the caller's.
    #[must_use]
    #[track_caller]
    #[doc(alias = "getObject")]
    pub fn value(&self, index: usize) -> Option<OsValue> {
        if self.object.alive() { self.object.payload.values().get(index).cloned() } else { None }
    }

    /// Takes the value of that index out and releases it.
    #[track_caller]
    #[doc(alias = "removeObject")]
    pub fn remove_value(&self, index: usize) {
        if !self.object.alive() {
            return;
        }
        let old = {
            let mut values = self.object.payload.values();
            (index < values.len()).then(|| values.remove(index))
        };
        if let Some(old) = old {
            old.release();
        }
    }

    /// Number of values; 0 once it is gone.
    #[must_use]
    #[track_caller]
    #[doc(alias = "getCount")]
    pub fn count(&self) -> usize {
        if self.object.alive() { self.object.payload.values().len() } else { 0 }
    }

    fn values(&self) -> Vec<OsValue> {
        self.object.payload.values().clone()
    }

    /// Adds a value whose reference becomes the array's.
    fn adopt(&self, value: OsValue) {
        self.object.payload.values().push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driverkit::testing::{in_process, lints};

    fn sample() -> Value {
        let inner = [("Speed".to_owned(), Value::Number(u64::MAX))];
        Value::Dictionary(BTreeMap::from([
            ("Ports".to_owned(), Value::Array(vec![Value::Number(1), "two".into()])),
            ("Enabled".to_owned(), Value::Boolean(true)),
            ("Serial".to_owned(), Value::Data(vec![1, 2, 3])),
            ("Link".to_owned(), Value::Dictionary(BTreeMap::from(inner))),
        ]))
    }

    #[test]
    fn values_of_the_registry_go_through_objects_and_leave_none() {
        in_process(|process| {
            let objects = OsValue::of(&sample());
            assert_eq!(objects.to_value(), sample());
            // A dictionary and all that it contains: two containers, numbers, text and data.
            let classes: Vec<_> = process.leaks().leaks().iter().map(|leak| leak.class).collect();
            let count = |class| classes.iter().filter(|it| **it == class).count();
            assert_eq!(["OSDictionary", "OSArray", "OSNumber"].map(count), [2, 1, 2]);
            assert_eq!(["OSString", "OSData", "OSBoolean"].map(count), [1, 1, 0]);
            objects.release();
            assert!(process.leaks().is_empty(), "{}", process.leaks());
            assert!(lints(process).is_empty());
        });
    }

    #[test]
    fn a_container_retains_what_is_set_and_releases_what_is_taken_out() {
        in_process(|process| {
            let (dictionary, array) = (OsDictionary::with_capacity(1), OsArray::with_capacity(1));
            let text = OsString::with_text("text");
            assert!(dictionary.set_value("a", &text) && dictionary.set_value("b", &text));
            assert!(array.push(&text));
            assert_eq!(text.retain_count(), 4);
            assert!(dictionary.set_u64("a", 7));
            assert_eq!((text.retain_count(), dictionary.u64("a")), (3, Some(7)));
            dictionary.remove_value("b");
            array.remove_value(0);
            array.remove_value(0);
            assert_eq!((text.retain_count(), dictionary.count(), array.count()), (1, 1, 0));
            // What it gives is not the caller's, and lives on only where that retains it.
            assert!(array.push(OsNumber::with_number(0x1ff, 8).unwrap()));
            let Some(OsValue::Number(number)) = array.value(0) else { panic!("a number") };
            assert_eq!((number.value(), number.bits(), number.retain_count()), (0xff, 8, 2));
            number.release();
            array.release();
            assert_eq!((number.retain_count(), array.count()), (0, 0));
            assert_eq!(lints(process), ["use-after-release"], "of the array");
            text.release();
            dictionary.release();
            assert!(process.leaks().is_empty());
            assert!(OsNumber::with_number(1, 65).is_none());
        });
    }

    #[test]
    fn the_end_of_a_process_is_no_release_too_many() {
        in_process(|process| {
            let dictionary = OsDictionary::of(&BTreeMap::from([("a".to_owned(), sample())]));
            process.kill();
            dictionary.release();
            assert!(lints(process).is_empty());
        });
    }
}
