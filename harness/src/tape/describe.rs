//! The words of a transcript: what an event says, for people.

use super::event::{Body, Event, Keyframe};
use super::hex;
use super::mapped::{Capture, MappedMemory};
use super::naming::Names;
use super::note::NoteSubject;
use super::payload::{Digest, INLINE_PAYLOAD_MAX, Payload};
use super::writer::LoadBlob;
use crate::IoReturn;
use crate::memory::Update;
use crate::registry::NoticeKind;
use std::sync::Arc;

/// Bytes that stand in a line before it is cut short.
const SHOWN: usize = 16;

/// Bytes on a line of a dump.
const DUMP_LINE: usize = 16;

/// One line in the making, and the dump below it.
#[derive(Debug, Default)]
pub(super) struct Description {
    line: Vec<u8>,
    dump: Vec<u8>,
    connection: Option<u32>,
}

impl Description {
    pub(super) fn clear(&mut self) {
        self.line.clear();
        self.dump.clear();
    }

    /// Appends line and dump to `out`, each with its line feed.
    pub(super) fn end(&mut self, out: &mut String) {
        self.line.push(b'\n');
        self.line.append(&mut self.dump);
        // Only texts and ASCII went in.
        match std::str::from_utf8(&self.line) {
            Ok(text) => out.push_str(text),
            Err(_) => out.push_str(&String::from_utf8_lossy(&self.line)),
        }
        self.line.clear();
    }

    pub(super) fn text(&mut self, text: &str) {
        self.line.extend_from_slice(text.as_bytes());
    }

    pub(super) fn number(&mut self, number: impl Into<u64>) {
        hex::push_decimal(&mut self.line, number.into());
    }

    pub(super) fn hex(&mut self, number: u64) {
        hex::push_number(&mut self.line, number);
    }

    /// A text, with quotes and without control characters.
    pub(super) fn quoted(&mut self, text: &str) {
        self.text(&format!("{text:?}"));
    }

    fn pad(&mut self, to: usize) {
        while self.line.len() < to {
            self.line.push(b' ');
        }
    }

    /// The columns before the words.
    pub(super) fn begin(&mut self, event: &Event, times: bool) {
        self.clear();
        self.connection = event.connection;
        let mut digits = 1;
        let mut rest = event.sequence / 10;
        while rest > 0 {
            digits += 1;
            rest /= 10;
        }
        self.pad(5_usize.saturating_sub(digits));
        self.number(event.sequence);
        if times {
            self.text("  ");
            self.number(event.time / 1_000_000_000);
            self.text(".");
            let nanoseconds = event.time % 1_000_000_000;
            let mut place = 100_000_000;
            while place > nanoseconds.max(1) {
                self.text("0");
                place /= 10;
            }
            self.number(nanoseconds);
        }
        self.text("  ");
        let column = self.line.len();
        if event.process != 1 {
            self.text("P");
            self.number(event.process);
            self.text(":");
        }
        self.text("L");
        self.number(event.lane);
        self.pad(column + 3);
        if let Some(connection) = event.connection {
            self.text("c");
            self.number(connection);
        }
        self.pad(column + 5);
        self.text("  ");
    }

    /// Names the connection that a leave brought, as the leave of an open does.
    pub(super) fn connection_if_new(&mut self, event: &Event) {
        if self.connection.is_none()
            && let Some(connection) = event.connection
        {
            self.text("c");
            self.number(connection);
            self.text(" ");
        }
    }

    pub(super) fn size(&mut self, bytes: u64) {
        self.number(bytes);
        self.text(if bytes == 1 { " byte" } else { " bytes" });
    }

    /// Bytes, or what is known of them.
    pub(super) fn payload(&mut self, payload: &Payload) {
        let hashed = |line: &mut Self, word: &str, digest: Digest, length| {
            line.size(length);
            line.text(word);
            hex::push_bytes(&mut line.line, &digest.0[..4]);
        };
        match payload {
            Payload::Bytes(bytes) if bytes.len() > INLINE_PAYLOAD_MAX => {
                hashed(self, " blake3:", Digest::of(bytes), bytes.len() as u64);
            }
            Payload::Bytes(bytes) if bytes.len() > SHOWN => {
                hex::push_bytes(&mut self.line, &bytes[..SHOWN]);
                self.text(".. (");
                self.size(bytes.len() as u64);
                self.text(")");
            }
            Payload::Bytes(bytes) if bytes.is_empty() => self.text("0 bytes"),
            Payload::Bytes(bytes) => hex::push_bytes(&mut self.line, bytes),
            Payload::Blob { digest, length } => hashed(self, " blake3:", *digest, *length),
            Payload::Hash { digest, length } => {
                hashed(self, " not kept, blake3:", *digest, *length)
            }
            Payload::Redacted { length } => {
                self.size(*length);
                self.text(" redacted");
            }
        }
    }

