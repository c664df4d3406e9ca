//! A small tape that holds every kind of event and every form of payload, for tests and examples.

use super::event::{
    Body, Call, Event, Keyframe, KeyframeMemory, OtherCall, OutputKind, Return, Sequence, Structure,
};
use super::header::{Comparison, Field, FieldRule, Header, Host, Scenario, ServiceIdentity};
use super::mapped::{Capture, MappedMemory};
use super::note::NoteSubject;
use super::payload::{Digest, Payload};
use super::whole::Tape;
use crate::IoReturn;
use crate::call::Scalars;
use crate::limits::{INLINE_STRUCTURE_MAX, PAGE_SIZE};
use crate::memory::{Update, Width};
use crate::registry::{Matching, NoticeKind, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Writes events down with numbers, positions and times of their own, so that a tape can be told as a
/// story.
#[derive(Debug, Default)]
pub struct Script {
    events: Vec<Event>,
    positions: BTreeMap<(u32, u32), u64>,
}

impl Script {
    /// An empty script.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event of process 1 and gives its number. Each comes a microsecond after the one before.
    pub fn event(
        &mut self,
        lane: u32,
        connection: Option<u32>,
        cause: Option<Sequence>,
        body: Body,
    ) -> Sequence {
        self.event_of(1, lane, connection, cause, body)
    }

    /// Adds an event of any process.
    pub fn event_of(
        &mut self,
        process: u32,
        lane: u32,
        connection: Option<u32>,
        cause: Option<Sequence>,
        body: Body,
    ) -> Sequence {
        let sequence = self.events.len() as u64 + 1;
        let position = self.positions.entry((process, lane)).or_default();
        *position += 1;
        self.events.push(Event {
            process,
            connection,
            cause,
            time: (sequence - 1) * 1000,
            ..Event::new(sequence, lane, *position, body)
        });
        sequence
    }

    /// Adds an operation: its enter, and a leave that the enter caused. Gives the enter's number.
    pub fn operation(&mut self, lane: u32, connection: u32, enter: Body, leave: Body) -> Sequence {
        let enter = self.event(lane, Some(connection), None, enter);
        self.event(lane, Some(connection), Some(enter), leave);
        enter
    }

    /// The events.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }
}

/// A call of a selector with these scalars and nothing else.
#[must_use]
pub fn call(selector: u32, scalars: &[u64]) -> Call {
    Call {
        selector,
        scalars: Scalars::clamped(scalars),
        scalar_count: scalars.len() as u32,
        input: Structure::None,
        scalars_asked: 0,
        output: OutputKind::None,
    }
}

/// A return of success with nothing.
#[must_use]
pub fn success() -> Return {
    Return {
        result: IoReturn::SUCCESS,
        scalars: Scalars::EMPTY,
        structure_size: Some(0),
        structure: None,
    }
}

/// A return of a failure.
#[must_use]
pub fn failure(result: IoReturn) -> Return {
    Return { result, scalars: Scalars::EMPTY, structure_size: None, structure: None }
}

/// Bytes that look like noise and are the same everywhere.
#[must_use]
pub fn noise(seed: u8, length: usize) -> Arc<[u8]> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[seed]);
    hasher.finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// The header of [`every_kind`], with every field that a mock's tape can have.
#[must_use]
pub fn header() -> Header {
    let rule = |selector, field, symbol: Option<&str>| FieldRule {
        selector,
        on: None,
        field,
        comparison: symbol.map_or(Comparison::Masked, |name| Comparison::Symbol(name.to_owned())),
    };
    Header {
        recorder: "dextape sample".to_owned(),
        host: Host::Mock,
        seed: Some(0x2a),
        scenario: Some(Scenario {
            name: "sample".to_owned(),
            parameters: BTreeMap::from([("size".to_owned(), "small".to_owned())]),
        }),
        services: BTreeMap::from([(
            1,
            ServiceIdentity {
                class: Some("IOUserService".to_owned()),
                name: Some("SampleDriver".to_owned()),
                user_class: Some("SampleDriver".to_owned()),
                bundle_id: Some("com.example.sample".to_owned()),
                version: Some("1.0".to_owned()),
            },
        )]),
        policy: Some("ordered".to_owned()),
        rules: vec![
            rule(Some(1), Field::ScalarInput(0), Some("pointer")),
            rule(Some(1), Field::StructureInput(0, 4), None),
            rule(None, Field::ScalarOutput(1), None),
            rule(None, Field::StructureOutput(8, 8), None),
            rule(None, Field::Reference(2), Some("pointer")),
            rule(None, Field::Write { memory_type: 1, offset: 0, length: 4 }, None),
        ],
        redactions: vec!["serial numbers".to_owned()],
        provenance: vec!["trimmed".to_owned()],
        ..Header::mock()
    }
}

