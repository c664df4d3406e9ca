//! `OSString`, `OSNumber`, `OSBoolean`: plain values as objects.

use super::object::{Object, Payload, handle};
use std::sync::Arc;

/// A text, immutable.
#[derive(Clone, Debug)]
#[doc(alias = "OSString")]
pub struct OsString {
    object: Arc<Object<StringPayload>>,
}

pub(crate) struct StringPayload(Arc<str>);

impl Payload for StringPayload {
    const CLASS: &'static str = "OSString";
}

handle!(OsString, StringPayload);

impl OsString {
    /// A copy of a text, with one reference.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    #[doc(alias = "withCString")]
    pub fn with_text(text: &str) -> Self {
        Self { object: Object::create(StringPayload(text.into())) }
    }

    /// The text; empty once it is gone.
    #[must_use]
    #[track_caller]
    #[doc(alias = "getCStringNoCopy")]
    pub fn text(&self) -> Arc<str> {
        if self.object.alive() { Arc::clone(&self.object.payload.0) } else { "".into() }
    }
}

/// A number of up to 64 bits, immutable.
#[derive(Clone, Debug)]
#[doc(alias = "OSNumber")]
pub struct OsNumber {
    object: Arc<Object<NumberPayload>>,
}

pub(crate) struct NumberPayload {
    value: u64,
    bits: u32,
}

impl Payload for NumberPayload {
    const CLASS: &'static str = "OSNumber";
}

handle!(OsNumber, NumberPayload);

impl OsNumber {
    /// A number of so many bits, with one reference; the bits above are cut off. `None` for more
    /// than 64 bits.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    #[doc(alias = "withNumber")]
    pub fn with_number(value: u64, bits: u32) -> Option<Self> {
        let value = match bits {
            0..64 => value & ((1 << bits) - 1),
            64 => value,
            _ => return None,
        };
        Some(Self { object: Object::create(NumberPayload { value, bits }) })
    }

    /// A number of 64 bits.
    #[track_caller]
    pub(super) fn with_word(value: u64) -> Self {
        Self { object: Object::create(NumberPayload { value, bits: 64 }) }
    }

    /// The number; 0 once it is gone.
    #[must_use]
    #[track_caller]
    #[doc(alias = "unsigned64BitValue")]
    pub fn value(&self) -> u64 {
        if self.object.alive() { self.object.payload.value } else { 0 }
    }

    /// How many bits it has.
    #[must_use]
    #[doc(alias = "numberOfBits")]
    pub fn bits(&self) -> u32 {
        self.object.payload.bits
    }
}

/// A truth value: one of two objects that are always there, so that retain and release mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "OSBoolean")]
pub struct OsBoolean(bool);

impl OsBoolean {
    /// `kOSBooleanTrue`.
    pub const TRUE: Self = Self(true);
    /// `kOSBooleanFalse`.
    pub const FALSE: Self = Self(false);

    /// The one for a value.
    #[must_use]
    #[doc(alias = "withBoolean")]
    pub const fn with_bool(value: bool) -> Self {
        Self(value)
    }

    /// Its value.
    #[must_use]
    #[doc(alias = "getValue")]
    pub const fn value(self) -> bool {
        self.0
    }
}
