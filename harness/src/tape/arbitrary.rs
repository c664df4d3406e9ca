//! Strategies of events and tapes: whatever the format can hold, whether or not it can have happened.

use super::event::{
    Body, Call, Event, Keyframe, KeyframeMemory, OtherCall, OutputKind, Return, Structure,
};
use super::fields::NUMBER_MAX;
use super::header::Header;
use super::mapped::{Capture, MappedMemory};
use super::note::NoteSubject;
use super::payload::{Digest, Payload};
use super::sample;
use super::whole::Tape;
use crate::IoReturn;
use crate::call::Scalars;
use crate::limits::TRAP_ARGUMENTS_MAX;
use crate::memory::{Update, Width};
use crate::registry::{Matching, NoticeKind, Value};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// Tapes of up to `most` random events.
pub fn tape(most: usize) -> impl Strategy<Value = Tape> {
    (header(), vec(event(), 0..=most)).prop_map(|(header, events)| Tape::new(header, events))
}

/// Random headers.
pub fn header() -> impl Strategy<Value = Header> {
    let text = option::of(".{0,8}");
    (text.clone(), text, option::of(any::<u64>()), 0..20_u32, extra(), vec(".{0,6}", 0..3))
        .prop_map(|(recorder, policy, seed, page, extra, provenance)| Header {
            recorder: recorder.unwrap_or_default(),
            policy,
            seed,
            page_size: 1 << page,
            extra,
            provenance,
            ..sample::header()
        })
}

/// Random events, each for itself.
pub fn event() -> impl Strategy<Value = Event> {
    let known = (body(), extra()).boxed();
    // What this version does not know may have fields that are called as known ones of other kinds.
    let unknown = ("new_[a-z]{1,8}", btree_map("(x_[a-z]{1,6}|queue|data|result)", json(), 0..3))
        .prop_map(|(kind, extra)| (Body::Unknown { kind }, extra))
        .boxed();
    let numbers = (count(), 0..4_u32, any::<u32>(), count());
    let options = (option::of(any::<u32>()), option::of(count()), any::<u64>(), any::<bool>());
    (numbers, options, prop_oneof![9 => known, 1 => unknown]).prop_map(
        |((sequence, process, lane, position), options, (body, extra))| {
            let (connection, cause, time, must_understand) = options;
            let must_understand = must_understand && body.kind().is_some();
            Event {
                sequence,
                process,
                lane,
                position,
                connection,
                cause,
                time,
                must_understand,
                body,
                extra,
            }
        },
    )
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, 0..=NUMBER_MAX]
}

fn extra() -> impl Strategy<Value = std::collections::BTreeMap<String, serde_json::Value>> {
    prop_oneof![
        4 => Just(Default::default()),
        1 => btree_map("x_\\PC{0,6}", json(), 0..3),
    ]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Into::into),
            btree_map(".{0,4}", inner, 0..3)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn code() -> impl Strategy<Value = IoReturn> {
    let named = proptest::sample::select(crate::io_return::NAMED_CODES).prop_map(|(_, code)| code);
    prop_oneof![Just(IoReturn::SUCCESS), named, any::<u32>().prop_map(IoReturn)]
}

fn scalars() -> impl Strategy<Value = Scalars> {
    vec(any::<u64>(), 0..=16).prop_map(|values| Scalars::clamped(&values))
}

/// Payloads that stand alone: bytes short and long, hashes and redactions.
pub fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        vec(any::<u8>(), 0..40).prop_map(|bytes| Payload::bytes(&bytes)),
        (any::<u8>(), 200..600_usize)
            .prop_map(|(seed, length)| Payload::Bytes(sample::noise(seed, length))),
        (any::<u8>(), 250..9000_usize)
            .prop_map(|(byte, length)| Payload::bytes(&vec![byte; length])),
        (any::<[u8; 32]>(), any::<u64>())
            .prop_map(|(digest, length)| Payload::Hash { digest: Digest(digest), length }),
        any::<u64>().prop_map(|length| Payload::Redacted { length }),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Boolean),
        any::<u64>().prop_map(Value::Number),
        ".{0,8}".prop_map(Value::String),
        vec(any::<u8>(), 0..8).prop_map(Value::Data),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            btree_map(".{0,4}", inner, 0..3).prop_map(Value::Dictionary),
        ]
    })
}