/// A valid tape of at most 32 KiB that holds every kind of event that this version knows, and every
/// form of payload.
#[must_use]
pub fn every_kind() -> Tape {
    let mut script = Script::new();
    registry(&mut script);
    open_and_call(&mut script);
    let shared = asynchronous(&mut script);
    let mapped = memory(&mut script);
    ends(&mut script, shared, mapped);
    Tape::new(header(), script.into_events())
}

fn registry(script: &mut Script) {
    let matching = Matching::service("IOUserService").property("IOUserClass", "SampleDriver");
    let found = Body::Matched { matching: matching.clone(), outcome: Ok(vec![1]) };
    script.event(1, None, None, found);
    let refused =
        Body::Matched { matching: Matching::name("none"), outcome: Err(IoReturn::NO_RESOURCES) };
    script.event(1, None, None, refused);
    let property = |key: Option<&str>, outcome| Body::Property {
        service: 1,
        key: key.map(str::to_owned),
        outcome,
    };
    script.event(1, None, None, property(Some("IOUserClass"), Ok(Some("SampleDriver".into()))));
    script.event(1, None, None, property(Some("none"), Ok(None)));
    script.event(1, None, None, property(Some("gone"), Err(IoReturn::NO_DEVICE)));
    let all = Value::Dictionary(BTreeMap::from([
        ("IOPropertyMatched".to_owned(), true.into()),
        ("blob".to_owned(), Value::Data(vec![0, 1, 0xff])),
        ("idVendor".to_owned(), 0x5ac_u64.into()),
        ("names".to_owned(), Value::Array(vec!["a".into(), "\"b\"\n".into()])),
    ]));
    script.event(1, None, None, property(None, Ok(Some(all))));
    let watch = Body::Watch { queue: 1, matching, result: IoReturn::SUCCESS };
    script.event(1, None, None, watch);
    let wait = script.event(1, None, None, Body::Wait { queue: 1, timeout: Some(1_000_000) });
    let notice = Body::Notice { queue: 1, kind: NoticeKind::Arrived, service: 1 };
    script.event(1, None, None, notice);
    script.event(1, None, Some(wait), Body::Woke { timed_out: false });
}

fn open_and_call(script: &mut Script) {
    let open = script.event(1, None, None, Body::Open { service: 1, open_type: 9 });
    let failed = Body::OpenFailed { result: IoReturn::NOT_PERMITTED };
    script.event(1, None, Some(open), failed);
    let open = script.event(1, None, None, Body::Open { service: 1, open_type: 0 });
    script.event(1, Some(1), Some(open), Body::Opened);

    let small = Call {
        input: Structure::Bytes(Payload::bytes(&[1, 2, 3, 4])),
        scalars_asked: 2,
        output: OutputKind::Bytes { size: 16 },
        ..call(1, &[0x10, u64::MAX])
    };
    let answer = Return {
        scalars: Scalars::clamped(&[7]),
        structure_size: Some(3),
        structure: Some(Payload::bytes(&[9, 8, 7])),
        ..success()
    };
    script.operation(1, 1, Body::Call(small), Body::Return(answer));
    let wrong = Body::Return(failure(IoReturn::BAD_ARGUMENT));
    let nowhere = Call { input: Structure::Unmapped { size: 5000 }, ..call(2, &[]) };
    script.operation(1, 1, Body::Call(nowhere), wrong);
    // The same long bytes twice: one blob.
    for selector in [3, 4] {
        let large = Call {
            input: Structure::Bytes(Payload::Bytes(noise(1, 300))),
            output: OutputKind::Bytes { size: INLINE_STRUCTURE_MAX + 8 },
            ..call(selector, &[])
        };
        let answer = Return {
            structure_size: Some(INLINE_STRUCTURE_MAX + 8),
            structure: Some(Payload::Bytes(vec![0xa5; INLINE_STRUCTURE_MAX as usize + 8].into())),
            ..success()
        };
        script.operation(1, 1, Body::Call(large), Body::Return(answer));
    }
    let null = Call {
        input: Structure::Null { size: 5000 },
        output: OutputKind::Null { size: 6000 },
        ..call(5, &[])
    };
    let answer = Return { structure_size: Some(6000), ..success() };
    script.operation(1, 1, Body::Call(null), Body::Return(answer));
    let variable = Call { output: OutputKind::Variable, ..call(6, &[]) };
    let answer = Return {
        structure_size: Some(20),
        structure: Some(Payload::Redacted { length: 20 }),
        ..success()
    };
    script.operation(1, 1, Body::Call(variable), Body::Return(answer));
    let many = Call { scalar_count: 17, ..call(7, &[3; 16]) };
    script.operation(1, 1, Body::Call(many), Body::Return(failure(IoReturn::MIG_ARRAY_TOO_LARGE)));
}

