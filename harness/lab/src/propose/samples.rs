//! What passed, by selector and memory type.

use crate::view::Links;
use dextape::IoReturn;
use dextape::tape::{
    Body, Call, Digest, Payload, Return, ServiceIdentity, Structure, Tape, TapeError,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Values of one number that are kept. More teach nothing.
const VALUES_MAX: usize = 4096;

/// Different contents of one structure that are kept.
const CONTENTS_MAX: usize = 256;

/// Bytes of all contents that are kept.
const ALL_BYTES_MAX: usize = 64 << 20;

/// Places that may have given one value.
const GIVEN_MAX: usize = 8;

/// Bytes of a structure that are looked at.
pub(super) const BYTES_MAX: usize = 4096;

/// Places at which a client accessed a memory that are kept.
const PLACES_MAX: usize = 256;

/// Different selectors and memory types that are kept: a real protocol has fewer, a hostile tape could have
/// four thousand million.
const KINDS_MAX: usize = 512;

/// The values of one number, in the order in which they passed.
#[derive(Debug, Default)]
pub(super) struct Column {
    pub(super) values: Vec<u64>,
    /// How many of them, zeros left out, had been given by the dext before, by where.
    pub(super) given: BTreeMap<(u32, Given), u64>,
}

/// Where the dext gave a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Given {
    /// As a returned scalar.
    Returned(usize),
    /// As an argument of a completion.
    Completion(usize),
}

/// The contents of one structure.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Different ones, in the order in which they came, cut to [`BYTES_MAX`].
    pub(super) different: Vec<Vec<u8>>,
    known: HashSet<Digest>,
    /// How often each length came, whole.
    pub(super) lengths: BTreeMap<u64, u64>,
}

impl Contents {
    fn add(&mut self, tape: &Tape, payload: &Payload, room: &mut usize) -> Result<(), TapeError> {
        *self.lengths.entry(payload.length()).or_default() += 1;
        if let Some(bytes) = tape.bytes(payload)? {
            self.keep(&bytes[..bytes.len().min(BYTES_MAX)], room);
        }
        Ok(())
    }

    /// Keeps contents that are new, while there is room.
    fn keep(&mut self, bytes: &[u8], room: &mut usize) {
        if self.different.len() < CONTENTS_MAX
            && bytes.len() <= *room
            && self.known.insert(Digest::of(bytes))
        {
            *room -= bytes.len();
            self.different.push(bytes.to_vec());
        }
    }
}

/// The calls of a selector.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) count: u64,
    pub(super) asynchronous: u64,
    pub(super) inputs: Vec<Column>,
    pub(super) outputs: Vec<Column>,
    pub(super) completion: Vec<Column>,
    pub(super) completions: u64,
    /// Of calls that went well, and of others: those may be of any form.
    pub(super) input: Contents,
    pub(super) refused: Contents,
    pub(super) output: Contents,
    /// Calls whose structure came back, and in how many of them more of it was as it went than was not:
    /// one structure for both ways.
    pub(super) both_ways: (u64, u64),
    pub(super) results: BTreeMap<u32, u64>,
}

/// What was seen of memories of a type.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) mapped: u64,
    pub(super) lengths: BTreeSet<u64>,
    /// What stood in its first bytes, each time that something was found changed or was written.
    pub(super) contents: Contents,
    /// Numbers that the client accessed as such: how many bytes, and how often, by their first byte.
    pub(super) accesses: BTreeMap<u64, (u64, u64)>,
}

/// What passed on connections to one service.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) selectors: BTreeMap<u32, Calls>,
    pub(super) memory: BTreeMap<u32, Memory>,
    given: HashMap<u64, BTreeSet<(u32, Given)>>,
    /// The first bytes of each memory of the tape that is looked at.
    shadows: HashMap<(u32, u32), Vec<u8>>,
    /// Bytes of contents that may still be kept.
    room: usize,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            selectors: BTreeMap::new(),
            memory: BTreeMap::new(),
            given: HashMap::new(),
            shadows: HashMap::new(),
            room: ALL_BYTES_MAX,
        }
    }
}