fn matching() -> impl Strategy<Value = Matching> {
    btree_map(".{0,8}", value(), 0..3).prop_map(|conditions| conditions.into_iter().collect())
}

fn outcome<T: Clone + std::fmt::Debug + 'static>(
    worked: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Result<T, IoReturn>> {
    prop_oneof![worked.prop_map(Ok), code().prop_map(Err)]
}

fn width() -> impl Strategy<Value = Width> {
    proptest::sample::select(vec![Width::One, Width::Two, Width::Four, Width::Eight])
}

/// What can happen, of every kind.
pub fn body() -> impl Strategy<Value = Body> {
    let number = any::<u32>;
    prop_oneof![
        registry(),
        calls(),
        memory(),
        other_call().prop_map(Body::OtherCall),
        outcome(option::of(number())).prop_map(|outcome| Body::OtherReturn { outcome }),
        code().prop_map(|result| Body::OpenFailed { result }),
        (number(), number()).prop_map(|(service, open_type)| Body::Open { service, open_type }),
        Just(Body::Opened),
        Just(Body::Close),
        code().prop_map(|result| Body::Closed { result }),
        option::of(number()).prop_map(|service| Body::Terminated { service }),
        (option::of(count()), ".{0,10}").prop_map(|(events, reason)| Body::Gap { events, reason }),
        keyframe().prop_map(Body::Keyframe),
        number().prop_map(|child| Body::Fork { child }),
        Just(Body::Exec),
        (option::of(number()), ".{0,10}", any::<bool>()).prop_map(|(memory, reason, trigger)| {
            let subject = if trigger { NoteSubject::Trigger } else { NoteSubject::Uncaptured };
            Body::Note { subject, memory, reason }
        }),
    ]
}