/// Gives the call whose shared buffer memory 1 is.
fn asynchronous(script: &mut Script) -> Sequence {
    script.event(1, None, None, Body::Queue { queue: 2 });
    let shared = Call {
        input: Structure::Shared { memory: 1, data: Payload::Bytes(vec![0x5a; 4104].into()) },
        output: OutputKind::Shared { memory: 2, size: 4104 },
        ..call(8, &[])
    };
    let enter = Body::AsyncCall { call: shared, queue: Some(2), reference: Some(vec![0, 0x77, 5]) };
    let shared = script.event(1, Some(1), None, enter);
    let posted = |ordinal, status, arguments: &[u64]| Body::Posted {
        ordinal,
        status,
        arguments: Scalars::clamped(arguments),
        reference: [0, 0x77, 5, 0, 0, 0, 0, 0],
    };
    let first = script.event(0, Some(1), Some(shared), posted(1, IoReturn::SUCCESS, &[4104]));
    let answer = Return { structure_size: Some(4104), ..success() };
    script.event(1, Some(1), Some(shared), Body::Return(answer));
    let wait = script.event(1, None, None, Body::Wait { queue: 2, timeout: None });
    script.event(1, Some(1), Some(first), Body::Delivered { queue: 2, polls: 3 });
    script.event(1, None, Some(wait), Body::Woke { timed_out: false });
    let second = script.event(0, Some(1), Some(shared), posted(2, IoReturn::ABORTED, &[]));
    script.event(1, Some(1), Some(second), Body::Delivered { queue: 2, polls: 0 });
    let wait = script.event(1, None, None, Body::Wait { queue: 2, timeout: Some(5) });
    script.event(1, None, Some(wait), Body::Woke { timed_out: true });
    let nowhere = Call { output: OutputKind::Unmapped { size: 6000 }, ..call(9, &[]) };
    let alone = Body::AsyncCall { call: nowhere, queue: None, reference: None };
    script.operation(1, 1, alone, Body::Return(failure(IoReturn(0xe3ff_8001))));
    let patch = Body::Patch {
        memory: 2,
        offset: 8,
        data: Payload::bytes(&[1, 2]),
        read: 1,
        last_equal: None,
        unattributed: true,
    };
    script.event(1, Some(1), Some(shared), patch);
    shared
}

/// Gives the event that mapped memory 3.
fn memory(script: &mut Script) -> Sequence {
    let map = |memory_type, options, address| Body::Map { memory_type, options, address };
    let refused = Body::Mapped { outcome: Err(IoReturn::BAD_ARGUMENT) };
    script.operation(2, 1, map(9, 1, 0), refused);
    let enter = script.event(2, Some(1), None, map(0, 1, 0));
    let memory = |memory, capture| Body::Mapped {
        outcome: Ok(MappedMemory {
            memory,
            length: 128,
            size: PAGE_SIZE,
            capture,
            read_only: memory == 4,
        }),
    };
    let mapped = script.event(2, Some(1), Some(enter), memory(3, Capture::Accessor));
    script.operation(2, 1, map(1, 0x100, 0x10_0000), memory(4, Capture::Uncaptured));
    let write = |offset, width, data| Body::Write { memory: 3, offset, width, data };
    let word = script.event(
        2,
        Some(1),
        Some(mapped),
        write(0, Some(Width::Four), Payload::bytes(&[1, 0, 0, 0])),
    );
    let bulk = Payload::Hash { digest: Digest::of(&[7; 64]), length: 64 };
    script.event(2, Some(1), Some(mapped), write(64, None, bulk));
    let updates = [
        (Width::One, Update::Swap(1)),
        (Width::Two, Update::Add(0xffff)),
        (Width::Four, Update::Or(0x80)),
        (Width::Eight, Update::And(0xff)),
        (Width::Eight, Update::CompareExchange { expected: 0, new: 1 }),
    ];
    for (width, update) in updates {
        let update = Body::Update { memory: 3, offset: 8, width, update };
        script.event(2, Some(1), Some(mapped), update);
    }
    let patch = Body::Patch {
        memory: 3,
        offset: 4,
        data: Payload::bytes(&[0xff]),
        read: 3,
        last_equal: Some(word),
        unattributed: false,
    };
    script.event(2, Some(1), Some(mapped), patch);
    mapped
}

