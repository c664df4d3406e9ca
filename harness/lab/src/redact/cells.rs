//! Every place of a tape that bytes or characters can stand in, one after the other.

use dextape::call::Scalars;
use dextape::memory::Update;
use dextape::registry::{Matching, Value};
use dextape::tape::{
    Body, Comparison, Event, Header, Host, OtherCall, Payload, Pointed, Sequence, Structure,
};
use std::collections::BTreeMap;
use std::fmt;

/// What a cell is a part of. Cells that agree in connection and part follow upon each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    Header,
    Property(String),
    /// A property that the client sets.
    Setting(String),
    Matching(String),
    Input(u32),
    Output(u32),
    ScalarInput(u32, usize),
    ScalarOutput(u32, usize),
    Reference(u32, usize),
    Completion(u32, usize),
    Write(u32),
    Patch(u32),
    Keyframe(u32),
    Other,
    Pointed(u32),
    Words,
}

impl Part {
    /// True for what the client made, not the dext.
    pub(super) const fn is_client(&self) -> bool {
        matches!(
            self,
            Self::Setting(_)
                | Self::Matching(_)
                | Self::Input(_)
                | Self::ScalarInput(..)
                | Self::Reference(..)
                | Self::Write(_)
                | Self::Other
                | Self::Pointed(_)
        )
    }

    /// True for another number of the same list.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// True for a number of eight bytes.
    pub(super) const fn is_scalar(&self) -> bool {
        matches!(
            self,
            Self::ScalarInput(..)
                | Self::ScalarOutput(..)
                | Self::Reference(..)
                | Self::Completion(..)
                | Self::Other
        )
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => write!(f, "the header"),
            Self::Property(key) => write!(f, "property {key:?}"),
            Self::Setting(key) if key.is_empty() => write!(f, "what is set"),
            Self::Setting(key) => write!(f, "property {key:?}, which is set"),
            Self::Matching(_) => write!(f, "a matching dictionary"),
            Self::Input(selector) => write!(f, "the structure handed to selector {selector}"),
            Self::Output(selector) => write!(f, "the structure of selector {selector}"),
            Self::ScalarInput(selector, index) => {
                write!(f, "scalar {index} handed to selector {selector}")
            }
            Self::ScalarOutput(selector, index) => {
                write!(f, "scalar {index} of selector {selector}")
            }
            Self::Reference(selector, index) => {
                write!(f, "entry {index} of the reference of selector {selector}")
            }
            Self::Completion(selector, index) => {
                write!(f, "argument {index} of completions of selector {selector}")
            }
            Self::Write(memory) => write!(f, "what the client writes to memory {memory}"),
            Self::Patch(memory) => write!(f, "what changes in memory {memory}"),
            Self::Keyframe(memory) => write!(f, "memory {memory} in a keyframe"),
            Self::Other => write!(f, "a number of a call beside methods"),
            Self::Pointed(selector) => {
                write!(f, "what a pointer handed to selector {selector} led to")
            }
            Self::Words => write!(f, "a remark"),
        }
    }
}

/// Where a cell stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// The event; `None` for the header.
    pub(super) event: Option<Sequence>,
    /// Of the event; 0 for the header.
    pub(super) lane: u32,
    pub(super) connection: Option<u32>,
    pub(super) part: Part,
    /// First byte, of a range of a memory.
    pub(super) offset: u64,
    /// The event whose input decides about conditions: the enter of the call.
    pub(super) call: Option<Sequence>,
    /// True for characters, which have to stay UTF-8.
    pub(super) is_text: bool,
}

/// Calls `visit` with each cell in the order of the tape; bytes that it changes are changed on the tape.
/// Blobs have to be loaded before.
pub(super) fn walk(
    header: &mut Header,
    events: &mut [Event],
    visit: &mut dyn FnMut(At, &mut Vec<u8>),
) {
    walk_header(header, visit);
    let mut selectors: BTreeMap<Sequence, u32> = BTreeMap::new();
    for event in events {
        if let Body::Call(call) | Body::AsyncCall { call, .. } = &event.body {
            selectors.insert(event.sequence, call.selector);
        }
        let enter = match event.body {
            Body::Return(_) | Body::Posted { .. } => event.cause.unwrap_or(0),
            _ => event.sequence,
        };
        let selector = selectors.get(&enter).copied().unwrap_or(u32::MAX);
        walk_event(event, selector, enter, visit);
    }
}

