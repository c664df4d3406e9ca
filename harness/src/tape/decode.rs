//! From the fields of a line to an event.

use super::event::{Body, Call, Event, Keyframe, OtherCall, OutputKind, Return, Structure};
use super::fields::{Field, Kind, OTHER_CALLS};
use super::line::Line;
use super::mapped::{Capture, MappedMemory};
use super::note::NoteSubject;
use crate::IoReturn;
use crate::limits::{ASYNC_REFERENCE_MAX, TRAP_ARGUMENTS_MAX};
use crate::memory::{Update, Width};
use crate::registry::NoticeKind;

/// The event that a line tells, or what was expected of it.
pub(super) fn event(mut line: Line) -> Result<Event, String> {
    need(&line, &[Field::Sequence, Field::Lane, Field::Position, Field::Kind])?;
    if let Ok(kind) = line.kind {
        let missing = kind.required() & !line.present;
        if missing != 0 {
            let first = Field::ALL.iter().find(|field| missing & field.bit() != 0);
            let key = first.map_or("", |field| field.key());
            return Err(format!("the key `{key}`, which the kind {} has to have", kind.name()));
        }
    }
    let extra = std::mem::take(&mut line.extra);
    Ok(Event {
        sequence: line.number(Field::Sequence),
        process: line.optional(Field::Process).map_or(1, |number| number as u32),
        lane: line.number(Field::Lane) as u32,
        position: line.number(Field::Position),
        connection: small(&line, Field::Connection),
        cause: line.optional(Field::Cause),
        time: line.number(Field::Time),
        must_understand: line.has(Field::MustUnderstand),
        body: body(line)?,
        extra,
    })
}

fn need(line: &Line, fields: &[Field]) -> Result<(), String> {
    match fields.iter().find(|field| !line.has(**field)) {
        None => Ok(()),
        Some(field) => Err(format!("the key `{}`", field.key())),
    }
}

/// A number whose form has been checked to have 32 bits.
fn small(line: &Line, field: Field) -> Option<u32> {
    line.optional(field).map(|number| number as u32)
}