    /// Dumps the bytes of the event's payload below its line.
    pub(super) fn dump(&mut self, event: &Event, wanted: bool, load: Option<LoadBlob<'_>>) {
        if !wanted {
            return;
        }
        event.for_each_payload(|payload| {
            let bytes: Option<Arc<[u8]>> = match payload {
                Payload::Bytes(bytes) => Some(bytes.clone()),
                Payload::Blob { digest, .. } => load.and_then(|load| load(*digest).ok()),
                Payload::Hash { .. } | Payload::Redacted { .. } => None,
            };
            for (index, chunk) in bytes.iter().flat_map(|bytes| bytes.chunks(DUMP_LINE)).enumerate()
            {
                let offset = index * DUMP_LINE;
                self.dump.extend_from_slice(format!("{:15}{offset:06x} ", "").as_bytes());
                for (place, byte) in chunk.iter().enumerate() {
                    self.dump.extend_from_slice(if place == DUMP_LINE / 2 { b"  " } else { b" " });
                    hex::push_bytes(&mut self.dump, &[*byte]);
                }
                self.dump.push(b'\n');
            }
        });
    }

    /// What the event says.
    pub(super) fn body(&mut self, event: &Event, names: Names<'_>) {
        if event.body.is_leave() {
            self.text(match event.body {
                Body::Return(_) => "return",
                Body::Woke { .. } => "woke",
                Body::Mapped { .. } => "mapped",
                Body::Unmapped { .. } => "unmapped",
                Body::Closed { .. } => "closed",
                Body::OtherReturn { .. } => "return",
                _ => "open",
            });
            self.of(event);
            self.text(": ");
            return self.leave(&event.body, names);
        }
        match &event.body {
            Body::Matched { matching, outcome } => {
                self.text("match ");
                self.matching(matching);
                self.text(" -> ");
                match outcome {
                    Ok(services) if services.is_empty() => self.text("none"),
                    Ok(services) => {
                        self.text("service");
                        self.numbers(services);
                    }
                    Err(result) => self.result(*result, names),
                }
            }
            Body::Property { service, key, outcome } => {
                match key {
                    Some(key) => {
                        self.text("property ");
                        self.quoted(key);
                    }
                    None => self.text("properties"),
                }
                self.text(" of service ");
                self.number(*service);
                self.text(" -> ");
                match outcome {
                    Ok(Some(value)) => self.value(value),
                    Ok(None) => self.text("none"),
                    Err(result) => self.result(*result, names),
                }
            }
            Body::Watch { queue, matching, result } => {
                self.text("watch ");
                self.matching(matching);
                self.text(" on queue ");
                self.number(*queue);
                self.text(" -> ");
                self.result(*result, names);
            }
            Body::Notice { queue, kind, service } => {
                self.text("notice from queue ");
                self.number(*queue);
                self.text(": service ");
                self.number(*service);
                self.text(match kind {
                    NoticeKind::Arrived => " arrived",
                    NoticeKind::Terminated => " terminated",
                });
            }
            Body::Queue { queue } => {
                self.text("queue ");
                self.number(*queue);
                self.text(" made");
            }
            Body::Open { service, open_type } => {
                self.text("open service ");
                self.number(*service);
                self.text(" type ");
                self.number(*open_type);
            }
            Body::Call(call) => {
                self.text("call ");
                self.call(call, names);
            }
            Body::AsyncCall { call, queue, reference } => {
                self.text("async call ");
                self.call(call, names);
                match queue {
                    Some(queue) => {
                        self.text(" wake queue ");
                        self.number(*queue);
                    }
                    None => self.text(" no wake port"),
                }
                if let Some(reference) = reference {
                    self.text(" reference [");
                    self.scalars(reference, &[]);
                    self.text("]");
                }
            }
            Body::Posted { ordinal, status, arguments, .. } => {
                self.text("completion ");
                self.number(*ordinal);
                self.of(event);
                self.text(" posted: ");
                self.result(*status, names);
                if !arguments.is_empty() {
                    self.text(" (");
                    self.scalars(arguments, names.completion());
                    self.text(")");
                }
            }
            Body::Delivered { queue, .. } => {
                self.text("completion");
                self.of(event);
                self.text(" delivered from queue ");
                self.number(*queue);
            }
            Body::Wait { queue, timeout } => {
                self.text("wait on queue ");
                self.number(*queue);
                if let Some(timeout) = timeout {
                    self.text(" up to ");
                    self.number(*timeout);
                    self.text(" ns");
                }
            }
            Body::Map { memory_type, options, address } => {
                self.text("map type ");
                self.number(*memory_type);
                self.name(names.memory.map(|memory| &*memory.name));
                self.text(" options ");
                self.hex(u64::from(*options));
                if *address != 0 {
                    self.text(" at ");
                    self.hex(*address);
                }
            }
            Body::Unmap { memory_type, memory } => {
                self.text("unmap type ");
                self.number(*memory_type);
                self.name(names.memory.map(|memory| &*memory.name));
                if let Some(memory) = memory {
                    self.text(" memory ");
                    self.number(*memory);
                }
            }
            Body::Close => self.text("close"),
            Body::OtherCall(call) => self.other_call(call),
            Body::Write { memory, offset, width, data } => {
                self.text(if width.is_some() { "store" } else { "write" });
                self.place(*memory, *offset, names);
                self.text(" = ");
                self.part(*offset, data, names);
            }
            Body::Update { memory, offset, width, update } => {
                let (word, expected, operand) = match *update {
                    Update::Swap(operand) => ("swap", None, operand),
                    Update::Add(operand) => ("add", None, operand),
                    Update::Or(operand) => ("or", None, operand),
                    Update::And(operand) => ("and", None, operand),
                    Update::CompareExchange { expected, new } => {
                        ("compare and exchange", Some(expected), new)
                    }
                };
                self.text("atomic ");
                self.text(word);
                self.place(*memory, *offset, names);
                self.text(", ");
                self.size(width.bytes());
                self.text(": ");
                if let Some(expected) = expected {
                    self.hex(expected);
                    self.text(" to ");
                }
                self.hex(operand);
            }
            Body::Patch { memory, offset, data, read, last_equal, unattributed } => {
                self.text("patch");
                self.place(*memory, *offset, names);
                self.text(" = ");
                self.part(*offset, data, names);
                if *read != 1 {
                    self.text(", read ");
                    self.number(*read);
                }
                if let Some(last_equal) = last_equal {
                    self.text(", equal up to ");
                    self.number(*last_equal);
                }
                if *unattributed {
                    self.text(", by the dext or the client");
                }
            }
            Body::Terminated { service } => match service {
                Some(service) => {
                    self.text("service ");
                    self.number(*service);
                    self.text(" terminated");
                }
                None => self.text("user client terminated"),
            },
            Body::Gap { events, reason } => {
                self.text("gap: ");
                if let Some(events) = events {
                    self.number(*events);
                    self.text(" events missing, ");
                }
                self.quoted(reason);
            }
            Body::Keyframe(keyframe) => self.keyframe(keyframe),
            Body::Fork { child } => {
                self.text("fork of process ");
                self.number(*child);
            }
            Body::Exec => self.text("exec"),
            Body::Note { subject, memory, reason } => {
                self.text(match subject {
                    NoteSubject::Trigger => "note, trigger",
                    NoteSubject::Uncaptured => "note, uncaptured",
                });
                if let Some(memory) = memory {
                    self.text(" memory ");
                    self.number(*memory);
                }
                self.text(": ");
                self.quoted(reason);
            }
            Body::Unknown { kind } => {
                self.text("unknown kind ");
                self.quoted(kind);
            }
            _ => {}
        }
    }

