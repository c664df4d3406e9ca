//! A tape as a list of items: operations with their enter and leave, and single events.

use super::rules::{On, Rules};
use crate::view::{FieldName, FieldValue, Links, Part, for_each_field};
use dextape::tape::{Body, Digest, Event, Payload, ServiceIdentity, Tape, TapeError};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Bytes up to which a payload's bytes are hashed as they are; those of longer ones by their digest,
/// which is at hand where they are a blob.
const HASHED_WHOLE: usize = dextape::tape::INLINE_PAYLOAD_MAX;

/// What an item is paired by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pairing {
    /// Its place in its lane.
    Lane,
    /// The call that it completes, an item, and its ordinal.
    Call(u32, u64),
    /// The posted completion that it delivers, an item.
    Posted(u32),
}

/// An operation, or an event that is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Place of the event, or of the enter.
    pub(super) enter: u32,
    /// Place of the leave.
    pub(super) leave: Option<u32>,
    /// Process and lane.
    pub(super) lane: (u32, u32),
    /// What must be the same for two items to say the same.
    pub(super) exact: u64,
    /// What must be the same for two items to be the same thing with other values.
    pub(super) shape: u64,
    pub(super) pairing: Pairing,
}

/// A tape taken apart.
#[derive(Debug)]
pub(super) struct Side<'a> {
    pub(super) tape: &'a Tape,
    pub(super) links: Links,
    pub(super) items: Vec<Item>,
    /// Which of the user clients that rules name each connection is to.
    opened: HashMap<(u32, u32), usize>,
}

impl<'a> Side<'a> {
    pub(super) fn of(tape: &'a Tape, rules: &Rules) -> Result<Self, TapeError> {
        let events = tape.events();
        let links = Links::of(events);
        let labels = Labels::of(tape, &links, rules);
        let mut items: Vec<Item> = Vec::with_capacity(events.len() / 2 + 1);
        // For each event, the item that it is or belongs to.
        let mut item_of = vec![u32::MAX; events.len()];
        for (place, event) in events.iter().enumerate() {
            let cause = links.cause(place);
            // A leave is told with its enter.
            if let Some(enter) = cause.filter(|enter| links.leave(*enter) == Some(place)) {
                item_of[place] = item_of[enter];
                continue;
            }
            let of_cause = cause.map(|cause| item_of[cause]).filter(|item| *item != u32::MAX);
            let pairing = match (&event.body, of_cause) {
                (Body::Posted { ordinal, .. }, Some(call)) => Pairing::Call(call, *ordinal),
                (Body::Delivered { .. }, Some(posted)) => Pairing::Posted(posted),
                _ => Pairing::Lane,
            };
            let leave = links.leave(place);
            item_of[place] = items.len() as u32;
            let mut hashes = Hashes::new(tape, &labels, rules);
            hashes.event(event, place, &links)?;
            if let Some(leave) = leave {
                hashes.event(&events[leave], leave, &links)?;
            }
            items.push(Item {
                enter: place as u32,
                leave: leave.map(|leave| leave as u32),
                lane: (event.process, event.lane),
                exact: hashes.exact.finish(),
                shape: hashes.shape.finish(),
                pairing,
            });
        }
        Ok(Self { tape, links, items, opened: labels.opened })
    }

    /// Which of the user clients that rules name the event's connection is to.
    pub(super) fn on(&self, event: &Event) -> On {
        self.opened.get(&(event.process, event.connection?)).copied()
    }

    pub(super) fn event(&self, place: u32) -> &'a Event {
        &self.tape.events()[place as usize]
    }
}

/// What numbers of a tape stand for, as far as it can be told without the other tape.
#[derive(Debug, Default)]
struct Labels {
    connections: HashMap<(u32, u32), u64>,
    services: HashMap<u32, u64>,
    opened: HashMap<(u32, u32), usize>,
}

impl Labels {
    fn of(tape: &Tape, links: &Links, rules: &Rules) -> Self {
        let mut labels = Self::default();
        for (number, identity) in &tape.header().services {
            labels.services.insert(*number, identity_hash(identity));
        }
        // Which of several connections to one service it is, in the order in which they were opened.
        let mut opened: HashMap<(u64, u32), u64> = HashMap::new();
        for (place, event) in tape.events().iter().enumerate() {
            let (Body::Opened, Some(connection)) = (&event.body, event.connection) else {
                continue;
            };
            let enter = links.cause(place).map(|enter| &tape.events()[enter].body);
            let Some(Body::Open { service, open_type }) = enter else { continue };
            let called = tape.header().services.get(service).and_then(ServiceIdentity::label);
            if let Some(on) = called.and_then(|called| rules.on(called, *open_type)) {
                labels.opened.insert((event.process, connection), on);
            }
            let service = labels.service(*service);
            let count = opened.entry((service, *open_type)).or_default();
            *count += 1;
            let label = hash_of(&(service, open_type, *count));
            labels.connections.insert((event.process, connection), label);
        }
        labels
    }

    fn service(&self, number: u32) -> u64 {
        self.services.get(&number).copied().unwrap_or_else(|| u64::from(number))
    }

    fn connection(&self, process: u32, number: u32) -> u64 {
        let known = self.connections.get(&(process, number));
        known.copied().unwrap_or_else(|| u64::from(number))
    }
}

