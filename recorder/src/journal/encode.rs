//! A record's body as bytes. [`decode`](super::decode) is its mirror.

use super::kind;
use super::record::{Call, Data, OtherCall, Record, Return, Structure};
use super::sink::Sink;
use super::{Keyframe, Token};
use dextape::IoReturn;
use dextape::connection::{Matching, NoticeKind, Value};
use dextape::limits::{SCALARS_MAX, TRAP_ARGUMENTS_MAX};
use dextape::memory::Update;
use dextape::tape::{Capture, NoteSubject, OutputKind};

/// Depth of registry values that is kept; a deeper one becomes a gap.
pub(super) const VALUE_DEPTH_MAX: usize = 64;

impl Record<'_> {
    /// Number of the kind.
    #[inline]
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Header(_) => kind::HEADER,
            Self::Service { .. } => kind::SERVICE,
            Self::Fields(_) => kind::FIELDS,
            Self::Matched { .. } => kind::MATCHED,
            Self::Property { .. } => kind::PROPERTY,
            Self::Watch { .. } => kind::WATCH,
            Self::Notice { .. } => kind::NOTICE,
            Self::Queue { .. } => kind::QUEUE,
            Self::Open { .. } => kind::OPEN,
            Self::Opened => kind::OPENED,
            Self::OpenFailed { .. } => kind::OPEN_FAILED,
            Self::Call(_) => kind::CALL,
            Self::AsyncCall { .. } => kind::ASYNC_CALL,
            Self::Return(_) => kind::RETURN,
            Self::Posted { .. } => kind::POSTED,
            Self::Delivered { .. } => kind::DELIVERED,
            Self::Wait { .. } => kind::WAIT,
            Self::Woke { .. } => kind::WOKE,
            Self::Map { .. } => kind::MAP,
            Self::Mapped { .. } => kind::MAPPED,
            Self::Unmap { .. } => kind::UNMAP,
            Self::Unmapped { .. } => kind::UNMAPPED,
            Self::Close => kind::CLOSE,
            Self::Closed { .. } => kind::CLOSED,
            Self::OtherCall(_) => kind::OTHER_CALL,
            Self::OtherReturn { .. } => kind::OTHER_RETURN,
            Self::Write { .. } => kind::WRITE,
            Self::Update { .. } => kind::UPDATE,
            Self::Patch { unattributed: false, .. } => kind::PATCH,
            Self::Patch { unattributed: true, .. } => kind::UNATTRIBUTED_PATCH,
            Self::Terminated { .. } => kind::TERMINATED,
            Self::Gap { .. } => kind::GAP,
            Self::Keyframe(_) => kind::KEYFRAME,
            Self::Fork { .. } => kind::FORK,
            Self::Exec => kind::EXEC,
            Self::Note { .. } => kind::NOTE,
        }
    }

    /// False where the record holds a registry value that is nested too deeply to be kept.
    pub(super) fn is_shallow(&self) -> bool {
        match self {
            Self::Matched { matching, .. } | Self::Watch { matching, .. } => {
                matching.conditions().all(|(_, value)| is_shallow(value, VALUE_DEPTH_MAX))
            }
            Self::Property { outcome: Ok(Some(value)), .. }
            | Self::OtherCall(OtherCall::SetProperties { properties: Some(value) }) => {
                is_shallow(value, VALUE_DEPTH_MAX)
            }
            _ => true,
        }
    }

    /// Puts the body.
    #[inline]
    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        match self {
            Self::Call(call) => put_call(sink, call),
            Self::Return(value) => put_return(sink, value),
            other => other.encode_other(sink),
        }
    }

    fn encode_other<S: Sink>(&self, sink: &mut S) {
        match *self {
            Self::Call(_) | Self::Return(_) => {}
            Self::Header(header) => super::header_code::put_header(sink, header),
            Self::Service { service, identity } => {
                sink.number(service);
                super::header_code::put_identity(sink, identity);
            }
            Self::Fields(text) => sink.maybe_text(Some(text)),
            Self::Matched { matching, outcome } => {
                put_matching(sink, matching);
                put_outcome(sink, outcome, |sink, services| put_numbers(sink, services));
            }
            Self::Property { service, key, outcome } => {
                sink.number(service);
                sink.maybe_text(key);
                put_outcome(sink, outcome, |sink, value| {
                    sink.byte(u8::from(value.is_some()));
                    if let Some(value) = value {
                        put_value(sink, value);
                    }
                });
            }
            Self::Watch { queue, matching, result } => {
                sink.number(queue);
                put_result(sink, result);
                put_matching(sink, matching);
            }
            Self::Notice { queue, kind, service } => {
                sink.number(queue);
                sink.byte(match kind {
                    NoticeKind::Arrived => 0,
                    NoticeKind::Terminated => 1,
                });
                sink.number(service);
            }
            Self::Queue { queue } => sink.number(queue),
            Self::Delivered { queue, polls } => {
                sink.number(queue);
                sink.long(polls);
            }
            Self::Open { service, open_type } => {
                sink.number(service);
                sink.number(open_type);
            }
            Self::Opened | Self::Close | Self::Exec => {}
            Self::OpenFailed { result } | Self::Unmapped { result } | Self::Closed { result } => {
                put_result(sink, result);
            }
            Self::AsyncCall { ref call, queue, reference } => {
                put_call(sink, call);
                sink.maybe_number(queue);
                sink.byte(u8::from(reference.is_some()));
                put_longs(sink, reference.unwrap_or(&[]));
            }
            Self::Posted { ordinal, status, arguments, reference } => {
                sink.long(ordinal);
                put_result(sink, status);
                put_scalars(sink, arguments);
                reference.iter().for_each(|entry| sink.long(*entry));
            }
            Self::Wait { queue, timeout } => {
                sink.number(queue);
                sink.maybe_long(timeout);
            }
            Self::Woke { timed_out } => sink.byte(u8::from(timed_out)),
            Self::Map { memory_type, options, address } => {
                sink.number(memory_type);
                sink.number(options);
                sink.long(address);
            }
            Self::Mapped { outcome } => put_outcome(sink, outcome, |sink, mapped| {
                sink.number(mapped.memory);
                sink.long(mapped.length);
                sink.long(mapped.size);
                sink.byte(capture_number(mapped.capture) | u8::from(mapped.read_only) << 7);
            }),
            Self::Unmap { memory_type, memory } => {
                sink.number(memory_type);
                sink.maybe_number(memory);
            }
            Self::OtherCall(call) => put_other_call(sink, call),
            Self::OtherReturn { outcome } => put_outcome(sink, outcome, |sink, service| {
                sink.maybe_number(service);
            }),
            Self::Write { memory, offset, width, data } => {
                sink.number(memory);
                sink.long(offset);
                sink.byte(width.map_or(0, |width| width.bytes() as u8));
                put_data(sink, data);
            }
            Self::Update { memory, offset, width, update } => {
                sink.number(memory);
                sink.long(offset);
                sink.byte(width.bytes() as u8);
                put_update(sink, update);
            }
            Self::Patch { memory, offset, data, read, last_equal, unattributed: _ } => {
                sink.number(memory);
                sink.long(offset);
                sink.long(read);
                sink.long(last_equal.map_or(0, Token::get));
                put_data(sink, data);
            }
            Self::Terminated { service } => sink.maybe_number(service),
            Self::Gap { events, reason } => {
                sink.maybe_long(events);
                sink.block(reason.as_bytes());
            }
            Self::Keyframe(keyframe) => put_keyframe(sink, &keyframe),
            Self::Fork { child } => sink.number(child),
            Self::Note { subject, memory, reason } => {
                sink.byte(match subject {
                    NoteSubject::Trigger => 0,
                    _ => 1,
                });
                sink.maybe_number(memory);
                sink.block(reason.as_bytes());
            }
        }
    }
}