fn walk_header(header: &mut Header, visit: &mut dyn FnMut(At, &mut Vec<u8>)) {
    let mut text = |text: &mut String| {
        let (event, connection, call, part) = (None, None, None, Part::Header);
        let at = At { event, lane: 0, connection, part, offset: 0, call, is_text: true };
        visit_text(text, at, visit);
    };
    text(&mut header.recorder);
    if let Host::Mac { model, system } = &mut header.host {
        text(model);
        text(system);
    }
    if let Some(scenario) = &mut header.scenario {
        text(&mut scenario.name);
        let mut changed = BTreeMap::new();
        for (mut key, mut value) in std::mem::take(&mut scenario.parameters) {
            text(&mut key);
            text(&mut value);
            changed.insert(key, value);
        }
        scenario.parameters = changed;
    }
    for service in header.services.values_mut() {
        let all = [
            &mut service.class,
            &mut service.name,
            &mut service.user_class,
            &mut service.bundle_id,
            &mut service.version,
        ];
        all.into_iter().flatten().for_each(&mut text);
    }
    header.policy.iter_mut().for_each(&mut text);
    for rule in &mut header.rules {
        rule.on.iter_mut().for_each(|opened| text(&mut opened.service));
        if let Comparison::Symbol(name) = &mut rule.comparison {
            text(name);
        }
    }
    header.redactions.iter_mut().chain(&mut header.provenance).for_each(&mut text);
    walk_json(&mut header.extra, &mut text);
}

fn walk_event(
    event: &mut Event,
    selector: u32,
    enter: Sequence,
    visit: &mut dyn FnMut(At, &mut Vec<u8>),
) {
    let (sequence, lane, connection) = (event.sequence, event.lane, event.connection);
    let at = |part, offset| {
        let (event, call) = (Some(sequence), Some(enter));
        At { event, lane, connection, part, offset, call, is_text: false }
    };
    match &mut event.body {
        Body::Matched { matching, .. } | Body::Watch { matching, .. } => {
            let mut conditions = BTreeMap::new();
            for (key, value) in matching.conditions() {
                let (mut key, mut value) = (key.to_owned(), value.clone());
                walk_value(&mut value, &|| at(Part::Matching(key.clone()), 0), visit);
                visit_text(&mut key, at(Part::Words, 0), visit);
                conditions.insert(key, value);
            }
            *matching = conditions.into_iter().collect::<Matching>();
        }
        Body::Property { key, outcome, .. } => {
            let name = key.clone().unwrap_or_default();
            if let Some(key) = key {
                visit_text(key, at(Part::Words, 0), visit);
            }
            if let Ok(Some(value)) = outcome {
                // Where all properties were read, each stands under its own key.
                if name.is_empty() {
                    walk_all(value, &|key| at(Part::Property(key), 0), visit);
                } else {
                    walk_value(value, &|| at(Part::Property(name.clone()), 0), visit);
                }
            }
        }
        Body::Call(call) | Body::AsyncCall { call, .. } => {
            let part = |index| Part::ScalarInput(selector, index);
            scalars(&mut call.scalars, &mut |index| at(part(index), 0), visit);
            if let Structure::Bytes(data) | Structure::Shared { data, .. } = &mut call.input {
                payload(data, at(Part::Input(selector), 0), visit);
            }
        }
        Body::Return(returned) => {
            let part = |index| Part::ScalarOutput(selector, index);
            scalars(&mut returned.scalars, &mut |index| at(part(index), 0), visit);
            if let Some(data) = &mut returned.structure {
                payload(data, at(Part::Output(selector), 0), visit);
            }
        }
        Body::Posted { arguments, reference, .. } => {
            let part = |index| Part::Completion(selector, index);
            scalars(arguments, &mut |index| at(part(index), 0), visit);
            for (index, entry) in reference.iter_mut().enumerate() {
                number(entry, at(Part::Reference(selector, index), 0), visit);
            }
        }
        Body::Write { memory, offset, data, .. } => {
            payload(data, at(Part::Write(*memory), *offset), visit);
        }
        Body::Patch { memory, offset, data, .. } => {
            payload(data, at(Part::Patch(*memory), *offset), visit);
        }
        Body::Update { memory, offset, update, .. } => {
            let at = || at(Part::Write(*memory), *offset);
            match update {
                Update::Swap(operand)
                | Update::Add(operand)
                | Update::Or(operand)
                | Update::And(operand) => number(operand, at(), visit),
                Update::CompareExchange { expected, new } => {
                    number(expected, at(), visit);
                    number(new, at(), visit);
                }
            }
        }
        Body::OtherCall(OtherCall::SetProperties { properties: Some(value) }) => {
            walk_all(value, &|key| at(Part::Setting(key), 0), visit);
        }
        Body::OtherCall(OtherCall::Trap { arguments, .. }) => {
            scalars(arguments, &mut |_| at(Part::Other, 0), visit);
        }
        Body::OtherCall(OtherCall::SetNotificationPort { reference, .. }) => {
            number(reference, at(Part::Other, 0), visit);
        }
        Body::Gap { reason, .. } | Body::Note { reason, .. } => {
            visit_text(reason, at(Part::Words, 0), visit);
        }
        Body::Unknown { kind } => visit_text(kind, at(Part::Words, 0), visit),
        Body::Keyframe(keyframe) => {
            for memory in &mut keyframe.memories {
                for (offset, data) in &mut memory.shadow {
                    payload(data, at(Part::Keyframe(memory.memory), *offset), visit);
                }
            }
        }
        _ => {}
    }
    if let Body::AsyncCall { reference: Some(reference), .. } = &mut event.body {
        for (index, entry) in reference.iter_mut().enumerate() {
            number(entry, at(Part::Reference(selector, index), 0), visit);
        }
    }
    let mut pointed = Pointed::of(event).unwrap_or_default();
    for one in &mut pointed {
        visit(at(Part::Pointed(selector), 0), &mut one.data);
    }
    // Only where they are what they should be: else their text is a text like others.
    if !pointed.is_empty() {
        event.extra.remove(Pointed::KEY);
    }
    walk_json(&mut event.extra, &mut |text| visit_text(text, at(Part::Words, 0), visit));
    if !pointed.is_empty() {
        event.extra.insert(Pointed::KEY.to_owned(), Pointed::to_json(&pointed));
    }
}

