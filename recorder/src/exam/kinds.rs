//! One event of every kind, and more where a kind has several forms.

use crate::journal::{
    Call, Data, Journal, Keyframe, KeyframeMemory, OtherCall, Record, Return, Stamp, Structure,
    Token,
};
use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::connection::{Matching, NoticeKind, Value};
use dextape::memory::{Update, Width};
use dextape::tape::{self, Body, Capture, Digest, MappedMemory, NoteSubject, OutputKind, Payload};
use std::collections::BTreeMap;

/// Bodies of every kind that a journal holds, in an order that could have happened.
#[must_use]
pub fn every_kind() -> Vec<Body> {
    let mut bodies = registry();
    bodies.extend(calls());
    bodies.extend(memory());
    bodies.extend(others());
    bodies.extend(marks());
    bodies
}

fn registry() -> Vec<Body> {
    let refused = IoReturn::NOT_PERMITTED;
    let matching = Matching::service("Null").property("IOUserClass", "NullDriver");
    let deep = BTreeMap::from([
        ("yes".to_owned(), Value::Boolean(true)),
        ("data".to_owned(), Value::Data(vec![0, 1, 255])),
        ("list".to_owned(), Value::Array(vec![Value::Number(u64::MAX), Value::from("é")])),
        ("inner".to_owned(), Value::Dictionary(BTreeMap::new())),
    ]);
    let property = |key: Option<&str>, outcome| Body::Property {
        service: 1,
        key: key.map(str::to_owned),
        outcome,
    };
    vec![
        Body::Matched { matching: matching.clone(), outcome: Ok(vec![1, 2]) },
        Body::Matched { matching: Matching::default(), outcome: Err(refused) },
        property(Some("IOClass"), Ok(Some(Value::from("Null")))),
        property(Some("none"), Ok(None)),
        property(None, Ok(Some(Value::Dictionary(deep)))),
        property(Some("gone"), Err(IoReturn::NO_DEVICE)),
        Body::Watch { queue: 2, matching, result: IoReturn::SUCCESS },
        Body::Notice { queue: 2, kind: NoticeKind::Arrived, service: 1 },
        Body::Notice { queue: 2, kind: NoticeKind::Terminated, service: 2 },
        Body::Queue { queue: 1 },
        Body::Open { service: 1, open_type: 7 },
        Body::OpenFailed { result: refused },
        Body::Open { service: 1, open_type: 0 },
        Body::Opened,
    ]
}

fn calls() -> Vec<Body> {
    let call = tape::Call {
        selector: 3,
        scalars: Scalars::clamped(&[1, u64::MAX]),
        scalar_count: 2,
        input: tape::Structure::Bytes(Payload::bytes(b"sixteen bytes in")),
        scalars_asked: 4,
        output: OutputKind::Bytes { size: 16 },
    };
    let asynchronous = |input, output, queue, reference| Body::AsyncCall {
        call: tape::Call { input, output, ..call.clone() },
        queue,
        reference,
    };
    let shared = tape::Structure::Shared { memory: 1, data: Payload::bytes(&[7; 300]) };
    let returned = tape::Return {
        result: IoReturn::SUCCESS,
        scalars: Scalars::clamped(&[9; 16]),
        structure_size: Some(16),
        structure: Some(Payload::bytes(b"sixteen byte out")),
    };
    let failed = tape::Return {
        result: IoReturn::BAD_ARGUMENT,
        scalars: Scalars::EMPTY,
        structure_size: None,
        structure: None,
    };
    let hash = Payload::Hash { digest: Digest::of(b"long"), length: 1 << 40 };
    vec![
        Body::Call(call.clone()),
        Body::Return(returned.clone()),
        Body::Call(tape::Call { scalar_count: 17, output: OutputKind::Variable, ..call.clone() }),
        Body::Return(failed),
        asynchronous(shared, OutputKind::Shared { memory: 2, size: 8192 }, Some(1), None),
        Body::Posted {
            ordinal: 1,
            status: IoReturn::TIMEOUT,
            arguments: Scalars::clamped(&[1, 2, 3]),
            reference: [0, 1, 2, 3, 4, 5, 6, 7],
        },
        Body::Return(tape::Return { structure: Some(hash), ..returned }),
        asynchronous(
            tape::Structure::Null { size: 5000 },
            OutputKind::Null { size: 4097 },
            None,
            Some(vec![0, 0x1234]),
        ),
        asynchronous(
            tape::Structure::Unmapped { size: 5000 },
            OutputKind::Unmapped { size: 4097 },
            None,
            Some(vec![0, 0x1234]),
        ),
        asynchronous(tape::Structure::None, OutputKind::None, Some(1), Some(Vec::new())),
        Body::Wait { queue: 1, timeout: Some(1_000_000) },
        Body::Delivered { queue: 1, polls: 2 },
        Body::Woke { timed_out: false },
        Body::Wait { queue: 1, timeout: None },
        Body::Woke { timed_out: true },
    ]
}

