//! Two items of a pair, field by field.

use super::field_change::FieldChange;
use super::item::{Item, Side};
use super::rules::{On, Range, Rules};
use crate::view::{
    FieldName, FieldValue, NamedField, Names, Part, for_each_field, printable, shown,
};
use dextape::tape::{Comparison, Payload, TapeError};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

/// Bytes that make a unit of what is shown.
const WORD: usize = 4;

/// Bytes of a range that are shown.
const RANGE_SHOWN: usize = 16;

/// Ranges of one payload that are told apart; the rest is told as one.
const RANGES_MAX: usize = 16;

/// Which number or symbol of one tape stands for which of the other.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    there: HashMap<(Bound, u64), u64>,
    back: HashMap<(Bound, u64), u64>,
    symbols: HashMap<String, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Bound {
    Connection,
    Memory,
    Queue,
    Service,
    Symbol(u32),
}

impl Bindings {
    /// True where the two stand for each other; the first time that both are met binds them.
    fn agree(&mut self, what: Bound, one: u64, other: u64) -> bool {
        match (self.there.get(&(what, one)), self.back.get(&(what, other))) {
            (None, None) => {
                self.there.insert((what, one), other);
                self.back.insert((what, other), one);
                true
            }
            (there, back) => there == Some(&other) && back == Some(&one),
        }
    }

    fn symbol(&mut self, name: &str) -> Bound {
        let next = self.symbols.len() as u32;
        Bound::Symbol(*self.symbols.entry(name.to_owned()).or_insert(next))
    }
}

/// Everything that a comparison needs.
pub(super) struct Comparing<'a> {
    pub(super) a: &'a Side<'a>,
    pub(super) b: &'a Side<'a>,
    pub(super) rules: &'a Rules,
    pub(super) names: &'a dyn Names,
    pub(super) bindings: Bindings,
}

type Fields<'a> = Vec<(FieldName, FieldValue<'a>)>;

impl<'a> Comparing<'a> {
    /// What differs between the two items of a pair. To be asked in the order of the pairs, because
    /// handles are bound where they first meet.
    pub(super) fn items(
        &mut self,
        one: &Item,
        other: &Item,
    ) -> Result<Vec<FieldChange>, TapeError> {
        let mut changes = Vec::new();
        let (here, there) = (self.a.event(one.enter), self.b.event(other.enter));
        self.connections(here.connection, there.connection, &mut changes);
        if let (Some(ours), Some(theirs)) = (one.leave, other.leave) {
            let (here, there) = (self.a.event(ours), self.b.event(theirs));
            if one.enter != ours && self.a.event(one.enter).connection.is_none() {
                self.connections(here.connection, there.connection, &mut changes);
            }
        }
        let (ours, theirs) = (fields(self.a, one), fields(self.b, other));
        let same = one.exact == other.exact;
        let on = self.a.on(here);
        let mut used = vec![false; theirs.len()];
        for (index, (name, value)) in ours.iter().enumerate() {
            // Most often the fields of both are the same ones.
            let is_it = |at: usize| !used[at] && theirs[at].0 == *name;
            let at = Some(index)
                .filter(|at| *at < theirs.len() && is_it(*at))
                .or_else(|| (0..theirs.len()).find(|at| is_it(*at)));
            match at {
                Some(at) => {
                    used[at] = true;
                    self.field(*name, (value, &theirs[at].1), on, same, &mut changes)?;
                }
                None => changes.push(self.one_sided(*name, Some(value), None)),
            }
        }
        for (at, (name, value)) in theirs.iter().enumerate().filter(|(at, _)| !used[*at]) {
            debug_assert!(!used[at]);
            changes.push(self.one_sided(*name, None, Some(value)));
        }
        Ok(changes)
    }

    fn connections(
        &mut self,
        one: Option<u32>,
        other: Option<u32>,
        changes: &mut Vec<FieldChange>,
    ) {
        let agree = match (one, other) {
            (Some(one), Some(other)) => {
                self.bindings.agree(Bound::Connection, u64::from(one), u64::from(other))
            }
            (one, other) => one == other,
        };
        if !agree {
            let told = |number: Option<u32>| number.map(|number| format!("c{number}"));
            changes.push(FieldChange::new("connection", told(one), told(other)));
        }
    }