fn visit_text(text: &mut String, at: At, visit: &mut dyn FnMut(At, &mut Vec<u8>)) {
    let mut bytes = std::mem::take(text).into_bytes();
    visit(At { is_text: true, ..at }, &mut bytes);
    // What is put in a text is UTF-8, but for what a caller may have put there.
    *text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
}

fn number(number: &mut u64, at: At, visit: &mut dyn FnMut(At, &mut Vec<u8>)) {
    let mut bytes = number.to_le_bytes().to_vec();
    visit(at, &mut bytes);
    if let Ok(bytes) = <[u8; 8]>::try_from(bytes) {
        *number = u64::from_le_bytes(bytes);
    }
}

fn scalars(
    scalars: &mut Scalars,
    at: &mut dyn FnMut(usize) -> At,
    visit: &mut dyn FnMut(At, &mut Vec<u8>),
) {
    let mut values = scalars.to_vec();
    for (index, value) in values.iter_mut().enumerate() {
        number(value, at(index), visit);
    }
    *scalars = Scalars::clamped(&values);
}

fn payload(data: &mut Payload, at: At, visit: &mut dyn FnMut(At, &mut Vec<u8>)) {
    if let Payload::Bytes(bytes) = data {
        let mut changed = bytes.to_vec();
        visit(at, &mut changed);
        if changed[..] != bytes[..] {
            *data = Payload::bytes(&changed);
        }
    }
}

fn walk_value(value: &mut Value, at: &dyn Fn() -> At, visit: &mut dyn FnMut(At, &mut Vec<u8>)) {
    match value {
        Value::Number(value) => number(value, at(), visit),
        Value::String(text) => visit_text(text, at(), visit),
        Value::Data(bytes) => visit(at(), bytes),
        Value::Array(values) => values.iter_mut().for_each(|value| walk_value(value, at, visit)),
        Value::Dictionary(values) => {
            let mut changed = BTreeMap::new();
            for (mut key, mut value) in std::mem::take(values) {
                visit_text(&mut key, at(), visit);
                walk_value(&mut value, at, visit);
                changed.insert(key, value);
            }
            *values = changed;
        }
        _ => {}
    }
}

/// All properties of a service, each under its own key.
fn walk_all(value: &mut Value, at: &dyn Fn(String) -> At, visit: &mut dyn FnMut(At, &mut Vec<u8>)) {
    let Value::Dictionary(all) = value else {
        return walk_value(value, &|| at(String::new()), visit);
    };
    let mut changed = BTreeMap::new();
    for (mut key, mut value) in std::mem::take(all) {
        walk_value(&mut value, &|| at(key.clone()), visit);
        visit_text(&mut key, at(String::new()), visit);
        changed.insert(key, value);
    }
    *all = changed;
}

fn walk_json(fields: &mut BTreeMap<String, serde_json::Value>, text: &mut dyn FnMut(&mut String)) {
    fn walk(value: &mut serde_json::Value, text: &mut dyn FnMut(&mut String)) {
        match value {
            serde_json::Value::String(value) => text(value),
            serde_json::Value::Array(values) => {
                values.iter_mut().for_each(|value| walk(value, text))
            }
            serde_json::Value::Object(values) => {
                let mut changed = serde_json::Map::new();
                for (mut key, mut value) in std::mem::take(values) {
                    text(&mut key);
                    walk(&mut value, text);
                    changed.insert(key, value);
                }
                *values = changed;
            }
            serde_json::Value::Number(number) => {
                // A number is looked at as its digits; it is changed only where it stays one.
                let mut digits = number.to_string();
                text(&mut digits);
                if let Ok(changed) = digits.parse() {
                    *number = changed;
                }
            }
            _ => {}
        }
    }
    let mut changed = BTreeMap::new();
    for (mut key, mut value) in std::mem::take(fields) {
        text(&mut key);
        walk(&mut value, text);
        changed.insert(key, value);
    }
    *fields = changed;
}