/// The name by which descriptions know a service.
pub(super) fn label(identity: Option<&ServiceIdentity>) -> String {
    identity.and_then(ServiceIdentity::label).unwrap_or("").to_owned()
}

/// Which service each connection of a tape is to, by process and number.
fn services(tape: &Tape, links: &Links) -> HashMap<(u32, u32), String> {
    let opened = tape.events().iter().enumerate().filter_map(|(place, event)| {
        let (Body::Opened, Some(connection)) = (&event.body, event.connection) else {
            return None;
        };
        let Body::Open { service, .. } = tape.events()[links.cause(place)?].body else {
            return None;
        };
        Some(((event.process, connection), label(tape.header().services.get(&service))))
    });
    opened.collect()
}

/// How many calls went to each service.
pub(super) fn calls_by_service(tape: &Tape) -> BTreeMap<String, u64> {
    let links = Links::of(tape.events());
    let services = services(tape, &links);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for event in tape.events() {
        let Some(service) = event.connection.and_then(|it| services.get(&(event.process, it)))
        else {
            continue;
        };
        let calls = matches!(event.body, Body::Call(_) | Body::AsyncCall { .. });
        *counts.entry(service.clone()).or_default() += u64::from(calls);
    }
    counts
}

impl Samples {
    /// Adds what passed to and from `service` on a tape.
    pub(super) fn add(&mut self, tape: &Tape, service: &str) -> Result<(), TapeError> {
        // What one run gave means nothing in another.
        self.given.clear();
        self.shadows.clear();
        let links = Links::of(tape.events());
        let services = services(tape, &links);
        for (place, event) in tape.events().iter().enumerate() {
            // A mock's or a trimmed tape may say nothing of where a connection leads.
            let on = event.connection.and_then(|it| services.get(&(event.process, it)));
            if on.is_some_and(|on| on != service) {
                continue;
            }
            match &event.body {
                Body::Call(call) => self.call(call, false),
                Body::AsyncCall { call, .. } => self.call(call, true),
                Body::Return(returned) => {
                    let enter = links.cause(place).map(|enter| &tape.events()[enter].body);
                    if let Some(Body::Call(call) | Body::AsyncCall { call, .. }) = enter {
                        self.returned(tape, call, returned)?;
                    }
                }
                Body::Posted { arguments, .. } => {
                    let Some(selector) = links.selector(place) else { continue };
                    let Some(calls) = self.selectors.get_mut(&selector) else { continue };
                    calls.completions += 1;
                    push(&mut calls.completion, arguments);
                    self.give(selector, arguments, Given::Completion);
                }
                Body::Mapped { outcome: Ok(mapped) } => {
                    let of = links.memory_type(event.process, mapped.memory);
                    if let Some(memory) = of.and_then(|of| self.memory(of)) {
                        memory.mapped += 1;
                        memory.lengths.insert(mapped.length);
                    }
                }
                Body::Write { memory, offset, width, data } => {
                    let at = (event.process, *memory);
                    if let Some(width) = width {
                        self.access(&links, at, *offset, width.bytes());
                    }
                    self.changed(tape, &links, at, *offset, data)?;
                }
                Body::Update { memory, offset, width, .. } => {
                    self.access(&links, (event.process, *memory), *offset, width.bytes());
                }
                Body::Patch { memory, offset, data, .. } => {
                    self.changed(tape, &links, (event.process, *memory), *offset, data)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn call(&mut self, call: &Call, asynchronous: bool) {
        if self.selectors.len() == KINDS_MAX && !self.selectors.contains_key(&call.selector) {
            return;
        }
        let calls = self.selectors.entry(call.selector).or_default();
        calls.count += 1;
        calls.asynchronous += u64::from(asynchronous);
        push(&mut calls.inputs, &call.scalars);
        for (column, value) in calls.inputs.iter_mut().zip(call.scalars.iter()) {
            if let Some(given) = self.given.get(value).filter(|_| *value != 0) {
                given.iter().for_each(|at| *column.given.entry(*at).or_default() += 1);
            }
        }
    }

    fn returned(&mut self, tape: &Tape, call: &Call, got: &Return) -> Result<(), TapeError> {
        let Some(calls) = self.selectors.get_mut(&call.selector) else { return Ok(()) };
        *calls.results.entry(got.result.0).or_default() += 1;
        let went_well = got.result == IoReturn::SUCCESS;
        if went_well {
            push(&mut calls.outputs, &got.scalars);
        }
        if let Structure::Bytes(data) | Structure::Shared { data, .. } = &call.input {
            let contents = if went_well { &mut calls.input } else { &mut calls.refused };
            contents.add(tape, data, &mut self.room)?;
        }
        if let Some(structure) = &got.structure {
            calls.output.add(tape, structure, &mut self.room)?;
            if let Structure::Bytes(data) = &call.input
                && let (Some(went), Some(came)) = (tape.bytes(data)?, tape.bytes(structure)?)
            {
                let said = went.iter().filter(|byte| **byte != 0).count();
                let kept = |(one, other): &(&u8, &u8)| **one != 0 && one == other;
                let kept = went.iter().zip(came.iter()).filter(kept).count();
                calls.both_ways.0 += 1;
                calls.both_ways.1 += u64::from(went.len() == came.len() && kept * 2 >= said);
            }
        }
        self.give(call.selector, &got.scalars, Given::Returned);
        Ok(())
    }

    fn give(&mut self, selector: u32, values: &[u64], at: fn(usize) -> Given) {
        for (index, value) in values.iter().enumerate().filter(|(_, value)| **value != 0) {
            if self.given.len() < VALUES_MAX || self.given.contains_key(value) {
                let known = self.given.entry(*value).or_default();
                if known.len() < GIVEN_MAX {
                    known.insert((selector, at(index)));
                }
            }
        }
    }

    fn memory(&mut self, memory_type: u32) -> Option<&mut Memory> {
        let known = self.memory.contains_key(&memory_type) || self.memory.len() < KINDS_MAX;
        known.then(|| self.memory.entry(memory_type).or_default())
    }

    fn access(&mut self, links: &Links, (process, memory): (u32, u32), offset: u64, width: u64) {
        let Some(memory) = links.memory_type(process, memory).and_then(|it| self.memory(it)) else {
            return;
        };
        if memory.accesses.len() < PLACES_MAX || memory.accesses.contains_key(&offset) {
            let access = memory.accesses.entry(offset).or_default();
            *access = (access.0.max(width), access.1 + 1);
        }
    }

    /// Bytes of a memory changed: its first bytes are another content of its type.
    fn changed(
        &mut self,
        tape: &Tape,
        links: &Links,
        (process, memory): (u32, u32),
        offset: u64,
        data: &Payload,
    ) -> Result<(), TapeError> {
        let Some(of) = links.memory_type(process, memory) else { return Ok(()) };
        let Some(length) = self.memory(of).and_then(|it| it.lengths.first().copied()) else {
            return Ok(());
        };
        let length = length.min(BYTES_MAX as u64) as usize;
        let Some(from) = usize::try_from(offset).ok().filter(|from| *from < length) else {
            return Ok(());
        };
        let Some(bytes) = tape.bytes(data)? else { return Ok(()) };
        if self.shadows.len() == KINDS_MAX && !self.shadows.contains_key(&(process, memory)) {
            return Ok(());
        }
        let shadow = self.shadows.entry((process, memory)).or_insert_with(|| vec![0; length]);
        // A memory of the same type may be longer.
        let end = from.saturating_add(bytes.len()).min(shadow.len());
        if from < end {
            shadow[from..end].copy_from_slice(&bytes[..end - from]);
            let shadow = shadow.clone();
            if let Some(memory) = self.memory.get_mut(&of) {
                memory.contents.keep(&shadow, &mut self.room);
            }
        }
        Ok(())
    }
}

fn push(columns: &mut Vec<Column>, values: &[u64]) {
    for (index, value) in values.iter().enumerate() {
        if columns.len() == index {
            columns.push(Column::default());
        }
        if columns[index].values.len() < VALUES_MAX {
            columns[index].values.push(*value);
        }
    }
}