#[inline]
fn put_call<S: Sink>(sink: &mut S, call: &Call<'_>) {
    sink.number(call.selector);
    sink.number(call.scalar_count);
    sink.number(call.scalars_asked);
    put_scalars(sink, call.scalars);
    match call.output {
        OutputKind::None => sink.byte(0),
        OutputKind::Bytes { size } => {
            sink.byte(1);
            sink.long(size);
        }
        OutputKind::Shared { memory, size } => {
            sink.byte(2);
            sink.number(memory);
            sink.long(size);
        }
        OutputKind::Null { size } => {
            sink.byte(3);
            sink.long(size);
        }
        OutputKind::Variable => sink.byte(4),
        OutputKind::Unmapped { size } => {
            sink.byte(5);
            sink.long(size);
        }
    }
    match call.input {
        Structure::None => sink.byte(0),
        Structure::Bytes(data) => {
            sink.byte(1);
            put_data(sink, data);
        }
        Structure::Shared { memory, data } => {
            sink.byte(2);
            sink.number(memory);
            put_data(sink, data);
        }
        Structure::Null { size } => {
            sink.byte(3);
            sink.long(size);
        }
        Structure::Unmapped { size } => {
            sink.byte(4);
            sink.long(size);
        }
    }
}

fn put_other_call<S: Sink>(sink: &mut S, call: OtherCall<'_>) {
    match call {
        OtherCall::SetNotificationPort { notification_type, queue, reference } => {
            sink.byte(0);
            sink.number(notification_type);
            sink.maybe_number(queue);
            sink.long(reference);
        }
        OtherCall::AddClient { client } => {
            sink.byte(1);
            sink.maybe_number(client);
        }
        OtherCall::GetService => sink.byte(2),
        OtherCall::SetProperties { properties } => {
            sink.byte(3);
            sink.byte(u8::from(properties.is_some()));
            if let Some(properties) = properties {
                put_value(sink, properties);
            }
        }
        OtherCall::Trap { index, arguments } => {
            sink.byte(4);
            sink.number(index);
            put_scalars(sink, &arguments[..arguments.len().min(TRAP_ARGUMENTS_MAX)]);
        }
        OtherCall::AddRef => sink.byte(5),
        OtherCall::Release => sink.byte(6),
    }
}

