//! Redaction: what must not reach the disk is taken out before the journal is written.

use crate::journal::Data;
use dextape::call::Scalars;
use dextape::connection::{Matching, Value};
use dextape::limits::SCALARS_MAX;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where bytes belong that are about to be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldPlace<'a> {
    /// The scalars handed in to a call: 8 little-endian bytes each.
    ScalarInput {
        /// The call's selector.
        selector: u32,
    },
    /// The structure handed in to a call.
    StructureInput {
        /// The call's selector.
        selector: u32,
    },
    /// The scalars that a call returned: 8 little-endian bytes each.
    ScalarOutput {
        /// The call's selector.
        selector: u32,
    },
    /// The structure that a call returned.
    StructureOutput {
        /// The call's selector.
        selector: u32,
    },
    /// The arguments of a completion: 8 little-endian bytes each.
    CompletionArguments {
        /// Selector of the call that completed, where it is known.
        selector: Option<u32>,
    },
    /// What a client pointer of a call led to.
    Pointed {
        /// The call's selector.
        selector: u32,
    },
    /// Bytes of shared memory that the client wrote, or that it saw changed. A range that changed in
    /// part only is seen in part: go by the offset.
    Memory {
        /// The mapping's memory type; `None` for a shared buffer of a call.
        memory_type: Option<u32>,
        /// Where in the memory the bytes begin.
        offset: u64,
    },
    /// The arguments of a trap: 8 little-endian bytes each.
    Trap {
        /// Number of the trap.
        index: u32,
    },
    /// What the client says of the recording, in its own words.
    Remark,
    /// One value of the registry, or of what services are matched by: the bytes of a string or of data, or the 8 little-endian bytes of
    /// a number. Elements of arrays and dictionaries come one by one under the property's own key.
    Property {
        /// The property's key.
        key: &'a str,
    },
}

/// What a redactor has done to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redaction {
    /// They are to be recorded as they now stand in the slice.
    Keep,
    /// They must not be recorded at all: the tape says how many there were. Where a tape has no way
    /// to leave them out (scalars, registry values, words of atomic updates), zeros are recorded, or
    /// asterisks for a string.
    Remove,
}

/// Decides which bytes reach the disk. It works on copies: what the client gets and gives is never
/// changed.
///
/// A replay of a redacted tape compares what the client hands in with what the tape holds, so
/// inputs that are replaced want a mask in the header's rules.
///
/// # Examples
///
/// ```
/// use dextape_recorder::recording::{FieldPlace, Redaction, Redactor};
///
/// /// Takes the serial number out of the registry.
/// #[derive(Debug)]
/// struct SerialNumbers;
///
/// impl Redactor for SerialNumbers {
///     fn name(&self) -> &str {
///         "serial numbers"
///     }
///
///     fn redact(&self, place: &FieldPlace<'_>, bytes: &mut [u8]) -> Redaction {
///         if *place == (FieldPlace::Property { key: "IOPlatformSerialNumber" }) {
///             bytes.fill(b'X');
///         }
///         Redaction::Keep
///     }
/// }
/// ```
pub trait Redactor: Send + Sync + fmt::Debug {
    /// What the tape's header calls it.
    fn name(&self) -> &str;

    /// Looks at bytes that are about to be recorded and may replace them, or have them left out. Called
    /// from the client's threads, also while a memory is locked: it must not wait, and not use
    /// the recorded system.
    fn redact(&self, place: &FieldPlace<'_>, bytes: &mut [u8]) -> Redaction;

    /// The same for what belongs to a call, whose structure handed in is `input`, as far as it is known: of
    /// a completion, [`input_kept`](Self::input_kept) bytes of it.
    fn redact_of_call(&self, place: &FieldPlace<'_>, input: &[u8], bytes: &mut [u8]) -> Redaction {
        let _ = input;
        self.redact(place, bytes)
    }

    /// How many bytes of the structure handed in are kept of each asynchronous call for its completions.
    fn input_kept(&self) -> usize {
        0
    }

    /// What is to be said of it when the recording ends, for the tape's header beside the name.
    fn summary(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Bytes on their way to the journal.
#[derive(Debug)]
pub(crate) enum Passed<'a> {
    /// The client's own: nobody looked at them.
    Borrowed(&'a [u8]),
    /// What the redactor left.
    Owned(Vec<u8>),
    /// Nothing but their number.
    Removed(u64),
}

impl Passed<'_> {
    pub(crate) fn data(&self) -> Data<'_> {
        match self {
            Self::Borrowed(bytes) => Data::Bytes(bytes),
            Self::Owned(bytes) => Data::Bytes(bytes),
            Self::Removed(length) => Data::Redacted { length: *length },
        }
    }
}

/// Scalars on their way to the journal.
#[derive(Debug)]
pub(crate) enum PassedScalars<'a> {
    Borrowed(&'a [u64]),
    Owned(Scalars),
}

impl PassedScalars<'_> {
    pub(crate) fn as_slice(&self) -> &[u64] {
        match self {
            Self::Borrowed(scalars) => scalars,
            Self::Owned(scalars) => scalars,
        }
    }
}