fn memory() -> Vec<Body> {
    let mapped = |capture| MappedMemory {
        memory: 3,
        length: 128,
        size: 16384,
        capture,
        read_only: capture == Capture::Trap,
    };
    let write = |width, data| Body::Write { memory: 3, offset: 8, width, data };
    let update = |width, update| Body::Update { memory: 3, offset: 16, width, update };
    let patch = |data, last_equal: Option<u64>| Body::Patch {
        memory: 3,
        offset: 64,
        data,
        read: 2,
        last_equal,
        unattributed: last_equal.is_some(),
    };
    let long: Vec<u8> = (0..2500_u32).map(|index| index as u8).collect();
    let mut bodies = vec![
        Body::Map { memory_type: 0, options: 0x1001, address: 0x4000 },
        Body::Mapped { outcome: Err(IoReturn::BAD_ARGUMENT) },
        write(Some(Width::Four), Payload::bytes(&[1, 2, 3, 4])),
        write(None, Payload::bytes(&long)),
        write(None, Payload::Redacted { length: 12 }),
        update(Width::One, Update::Swap(1)),
        update(Width::Two, Update::Add(2)),
        update(Width::Four, Update::Or(3)),
        update(Width::Eight, Update::And(u64::MAX)),
        update(Width::Eight, Update::CompareExchange { expected: 4, new: 5 }),
        patch(Payload::bytes(&[1]), None),
        patch(Payload::bytes(&[]), Some(128)),
        Body::Unmap { memory_type: 0, memory: Some(3) },
        Body::Unmapped { result: IoReturn::BAD_ARGUMENT },
        Body::Unmap { memory_type: 1, memory: None },
    ];
    let ways = [
        Capture::Accessor,
        Capture::PageProtection,
        Capture::Trap,
        Capture::SyncPoints,
        Capture::Uncaptured,
        Capture::Registers,
    ];
    bodies.extend(ways.map(|capture| Body::Mapped { outcome: Ok(mapped(capture)) }));
    bodies
}

fn others() -> Vec<Body> {
    let port = |queue| tape::OtherCall::SetNotificationPort {
        notification_type: 7,
        queue,
        reference: 0x7fff_1234_5678,
    };
    let properties = Value::Dictionary(BTreeMap::from([
        ("level".to_owned(), Value::Number(3)),
        ("name".to_owned(), Value::from("a")),
    ]));
    let arguments = Scalars::clamped(&[1, 2, 3, 4, 5, u64::MAX]);
    let calls = [
        port(None),
        port(Some(1)),
        tape::OtherCall::AddClient { client: Some(2) },
        tape::OtherCall::AddClient { client: None },
        tape::OtherCall::GetService,
        tape::OtherCall::SetProperties { properties: Some(properties) },
        tape::OtherCall::SetProperties { properties: None },
        tape::OtherCall::Trap { index: 2, arguments },
        tape::OtherCall::Trap { index: 0, arguments: Scalars::EMPTY },
        tape::OtherCall::AddRef,
        tape::OtherCall::Release,
    ];
    let outcomes = [Ok(None), Ok(Some(1)), Err(IoReturn::UNSUPPORTED)];
    let returns = outcomes.map(|outcome| Body::OtherReturn { outcome });
    calls.map(Body::OtherCall).into_iter().chain(returns).collect()
}

