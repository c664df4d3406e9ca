//! What a recording gives away, as far as several of them show it.

use super::fields::{FieldClass, LearnedField};
use super::operations::{Names, Operation};
use dextape::tape::{Comparison, Field, FieldRule};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Fewest letters and digits, of both at least one, of what is taken for a serial number.
const SERIAL_MIN: usize = 8;

/// Why something should perhaps not be given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RedactionReason {
    /// It looks random: a key, a nonce, an identifier.
    Random,
    /// It differs for no reason that was found: perhaps a user's data.
    Data,
    /// The driver gives letters and digits, the same in each run: perhaps a serial number.
    Serial,
}

/// A range of a field that should perhaps be taken out of a tape before it is given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// Which field of which calls: a mask of it.
    pub rule: FieldRule,
    /// Why.
    pub reason: RedactionReason,
}

/// The rule as a tape's header has it, and why.
impl fmt::Display for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            RedactionReason::Random => "random",
            RedactionReason::Data => "data",
            RedactionReason::Serial => "serial",
        };
        write!(f, "{} ({reason})", self.rule)
    }
}

/// The proposals that follow from what differs, and from what looks like a serial number.
pub(super) fn propose(fields: &[LearnedField], run: &[Operation], names: &Names) -> Vec<Redaction> {
    let differing = fields.iter().filter_map(|field| {
        let reason = match field.class {
            FieldClass::Random => RedactionReason::Random,
            FieldClass::Data => RedactionReason::Data,
            _ => return None,
        };
        Some(Redaction { rule: field.rule.clone()?, reason })
    });
    let mut all: Vec<Redaction> = Vec::new();
    for redaction in differing {
        if !all.last_mut().is_some_and(|last| joined(last, &redaction)) {
            all.push(redaction);
        }
    }
    let mut serials: BTreeMap<u32, BTreeSet<(usize, usize)>> = BTreeMap::new();
    for call in run.iter().filter_map(|operation| operation.call.as_ref()) {
        serials.entry(call.kind).or_default().extend(texts(&call.output));
    }
    for (kind, ranges) in serials {
        let kind = names.kind(kind);
        all.extend(ranges.into_iter().map(|(offset, length)| Redaction {
            rule: FieldRule {
                selector: Some(kind.selector),
                on: kind.on.clone(),
                field: Field::StructureOutput(offset as u64, length as u64),
                comparison: Comparison::Masked,
            },
            reason: RedactionReason::Serial,
        }));
    }
    all.iter_mut().for_each(|redaction| redaction.rule.comparison = Comparison::Masked);
    all
}

/// Takes a range to the one before it, where it follows at once and is there for the same reason.
fn joined(last: &mut Redaction, next: &Redaction) -> bool {
    let same = (last.rule.selector, &last.rule.on, last.reason)
        == (next.rule.selector, &next.rule.on, next.reason);
    let (end, length) = match (&mut last.rule.field, next.rule.field) {
        (Field::StructureInput(offset, length), Field::StructureInput(from, more))
        | (Field::StructureOutput(offset, length), Field::StructureOutput(from, more))
            if same && *offset + *length == from =>
        {
            (length, more)
        }
        _ => return false,
    };
    *end += length;
    true
}

/// Where letters and digits stand that may be a serial number: offset and length.
fn texts(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let text = &bytes[start..start + length];
        let has = |of: fn(&u8) -> bool| text.iter().any(of);
        if length >= SERIAL_MIN && has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) {
            found.push((start, length));
        }
        start += length.max(1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_digits_together_may_be_a_serial_number() {
        assert_eq!(texts(b"\0C02XK1YZJG5J\0\0ABCDEFGH12345678"), [(1, 12), (15, 16)]);
        assert!(texts(b"IOAccelerator 12345678 C02XK").is_empty());
    }

    #[test]
    fn words_that_follow_each_other_are_one_range() {
        let redaction = |offset, reason| Redaction {
            rule: FieldRule {
                selector: Some(1),
                on: None,
                field: Field::StructureOutput(offset, 4),
                comparison: Comparison::Masked,
            },
            reason,
        };
        let mut first = redaction(8, RedactionReason::Random);
        assert!(joined(&mut first, &redaction(12, RedactionReason::Random)));
        assert!(!joined(&mut first, &redaction(16, RedactionReason::Data)));
        assert!(!joined(&mut first, &redaction(20, RedactionReason::Random)));
        let told = first.to_string();
        let expected =
            r#"{"selector":1,"field":"structure_output","offset":"0x8","length":"0x8"} (random)"#;
        assert_eq!(told, expected);
    }
}