/// The hook in front of the journal. Without a redactor it is one comparison.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hook(pub(crate) Option<Arc<dyn Redactor>>);

impl Hook {
    pub(crate) fn bytes<'a>(&self, place: &FieldPlace<'_>, bytes: &'a [u8]) -> Passed<'a> {
        self.bytes_of_call(place, &[], bytes)
    }

    /// Bytes that belong to a call with this structure handed in.
    pub(crate) fn bytes_of_call<'a>(
        &self,
        place: &FieldPlace<'_>,
        input: &[u8],
        bytes: &'a [u8],
    ) -> Passed<'a> {
        let Some(redactor) = &self.0 else { return Passed::Borrowed(bytes) };
        let mut copy = bytes.to_vec();
        match redactor.redact_of_call(place, input, &mut copy) {
            Redaction::Keep => Passed::Owned(copy),
            Redaction::Remove => Passed::Removed(bytes.len() as u64),
        }
    }

    /// The first 16 scalars, of a call with this structure handed in; those behind never reach the journal.
    pub(crate) fn scalars<'a>(
        &self,
        place: &FieldPlace<'_>,
        input: &[u8],
        scalars: &'a [u64],
    ) -> PassedScalars<'a> {
        let scalars = &scalars[..scalars.len().min(SCALARS_MAX)];
        let Some(redactor) = &self.0 else { return PassedScalars::Borrowed(scalars) };
        let mut bytes = [0; SCALARS_MAX * 8];
        let bytes = &mut bytes[..scalars.len() * 8];
        for (eight, scalar) in bytes.chunks_exact_mut(8).zip(scalars) {
            eight.copy_from_slice(&scalar.to_le_bytes());
        }
        if redactor.redact_of_call(place, input, bytes) == Redaction::Remove {
            bytes.fill(0);
        }
        let mut copy = [0; SCALARS_MAX];
        for (scalar, eight) in copy.iter_mut().zip(bytes.chunks_exact(8)) {
            *scalar = from_le(eight);
        }
        PassedScalars::Owned(Scalars::clamped(&copy[..scalars.len()]))
    }

    /// One word, of which the low `width` bytes count.
    pub(crate) fn word(&self, place: &FieldPlace<'_>, word: u64, width: usize) -> u64 {
        let Some(redactor) = &self.0 else { return word };
        let mut bytes = word.to_le_bytes();
        if redactor.redact(place, &mut bytes[..width]) == Redaction::Remove {
            bytes = [0; 8];
        }
        u64::from_le_bytes(bytes)
    }

    /// What the client says of the recording.
    pub(crate) fn remark<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(&FieldPlace::Remark, text.as_bytes()) {
            Passed::Borrowed(_) => Cow::Borrowed(text),
            Passed::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
            Passed::Removed(_) => Cow::Borrowed(""),
        }
    }

    /// What services are matched by; `None` where it may be recorded as it is.
    pub(crate) fn matching(&self, matching: &Matching) -> Option<Matching> {
        let redactor = self.0.as_deref()?;
        let conditions = matching.conditions();
        Some(
            conditions
                .map(|(key, value)| (key.to_owned(), redacted(redactor, key, value)))
                .collect(),
        )
    }

    /// The beginning of a call's input that its completions are judged by.
    pub(crate) fn kept(&self, input: &[u8]) -> Option<Arc<[u8]>> {
        let most = self.0.as_ref()?.input_kept();
        (most > 0).then(|| Arc::from(&input[..input.len().min(most)]))
    }

    /// A registry value; `None` where it may be recorded as it is.
    pub(crate) fn value(&self, key: &str, value: &Value) -> Option<Value> {
        let redactor = self.0.as_deref()?;
        Some(redacted(redactor, key, value))
    }

    /// Values of a registry entry by key; `None` where they may be recorded as they are.
    pub(crate) fn values(
        &self,
        values: &BTreeMap<String, Value>,
    ) -> Option<BTreeMap<String, Value>> {
        let redactor = self.0.as_deref()?;
        let each = values.iter().map(|(key, value)| (key.clone(), redacted(redactor, key, value)));
        Some(each.collect())
    }
}

