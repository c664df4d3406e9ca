//! What a client asks for, as values that can be compared with what a step of the tape asked for.

use super::program::{Arena, Buffer, Flags, Kind, MemoryIndex, NONE, Program, StepIndex};
use crate::connection::Matching;
use crate::memory::{Update, Width};
use crate::tape::{Body, OtherCall, OutputKind};

/// An operation of the client, or of a step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    Call(CallRequest<'a>),
    Matched(&'a Matching),
    Property { service: u64, key: Option<&'a str> },
    Watch(&'a Matching),
    Queue,
    Open { service: u64, open_type: u32 },
    Wait { queue: u32, timeout: Option<u64> },
    Take { queue: u32 },
    TakeNotice { queue: u32 },
    Map { connection: u32, memory_type: u32, options: u32, address: u64 },
    Unmap { connection: u32, memory_type: u32, memory: Option<u32> },
    Close { connection: u32 },
    Other { connection: u32, call: &'a OtherCall },
    Write { memory: MemoryIndex, offset: u64, width: Option<Width>, bytes: &'a [u8], length: u64 },
    Update { memory: MemoryIndex, offset: u64, width: Width, update: Update },
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallRequest<'a> {
    pub(super) connection: u32,
    pub(super) selector: u32,
    /// The first 16 scalars at most.
    pub(super) scalars: &'a [u64],
    pub(super) scalar_count: u32,
    pub(super) scalars_asked: u32,
    pub(super) input: Buffer,
    /// The bytes handed in; empty where only their length is known.
    pub(super) bytes: &'a [u8],
    pub(super) length: u64,
    /// Number of the shared buffer handed in, if it has one yet.
    pub(super) input_memory: Option<u32>,
    pub(super) output: Buffer,
    pub(super) output_size: u64,
    pub(super) output_memory: Option<u32>,
    /// The same buffer is handed in and asked for.
    pub(super) same_buffer: bool,
    pub(super) wake: Option<WakeRequest<'a>>,
}

/// The queue of another system: a name without a receive right (D5), which has no number here.
pub(super) const FOREIGN_QUEUE: u32 = NONE;

/// The asynchronous half of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct WakeRequest<'a> {
    pub(super) queue: Option<u32>,
    pub(super) reference: Option<&'a [u64]>,
}

impl Request<'_> {
    /// The kind of step that holds such a request.
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Call(call) if call.wake.is_some() => Kind::AsyncCall,
            Self::Call(_) => Kind::Call,
            Self::Matched(_) => Kind::Matched,
            Self::Property { .. } => Kind::Property,
            Self::Watch(_) => Kind::Watch,
            Self::Queue => Kind::Queue,
            Self::Open { .. } => Kind::Open,
            Self::Wait { .. } => Kind::Wait,
            Self::Take { .. } => Kind::Take,
            Self::TakeNotice { .. } => Kind::TakeNotice,
            Self::Map { .. } => Kind::Map,
            Self::Unmap { .. } => Kind::Unmap,
            Self::Close { .. } => Kind::Close,
            Self::Other { .. } => Kind::Other,
            Self::Write { .. } => Kind::Write,
            Self::Update { .. } => Kind::Update,
        }
    }

    /// The numbers that say all of a map, unmap or close.
    pub(super) fn numbers(&self) -> [u64; 4] {
        match *self {
            Self::Map { connection, memory_type, options, address } => {
                [connection.into(), memory_type.into(), options.into(), address]
            }
            Self::Unmap { connection, memory_type, memory } => {
                [connection.into(), memory_type.into(), memory.map_or(u64::MAX, u64::from), 0]
            }
            Self::Close { connection } => [connection.into(), 0, 0, 0],
            _ => [0; 4],
        }
    }

    /// The connection that the request is made on; that of a memory is the one it was first seen on.
    pub(super) fn connection(&self, program: &Program) -> Option<u32> {
        match self {
            Self::Call(CallRequest { connection, .. })
            | Self::Map { connection, .. }
            | Self::Unmap { connection, .. }
            | Self::Close { connection }
            | Self::Other { connection, .. } => Some(*connection),
            Self::Write { memory, .. } | Self::Update { memory, .. } => {
                program.memories.get(*memory as usize).map(|memory| memory.connection)
            }
            _ => None,
        }
        .filter(|connection| *connection != NONE)
    }
}