fn identity_hash(identity: &ServiceIdentity) -> u64 {
    hash_of(&(&identity.class, &identity.name, &identity.user_class, &identity.bundle_id))
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

struct Hashes<'t> {
    tape: &'t Tape,
    labels: &'t Labels,
    rules: &'t Rules,
    exact: DefaultHasher,
    shape: DefaultHasher,
}

impl<'t> Hashes<'t> {
    fn new(tape: &'t Tape, labels: &'t Labels, rules: &'t Rules) -> Self {
        let (exact, shape) = (DefaultHasher::new(), DefaultHasher::new());
        Self { tape, labels, rules, exact, shape }
    }

    fn event(&mut self, event: &Event, place: usize, links: &Links) -> Result<(), TapeError> {
        let name = event.body.name();
        name.hash(&mut self.exact);
        // A leave that failed is still the leave of the same operation.
        if !event.body.is_leave() {
            name.hash(&mut self.shape);
            if let Some(connection) = event.connection {
                self.both(self.labels.connection(event.process, connection));
            }
            if let Some(selector) = links.selector(place) {
                self.both(u64::from(selector));
            }
        }
        let shapes = !event.body.is_leave();
        let mut trouble = None;
        for_each_field(event, place, links, &mut |name, value| {
            if trouble.is_none()
                && let Err(error) = self.field(event, links, name, &value, shapes)
            {
                trouble = Some(error);
            }
        });
        trouble.map_or(Ok(()), Err)
    }

    fn on(&self, event: &Event) -> On {
        self.labels.opened.get(&(event.process, event.connection?)).copied()
    }

    fn both(&mut self, number: u64) {
        number.hash(&mut self.exact);
        number.hash(&mut self.shape);
    }

    fn field(
        &mut self,
        event: &Event,
        links: &Links,
        name: FieldName,
        value: &FieldValue<'_>,
        shapes: bool,
    ) -> Result<(), TapeError> {
        name.hash(&mut self.exact);
        match value {
            FieldValue::Scalar { part, index, value } => {
                let on = self.on(event);
                let volatile = self.rules.scalar(name, *part, *index, on).is_some();
                (if volatile { 0 } else { *value }).hash(&mut self.exact);
            }
            FieldValue::Count(number)
            | FieldValue::Hex(number)
            | FieldValue::Nanoseconds(number) => {
                number.hash(&mut self.exact);
                // Where in a memory, which type, how much: another place is another thing. How often a
                // queue was polled is not.
                if shapes
                    && !matches!(name.word, "polls" | "read" | "timeout" | "operand" | "expected")
                {
                    number.hash(&mut self.shape);
                }
            }
            FieldValue::Code(result) => result.0.hash(&mut self.exact),
            FieldValue::Text(text) => {
                text.hash(&mut self.exact);
                text.hash(&mut self.shape);
            }
            FieldValue::Word(word) => {
                word.hash(&mut self.exact);
                if shapes && matches!(name.word, "what" | "operation" | "notice") {
                    word.hash(&mut self.shape);
                }
            }
            FieldValue::Connection(number) => {
                self.labels.connection(event.process, *number).hash(&mut self.exact);
            }
            FieldValue::Service(number) => {
                let label = self.labels.service(*number);
                label.hash(&mut self.exact);
                if shapes {
                    label.hash(&mut self.shape);
                }
            }
            FieldValue::Services(numbers) => numbers.len().hash(&mut self.exact),
            // Numbers of queues say nothing; those of memories no more than their type.
            FieldValue::Queue(_) => {}
            FieldValue::Memory(memory) => {
                let label = links.memory_type(event.process, *memory);
                label.hash(&mut self.exact);
                if shapes {
                    label.hash(&mut self.shape);
                }
            }
            FieldValue::Registry(value) => format!("{value:?}").hash(&mut self.exact),
            FieldValue::Matching(matching) => {
                let text = format!("{matching:?}");
                text.hash(&mut self.exact);
                text.hash(&mut self.shape);
            }
            FieldValue::Bytes { payload, part, .. } => {
                if shapes {
                    payload.length().hash(&mut self.shape);
                }
                self.payload(payload, name, *part, self.on(event))?;
            }
        }
        Ok(())
    }

    fn payload(
        &mut self,
        payload: &Payload,
        name: FieldName,
        part: Option<Part>,
        on: On,
    ) -> Result<(), TapeError> {
        payload.length().hash(&mut self.exact);
        let ranges = self.rules.ranges(name, part, on);
        if !ranges.is_empty()
            && let Some(bytes) = self.tape.bytes(payload)?
        {
            let mut bytes = bytes.into_owned();
            for (offset, length) in ranges {
                let start = usize::try_from(*offset).unwrap_or(usize::MAX);
                let length = usize::try_from(*length).unwrap_or(usize::MAX);
                bytes.iter_mut().skip(start).take(length).for_each(|byte| *byte = 0);
            }
            bytes.hash(&mut self.exact);
            return Ok(());
        }
        match payload {
            Payload::Bytes(bytes) if bytes.len() <= HASHED_WHOLE => bytes.hash(&mut self.exact),
            Payload::Bytes(bytes) => Digest::of(bytes).hash(&mut self.exact),
            // A hash that was kept stands for its bytes.
            Payload::Hash { digest, length } if *length as usize > HASHED_WHOLE => {
                digest.hash(&mut self.exact);
            }
            Payload::Blob { digest, .. } => digest.hash(&mut self.exact),
            Payload::Hash { digest, .. } => ("hash", digest).hash(&mut self.exact),
            Payload::Redacted { .. } => "redacted".hash(&mut self.exact),
        }
        Ok(())
    }
}