fn redacted(redactor: &dyn Redactor, key: &str, value: &Value) -> Value {
    let place = FieldPlace::Property { key };
    match value {
        Value::Number(number) => {
            let mut bytes = number.to_le_bytes();
            if redactor.redact(&place, &mut bytes) == Redaction::Remove {
                bytes = [0; 8];
            }
            Value::Number(u64::from_le_bytes(bytes))
        }
        Value::String(text) => {
            let mut bytes = text.clone().into_bytes();
            if redactor.redact(&place, &mut bytes) == Redaction::Remove {
                bytes.fill(b'*');
            }
            // A redactor that cuts a character in two has hidden it well enough.
            Value::String(String::from_utf8_lossy(&bytes).into_owned())
        }
        Value::Data(data) => {
            let mut bytes = data.clone();
            if redactor.redact(&place, &mut bytes) == Redaction::Remove {
                bytes.fill(0);
            }
            Value::Data(bytes)
        }
        Value::Array(values) => {
            Value::Array(values.iter().map(|value| redacted(redactor, key, value)).collect())
        }
        Value::Dictionary(values) => Value::Dictionary(
            values
                .iter()
                .map(|(inner, value)| (inner.clone(), redacted(redactor, key, value)))
                .collect(),
        ),
        // A boolean holds no secret that its key does not tell; kinds to come are seen here first.
        other => other.clone(),
    }
}

fn from_le(eight: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(eight);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removes what holds a 7, replaces 1 by 2.
    #[derive(Debug)]
    struct Sevens;

    impl Redactor for Sevens {
        fn name(&self) -> &str {
            "sevens"
        }

        fn redact(&self, _place: &FieldPlace<'_>, bytes: &mut [u8]) -> Redaction {
            bytes.iter_mut().filter(|byte| **byte == 1).for_each(|byte| *byte = 2);
            if bytes.contains(&7) || bytes.contains(&b'7') {
                Redaction::Remove
            } else {
                Redaction::Keep
            }
        }
    }

    fn hook() -> Hook {
        Hook(Some(Arc::new(Sevens)))
    }

    const PLACE: FieldPlace<'_> = FieldPlace::ScalarInput { selector: 0 };

    #[test]
    fn without_a_redactor_nothing_is_copied() {
        let hook = Hook::default();
        assert!(matches!(hook.bytes(&PLACE, &[7]), Passed::Borrowed([7])));
        assert!(matches!(hook.scalars(&PLACE, &[], &[7]), PassedScalars::Borrowed([7])));
        assert_eq!(hook.value("key", &Value::Number(7)), None);
    }

    #[test]
    fn bytes_and_scalars_are_replaced_or_removed() {
        assert_eq!(hook().bytes(&PLACE, &[1, 3]).data(), Data::Bytes(&[2, 3]));
        assert_eq!(hook().bytes(&PLACE, &[1, 7]).data(), Data::Redacted { length: 2 });
        assert_eq!(hook().scalars(&PLACE, &[], &[1, 3]).as_slice(), [2, 3]);
        assert_eq!(hook().scalars(&PLACE, &[], &[1, 7]).as_slice(), [0, 0]);
        assert_eq!(hook().scalars(&PLACE, &[], &[3; 20]).as_slice(), [3; 16]);
        assert_eq!(hook().word(&PLACE, 0x0301, 2), 0x0302);
        assert_eq!(hook().word(&PLACE, 0x07, 1), 0);
    }

    #[test]
    fn registry_values_are_seen_leaf_by_leaf() {
        let value = Value::Array(vec![
            Value::from("seven is 7"),
            Value::Data(vec![1, 3]),
            Value::Number(0x700),
            Value::Dictionary([("7".to_owned(), Value::from(true))].into()),
        ]);
        let expected = Value::Array(vec![
            Value::from("**********"),
            Value::Data(vec![2, 3]),
            Value::Number(0),
            Value::Dictionary([("7".to_owned(), Value::from(true))].into()),
        ]);
        assert_eq!(hook().value("key", &value), Some(expected));
    }
}
