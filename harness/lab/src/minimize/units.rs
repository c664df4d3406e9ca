//! What can be taken from a tape, and what depends on it.

use super::{MinimizeError, Mode};
use dextape::tape::{
    Body, Call, Comparison, Event, Field, FieldRule, OtherCall, OutputKind, Payload, Return,
    Structure, Tape,
};
use std::collections::{BTreeMap, HashMap};

/// The smallest value that is taken for a handle where no rule says that it is one: smaller ones are
/// counts and indices more often than not.
const HANDLE_MIN: u64 = 0x1_0000;

/// Longest structure that is searched for handles.
const HANDLES_WITHIN: usize = 64;

/// Operations and other things of a tape that come and go as one, such as an enter with its leave.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// The events of each, by their places on the tape.
    pub(super) events: Vec<Vec<u32>>,
    /// What each cannot be there without.
    needs: Vec<Vec<u32>>,
    /// What each is likely not to make sense without.
    likely: Vec<Vec<u32>>,
    users: Vec<Vec<u32>>,
    likely_users: Vec<Vec<u32>>,
}

impl Units {
    pub(super) fn of(tape: &Tape, mode: Mode) -> Result<Self, MinimizeError> {
        let mut builder = Builder { mode, ..Builder::default() };
        for (place, event) in tape.events().iter().enumerate() {
            refuse(event, mode)?;
            builder.event(place as u32, event, &tape.header().rules);
        }
        Ok(builder.finish())
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// What depends on a unit for certain.
    pub(super) fn users(&self, unit: u32) -> &[u32] {
        &self.users[unit as usize]
    }

    /// What depends on a unit, for certain or likely.
    pub(super) fn all_users(&self, unit: u32) -> impl Iterator<Item = u32> + '_ {
        let unit = unit as usize;
        self.users[unit].iter().chain(&self.likely_users[unit]).copied()
    }

    /// What a unit needs, for certain or likely.
    pub(super) fn all_needs(&self, unit: u32) -> impl Iterator<Item = u32> + '_ {
        let unit = unit as usize;
        self.needs[unit].iter().chain(&self.likely[unit]).copied()
    }
}

