//! The places of a tape that a policy names.

use super::cells::Part;
use super::streams::Cell;
use dextape::redaction::{FieldPlace, PolicyField, RedactionPolicy};
use dextape::tape::{Body, Sequence, Structure, Tape};
use std::collections::BTreeMap;

/// A place of the policy.
pub(super) struct Place {
    pub(super) cell: usize,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) original: Vec<u8>,
}

pub(super) fn places(tape: &Tape, policy: &RedactionPolicy, cells: &[Cell]) -> Vec<Place> {
    let mut memory_types = BTreeMap::new();
    let mut maps = BTreeMap::new();
    let mut inputs: BTreeMap<Sequence, &[u8]> = BTreeMap::new();
    for event in tape.events() {
        match &event.body {
            Body::Map { memory_type, .. } => {
                maps.insert(event.sequence, *memory_type);
            }
            Body::Mapped { outcome: Ok(mapped) } => {
                if let Some(of) = event.cause.and_then(|cause| maps.get(&cause)) {
                    memory_types.insert(mapped.memory, *of);
                }
            }
            Body::Keyframe(keyframe) => memory_types
                .extend(keyframe.memories.iter().map(|memory| (memory.memory, memory.memory_type))),
            Body::Call(call) | Body::AsyncCall { call, .. } => {
                if let Structure::Bytes(data) | Structure::Shared { data, .. } = &call.input {
                    inputs.extend(data.as_bytes().map(|bytes| (event.sequence, bytes)));
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let mut add = |from: usize, to: usize| {
            if from < to {
                let original = cell.bytes[from..to].to_vec();
                found.push(Place { cell: index, from, to, original });
            }
        };
        let length = cell.bytes.len();
        match &cell.at.part {
            Part::Property(key) | Part::Setting(key) | Part::Matching(key)
                if policy.properties.contains(key) =>
            {
                add(0, length)
            }
            Part::Write(memory) | Part::Patch(memory) | Part::Keyframe(memory) => {
                let Some(of) = memory_types.get(memory) else { continue };
                for range in policy.memory.iter().filter(|range| range.memory_type == *of) {
                    let covered =
                        |at: usize| at < length && range.covers(cell.at.offset + at as u64);
                    let mut at = 0;
                    while at < length {
                        let end = (at..length).find(|at| !covered(*at)).unwrap_or(length);
                        add(at, end);
                        at = (end + 1..length).find(|at| covered(*at)).unwrap_or(length);
                    }
                }
            }
            part => {
                let call = cell.at.call.and_then(|call| inputs.get(&call)).copied().unwrap_or(&[]);
                for field in &policy.fields {
                    if let Some((from, to)) = range(field, part, call, length) {
                        add(from, to);
                    }
                }
            }
        }
    }
    found
}

/// The bytes of a cell that a field of the policy means.
fn range(field: &PolicyField, part: &Part, input: &[u8], length: usize) -> Option<(usize, usize)> {
    let index = usize::try_from(field.at).ok()?;
    let (selector, whole) = match (field.place, part) {
        (FieldPlace::Input, Part::Input(selector))
        | (FieldPlace::Output, Part::Output(selector)) => (selector, false),
        (FieldPlace::ScalarInput, Part::ScalarInput(selector, at))
        | (FieldPlace::ScalarOutput, Part::ScalarOutput(selector, at))
        | (FieldPlace::Completion, Part::Completion(selector, at))
            if *at == index =>
        {
            (selector, true)
        }
        _ => return None,
    };
    let chosen = field.selector.is_none_or(|wanted| wanted == *selector)
        && field.when.as_ref().is_none_or(|when| when.holds(input));
    if !chosen {
        return None;
    }
    if whole {
        return Some((0, length));
    }
    let end = field.length.and_then(|length| usize::try_from(length).ok());
    let end = end.map_or(length, |end| index.saturating_add(end).min(length));
    (index < end).then_some((index, end))
}