fn body(mut line: Line) -> Result<Body, String> {
    use Field::{Capture as CaptureField, Length, Memory, ReadOnly, Services, Size, Value};
    let kind = match line.kind {
        Ok(kind) => kind,
        Err(kind) => return Ok(Body::Unknown { kind }),
    };
    let number = |field| line.number(field) as u32;
    let code = |field| IoReturn(number(field));
    let result = code(Field::Result);
    let failed = line.has(Field::Result);
    let outcome = [Services, Value, Memory, Length, Size, CaptureField, ReadOnly];
    let service = (kind == Kind::OtherReturn).then_some(Field::Service);
    let mut outcome = outcome.into_iter().chain(service);
    if failed && let Some(field) = outcome.find(|field| line.has(*field)) {
        return Err(format!("`{}` or `{}`, not both", field.key(), Field::Result.key()));
    }
    Ok(match kind {
        Kind::Matched => {
            let services = std::mem::take(&mut line.rare.numbers);
            let outcome = if failed { Err(result) } else { Ok(services) };
            Body::Matched { matching: line.rare.matching.unwrap_or_default(), outcome }
        }
        Kind::Property => Body::Property {
            service: number(Field::Service),
            key: line.has(Field::Key).then(|| std::mem::take(&mut line.text)),
            outcome: if failed { Err(result) } else { Ok(line.rare.value) },
        },
        Kind::Watch => Body::Watch {
            queue: number(Field::Queue),
            result,
            matching: line.rare.matching.unwrap_or_default(),
        },
        Kind::Notice => Body::Notice {
            queue: number(Field::Queue),
            kind: match number(Field::Notice) {
                0 => NoticeKind::Arrived,
                _ => NoticeKind::Terminated,
            },
            service: number(Field::Service),
        },
        Kind::Queue => Body::Queue { queue: number(Field::Queue) },
        Kind::Open => {
            Body::Open { service: number(Field::Service), open_type: number(Field::OpenType) }
        }
        Kind::Opened => Body::Opened,
        Kind::OpenFailed => Body::OpenFailed { result },
        Kind::Call => Body::Call(call(&mut line)?),
        Kind::AsyncCall => Body::AsyncCall {
            call: call(&mut line)?,
            queue: small(&line, Field::Queue),
            reference: line.has(Field::Reference).then_some(line.reference),
        },
        Kind::Return => {
            let structure = line.payload.take();
            let structure_size = match line.optional(Field::StructureSize) {
                _ if line.no_size => None,
                None => super::encode::default_size(result, structure.as_ref()),
                size => size,
            };
            Body::Return(Return { result, scalars: line.scalars, structure_size, structure })
        }
        Kind::Posted => Body::Posted {
            ordinal: line.optional(Field::Ordinal).unwrap_or(1),
            status: code(Field::Status),
            arguments: line.scalars,
            reference: {
                let mut reference = [0; ASYNC_REFERENCE_MAX];
                reference
                    .get_mut(..line.reference.len())
                    .ok_or("`reference` to have at most 8 entries")?
                    .copy_from_slice(&line.reference);
                reference
            },
        },
        Kind::Delivered => Body::Delivered {
            queue: number(Field::Queue),
            polls: line.optional(Field::Polls).unwrap_or(0),
        },
        Kind::Wait => {
            Body::Wait { queue: number(Field::Queue), timeout: line.optional(Field::Timeout) }
        }
        Kind::Woke => Body::Woke { timed_out: line.has(Field::TimedOut) },
        Kind::Map => Body::Map {
            memory_type: number(Field::MemoryType),
            options: u32::try_from(line.number(Field::Options))
                .map_err(|_| "`options` to have 32 bits")?,
            address: line.number(Field::Address),
        },
        Kind::Mapped => Body::Mapped {
            outcome: if failed {
                Err(result)
            } else {
                need(&line, &[Field::Memory, Field::Length, Field::Size])?;
                Ok(MappedMemory {
                    memory: number(Field::Memory),
                    length: line.number(Field::Length),
                    size: line.number(Field::Size),
                    capture: match number(Field::Capture) {
                        0 => Capture::Accessor,
                        1 => Capture::PageProtection,
                        2 => Capture::Trap,
                        3 => Capture::SyncPoints,
                        5 => Capture::Registers,
                        _ => Capture::Uncaptured,
                    },
                    read_only: line.has(Field::ReadOnly),
                })
            },
        },
        Kind::Unmap => Body::Unmap {
            memory_type: number(Field::MemoryType),
            memory: small(&line, Field::Memory),
        },
        Kind::Unmapped => Body::Unmapped { result },
        Kind::Close => Body::Close,
        Kind::Closed => Body::Closed { result },
        Kind::OtherCall => Body::OtherCall(other_call(&mut line)?),
        Kind::OtherReturn => Body::OtherReturn {
            outcome: if failed { Err(result) } else { Ok(small(&line, Field::Service)) },
        },
        Kind::Write => Body::Write {
            memory: number(Field::Memory),
            offset: line.number(Field::Offset),
            width: Width::of(line.number(Field::Width)),
            data: line.payload.take().ok_or("the key `data`")?,
        },
        Kind::Update => Body::Update {
            memory: number(Field::Memory),
            offset: line.number(Field::Offset),
            width: Width::of(line.number(Field::Width)).ok_or("`width` to be 1, 2, 4 or 8")?,
            update: {
                let operand = line.number(Field::Operand);
                match number(Field::Operation) {
                    0..4 if line.has(Field::Expected) => {
                        return Err(
                            "`expected` with the operation compare_exchange only".to_owned()
                        );
                    }
                    0 => Update::Swap(operand),
                    1 => Update::Add(operand),
                    2 => Update::Or(operand),
                    3 => Update::And(operand),
                    _ => {
                        need(&line, &[Field::Expected])?;
                        let expected = line.number(Field::Expected);
                        Update::CompareExchange { expected, new: operand }
                    }
                }
            },
        },
        Kind::Patch => Body::Patch {
            memory: number(Field::Memory),
            offset: line.number(Field::Offset),
            data: line.payload.take().ok_or("the key `data`")?,
            read: line.optional(Field::Read).unwrap_or(1),
            last_equal: line.optional(Field::LastEqual),
            unattributed: line.has(Field::Unattributed),
        },
        Kind::Terminated => Body::Terminated { service: small(&line, Field::Service) },
        Kind::Gap => Body::Gap { events: line.optional(Field::Events), reason: line.text },
        Kind::Keyframe => Body::Keyframe(Keyframe {
            connections: line.rare.connections,
            memories: line.rare.memories,
            queues: line.rare.numbers,
            pending: line.rare.pending,
        }),
        Kind::Fork => Body::Fork { child: number(Field::Child) },
        Kind::Exec => Body::Exec,
        Kind::Note => Body::Note {
            subject: match number(Field::Subject) {
                0 => NoteSubject::Trigger,
                _ => NoteSubject::Uncaptured,
            },
            memory: small(&line, Field::Memory),
            reason: line.text,
        },
    })
}