#[inline]
fn put_return<S: Sink>(sink: &mut S, value: &Return<'_>) {
    put_result(sink, value.result);
    put_scalars(sink, value.scalars);
    sink.maybe_long(value.structure_size);
    sink.byte(u8::from(value.structure.is_some()));
    if let Some(data) = value.structure {
        put_data(sink, data);
    }
}

#[inline]
fn put_data<S: Sink>(sink: &mut S, data: Data<'_>) {
    match data {
        Data::Bytes(bytes) => {
            sink.byte(0);
            sink.block(bytes);
        }
        Data::Hash { digest, length } => {
            sink.byte(1);
            sink.long(length);
            sink.put(&digest.0);
        }
        Data::Redacted { length } => {
            sink.byte(2);
            sink.long(length);
        }
    }
}

#[inline]
fn put_result<S: Sink>(sink: &mut S, result: IoReturn) {
    sink.number(result.0);
}

/// At most 16 of them, so that a count is a byte.
#[inline]
fn put_scalars<S: Sink>(sink: &mut S, scalars: &[u64]) {
    let scalars = &scalars[..scalars.len().min(SCALARS_MAX)];
    sink.byte(scalars.len() as u8);
    scalars.iter().for_each(|scalar| sink.long(*scalar));
}

fn put_outcome<S: Sink, T>(
    sink: &mut S,
    outcome: Result<T, IoReturn>,
    put: impl FnOnce(&mut S, T),
) {
    match outcome {
        Ok(value) => {
            sink.byte(1);
            put(sink, value);
        }
        Err(result) => {
            sink.byte(0);
            put_result(sink, result);
        }
    }
}

fn put_numbers<S: Sink>(sink: &mut S, numbers: &[u32]) {
    sink.long(numbers.len() as u64);
    numbers.iter().for_each(|number| sink.number(*number));
}

fn put_longs<S: Sink>(sink: &mut S, numbers: &[u64]) {
    sink.long(numbers.len() as u64);
    numbers.iter().for_each(|number| sink.long(*number));
}

fn put_update<S: Sink>(sink: &mut S, update: Update) {
    let (tag, operand, new) = match update {
        Update::Swap(operand) => (0, operand, 0),
        Update::Add(operand) => (1, operand, 0),
        Update::Or(operand) => (2, operand, 0),
        Update::And(operand) => (3, operand, 0),
        Update::CompareExchange { expected, new } => (4, expected, new),
    };
    sink.byte(tag);
    sink.long(operand);
    sink.long(new);
}

fn put_matching<S: Sink>(sink: &mut S, matching: &Matching) {
    sink.long(matching.conditions().count() as u64);
    for (key, value) in matching.conditions() {
        sink.block(key.as_bytes());
        put_value(sink, value);
    }
}

fn put_value<S: Sink>(sink: &mut S, value: &Value) {
    match value {
        Value::Boolean(value) => {
            sink.byte(0);
            sink.byte(u8::from(*value));
        }
        Value::Number(number) => {
            sink.byte(1);
            sink.long(*number);
        }
        Value::String(text) => {
            sink.byte(2);
            sink.block(text.as_bytes());
        }
        Value::Data(bytes) => {
            sink.byte(3);
            sink.block(bytes);
        }
        Value::Array(values) => {
            sink.byte(4);
            sink.long(values.len() as u64);
            values.iter().for_each(|value| put_value(sink, value));
        }
        Value::Dictionary(entries) => {
            sink.byte(5);
            sink.long(entries.len() as u64);
            for (key, value) in entries {
                sink.block(key.as_bytes());
                put_value(sink, value);
            }
        }
        // A kind of value that came after this version of the format: none is lost silently, since
        // the reader names it.
        _ => sink.byte(u8::MAX),
    }
}

fn is_shallow(value: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match value {
        Value::Array(values) => values.iter().all(|value| is_shallow(value, depth)),
        Value::Dictionary(entries) => entries.values().all(|value| is_shallow(value, depth)),
        _ => true,
    }
}

fn put_keyframe<S: Sink>(sink: &mut S, keyframe: &Keyframe<'_>) {
    sink.long(keyframe.connections.len() as u64);
    for (connection, service) in keyframe.connections {
        sink.number(*connection);
        sink.number(*service);
    }
    sink.long(keyframe.memories.len() as u64);
    for memory in keyframe.memories {
        sink.number(memory.memory);
        sink.maybe_number(memory.connection);
        sink.number(memory.memory_type);
        sink.long(memory.length);
        sink.long(memory.shadow.len() as u64);
        for (offset, bytes) in memory.shadow {
            sink.long(*offset);
            sink.block(bytes);
        }
    }
    put_numbers(sink, keyframe.queues);
    sink.long(keyframe.pending.len() as u64);
    keyframe.pending.iter().for_each(|token| sink.long(token.get()));
}

fn capture_number(capture: Capture) -> u8 {
    match capture {
        Capture::Accessor => 0,
        Capture::PageProtection => 1,
        Capture::Trap => 2,
        Capture::SyncPoints => 3,
        Capture::Registers => 5,
        // What a later version captured otherwise is, to this one, not captured.
        _ => 4,
    }
}