/// What a step asked for.
pub(super) fn recorded(program: &Program, index: StepIndex) -> Request<'_> {
    let step = program.step(index);
    let enter = &program.event(step.enter).body;
    let queue = step.selector;
    let (memory, arena): (_, &Arena) = (step.selector, &program.arena);
    let no_bytes = matches!(step.input, Buffer::Null | Buffer::Unmapped);
    let no_bytes = no_bytes || step.flags.has(Flags::OPAQUE_INPUT);
    let input_length = if no_bytes { 0 } else { step.input_length };
    match enter {
        Body::Call(_) | Body::AsyncCall { .. } => Request::Call(CallRequest {
            connection: step.connection,
            selector: step.selector,
            scalars: arena.words(step.words, step.scalars_in),
            scalar_count: step.scalar_count,
            scalars_asked: step.scalars_asked,
            input: step.input,
            bytes: arena.bytes(step.input_at, input_length),
            length: step.input_length,
            input_memory: Some(step.input_memory).filter(|memory| *memory != NONE),
            output: step.output,
            output_size: step.output_size,
            output_memory: Some(step.output_memory).filter(|memory| *memory != NONE),
            same_buffer: false,
            wake: match enter {
                Body::AsyncCall { queue, reference, .. } => {
                    Some(WakeRequest { queue: *queue, reference: reference.as_deref() })
                }
                _ => None,
            },
        }),
        Body::Matched { matching, .. } => Request::Matched(matching),
        Body::Property { service, key, .. } => {
            Request::Property { service: u64::from(*service), key: key.as_deref() }
        }
        Body::Watch { matching, .. } => Request::Watch(matching),
        Body::Open { service, open_type } => {
            Request::Open { service: u64::from(*service), open_type: *open_type }
        }
        Body::Wait { timeout, .. } => Request::Wait { queue, timeout: *timeout },
        Body::Delivered { .. } => Request::Take { queue },
        Body::Notice { .. } => Request::TakeNotice { queue },
        Body::Map { memory_type, options, address } => Request::Map {
            connection: step.connection,
            memory_type: *memory_type,
            options: *options,
            address: *address,
        },
        Body::Unmap { memory_type, memory } => Request::Unmap {
            connection: step.connection,
            memory_type: *memory_type,
            memory: *memory,
        },
        Body::Close => Request::Close { connection: step.connection },
        Body::OtherCall(call) => Request::Other { connection: step.connection, call },
        Body::Write { offset, width, .. } => Request::Write {
            memory,
            offset: *offset,
            width: *width,
            bytes: arena.bytes(step.input_at, input_length),
            length: step.input_length,
        },
        Body::Update { offset, width, update, .. } => {
            Request::Update { memory, offset: *offset, width: *width, update: *update }
        }
        // The compiler makes no steps of other kinds.
        _ => Request::Queue,
    }
}

/// How a structure asked for is held in a step.
pub(super) const fn output_of(output: &OutputKind) -> (Buffer, u64, u32) {
    match output {
        OutputKind::None => (Buffer::None, 0, NONE),
        // A size of 0 is none at all (A4, A7).
        OutputKind::Bytes { size: 0 }
        | OutputKind::Null { size: 0 }
        | OutputKind::Unmapped { size: 0 } => (Buffer::None, 0, NONE),
        OutputKind::Bytes { size } => (Buffer::Bytes, *size, NONE),
        OutputKind::Shared { memory, size } => (Buffer::Shared, *size, *memory),
        OutputKind::Null { size } => (Buffer::Null, *size, NONE),
        OutputKind::Unmapped { size } => (Buffer::Unmapped, *size, NONE),
        OutputKind::Variable => (Buffer::Variable, crate::limits::VARIABLE_OUTPUT_SIZE, NONE),
    }
}