fn other_call(line: &mut Line) -> Result<OtherCall, String> {
    let own: &[Field] = match line.number(Field::What) {
        0 => &[Field::NotificationType, Field::Queue, Field::Reference],
        1 => &[Field::Client],
        3 => &[Field::Value],
        4 => &[Field::Index, Field::Scalars],
        _ => &[],
    };
    let fields = Field::ALL.iter().filter(|field| Kind::OtherCall.fields() & field.bit() != 0);
    let mut foreign = fields.filter(|field| **field != Field::What && !own.contains(field));
    if let Some(field) = foreign.find(|field| line.has(**field)) {
        let what = OTHER_CALLS[line.number(Field::What) as usize];
        return Err(format!("no `{}` of the call {what}", field.key()));
    }
    Ok(match line.number(Field::What) {
        0 => OtherCall::SetNotificationPort {
            notification_type: line.number(Field::NotificationType) as u32,
            queue: small(line, Field::Queue),
            reference: match line.reference[..] {
                [] => 0,
                [reference] => reference,
                _ => return Err("`reference` to have one entry".to_owned()),
            },
        },
        1 => OtherCall::AddClient { client: small(line, Field::Client) },
        2 => OtherCall::GetService,
        3 => OtherCall::SetProperties { properties: line.rare.value.take() },
        4 => OtherCall::Trap {
            index: line.number(Field::Index) as u32,
            arguments: match line.scalars.len() {
                0..=TRAP_ARGUMENTS_MAX => line.scalars,
                _ => return Err(format!("`scalars` to have at most {TRAP_ARGUMENTS_MAX} entries")),
            },
        },
        5 => OtherCall::AddRef,
        _ => OtherCall::Release,
    })
}

fn call(line: &mut Line) -> Result<Call, String> {
    use Field::{
        Input, InputMemory, InputNull, InputUnmapped, OutputMemory, OutputNull, OutputSize,
        OutputUnmapped, OutputVariable,
    };
    let payload = line.payload.take();
    let memory = |field| line.number(field) as u32;
    let inputs = [InputMemory, InputNull, InputUnmapped];
    let input = match (payload, inputs.map(|field| line.has(field))) {
        (None, [false, false, false]) => Structure::None,
        (Some(data), [false, false, false]) => Structure::Bytes(data),
        (Some(data), [true, false, false]) => {
            Structure::Shared { memory: memory(InputMemory), data }
        }
        (None, [false, true, false]) => Structure::Null { size: line.number(InputNull) },
        (None, [false, false, true]) => Structure::Unmapped { size: line.number(InputUnmapped) },
        _ => {
            return Err(format!(
                "`{}` alone or with `{}`, or one of `{}` and `{}` alone",
                Input.key(),
                InputMemory.key(),
                InputNull.key(),
                InputUnmapped.key()
            ));
        }
    };
    let outputs = [OutputSize, OutputMemory, OutputNull, OutputUnmapped, OutputVariable];
    let size = line.number(OutputSize);
    let output = match outputs.map(|field| line.has(field)) {
        [false, false, false, false, false] => OutputKind::None,
        [true, false, false, false, false] => OutputKind::Bytes { size },
        [true, true, false, false, false] => {
            OutputKind::Shared { memory: memory(OutputMemory), size }
        }
        [false, false, true, false, false] => OutputKind::Null { size: line.number(OutputNull) },
        [false, false, false, true, false] => {
            OutputKind::Unmapped { size: line.number(OutputUnmapped) }
        }
        [false, false, false, false, true] => OutputKind::Variable,
        _ => {
            return Err(format!(
                "`{}` alone or with `{}`, or one of `{}`, `{}` and `{}` alone",
                OutputSize.key(),
                OutputMemory.key(),
                OutputNull.key(),
                OutputUnmapped.key(),
                OutputVariable.key()
            ));
        }
    };
    Ok(Call {
        selector: memory(Field::Selector),
        scalar_count: small(line, Field::ScalarCount).unwrap_or(line.scalars.len() as u32),
        scalars: line.scalars,
        input,
        scalars_asked: memory(Field::ScalarsAsked),
        output,
    })
}