fn marks() -> Vec<Body> {
    let keyframe = tape::Keyframe {
        connections: vec![(1, 1), (2, 1)],
        memories: vec![tape::KeyframeMemory {
            memory: 3,
            connection: Some(1),
            memory_type: 0,
            length: 128,
            shadow: vec![(0, Payload::bytes(&[1, 2])), (64, Payload::bytes(&[3; 20]))],
        }],
        queues: vec![1],
        pending: vec![128, 168],
    };
    vec![
        Body::Keyframe(keyframe),
        Body::Keyframe(tape::Keyframe::default()),
        Body::Terminated { service: Some(1) },
        Body::Terminated { service: None },
        Body::Gap { events: Some(3), reason: "the disk was slow".to_owned() },
        Body::Gap { events: None, reason: String::new() },
        Body::Fork { child: 1 },
        Body::Close,
        Body::Closed { result: IoReturn::SUCCESS },
        Body::Exec,
        Body::Note { subject: NoteSubject::Trigger, memory: None, reason: "it stalled".to_owned() },
        Body::Note { subject: NoteSubject::Uncaptured, memory: Some(3), reason: String::new() },
    ]
}

/// Appends an event's body, in which tokens stand as numbers. `None` where the journal does not keep
/// it, or where it is of a kind that no journal holds.
pub fn append_body(journal: &Journal, stamp: Stamp, body: &Body) -> Option<Token> {
    let append = |record: Record<'_>| journal.append(stamp, &record);
    match body {
        Body::Matched { matching, outcome } => append(Record::Matched {
            matching,
            outcome: outcome.as_deref().map_err(|result| *result),
        }),
        Body::Property { service, key, outcome } => append(Record::Property {
            service: *service,
            key: key.as_deref(),
            outcome: outcome.as_ref().map(Option::as_ref).map_err(|result| *result),
        }),
        Body::Watch { queue, matching, result } => {
            append(Record::Watch { queue: *queue, matching, result: *result })
        }
        Body::Notice { queue, kind, service } => {
            append(Record::Notice { queue: *queue, kind: *kind, service: *service })
        }
        Body::Queue { queue } => append(Record::Queue { queue: *queue }),
        Body::Open { service, open_type } => {
            append(Record::Open { service: *service, open_type: *open_type })
        }
        Body::Opened => append(Record::Opened),
        Body::OpenFailed { result } => append(Record::OpenFailed { result: *result }),
        Body::Call(call) => append(Record::Call(record_call(call)?)),
        Body::AsyncCall { call, queue, reference } => append(Record::AsyncCall {
            call: record_call(call)?,
            queue: *queue,
            reference: reference.as_deref(),
        }),
        Body::Return(value) => append(Record::Return(Return {
            result: value.result,
            scalars: &value.scalars,
            structure_size: value.structure_size,
            structure: match &value.structure {
                Some(payload) => Some(record_data(payload)?),
                None => None,
            },
        })),
        Body::Posted { ordinal, status, arguments, reference } => {
            append(Record::Posted { ordinal: *ordinal, status: *status, arguments, reference })
        }
        Body::Delivered { queue, polls } => {
            append(Record::Delivered { queue: *queue, polls: *polls })
        }
        Body::Wait { queue, timeout } => append(Record::Wait { queue: *queue, timeout: *timeout }),
        Body::Woke { timed_out } => append(Record::Woke { timed_out: *timed_out }),
        _ => append_memory_or_mark(journal, stamp, body),
    }
}

fn append_memory_or_mark(journal: &Journal, stamp: Stamp, body: &Body) -> Option<Token> {
    let append = |record: Record<'_>| journal.append(stamp, &record);
    match body {
        Body::Map { memory_type, options, address } => {
            append(Record::Map { memory_type: *memory_type, options: *options, address: *address })
        }
        Body::Mapped { outcome } => append(Record::Mapped { outcome: *outcome }),
        Body::Unmap { memory_type, memory } => {
            append(Record::Unmap { memory_type: *memory_type, memory: *memory })
        }
        Body::Unmapped { result } => append(Record::Unmapped { result: *result }),
        Body::Close => append(Record::Close),
        Body::Closed { result } => append(Record::Closed { result: *result }),
        Body::Write { memory, offset, width, data } => append(Record::Write {
            memory: *memory,
            offset: *offset,
            width: *width,
            data: record_data(data)?,
        }),
        Body::Update { memory, offset, width, update } => append(Record::Update {
            memory: *memory,
            offset: *offset,
            width: *width,
            update: *update,
        }),
        Body::Patch { memory, offset, data, read, last_equal, unattributed } => {
            append(Record::Patch {
                memory: *memory,
                offset: *offset,
                data: record_data(data)?,
                read: *read,
                last_equal: last_equal.and_then(Token::new),
                unattributed: *unattributed,
            })
        }
        Body::OtherCall(call) => append(Record::OtherCall(record_other_call(call)?)),
        Body::OtherReturn { outcome } => append(Record::OtherReturn { outcome: *outcome }),
        Body::Terminated { service } => append(Record::Terminated { service: *service }),
        Body::Gap { events, reason } => append(Record::Gap { events: *events, reason }),
        Body::Keyframe(keyframe) => append_keyframe(journal, stamp, keyframe),
        Body::Fork { child } => append(Record::Fork { child: *child }),
        Body::Exec => append(Record::Exec),
        Body::Note { subject, memory, reason } => {
            append(Record::Note { subject: *subject, memory: *memory, reason })
        }
        _ => None,
    }
}

