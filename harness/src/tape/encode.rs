//! From an event to its line. Keys stand in the order of the table of fields; defaults are left out, so
//! that an event has one spelling.

use super::event::{Body, Call, Event, Keyframe, OtherCall, OutputKind, Return, Structure};
use super::fields::{CAPTURES, Field, NOTICES, NUMBER_MAX, OPERATIONS, OTHER_CALLS, SUBJECTS};
use super::hex;
use super::mapped::{Capture, MappedMemory};
use super::note::NoteSubject;
use super::payload::Payload;
use super::value;
use crate::IoReturn;
use crate::limits::TRAP_ARGUMENTS_MAX;
use crate::memory::{Update, Width};
use crate::registry::{NoticeKind, Value};

/// Size returned where a line does not state it: after success that of the structure, else none.
pub(super) fn default_size(result: IoReturn, structure: Option<&Payload>) -> Option<u64> {
    result.is_success().then(|| structure.map_or(0, Payload::length))
}

/// Writes payloads into lines: short bytes as they are, others as the writer keeps them.
pub(super) trait PutPayload {
    /// Appends the text of a payload, without quotes.
    fn put(&mut self, payload: &Payload, out: &mut Vec<u8>) -> Result<(), String>;
}

/// Appends the line of an event, with its line feed. What it returns is why the format cannot hold the
/// event; the text is of no use then.
pub(super) fn event(
    event: &Event,
    payloads: &mut dyn PutPayload,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let mut line = LineText { out, payloads, wrong: None };
    line.out.push(b'{');
    line.count(Field::Sequence, event.sequence);
    if event.process != 1 {
        line.small(Field::Process, event.process);
    }
    line.small(Field::Lane, event.lane);
    line.count(Field::Position, event.position);
    line.optional(Field::Connection, event.connection);
    if let Some(cause) = event.cause {
        line.count(Field::Cause, cause);
    }
    line.hex_unless_zero(Field::Time, event.time);
    line.text(Field::Kind, event.body.name());
    line.flag(Field::MustUnderstand, event.must_understand);
    line.body(&event.body);
    for (key, value) in &event.extra {
        line.extra(key, value, event.body.kind());
    }
    line.out.extend_from_slice(b"}\n");
    line.wrong.map_or(Ok(()), Err)
}

struct LineText<'a> {
    out: &'a mut Vec<u8>,
    payloads: &'a mut dyn PutPayload,
    wrong: Option<String>,
}

