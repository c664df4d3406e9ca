//! The words of the registry: values, what a client looks for, and what happens to a service.

use std::collections::BTreeMap;

/// A value of the registry as far as clients read it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// `CFBoolean`.
    Boolean(bool),
    /// `CFNumber`, as the 64 bits that `OSNumber` holds.
    Number(u64),
    /// `CFString`.
    String(String),
    /// `CFData`.
    Data(Vec<u8>),
    /// `CFArray`.
    Array(Vec<Value>),
    /// `CFDictionary` with string keys.
    Dictionary(BTreeMap<String, Value>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

/// What a client looks for: every condition must hold. Keys are those of a matching dictionary.
///
/// # Examples
///
/// ```
/// use dextape::registry::Matching;
///
/// let matching = Matching::service("AppleSMC").property("IOUserClass", "SmcDriver");
/// assert_eq!(matching.conditions().count(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    conditions: BTreeMap<String, Value>,
}

impl Matching {
    /// Key of the class condition.
    pub const CLASS: &'static str = "IOProviderClass";
    /// Key of the name condition.
    pub const NAME: &'static str = "IONameMatch";
    /// Key of the dext class.
    pub const USER_CLASS: &'static str = "IOUserClass";
    /// Key of the bundle identifier.
    pub const BUNDLE_ID: &'static str = "CFBundleIdentifier";

    /// Matches by class, as `IOServiceMatching`.
    #[must_use]
    #[doc(alias = "IOServiceMatching")]
    pub fn service(class: &str) -> Self {
        Self::default().property(Self::CLASS, class)
    }

    /// Matches by name, as `IOServiceNameMatching`.
    #[must_use]
    #[doc(alias = "IOServiceNameMatching")]
    pub fn name(name: &str) -> Self {
        Self::default().property(Self::NAME, name)
    }

    /// Matches a dext by its class (`IOUserClass`).
    #[must_use]
    pub fn user_class(class: &str) -> Self {
        Self::default().property(Self::USER_CLASS, class)
    }

    /// Matches a dext by its bundle identifier.
    #[must_use]
    pub fn bundle_id(id: &str) -> Self {
        Self::default().property(Self::BUNDLE_ID, id)
    }

    /// Adds a condition: the property must have this value.
    #[must_use]
    pub fn property(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.conditions.insert(key.to_owned(), value.into());
        self
    }

    /// The conditions, sorted by key.
    pub fn conditions(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.conditions.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl FromIterator<(String, Value)> for Matching {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(conditions: I) -> Self {
        Self { conditions: conditions.into_iter().collect() }
    }
}

/// What happened to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// It was published and matched (`kIOFirstMatchNotification`, `kIOMatchedNotification`).
    Arrived,
    /// It was terminated (`kIOTerminatedNotification`, `kIOMessageServiceIsTerminated`).
    Terminated,
}