fn registry() -> impl Strategy<Value = Body> {
    let number = any::<u32>;
    let kind = proptest::sample::select(vec![NoticeKind::Arrived, NoticeKind::Terminated]);
    prop_oneof![
        (matching(), outcome(vec(number(), 0..4)))
            .prop_map(|(matching, outcome)| Body::Matched { matching, outcome }),
        (number(), option::of(".{0,8}"), outcome(option::of(value())))
            .prop_map(|(service, key, outcome)| Body::Property { service, key, outcome }),
        (number(), matching(), code()).prop_map(|(queue, matching, result)| Body::Watch {
            queue,
            matching,
            result
        }),
        (number(), kind, number()).prop_map(|(queue, kind, service)| Body::Notice {
            queue,
            kind,
            service
        }),
        number().prop_map(|queue| Body::Queue { queue }),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let number = any::<u32>;
    let input = prop_oneof![
        Just(Structure::None),
        payload().prop_map(Structure::Bytes),
        (number(), payload()).prop_map(|(memory, data)| Structure::Shared { memory, data }),
        any::<u64>().prop_map(|size| Structure::Null { size }),
        any::<u64>().prop_map(|size| Structure::Unmapped { size }),
    ];
    let output = prop_oneof![
        Just(OutputKind::None),
        any::<u64>().prop_map(|size| OutputKind::Bytes { size }),
        (number(), any::<u64>()).prop_map(|(memory, size)| OutputKind::Shared { memory, size }),
        any::<u64>().prop_map(|size| OutputKind::Null { size }),
        any::<u64>().prop_map(|size| OutputKind::Unmapped { size }),
        Just(OutputKind::Variable),
    ];
    (number(), scalars(), option::of(number()), input, number(), output).prop_map(
        |(selector, scalars, count, input, scalars_asked, output)| Call {
            selector,
            scalars,
            scalar_count: count.unwrap_or(scalars.len() as u32),
            input,
            scalars_asked,
            output,
        },
    )
}

fn calls() -> impl Strategy<Value = Body> {
    let number = any::<u32>;
    let reference = option::of(vec(any::<u64>(), 0..12));
    prop_oneof![
        call().prop_map(Body::Call),
        (call(), option::of(number()), reference)
            .prop_map(|(call, queue, reference)| Body::AsyncCall { call, queue, reference }),
        (code(), scalars(), option::of(any::<u64>()), option::of(payload())).prop_map(
            |(result, scalars, structure_size, structure)| {
                Body::Return(Return { result, scalars, structure_size, structure })
            }
        ),
        (count(), code(), scalars(), any::<[u64; 8]>()).prop_map(
            |(ordinal, status, arguments, reference)| Body::Posted {
                ordinal,
                status,
                arguments,
                reference,
            }
        ),
        (number(), 0_u64..4).prop_map(|(queue, polls)| Body::Delivered { queue, polls }),
        (number(), option::of(any::<u64>()))
            .prop_map(|(queue, timeout)| Body::Wait { queue, timeout }),
        any::<bool>().prop_map(|timed_out| Body::Woke { timed_out }),
    ]
}

fn other_call() -> impl Strategy<Value = OtherCall> {
    let number = any::<u32>;
    prop_oneof![
        (number(), option::of(number()), any::<u64>()).prop_map(
            |(notification_type, queue, reference)| OtherCall::SetNotificationPort {
                notification_type,
                queue,
                reference,
            }
        ),
        option::of(number()).prop_map(|client| OtherCall::AddClient { client }),
        Just(OtherCall::GetService),
        option::of(value()).prop_map(|properties| OtherCall::SetProperties { properties }),
        (number(), vec(any::<u64>(), 0..=TRAP_ARGUMENTS_MAX)).prop_map(|(index, arguments)| {
            OtherCall::Trap { index, arguments: Scalars::clamped(&arguments) }
        }),
        Just(OtherCall::AddRef),
        Just(OtherCall::Release),
    ]
}

fn memory() -> impl Strategy<Value = Body> {
    let number = any::<u32>;
    let long = any::<u64>;
    let capture = proptest::sample::select(vec![
        Capture::Accessor,
        Capture::PageProtection,
        Capture::Trap,
        Capture::SyncPoints,
        Capture::Uncaptured,
        Capture::Registers,
    ]);
    let mapped = (number(), long(), long(), capture, any::<bool>()).prop_map(
        |(memory, length, size, capture, read_only)| MappedMemory {
            memory,
            length,
            size,
            capture,
            read_only,
        },
    );
    let update = prop_oneof![
        long().prop_map(Update::Swap),
        long().prop_map(Update::Add),
        long().prop_map(Update::Or),
        long().prop_map(Update::And),
        (long(), long()).prop_map(|(expected, new)| Update::CompareExchange { expected, new }),
    ];
    prop_oneof![
        (number(), number(), long()).prop_map(|(memory_type, options, address)| Body::Map {
            memory_type,
            options,
            address,
        }),
        outcome(mapped).prop_map(|outcome| Body::Mapped { outcome }),
        (number(), option::of(number()))
            .prop_map(|(memory_type, memory)| Body::Unmap { memory_type, memory }),
        code().prop_map(|result| Body::Unmapped { result }),
        (number(), long(), option::of(width()), payload())
            .prop_map(|(memory, offset, width, data)| Body::Write { memory, offset, width, data }),
        (number(), long(), width(), update).prop_map(|(memory, offset, width, update)| {
            Body::Update { memory, offset, width, update }
        }),
        (number(), long(), payload(), count(), option::of(count()), any::<bool>()).prop_map(
            |(memory, offset, data, read, last_equal, unattributed)| Body::Patch {
                memory,
                offset,
                data,
                read,
                last_equal,
                unattributed,
            }
        ),
    ]
}

fn keyframe() -> impl Strategy<Value = Keyframe> {
    let number = any::<u32>;
    let shadow = vec((any::<u64>(), payload()), 0..3);
    let memory = (number(), option::of(number()), number(), any::<u64>(), shadow).prop_map(
        |(memory, connection, memory_type, length, shadow)| KeyframeMemory {
            memory,
            connection,
            memory_type,
            length,
            shadow,
        },
    );
    (vec((number(), number()), 0..3), vec(memory, 0..3), vec(number(), 0..3), vec(count(), 0..3))
        .prop_map(|(connections, memories, queues, pending)| Keyframe {
            connections,
            memories,
            queues,
            pending,
        })
}