    fn one_sided(
        &self,
        name: FieldName,
        a: Option<&FieldValue<'_>>,
        b: Option<&FieldValue<'_>>,
    ) -> FieldChange {
        let told = |value: Option<&FieldValue<'_>>| value.map(|value| shown(value, self.names));
        let word = a.or(b).map_or_else(String::new, |value| name.shown(value, self.names));
        FieldChange::new(word, told(a), told(b))
    }

    /// Compares one field; where the items say the same but for handles, only those.
    fn field(
        &mut self,
        name: FieldName,
        (a, b): (&FieldValue<'_>, &FieldValue<'_>),
        on: On,
        same: bool,
        changes: &mut Vec<FieldChange>,
    ) -> Result<(), TapeError> {
        let bound = |one: u32, other: u32| (u64::from(one), u64::from(other));
        let agree = match (a, b) {
            (FieldValue::Connection(one), FieldValue::Connection(other)) => {
                let (one, other) = bound(*one, *other);
                self.bindings.agree(Bound::Connection, one, other)
            }
            (FieldValue::Memory(one), FieldValue::Memory(other)) => {
                let (one, other) = bound(*one, *other);
                self.bindings.agree(Bound::Memory, one, other)
            }
            (FieldValue::Queue(one), FieldValue::Queue(other)) => {
                let (one, other) = bound(*one, *other);
                self.bindings.agree(Bound::Queue, one, other)
            }
            (FieldValue::Service(one), FieldValue::Service(other)) => {
                let (one, other) = bound(*one, *other);
                self.bindings.agree(Bound::Service, one, other)
            }
            (FieldValue::Services(ours), FieldValue::Services(theirs)) => {
                ours.len() == theirs.len()
                    && ours.iter().zip(*theirs).all(|(one, other)| {
                        let (one, other) = bound(*one, *other);
                        self.bindings.agree(Bound::Service, one, other)
                    })
            }
            (
                FieldValue::Scalar { part, index, value: one },
                FieldValue::Scalar { value: other, .. },
            ) => match self.rules.scalar(name, *part, *index, on) {
                Some(Comparison::Masked) => true,
                Some(Comparison::Symbol(symbol)) => {
                    let symbol = self.bindings.symbol(symbol);
                    self.bindings.agree(symbol, *one, *other)
                }
                None => one == other,
            },
            _ if same => true,
            (
                FieldValue::Bytes { payload: ours, part, offset },
                FieldValue::Bytes { payload: theirs, .. },
            ) => {
                let masked = self.rules.ranges(name, *part, on).to_vec();
                return self.bytes(name, (ours, theirs), (*part, *offset), masked, changes);
            }
            (one, other) => shown(one, self.names) == shown(other, self.names),
        };
        if !agree {
            let mut change = self.one_sided(name, Some(a), Some(b));
            if change.a == change.b
                && let Some(told) = &mut change.b
            {
                // A handle of the same number that stood for another before.
                told.push_str(", another one");
            }
            changes.push(change);
        }
        Ok(())
    }

    fn bytes(
        &self,
        name: FieldName,
        (ours, theirs): (&Payload, &Payload),
        (part, base): (Option<Part>, u64),
        mut masked: Vec<Range>,
        changes: &mut Vec<FieldChange>,
    ) -> Result<(), TapeError> {
        if ours == theirs {
            return Ok(());
        }
        let whole = |payload| Some(dextape::tape::render_payload(payload));
        let (Some(one), Some(other)) = (self.a.tape.bytes(ours)?, self.b.tape.bytes(theirs)?)
        else {
            changes.push(FieldChange::new(name.word, whole(ours), whole(theirs)));
            return Ok(());
        };
        if one.len() != other.len() {
            let length = |bytes: &[u8]| Some(bytes.len().to_string());
            let word = format!("{} length", name.word);
            changes.push(FieldChange::new(word, length(&one), length(&other)));
        }
        if let Some(part) = part {
            let of = |bytes: &Cow<'_, [u8]>| self.names.structure(part, base, bytes);
            // Bytes of a field that is told are told; those of one that reads the same are not.
            masked.extend(named_changes(name, &of(&one), &of(&other), base, &masked, changes));
        }
        let ranges = differing(&one, &other, &masked);
        let rest = ranges.len().saturating_sub(RANGES_MAX);
        for (start, end) in ranges.into_iter().take(RANGES_MAX) {
            let told = |bytes: &[u8]| hex(&bytes[start.min(bytes.len())..end.min(bytes.len())]);
            changes.push(FieldChange {
                offset: Some(base + start as u64),
                ..FieldChange::new(name.word, told(&one), told(&other))
            });
        }
        if rest > 0 {
            let word = format!("{}, {rest} more ranges", name.word);
            changes.push(FieldChange::new(word, whole(ours), whole(theirs)));
        }
        Ok(())
    }
}