    fn of(&mut self, event: &Event) {
        if let Some(cause) = event.cause {
            self.text(" of ");
            self.number(cause);
        }
    }

    /// What the leave of an operation says.
    pub(super) fn leave(&mut self, body: &Body, names: Names<'_>) {
        match body {
            Body::Opened => self.text("opened"),
            Body::OpenFailed { result } | Body::Unmapped { result } | Body::Closed { result } => {
                self.result(*result, names);
            }
            Body::Return(returned) => self.returned(returned, names),
            Body::Woke { timed_out } => self.text(if *timed_out { "timed out" } else { "ok" }),
            Body::Mapped {
                outcome: Ok(MappedMemory { memory, length, size, capture, read_only }),
            } => {
                self.text("memory ");
                self.number(*memory);
                self.text(", ");
                self.size(*length);
                self.text(" of ");
                self.number(*size);
                self.text(match capture {
                    Capture::Accessor => "",
                    Capture::PageProtection => ", seen by page protection",
                    Capture::Trap => ", seen by traps",
                    Capture::SyncPoints => ", seen at sync points",
                    Capture::Uncaptured => ", uncaptured",
                    Capture::Registers => ", registers",
                });
                self.text(if *read_only { ", read-only" } else { "" });
            }
            Body::Mapped { outcome: Err(result) } | Body::OtherReturn { outcome: Err(result) } => {
                self.result(*result, names);
            }
            Body::OtherReturn { outcome: Ok(service) } => {
                self.result(IoReturn::SUCCESS, names);
                if let Some(service) = service {
                    self.text(" service ");
                    self.number(*service);
                }
            }
            _ => {}
        }
    }

    fn numbers(&mut self, numbers: &[u32]) {
        for (index, number) in numbers.iter().enumerate() {
            self.text(if index > 0 { ", " } else { " " });
            self.number(*number);
        }
    }

    fn keyframe(&mut self, keyframe: &Keyframe) {
        self.text("keyframe:");
        for (connection, service) in &keyframe.connections {
            self.text(" connection ");
            self.number(*connection);
            self.text(" to service ");
            self.number(*service);
            self.text(",");
        }
        for memory in &keyframe.memories {
            self.text(" memory ");
            self.number(memory.memory);
            self.text(" of ");
            self.size(memory.length);
            self.text(",");
        }
        if !keyframe.queues.is_empty() {
            self.text(" queues");
            self.numbers(&keyframe.queues);
            self.text(",");
        }
        self.text(" ");
        self.number(keyframe.pending.len() as u64);
        self.text(" calls pending");
    }
}