impl LineText<'_> {
    fn refuse(&mut self, wrong: String) {
        self.wrong.get_or_insert(wrong);
    }

    fn key(&mut self, field: Field) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(field.key().as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn number(&mut self, number: u64) {
        hex::push_decimal(self.out, number);
    }

    fn count(&mut self, field: Field, number: u64) {
        if number > NUMBER_MAX {
            self.refuse(format!("`{}` to be at most {NUMBER_MAX}, found {number}", field.key()));
        }
        self.key(field);
        self.number(number);
    }

    fn count_unless(&mut self, field: Field, number: u64, default: u64) {
        if number != default {
            self.count(field, number);
        }
    }

    fn small(&mut self, field: Field, number: u32) {
        self.key(field);
        self.number(u64::from(number));
    }

    fn optional(&mut self, field: Field, number: Option<u32>) {
        if let Some(number) = number {
            self.small(field, number);
        }
    }

    fn quoted(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(b'"');
        write(self.out);
        self.out.push(b'"');
    }

    fn hex(&mut self, field: Field, number: u64) {
        self.key(field);
        self.quoted(|out| hex::push_number(out, number));
    }

    fn hex_unless_zero(&mut self, field: Field, number: u64) {
        if number != 0 {
            self.hex(field, number);
        }
    }

    fn hexes(&mut self, field: Field, numbers: &[u64]) {
        self.key(field);
        self.list(numbers, |line, number| line.quoted(|out| hex::push_number(out, *number)));
    }

    fn scalars(&mut self, field: Field, scalars: &[u64]) {
        if !scalars.is_empty() {
            self.hexes(field, scalars);
        }
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            write(self, item);
        }
        self.out.push(b']');
    }

    fn numbers(&mut self, field: Field, numbers: &[u32]) {
        self.key(field);
        self.list(numbers, |line, number| line.number(u64::from(*number)));
    }

    fn text(&mut self, field: Field, text: &str) {
        self.key(field);
        value::push_text(self.out, text);
    }

    fn flag(&mut self, field: Field, flag: bool) {
        if flag {
            self.key(field);
            self.out.extend_from_slice(b"true");
        }
    }

    fn code(&mut self, field: Field, code: IoReturn) {
        self.key(field);
        match code.name() {
            Some(name) => self.quoted(|out| out.extend_from_slice(name.as_bytes())),
            None => {
                self.quoted(|out| out.extend_from_slice(format!("0x{:08x}", code.0).as_bytes()))
            }
        }
    }

    fn result(&mut self, result: IoReturn) {
        if !result.is_success() {
            self.code(Field::Result, result);
        }
    }

    fn value(&mut self, field: Field, value: &Value) {
        if value::depth(value) > value::DEPTH_MAX {
            self.refuse(format!("`{}` to lie at most {} deep", field.key(), value::DEPTH_MAX));
        }
        self.key(field);
        value::push_value(self.out, value);
    }

    fn matching(&mut self, matching: &crate::registry::Matching) {
        if matching.conditions().any(|(_, value)| value::depth(value) >= value::DEPTH_MAX) {
            self.refuse(format!("`matching` to lie at most {} deep", value::DEPTH_MAX));
        }
        self.key(Field::Matching);
        value::push_matching(self.out, matching);
    }

    fn payload(&mut self, field: Field, payload: &Payload) {
        self.key(field);
        self.payload_text(payload);
    }

    fn payload_text(&mut self, payload: &Payload) {
        self.out.push(b'"');
        if let Err(wrong) = self.payloads.put(payload, self.out) {
            self.refuse(wrong);
        }
        self.out.push(b'"');
    }

    fn width(&mut self, width: Width) {
        self.key(Field::Width);
        self.number(width.bytes());
    }

    fn extra(&mut self, key: &str, value: &serde_json::Value, kind: Option<super::Kind>) {
        let taken = Field::of(key).is_some_and(|field| {
            field.is_common() || kind.is_some_and(|kind| kind.fields() & field.bit() != 0)
        });
        if taken {
            self.refuse(format!("the unknown field {key:?} not to have the name of a known one"));
        }
        self.out.push(b',');
        value::push_text(self.out, key);
        self.out.push(b':');
        if serde_json::to_writer(&mut *self.out, value).is_err() {
            self.refuse(format!("the unknown field {key:?} to have a form in JSON"));
        }
    }

    fn body(&mut self, body: &Body) {
        match body {
            Body::Matched { matching, outcome } => {
                self.matching(matching);
                match outcome {
                    Ok(services) => self.numbers(Field::Services, services),
                    Err(result) => self.code(Field::Result, *result),
                }
            }
            Body::Property { service, key, outcome } => {
                self.small(Field::Service, *service);
                if let Some(key) = key {
                    self.text(Field::Key, key);
                }
                match outcome {
                    Ok(None) => {}
                    Ok(Some(value)) => self.value(Field::Value, value),
                    Err(result) => self.code(Field::Result, *result),
                }
            }
            Body::Watch { queue, matching, result } => {
                self.matching(matching);
                self.small(Field::Queue, *queue);
                self.result(*result);
            }
            Body::Notice { queue, kind, service } => {
                self.small(Field::Service, *service);
                self.small(Field::Queue, *queue);
                let word = match kind {
                    NoticeKind::Arrived => NOTICES[0],
                    NoticeKind::Terminated => NOTICES[1],
                };
                self.text(Field::Notice, word);
            }
            Body::Queue { queue } => self.small(Field::Queue, *queue),
            Body::Delivered { queue, polls } => {
                self.small(Field::Queue, *queue);
                if *polls != 0 {
                    self.count(Field::Polls, *polls);
                }
            }
            Body::Open { service, open_type } => {
                self.small(Field::Service, *service);
                if *open_type != 0 {
                    self.small(Field::OpenType, *open_type);
                }
            }
            Body::OpenFailed { result } => self.code(Field::Result, *result),
            Body::Call(call) => self.call(call, None),
            Body::AsyncCall { call, queue, reference } => {
                self.call(call, *queue);
                if let Some(reference) = reference {
                    self.hexes(Field::Reference, reference);
                }
            }
            Body::Return(returned) => self.returned(returned),
            Body::Posted { ordinal, status, arguments, reference } => {
                self.count_unless(Field::Ordinal, *ordinal, 1);
                if !status.is_success() {
                    self.code(Field::Status, *status);
                }
                self.scalars(Field::Arguments, arguments);
                let used = reference.iter().rposition(|entry| *entry != 0).map_or(0, |at| at + 1);
                self.scalars(Field::Reference, &reference[..used]);
            }
            Body::Wait { queue, timeout } => {
                self.small(Field::Queue, *queue);
                if let Some(timeout) = timeout {
                    self.hex(Field::Timeout, *timeout);
                }
            }
            Body::Woke { timed_out } => self.flag(Field::TimedOut, *timed_out),
            Body::Map { memory_type, options, address } => {
                self.memory_type(*memory_type);
                self.hex(Field::Options, u64::from(*options));
                self.hex_unless_zero(Field::Address, *address);
            }
            Body::Mapped { outcome: Ok(mapped) } => self.mapped(*mapped),
            Body::Mapped { outcome: Err(result) } => self.code(Field::Result, *result),
            Body::Unmap { memory_type, memory } => {
                self.memory_type(*memory_type);
                self.optional(Field::Memory, *memory);
            }
            Body::Unmapped { result } | Body::Closed { result } => self.result(*result),
            Body::OtherCall(call) => self.other_call(call),
            Body::OtherReturn { outcome: Ok(service) } => self.optional(Field::Service, *service),
            Body::OtherReturn { outcome: Err(result) } => self.code(Field::Result, *result),
            Body::Write { memory, offset, width, data } => {
                self.small(Field::Memory, *memory);
                self.hex_unless_zero(Field::Offset, *offset);
                if let Some(width) = width {
                    self.width(*width);
                }
                self.payload(Field::Data, data);
            }
            Body::Update { memory, offset, width, update } => {
                self.update(*memory, *offset, *width, *update);
            }
            Body::Patch { memory, offset, data, read, last_equal, unattributed } => {
                self.small(Field::Memory, *memory);
                self.hex_unless_zero(Field::Offset, *offset);
                self.payload(Field::Data, data);
                self.count_unless(Field::Read, *read, 1);
                if let Some(last_equal) = last_equal {
                    self.count(Field::LastEqual, *last_equal);
                }
                self.flag(Field::Unattributed, *unattributed);
            }
            Body::Terminated { service } => self.optional(Field::Service, *service),
            Body::Gap { events, reason } => {
                if let Some(events) = events {
                    self.count(Field::Events, *events);
                }
                self.text(Field::Reason, reason);
            }
            Body::Keyframe(keyframe) => self.keyframe(keyframe),
            Body::Fork { child } => self.small(Field::Child, *child),
            Body::Note { subject, memory, reason } => {
                self.optional(Field::Memory, *memory);
                self.text(Field::Reason, reason);
                let word = match subject {
                    NoteSubject::Trigger => 0,
                    NoteSubject::Uncaptured => 1,
                };
                self.text(Field::Subject, SUBJECTS[word]);
            }
            Body::Opened | Body::Close | Body::Exec => {}
            Body::Unknown { kind } => {
                if super::Kind::of(kind).is_some() {
                    self.refuse(format!("the unknown kind not to be named {kind:?}"));
                }
            }
        }
    }

    fn memory_type(&mut self, memory_type: u32) {
        if memory_type != 0 {
            self.small(Field::MemoryType, memory_type);
        }
    }

    fn call(&mut self, call: &Call, queue: Option<u32>) {
        // The queue stands before the selector in the table of fields.
        self.optional(Field::Queue, queue);
        self.small(Field::Selector, call.selector);
        self.scalars(Field::Scalars, &call.scalars);
        if call.scalar_count as usize != call.scalars.len() {
            self.small(Field::ScalarCount, call.scalar_count);
        }
        match &call.input {
            Structure::None => {}
            Structure::Bytes(data) => self.payload(Field::Input, data),
            Structure::Shared { memory, data } => {
                self.payload(Field::Input, data);
                self.small(Field::InputMemory, *memory);
            }
            Structure::Null { size } => self.hex(Field::InputNull, *size),
            Structure::Unmapped { size } => self.hex(Field::InputUnmapped, *size),
        }
        if call.scalars_asked != 0 {
            self.small(Field::ScalarsAsked, call.scalars_asked);
        }
        match call.output {
            OutputKind::None => {}
            OutputKind::Bytes { size } => self.hex(Field::OutputSize, size),
            OutputKind::Shared { memory, size } => {
                self.hex(Field::OutputSize, size);
                self.small(Field::OutputMemory, memory);
            }
            OutputKind::Null { size } => self.hex(Field::OutputNull, size),
            OutputKind::Unmapped { size } => self.hex(Field::OutputUnmapped, size),
            OutputKind::Variable => self.flag(Field::OutputVariable, true),
        }
    }

    /// What a call has stands before its name, as in the table of fields.
    fn other_call(&mut self, call: &OtherCall) {
        let what = match call {
            OtherCall::SetNotificationPort { notification_type, queue, reference } => {
                self.optional(Field::Queue, *queue);
                if *reference != 0 {
                    self.hexes(Field::Reference, &[*reference]);
                }
                self.what(0);
                if *notification_type != 0 {
                    self.small(Field::NotificationType, *notification_type);
                }
                return;
            }
            OtherCall::AddClient { client } => {
                self.what(1);
                self.optional(Field::Client, *client);
                return;
            }
            OtherCall::GetService => 2,
            OtherCall::SetProperties { properties } => {
                if let Some(properties) = properties {
                    self.value(Field::Value, properties);
                }
                3
            }
            OtherCall::Trap { index, arguments } => {
                if arguments.len() > TRAP_ARGUMENTS_MAX {
                    self.refuse(format!("a trap to have at most {TRAP_ARGUMENTS_MAX} arguments"));
                }
                self.scalars(Field::Scalars, arguments);
                self.what(4);
                if *index != 0 {
                    self.small(Field::Index, *index);
                }
                return;
            }
            OtherCall::AddRef => 5,
            OtherCall::Release => 6,
        };
        self.what(what);
    }

    fn what(&mut self, what: usize) {
        self.text(Field::What, OTHER_CALLS[what]);
    }

    fn returned(&mut self, returned: &Return) {
        let Return { result, scalars, structure_size, structure } = returned;
        self.scalars(Field::Scalars, scalars);
        if let Some(structure) = structure {
            self.payload(Field::Structure, structure);
        }
        if *structure_size != default_size(*result, structure.as_ref()) {
            match structure_size {
                Some(size) => self.hex(Field::StructureSize, *size),
                None => {
                    self.key(Field::StructureSize);
                    self.out.extend_from_slice(b"null");
                }
            }
        }
        self.result(*result);
    }

    fn mapped(&mut self, mapped: MappedMemory) {
        self.small(Field::Memory, mapped.memory);
        self.hex(Field::Length, mapped.length);
        self.hex(Field::Size, mapped.size);
        let capture = match mapped.capture {
            Capture::Accessor => 0,
            Capture::PageProtection => 1,
            Capture::Trap => 2,
            Capture::SyncPoints => 3,
            Capture::Uncaptured => 4,
            Capture::Registers => 5,
        };
        if capture != 0 {
            self.text(Field::Capture, CAPTURES[capture]);
        }
        self.flag(Field::ReadOnly, mapped.read_only);
    }

    fn update(&mut self, memory: u32, offset: u64, width: Width, update: Update) {
        self.small(Field::Memory, memory);
        self.hex_unless_zero(Field::Offset, offset);
        self.width(width);
        let (operation, expected, operand) = match update {
            Update::Swap(operand) => (0, None, operand),
            Update::Add(operand) => (1, None, operand),
            Update::Or(operand) => (2, None, operand),
            Update::And(operand) => (3, None, operand),
            Update::CompareExchange { expected, new } => (4, Some(expected), new),
        };
        self.text(Field::Operation, OPERATIONS[operation]);
        if let Some(expected) = expected {
            self.hex(Field::Expected, expected);
        }
        self.hex(Field::Operand, operand);
    }

    fn keyframe(&mut self, keyframe: &Keyframe) {
        let Keyframe { connections, memories, queues, pending } = keyframe;
        if !connections.is_empty() {
            self.key(Field::Connections);
            self.list(connections, |line, (connection, service)| {
                line.list(&[*connection, *service], |line, number| line.number(u64::from(*number)));
            });
        }
        if !memories.is_empty() {
            self.key(Field::Memories);
            self.list(memories, |line, memory| {
                line.out.push(b'{');
                line.small(Field::Memory, memory.memory);
                line.optional(Field::Connection, memory.connection);
                line.memory_type(memory.memory_type);
                line.hex(Field::Length, memory.length);
                if !memory.shadow.is_empty() {
                    line.out.extend_from_slice(b",\"shadow\":");
                    line.list(&memory.shadow, |line, (offset, data)| {
                        line.out.push(b'[');
                        line.quoted(|out| hex::push_number(out, *offset));
                        line.out.push(b',');
                        line.payload_text(data);
                        line.out.push(b']');
                    });
                }
                line.out.push(b'}');
            });
        }
        if !queues.is_empty() {
            self.numbers(Field::Queues, queues);
        }
        if !pending.is_empty() {
            if let Some(large) = pending.iter().find(|number| **number > NUMBER_MAX) {
                self.refuse(format!("`pending` to be at most {NUMBER_MAX}, found {large}"));
            }
            self.key(Field::Pending);
            self.list(pending, |line, number| line.number(*number));
        }
    }
}