fn fields<'a>(side: &Side<'a>, item: &Item) -> Fields<'a> {
    let mut fields = Vec::new();
    for place in [Some(item.enter), item.leave].into_iter().flatten() {
        for_each_field(side.event(place), place as usize, &side.links, &mut |name, value| {
            fields.push((name, value));
        });
    }
    fields
}

/// The ranges in which the common part differs, in whole words, and what one has beyond the other.
fn differing(one: &[u8], other: &[u8], masked: &[Range]) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let masked = |at: usize| {
        let at = at as u64;
        masked.iter().any(|(offset, length)| at >= *offset && at - offset < *length)
    };
    let longest = one.len().max(other.len());
    for start in (0..longest).step_by(WORD) {
        let end = (start + WORD).min(longest);
        // Slices compare fast; single bytes only where they differ.
        if one.get(start..end).is_some_and(|word| other.get(start..end) == Some(word))
            || (start..end).all(|at| one.get(at) == other.get(at) || masked(at))
        {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => ranges.push((start, end)),
        }
    }
    ranges
}

/// Tells the fields of a protocol that differ, and gives their ranges within the bytes.
fn named_changes(
    name: FieldName,
    ours: &[NamedField],
    theirs: &[NamedField],
    base: u64,
    masked: &[Range],
    changes: &mut Vec<FieldChange>,
) -> Vec<Range> {
    let is_masked = |it: &NamedField| {
        let start = it.offset.saturating_sub(base);
        let within = |(offset, length): &Range| {
            start >= *offset && start.saturating_add(it.length) <= offset.saturating_add(*length)
        };
        masked.iter().any(within)
    };
    let mut told = Vec::new();
    for field in ours.iter().filter(|field| !is_masked(field)) {
        let other = theirs.iter().find(|other| other.name == field.name);
        if other.is_none_or(|other| other.value != field.value) {
            let word = format!("{} {}", name.word, printable(&field.name));
            let value = |field: &NamedField| printable(&field.value);
            changes.push(FieldChange {
                offset: Some(field.offset),
                named: true,
                ..FieldChange::new(word, Some(value(field)), other.map(value))
            });
            told.push((field.offset.saturating_sub(base), field.length));
        }
    }
    told
}

/// Bytes in hex, cut short; `None` where there are none.
fn hex(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    for byte in bytes.iter().take(RANGE_SHOWN) {
        // Writing to a text cannot fail.
        let _ = write!(text, "{}{byte:02x}", if text.is_empty() { "" } else { " " });
    }
    if bytes.len() > RANGE_SHOWN {
        let _ = write!(text, " .. ({} bytes)", bytes.len());
    }
    (!bytes.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_differ_in_whole_words_and_masked_ones_do_not() {
        let (one, other) = ([0; 20], [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(differing(&one, &other, &[]), [(4, 12), (16, 20)]);
        assert_eq!(differing(&one, &other, &[(4, 1), (16, 4)]), [(8, 12)]);
        assert_eq!(differing(&one[..3], &one[..6], &[]), [(0, 6)]);
    }

    #[test]
    fn numbers_stand_for_each_other_once_they_have_met() {
        let mut bindings = Bindings::default();
        assert!(bindings.agree(Bound::Memory, 1, 2));
        assert!(bindings.agree(Bound::Memory, 1, 2));
        assert!(!bindings.agree(Bound::Memory, 1, 1));
        assert!(!bindings.agree(Bound::Memory, 3, 2));
        assert!(bindings.agree(Bound::Queue, 3, 2));
    }
}
