//! One row of each event.

use super::column::COLUMNS;
use crate::view::{Names, is_failure, result_of};
use dextape::IoReturn;
use dextape::tape::{
    Body, Call, Event, Header, MappedMemory, Payload, Return, Sequence, ServiceIdentity, Structure,
    TapeReader, render_event,
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::Write;

/// Bytes of a payload that stand in a row.
const BYTES_SHOWN: usize = 64;

/// The cells of one event by the names of their columns; what it has nothing to say to is left out.
pub type Row = Map<String, Value>;

/// Makes rows of the events of one tape, in their order. Keeps what is needed of calls that may still
/// complete, and no events.
pub struct Rows<'a> {
    tape: String,
    names: &'a dyn Names,
    services: HashMap<u32, String>,
    /// For each enter that has not returned, and each call and completion that something may come of: the
    /// call, its selector, and when.
    calls: HashMap<Sequence, From>,
    connections: HashMap<(u32, u32), u32>,
    opening: HashMap<Sequence, u32>,
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("tape", &self.tape).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
struct From {
    call: Option<(Sequence, u32)>,
    time: u64,
    stays: bool,
}

impl<'a> Rows<'a> {
    /// Rows of the tape with this header, which is called `tape`.
    #[must_use]
    pub fn new(tape: &str, header: &Header, names: &'a dyn Names) -> Self {
        let called = |(number, identity): (&u32, &ServiceIdentity)| {
            Some((*number, identity.label()?.to_owned()))
        };
        Self {
            tape: tape.to_owned(),
            names,
            services: header.services.iter().filter_map(called).collect(),
            calls: HashMap::new(),
            connections: HashMap::new(),
            opening: HashMap::new(),
        }
    }

    /// The row of the next event. Bytes of blobs come from `reader`, if one is given.
    #[must_use]
    pub fn row(&mut self, event: &Event, reader: Option<&TapeReader>) -> Row {
        let mut row = Row::new();
        let mut put = |name: &str, value: Value| {
            debug_assert!(COLUMNS.iter().any(|column| column.name == name), "{name}");
            row.insert(name.to_owned(), value);
        };
        put("tape", json!(self.tape));
        put("sequence", json!(event.sequence));
        put("process", json!(event.process));
        put("lane", json!(event.lane));
        put("position", json!(event.position));
        put("time_ns", json!(event.time));
        put("kind", json!(event.body.name()));
        put("failed", json!(is_failure(&event.body)));
        put("text", json!(words(event)));
        if let Some(cause) = event.cause {
            put("cause", json!(cause));
        }
        let from = self.from(event);
        if let Some((call, selector)) = from.and_then(|from| from.call) {
            put("call", json!(call));
            put("selector", json!(selector));
            if let Some(name) = self.names.selector(selector) {
                put("selector_name", json!(name));
            }
        }
        if let Some(connection) = event.connection {
            put("connection", json!(connection));
            let service = self.connections.get(&(event.process, connection));
            if let Some(name) = service.and_then(|service| self.services.get(service)) {
                put("service", json!(name));
            }
        }
        if let Some(result) = result_of(&event.body) {
            put("result", json!(self.code(result)));
            put("result_code", json!(result.0));
        }
        if let Some(from) = from.filter(|_| event.body.is_leave()) {
            put("duration_ns", json!(event.time.saturating_sub(from.time)));
        }
        self.body(event, reader, &mut put);
        row
    }

    /// What the event comes from, and what later ones will come from.
    fn from(&mut self, event: &Event) -> Option<From> {
        let time = event.time;
        match &event.body {
            Body::Call(Call { selector, .. })
            | Body::AsyncCall { call: Call { selector, .. }, .. } => {
                let call = Some((event.sequence, *selector));
                let stays = matches!(event.body, Body::AsyncCall { .. });
                let from = From { call, time, stays };
                self.calls.insert(event.sequence, from);
                return Some(from);
            }
            Body::Open { service, .. } => {
                self.opening.insert(event.sequence, *service);
            }
            Body::Opened => {
                let service = event.cause.and_then(|enter| self.opening.remove(&enter));
                if let (Some(connection), Some(service)) = (event.connection, service) {
                    self.connections.insert((event.process, connection), service);
                }
            }
            _ => {}
        }
        if event.body.is_enter() {
            self.calls.insert(event.sequence, From { call: None, time, stays: false });
            return None;
        }
        let cause = event.cause?;
        let from = *self.calls.get(&cause)?;
        match event.body {
            Body::Posted { .. } => {
                self.calls.insert(event.sequence, From { stays: false, ..from });
            }
            // One that failed brings nothing about.
            Body::Return(Return { result, .. }) if from.stays && result.is_success() => {}
            Body::Delivered { .. } => {
                self.calls.remove(&cause);
            }
            _ if event.body.is_leave() => {
                self.calls.remove(&cause);
            }
            _ => {}
        }
        Some(from)
    }

    fn code(&self, result: IoReturn) -> String {
        let own = self.names.result(result).or_else(|| result.name().map(str::to_owned));
        own.unwrap_or_else(|| format!("{:#010x}", result.0))
    }

    fn body(&self, event: &Event, reader: Option<&TapeReader>, put: &mut dyn FnMut(&str, Value)) {
        let bytes = |put: &mut dyn FnMut(&str, Value), payload: &Payload| {
            put("length", json!(payload.length()));
            let loaded = match payload {
                Payload::Bytes(bytes) => Some(bytes.clone()),
                Payload::Blob { digest, .. } => reader.and_then(|it| it.load(*digest).ok()),
                Payload::Hash { .. } | Payload::Redacted { .. } => None,
            };
            if let Some(bytes) = loaded.filter(|bytes| !bytes.is_empty()) {
                let mut hex = String::with_capacity(BYTES_SHOWN * 2);
                for byte in bytes.iter().take(BYTES_SHOWN) {
                    // Writing to a text cannot fail.
                    let _ = write!(hex, "{byte:02x}");
                }
                put("bytes", json!(hex));
            }
        };
        let scalars = |put: &mut dyn FnMut(&str, Value), scalars: &[u64]| {
            if !scalars.is_empty() {
                let scalars: Vec<_> = scalars.iter().map(|it| format!("{it:#x}")).collect();
                put("scalars", json!(scalars.join(" ")));
            }
        };
        match &event.body {
            Body::Call(call) | Body::AsyncCall { call, .. } => {
                scalars(put, &call.scalars);
                if let Structure::Bytes(data) | Structure::Shared { data, .. } = &call.input {
                    bytes(put, data);
                }
                if let Structure::Shared { memory, .. } = call.input {
                    put("memory", json!(memory));
                }
                if let Body::AsyncCall { queue: Some(queue), .. } = &event.body {
                    put("queue", json!(queue));
                }
            }
            Body::Return(Return { scalars: returned, structure, .. }) => {
                scalars(put, returned);
                if let Some(data) = structure {
                    bytes(put, data);
                }
            }
            Body::Posted { ordinal, arguments, .. } => {
                put("ordinal", json!(ordinal));
                scalars(put, arguments);
            }
            Body::Delivered { queue, .. }
            | Body::Wait { queue, .. }
            | Body::Queue { queue }
            | Body::Watch { queue, .. }
            | Body::Notice { queue, .. } => put("queue", json!(queue)),
            Body::Map { memory_type, .. } => put("memory_type", json!(memory_type)),
            Body::Unmap { memory_type, memory } => {
                put("memory_type", json!(memory_type));
                if let Some(memory) = memory {
                    put("memory", json!(memory));
                }
            }
            Body::Mapped { outcome: Ok(MappedMemory { memory, length, .. }) } => {
                put("memory", json!(memory));
                put("length", json!(length));
            }
            Body::Write { memory, offset, data, .. } | Body::Patch { memory, offset, data, .. } => {
                put("memory", json!(memory));
                put("memory_offset", json!(offset));
                bytes(put, data);
            }
            Body::Update { memory, offset, width, .. } => {
                put("memory", json!(memory));
                put("memory_offset", json!(offset));
                put("length", json!(width.bytes()));
            }
            _ => {}
        }
    }
}

/// The words of a transcript's line, without the columns before them.
fn words(event: &Event) -> String {
    let line = render_event(event);
    let mut rest = line.trim_start();
    // Number, lane and connection stand before two blanks.
    rest = rest.split_once("  ").map_or(rest, |(_, rest)| rest.trim_start());
    let skip = usize::from(event.connection.is_some()) + 1;
    for _ in 0..skip {
        rest = rest.split_once(' ').map_or(rest, |(_, rest)| rest.trim_start());
    }
    rest.to_owned()
}