/// A tape of which no part can be taken.
fn refuse(event: &Event, mode: Mode) -> Result<(), MinimizeError> {
    let sequence = event.sequence;
    match &event.body {
        // A client is answered as usual where the tape says nothing, and so it is in a gap. A dext cannot be
        // brought to where it was behind one.
        Body::Keyframe(_) | Body::Gap { .. } if mode == Mode::Client => Ok(()),
        Body::Keyframe(_) => Err(MinimizeError::Incomplete(sequence, "keyframe")),
        Body::Gap { .. } => Err(MinimizeError::Incomplete(sequence, "gap")),
        Body::Unknown { kind } if event.must_understand => {
            Err(MinimizeError::Unknown(sequence, kind.clone()))
        }
        Body::Fork { child } => Err(MinimizeError::Processes(sequence, *child)),
        _ if event.process != 1 => Err(MinimizeError::Processes(sequence, event.process)),
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Builder {
    mode: Mode,
    units: Units,
    of_sequence: HashMap<u64, u32>,
    /// The operation that each lane is in.
    entered: BTreeMap<u32, u32>,
    /// The call of each unit that is one, for what it hands in and returns.
    selectors: HashMap<u32, Call>,
    connections: HashMap<u32, u32>,
    queues: HashMap<u32, u32>,
    memories: HashMap<u32, u32>,
    services: HashMap<u32, u32>,
    /// Who issued a value: by the name of a symbol, or "" where it only looks like a handle.
    issued: HashMap<(String, u64), u32>,
}

impl Builder {
    fn new_unit(&mut self) -> u32 {
        self.units.events.push(Vec::new());
        self.units.needs.push(Vec::new());
        self.units.likely.push(Vec::new());
        self.units.events.len() as u32 - 1
    }

    fn need(&mut self, unit: u32, needed: Option<u32>) {
        if let Some(needed) = needed.filter(|needed| *needed != unit) {
            self.units.needs[unit as usize].push(needed);
        }
    }

    fn event(&mut self, place: u32, event: &Event, rules: &[FieldRule]) {
        let body = &event.body;
        let of_cause = event.cause.and_then(|cause| self.of_sequence.get(&cause).copied());
        let entered = self.entered.get(&event.lane).copied();
        let unit = if body.is_leave() {
            self.entered.remove(&event.lane)
        } else if matches!(body, Body::Delivered { .. } | Body::Notice { .. }) {
            // What a wait brought; a poll is one by itself.
            entered
        } else if matches!(body, Body::Posted { .. }) && self.mode == Mode::Dext {
            // It is the dext that completes, whatever is taken away.
            of_cause
        } else {
            None
        };
        let unit = unit.unwrap_or_else(|| self.new_unit());
        if body.is_enter() {
            self.entered.insert(event.lane, unit);
        }
        self.units.events[unit as usize].push(place);
        self.of_sequence.insert(event.sequence, unit);
        self.need(unit, of_cause);
        if !matches!(body, Body::Opened) {
            let connection = event.connection.and_then(|it| self.connections.get(&it).copied());
            self.need(unit, connection);
        }
        self.body(unit, event, rules);
    }

    /// What an event brings and what it needs.
    fn body(&mut self, unit: u32, event: &Event, rules: &[FieldRule]) {
        let queue = |queue: &u32, this: &Self| this.queues.get(queue).copied();
        match &event.body {
            Body::Matched { outcome: Ok(services), .. } => {
                for service in services {
                    self.services.entry(*service).or_insert(unit);
                }
            }
            Body::Property { service, .. } | Body::Open { service, .. } => {
                self.need_service(unit, *service);
            }
            Body::Watch { queue, .. } | Body::Queue { queue } => {
                self.queues.insert(*queue, unit);
            }
            Body::Notice { queue: number, service, .. } => {
                self.need(unit, queue(number, self));
                self.services.entry(*service).or_insert(unit);
            }
            Body::Delivered { queue: number, .. } | Body::Wait { queue: number, .. } => {
                self.need(unit, queue(number, self));
            }
            Body::Opened => {
                if let Some(connection) = event.connection {
                    self.connections.insert(connection, unit);
                }
            }
            Body::Mapped { outcome: Ok(mapped) } => {
                self.memories.entry(mapped.memory).or_insert(unit);
            }
            Body::Unmap { memory: Some(memory), .. }
            | Body::Write { memory, .. }
            | Body::Update { memory, .. }
            | Body::Patch { memory, .. } => {
                let mapped = self.memories.get(memory).copied();
                self.need(unit, mapped);
            }
            Body::Call(call) => self.call(unit, call, rules),
            Body::AsyncCall { call, queue: number, .. } => {
                let queue = number.and_then(|number| queue(&number, self));
                self.need(unit, queue);
                self.call(unit, call, rules);
            }
            Body::Return(returned) => self.returned(unit, returned, rules),
            Body::OtherCall(OtherCall::SetNotificationPort { queue: Some(number), .. }) => {
                self.need(unit, queue(number, self));
            }
            Body::OtherCall(OtherCall::AddClient { client: Some(client) }) => {
                let client = self.connections.get(client).copied();
                self.need(unit, client);
            }
            Body::OtherReturn { outcome: Ok(Some(service)) } => {
                self.services.entry(*service).or_insert(unit);
            }
            _ => {}
        }
    }

    /// Whoever drives a dext has to have found the service; a client finds it in any case.
    fn need_service(&mut self, unit: u32, service: u32) {
        if self.mode == Mode::Dext {
            let found = self.services.get(&service).copied();
            self.need(unit, found);
        }
    }

    fn call(&mut self, unit: u32, call: &Call, rules: &[FieldRule]) {
        let shared = match (&call.input, call.output) {
            (Structure::Shared { memory, .. }, _) => Some(*memory),
            (_, OutputKind::Shared { memory, .. }) => Some(memory),
            _ => None,
        };
        if let Some(memory) = shared {
            self.memories.entry(memory).or_insert(unit);
        }
        let bytes = match &call.input {
            Structure::Bytes(data) | Structure::Shared { data, .. } => data.as_bytes(),
            Structure::None | Structure::Null { .. } | Structure::Unmapped { .. } => None,
        };
        let bytes = bytes.unwrap_or_default();
        for (name, value) in symbols(rules, call.selector, &call.scalars, bytes, true) {
            let issuer = self.issued.get(&(name, value)).copied();
            self.need(unit, issuer);
        }
        for value in looks_like_handles(&call.scalars, bytes) {
            if let Some(issuer) = self.issued.get(&(String::new(), value)) {
                self.units.likely[unit as usize].push(*issuer);
            }
        }
        self.selectors.insert(unit, call.clone());
    }

    fn returned(&mut self, unit: u32, returned: &Return, rules: &[FieldRule]) {
        let Some(call) = self.selectors.remove(&unit) else { return };
        let bytes = returned.structure.as_ref().and_then(Payload::as_bytes).unwrap_or_default();
        for (name, value) in symbols(rules, call.selector, &returned.scalars, bytes, false) {
            self.issued.entry((name, value)).or_insert(unit);
        }
        for value in looks_like_handles(&returned.scalars, bytes) {
            // What the client handed in itself is no handle of the dext's.
            let handed_in = call.scalars.contains(&value);
            if !handed_in {
                self.issued.entry((String::new(), value)).or_insert(unit);
            }
        }
    }

    fn finish(self) -> Units {
        let mut units = self.units;
        units.users = vec![Vec::new(); units.events.len()];
        units.likely_users = vec![Vec::new(); units.events.len()];
        for (all, users) in
            [(&mut units.needs, &mut units.users), (&mut units.likely, &mut units.likely_users)]
        {
            for (unit, needs) in all.iter_mut().enumerate() {
                needs.sort_unstable();
                needs.dedup();
                needs.iter().for_each(|needed| users[*needed as usize].push(unit as u32));
            }
        }
        units
    }
}

/// The values that rules call symbols, with their names.
fn symbols(
    rules: &[FieldRule],
    selector: u32,
    scalars: &[u64],
    bytes: &[u8],
    handed_in: bool,
) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| rule.selector.is_none_or(|own| own == selector)) {
        let Comparison::Symbol(name) = &rule.comparison else { continue };
        let value = match (rule.field, handed_in) {
            (Field::ScalarInput(index), true) | (Field::ScalarOutput(index), false) => {
                scalars.get(index).copied()
            }
            (Field::StructureInput(offset, length), true)
            | (Field::StructureOutput(offset, length), false) => {
                word(bytes, offset as usize, length as usize)
            }
            _ => None,
        };
        found.extend(value.map(|value| (name.clone(), value)));
    }
    found
}

fn word(bytes: &[u8], offset: usize, length: usize) -> Option<u64> {
    let part = bytes.get(offset..offset.checked_add(length.min(8))?)?;
    Some(part.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
}

fn looks_like_handles<'a>(scalars: &'a [u64], bytes: &'a [u8]) -> impl Iterator<Item = u64> + 'a {
    let words = bytes.get(..bytes.len().min(HANDLES_WITHIN)).unwrap_or_default().chunks_exact(8);
    let words = words.filter_map(|chunk| Some(u64::from_le_bytes(chunk.try_into().ok()?)));
    scalars.iter().copied().chain(words).filter(|value| *value >= HANDLE_MIN)
}