fn record_other_call(call: &tape::OtherCall) -> Option<OtherCall<'_>> {
    Some(match call {
        tape::OtherCall::SetNotificationPort { notification_type, queue, reference } => {
            OtherCall::SetNotificationPort {
                notification_type: *notification_type,
                queue: *queue,
                reference: *reference,
            }
        }
        tape::OtherCall::AddClient { client } => OtherCall::AddClient { client: *client },
        tape::OtherCall::GetService => OtherCall::GetService,
        tape::OtherCall::SetProperties { properties } => {
            OtherCall::SetProperties { properties: properties.as_ref() }
        }
        tape::OtherCall::Trap { index, arguments } => OtherCall::Trap { index: *index, arguments },
        tape::OtherCall::AddRef => OtherCall::AddRef,
        tape::OtherCall::Release => OtherCall::Release,
        _ => return None,
    })
}

fn record_call(call: &tape::Call) -> Option<Call<'_>> {
    Some(Call {
        selector: call.selector,
        scalars: &call.scalars,
        scalar_count: call.scalar_count,
        input: match &call.input {
            tape::Structure::None => Structure::None,
            tape::Structure::Bytes(payload) => Structure::Bytes(record_data(payload)?),
            tape::Structure::Shared { memory, data } => {
                Structure::Shared { memory: *memory, data: record_data(data)? }
            }
            tape::Structure::Null { size } => Structure::Null { size: *size },
            tape::Structure::Unmapped { size } => Structure::Unmapped { size: *size },
        },
        scalars_asked: call.scalars_asked,
        output: call.output,
    })
}

/// A blob refers to a tape, and no journal holds it.
fn record_data(payload: &Payload) -> Option<Data<'_>> {
    match payload {
        Payload::Bytes(bytes) => Some(Data::Bytes(bytes)),
        Payload::Hash { digest, length } => Some(Data::Hash { digest: *digest, length: *length }),
        Payload::Redacted { length } => Some(Data::Redacted { length: *length }),
        Payload::Blob { .. } => None,
    }
}

fn append_keyframe(journal: &Journal, stamp: Stamp, keyframe: &tape::Keyframe) -> Option<Token> {
    let shadow = |memory: &tape::KeyframeMemory| {
        let ranges = memory.shadow.iter();
        ranges
            .map(|(offset, data)| data.as_bytes().map(<[u8]>::to_vec).map(|data| (*offset, data)))
            .collect::<Option<Vec<_>>>()
    };
    let shadows = keyframe.memories.iter().map(shadow).collect::<Option<Vec<_>>>()?;
    let ranges: Vec<Vec<(u64, &[u8])>> = shadows
        .iter()
        .map(|ranges| ranges.iter().map(|(offset, data)| (*offset, data.as_slice())).collect())
        .collect();
    let memories: Vec<KeyframeMemory<'_>> = keyframe
        .memories
        .iter()
        .zip(&ranges)
        .map(|(memory, shadow)| KeyframeMemory {
            memory: memory.memory,
            connection: memory.connection,
            memory_type: memory.memory_type,
            length: memory.length,
            shadow,
        })
        .collect();
    let pending = keyframe.pending.iter().map(|token| Token::new(*token));
    let pending = pending.collect::<Option<Vec<_>>>()?;
    let record = Keyframe {
        connections: &keyframe.connections,
        memories: &memories,
        queues: &keyframe.queues,
        pending: &pending,
    };
    journal.append(stamp, &Record::Keyframe(record))
}