fn ends(script: &mut Script, shared: Sequence, mapped: Sequence) {
    script.event(
        1,
        None,
        None,
        Body::Keyframe(Keyframe {
            connections: vec![(1, 1)],
            memories: vec![
                KeyframeMemory {
                    memory: 1,
                    connection: None,
                    memory_type: 0,
                    length: 4104,
                    shadow: Vec::new(),
                },
                KeyframeMemory {
                    memory: 3,
                    connection: Some(1),
                    memory_type: 1,
                    length: 128,
                    shadow: vec![(0, Payload::bytes(&[1, 0, 0, 0, 0xff]))],
                },
            ],
            queues: vec![2],
            pending: vec![shared],
        }),
    );
    let unmap = Body::Unmap { memory_type: 0, memory: Some(3) };
    let unmap = script.event(2, Some(1), Some(mapped), unmap);
    script.event(2, Some(1), Some(unmap), Body::Unmapped { result: IoReturn::SUCCESS });
    script.event(1, None, None, Body::Terminated { service: Some(1) });
    script.event(1, Some(1), None, Body::Terminated { service: None });
    let close = script.event(1, Some(1), None, Body::Close);
    script.event(1, Some(1), Some(close), Body::Closed { result: IoReturn::SUCCESS });
    let close = script.event(1, Some(1), None, Body::Close);
    script.event(1, Some(1), Some(close), Body::Closed { result: IoReturn::SUCCESS });
    others(script);
    let fork = script.event(1, None, None, Body::Fork { child: 2 });
    script.event_of(2, 1, None, Some(fork), Body::Exec);
    let (subject, reason) = (NoteSubject::Trigger, "it stalled".to_owned());
    script.event(1, None, None, Body::Note { subject, memory: None, reason });
    let (subject, reason) = (NoteSubject::Uncaptured, "not ordinary memory".to_owned());
    script.event(1, None, None, Body::Note { subject, memory: Some(4), reason });
    let reason = "the journal was full".to_owned();
    script.event(1, None, None, Body::Gap { events: Some(3), reason });
}

/// The calls beside methods and memory, on two connections of which one outlives its close.
fn others(script: &mut Script) {
    for connection in [2, 3] {
        let open = script.event(1, None, None, Body::Open { service: 2, open_type: 0 });
        script.event(1, Some(connection), Some(open), Body::Opened);
    }
    let properties = Value::Dictionary(BTreeMap::from([("level".to_owned(), Value::Number(3))]));
    let other = OtherCall::SetNotificationPort {
        notification_type: 1,
        queue: Some(2),
        reference: 0x7f00_0000_1000,
    };
    let unsupported = Err(IoReturn::UNSUPPORTED);
    let calls = [
        (other, unsupported),
        (OtherCall::AddClient { client: Some(3) }, unsupported),
        (OtherCall::AddClient { client: None }, Err(IoReturn::BAD_ARGUMENT)),
        (OtherCall::GetService, unsupported),
        (OtherCall::GetService, Ok(Some(2))),
        (OtherCall::SetProperties { properties: Some(properties) }, unsupported),
        (OtherCall::SetProperties { properties: None }, unsupported),
        (OtherCall::Trap { index: 2, arguments: Scalars::clamped(&[1, 2, 3, 4, 5, 6]) }, Ok(None)),
        (OtherCall::AddRef, Ok(None)),
    ];
    for (call, outcome) in calls {
        script.operation(1, 2, Body::OtherCall(call), Body::OtherReturn { outcome });
    }
    let released = Body::OtherReturn { outcome: Ok(None) };
    script.operation(1, 2, Body::Close, Body::Closed { result: IoReturn::SUCCESS });
    script.operation(1, 2, Body::OtherCall(OtherCall::Release), released);
}
