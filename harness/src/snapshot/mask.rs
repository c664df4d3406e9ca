//! What is not the same each time, by the rules of the tape's header.

use crate::call::Scalars;
use crate::tape::{Body, Comparison, Field, FieldRule, Payload, Structure, Tape};
use std::collections::BTreeMap;

/// The same tape, where what rules mask is 0, and the values of symbols are numbered as they come.
pub(super) fn masked(tape: &Tape) -> Tape {
    let mut copy = Tape::new(tape.header().clone(), tape.events().to_vec());
    if tape.header().rules.is_empty() {
        return copy;
    }
    let opened = tape.opened();
    let mut numbers = Numbers::default();
    let mut selectors: BTreeMap<u64, u32> = BTreeMap::new();
    for event in copy.events_mut() {
        let selector = match &event.body {
            Body::Call(call) | Body::AsyncCall { call, .. } => Some(call.selector),
            _ => event.cause.and_then(|cause| selectors.get(&cause).copied()),
        };
        let Some(selector) = selector else { continue };
        selectors.insert(event.sequence, selector);
        let on = event.connection.and_then(|connection| opened.get(&connection));
        let rules = tape.header().rules.iter().filter(|rule| {
            rule.selector.is_none_or(|own| own == selector)
                && rule.on.as_ref().is_none_or(|own| Some(own) == on)
        });
        for rule in rules {
            apply(tape, &mut event.body, rule, &mut numbers);
        }
    }
    copy
}

/// The values of symbols in the order of their first use, by name.
#[derive(Default)]
struct Numbers {
    known: BTreeMap<(String, u64), u64>,
    counts: BTreeMap<String, u64>,
}

impl Numbers {
    fn of(&mut self, comparison: &Comparison, value: u64) -> u64 {
        match comparison {
            Comparison::Symbol(name) if value != 0 => {
                let counts = &mut self.counts;
                *self.known.entry((name.clone(), value)).or_insert_with(|| {
                    let count = counts.entry(name.clone()).or_default();
                    *count += 1;
                    *count
                })
            }
            _ => 0,
        }
    }
}

fn apply(tape: &Tape, body: &mut Body, rule: &FieldRule, numbers: &mut Numbers) {
    let comparison = &rule.comparison;
    let mut scalar = |scalars: &mut Scalars, index: usize| {
        let mut words = scalars.to_vec();
        if let Some(word) = words.get_mut(index) {
            *word = numbers.of(comparison, *word);
            *scalars = Scalars::clamped(&words);
        }
    };
    match (body, rule.field) {
        (Body::Call(call) | Body::AsyncCall { call, .. }, Field::ScalarInput(index)) => {
            scalar(&mut call.scalars, index);
        }
        (Body::Return(returned), Field::ScalarOutput(index)) => {
            scalar(&mut returned.scalars, index);
        }
        (
            Body::Call(call) | Body::AsyncCall { call, .. },
            Field::StructureInput(offset, length),
        ) => {
            if let Structure::Bytes(data) | Structure::Shared { data, .. } = &mut call.input {
                range(tape, data, (offset, length), comparison, numbers);
            }
        }
        (Body::Return(returned), Field::StructureOutput(offset, length)) => {
            if let Some(data) = &mut returned.structure {
                range(tape, data, (offset, length), comparison, numbers);
            }
        }
        _ => {}
    }
}

fn range(
    tape: &Tape,
    payload: &mut Payload,
    (offset, length): (u64, u64),
    comparison: &Comparison,
    numbers: &mut Numbers,
) {
    // What the tape holds a hash of only stays that.
    let Ok(Some(bytes)) = tape.bytes(payload) else { return };
    let mut bytes = bytes.into_owned();
    let end = offset.saturating_add(length).min(bytes.len() as u64) as usize;
    let Some(field) = usize::try_from(offset).ok().and_then(|from| bytes.get_mut(from..end)) else {
        return;
    };
    let mut value = [0; 8];
    let kept = field.len().min(8);
    value[..kept].copy_from_slice(&field[..kept]);
    let value = numbers.of(comparison, u64::from_le_bytes(value)).to_le_bytes();
    field.fill(0);
    field[..kept].copy_from_slice(&value[..kept]);
    *payload = Payload::bytes(&bytes);
}
