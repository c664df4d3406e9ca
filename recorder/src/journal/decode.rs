//! A record's body from bytes, which may be anything.

use super::encode::VALUE_DEPTH_MAX;
use super::kind;
use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::connection::{Matching, NoticeKind, Value};
use dextape::limits::{ASYNC_REFERENCE_MAX, SCALARS_MAX, TRAP_ARGUMENTS_MAX};
use dextape::memory::{Update, Width};
use dextape::tape::{
    Body, Call, Capture, Digest, Header, Keyframe, KeyframeMemory, MappedMemory, NoteSubject,
    OtherCall, OutputKind, Payload, Return, ServiceIdentity, Structure,
};
use std::collections::BTreeMap;

/// What a body must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault(pub(super) &'static str);

/// What a record holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// What the tape's header says.
    Header(Box<Header>),
    /// A service, for the tape's header.
    Service(u32, ServiceIdentity),
    /// Further fields of the next event of the lane, as the text of a JSON object.
    Fields(String),
    /// An event. Where a body holds sequence numbers, these are tokens as numbers; the child of a
    /// fork is its ordinal among the forks of its process.
    Event(Body),
    /// Bytes that are no whole record, and what is wrong with them: an event of the tape is lost.
    Damage(String),
}

/// Decodes the body of a record of `kind`.
pub(super) fn decode(kind: u8, body: &[u8]) -> Result<Content, Fault> {
    let mut bytes = Bytes(body);
    let content = match kind {
        kind::HEADER => Content::Header(Box::new(super::header_code::take_header(&mut bytes)?)),
        kind::SERVICE => {
            Content::Service(bytes.number()?, super::header_code::take_identity(&mut bytes)?)
        }
        kind::FIELDS => Content::Fields(bytes.maybe_text()?.unwrap_or_default()),
        _ => Content::Event(take_body(kind, &mut bytes)?),
    };
    if bytes.0.is_empty() { Ok(content) } else { Err(Fault("bytes left over")) }
}

fn take_body(kind: u8, bytes: &mut Bytes<'_>) -> Result<Body, Fault> {
    Ok(match kind {
        kind::MATCHED => Body::Matched {
            matching: take_matching(bytes)?,
            outcome: bytes.outcome(|bytes| bytes.list(Bytes::number))?,
        },
        kind::PROPERTY => Body::Property {
            service: bytes.number()?,
            key: bytes.maybe_text()?,
            outcome: bytes.outcome(|bytes| {
                if bytes.flag()? { take_value(bytes, VALUE_DEPTH_MAX).map(Some) } else { Ok(None) }
            })?,
        },
        kind::WATCH => {
            let (queue, result) = (bytes.number()?, bytes.result()?);
            Body::Watch { queue, matching: take_matching(bytes)?, result }
        }
        kind::NOTICE => Body::Notice {
            queue: bytes.number()?,
            kind: match bytes.byte()? {
                0 => NoticeKind::Arrived,
                1 => NoticeKind::Terminated,
                _ => return Err(Fault("an unknown notice")),
            },
            service: bytes.number()?,
        },
        kind::QUEUE => Body::Queue { queue: bytes.number()? },
        kind::OPEN => Body::Open { service: bytes.number()?, open_type: bytes.number()? },
        kind::OPENED => Body::Opened,
        kind::OPEN_FAILED => Body::OpenFailed { result: bytes.result()? },
        kind::CALL => Body::Call(take_call(bytes)?),
        kind::ASYNC_CALL => {
            let (call, queue) = (take_call(bytes)?, bytes.maybe_number()?);
            let given = bytes.flag()?;
            let reference = bytes.list(Bytes::long)?;
            Body::AsyncCall { call, queue, reference: given.then_some(reference) }
        }
        kind::RETURN => {
            let (result, scalars) = (bytes.result()?, bytes.scalars()?);
            let structure_size = bytes.maybe_long()?;
            let structure = if bytes.flag()? { Some(take_data(bytes)?) } else { None };
            Body::Return(Return { result, scalars, structure_size, structure })
        }
        kind::POSTED => {
            let (ordinal, status, arguments) = (bytes.long()?, bytes.result()?, bytes.scalars()?);
            let mut reference = [0; ASYNC_REFERENCE_MAX];
            for entry in &mut reference {
                *entry = bytes.long()?;
            }
            Body::Posted { ordinal, status, arguments, reference }
        }
        kind::DELIVERED => Body::Delivered { queue: bytes.number()?, polls: bytes.long()? },
        kind::WAIT => Body::Wait { queue: bytes.number()?, timeout: bytes.maybe_long()? },
        kind::WOKE => Body::Woke { timed_out: bytes.flag()? },
        kind::MAP => Body::Map {
            memory_type: bytes.number()?,
            options: bytes.number()?,
            address: bytes.long()?,
        },
        kind::MAPPED => Body::Mapped { outcome: bytes.outcome(take_mapped)? },
        kind::UNMAP => Body::Unmap { memory_type: bytes.number()?, memory: bytes.maybe_number()? },
        kind::UNMAPPED => Body::Unmapped { result: bytes.result()? },
        kind::CLOSE => Body::Close,
        kind::CLOSED => Body::Closed { result: bytes.result()? },
        kind::OTHER_CALL => Body::OtherCall(take_other_call(bytes)?),
        kind::OTHER_RETURN => Body::OtherReturn { outcome: bytes.outcome(Bytes::maybe_number)? },
        kind::WRITE => Body::Write {
            memory: bytes.number()?,
            offset: bytes.long()?,
            width: match bytes.byte()? {
                0 => None,
                width => Some(take_width(width)?),
            },
            data: take_data(bytes)?,
        },
        kind::UPDATE => {
            let (memory, offset) = (bytes.number()?, bytes.long()?);
            let width = take_width(bytes.byte()?)?;
            Body::Update { memory, offset, width, update: take_update(bytes)? }
        }
        kind::PATCH | kind::UNATTRIBUTED_PATCH => {
            let (memory, offset, read) = (bytes.number()?, bytes.long()?, bytes.long()?);
            let last_equal = Some(bytes.long()?).filter(|token| *token != 0);
            let unattributed = kind == kind::UNATTRIBUTED_PATCH;
            let data = take_data(bytes)?;
            Body::Patch { memory, offset, data, read, last_equal, unattributed }
        }
        kind::TERMINATED => Body::Terminated { service: bytes.maybe_number()? },
        kind::GAP => Body::Gap { events: bytes.maybe_long()?, reason: bytes.text()? },
        kind::KEYFRAME => Body::Keyframe(take_keyframe(bytes)?),
        kind::FORK => Body::Fork { child: bytes.number()? },
        kind::EXEC => Body::Exec,
        kind::NOTE => Body::Note {
            subject: match bytes.byte()? {
                0 => NoteSubject::Trigger,
                1 => NoteSubject::Uncaptured,
                _ => return Err(Fault("an unknown subject of a note")),
            },
            memory: bytes.maybe_number()?,
            reason: bytes.text()?,
        },
        _ => return Err(Fault("a kind that this version does not know")),
    })
}

/// What is left of a body.
#[derive(Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], Fault> {
        let length = usize::try_from(length).map_err(|_| Fault("a length out of range"))?;
        let Some((taken, rest)) = self.0.split_at_checked(length) else {
            return Err(Fault("an end before its time"));
        };
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some((taken, rest)) = self.0.split_first_chunk() else {
            return Err(Fault("an end before its time"));
        };
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn number(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn long(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn flag(&mut self) -> Result<bool, Fault> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Fault("neither yes nor no")),
        }
    }

    fn block(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.long()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<String, Fault> {
        let block = self.block()?;
        std::str::from_utf8(block).map(str::to_owned).map_err(|_| Fault("a text that is not UTF-8"))
    }

    pub(super) fn maybe_number(&mut self) -> Result<Option<u32>, Fault> {
        let (there, value) = (self.flag()?, self.number()?);
        Ok(there.then_some(value))
    }

    pub(super) fn maybe_long(&mut self) -> Result<Option<u64>, Fault> {
        let (there, value) = (self.flag()?, self.long()?);
        Ok(there.then_some(value))
    }

    pub(super) fn maybe_text(&mut self) -> Result<Option<String>, Fault> {
        let (there, value) = (self.flag()?, self.text()?);
        Ok(there.then_some(value))
    }

    /// A count and as many items. Room is made as they come: a count from outside reserves nothing.
    /// Every item takes at least a byte, so there are at most as many as bytes.
    pub(super) fn list<T>(
        &mut self,
        mut take: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let count = self.long()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(take(self)?);
        }
        Ok(items)
    }

    fn result(&mut self) -> Result<IoReturn, Fault> {
        self.number().map(IoReturn)
    }

    fn outcome<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<Result<T, IoReturn>, Fault> {
        Ok(if self.flag()? { Ok(take(self)?) } else { Err(self.result()?) })
    }

    fn scalars(&mut self) -> Result<Scalars, Fault> {
        let count = usize::from(self.byte()?);
        let mut values = [0; SCALARS_MAX];
        let values = values.get_mut(..count).ok_or(Fault("more than 16 scalars"))?;
        for value in values.iter_mut() {
            *value = self.long()?;
        }
        Ok(Scalars::clamped(values))
    }
}

fn take_call(bytes: &mut Bytes<'_>) -> Result<Call, Fault> {
    let (selector, scalar_count) = (bytes.number()?, bytes.number()?);
    let (scalars_asked, scalars) = (bytes.number()?, bytes.scalars()?);
    let output = match bytes.byte()? {
        0 => OutputKind::None,
        1 => OutputKind::Bytes { size: bytes.long()? },
        2 => OutputKind::Shared { memory: bytes.number()?, size: bytes.long()? },
        3 => OutputKind::Null { size: bytes.long()? },
        4 => OutputKind::Variable,
        5 => OutputKind::Unmapped { size: bytes.long()? },
        _ => return Err(Fault("an unknown kind of output")),
    };
    let input = match bytes.byte()? {
        0 => Structure::None,
        1 => Structure::Bytes(take_data(bytes)?),
        2 => Structure::Shared { memory: bytes.number()?, data: take_data(bytes)? },
        3 => Structure::Null { size: bytes.long()? },
        4 => Structure::Unmapped { size: bytes.long()? },
        _ => return Err(Fault("an unknown kind of input")),
    };
    Ok(Call { selector, scalars, scalar_count, input, scalars_asked, output })
}

fn take_other_call(bytes: &mut Bytes<'_>) -> Result<OtherCall, Fault> {
    Ok(match bytes.byte()? {
        0 => OtherCall::SetNotificationPort {
            notification_type: bytes.number()?,
            queue: bytes.maybe_number()?,
            reference: bytes.long()?,
        },
        1 => OtherCall::AddClient { client: bytes.maybe_number()? },
        2 => OtherCall::GetService,
        3 => OtherCall::SetProperties {
            properties: match bytes.flag()? {
                true => Some(take_value(bytes, VALUE_DEPTH_MAX)?),
                false => None,
            },
        },
        4 => {
            let (index, arguments) = (bytes.number()?, bytes.scalars()?);
            if arguments.len() > TRAP_ARGUMENTS_MAX {
                return Err(Fault("more than 6 arguments of a trap"));
            }
            OtherCall::Trap { index, arguments }
        }
        5 => OtherCall::AddRef,
        6 => OtherCall::Release,
        _ => return Err(Fault("an unknown call")),
    })
}

fn take_data(bytes: &mut Bytes<'_>) -> Result<Payload, Fault> {
    Ok(match bytes.byte()? {
        0 => Payload::bytes(bytes.block()?),
        1 => {
            let length = bytes.long()?;
            Payload::Hash { digest: Digest(bytes.array()?), length }
        }
        2 => Payload::Redacted { length: bytes.long()? },
        _ => return Err(Fault("an unknown kind of bytes")),
    })
}

fn take_mapped(bytes: &mut Bytes<'_>) -> Result<MappedMemory, Fault> {
    let (memory, length, size) = (bytes.number()?, bytes.long()?, bytes.long()?);
    let capture = bytes.byte()?;
    let read_only = capture & 0x80 != 0;
    let capture = match capture & 0x7f {
        0 => Capture::Accessor,
        1 => Capture::PageProtection,
        2 => Capture::Trap,
        3 => Capture::SyncPoints,
        4 => Capture::Uncaptured,
        5 => Capture::Registers,
        _ => return Err(Fault("an unknown way of capture")),
    };
    Ok(MappedMemory { memory, length, size, capture, read_only })
}

fn take_width(width: u8) -> Result<Width, Fault> {
    Width::of(u64::from(width)).ok_or(Fault("a width that no word has"))
}

fn take_update(bytes: &mut Bytes<'_>) -> Result<Update, Fault> {
    let (tag, operand, new) = (bytes.byte()?, bytes.long()?, bytes.long()?);
    Ok(match tag {
        0 => Update::Swap(operand),
        1 => Update::Add(operand),
        2 => Update::Or(operand),
        3 => Update::And(operand),
        4 => Update::CompareExchange { expected: operand, new },
        _ => return Err(Fault("an unknown update")),
    })
}

fn take_matching(bytes: &mut Bytes<'_>) -> Result<Matching, Fault> {
    let conditions =
        bytes.list(|bytes| Ok((bytes.text()?, take_value(bytes, VALUE_DEPTH_MAX)?)))?;
    Ok(conditions.into_iter().collect())
}

fn take_value(bytes: &mut Bytes<'_>, depth: usize) -> Result<Value, Fault> {
    let depth = depth.checked_sub(1).ok_or(Fault("a value nested too deeply"))?;
    Ok(match bytes.byte()? {
        0 => Value::Boolean(bytes.flag()?),
        1 => Value::Number(bytes.long()?),
        2 => Value::String(bytes.text()?),
        3 => Value::Data(bytes.block()?.to_vec()),
        4 => Value::Array(bytes.list(|bytes| take_value(bytes, depth))?),
        5 => {
            let mut entries = BTreeMap::new();
            for _ in 0..bytes.long()? {
                entries.insert(bytes.text()?, take_value(bytes, depth)?);
            }
            Value::Dictionary(entries)
        }
        _ => return Err(Fault("an unknown kind of value")),
    })
}

fn take_keyframe(bytes: &mut Bytes<'_>) -> Result<Keyframe, Fault> {
    Ok(Keyframe {
        connections: bytes.list(|bytes| Ok((bytes.number()?, bytes.number()?)))?,
        memories: bytes.list(|bytes| {
            Ok(KeyframeMemory {
                memory: bytes.number()?,
                connection: bytes.maybe_number()?,
                memory_type: bytes.number()?,
                length: bytes.long()?,
                shadow: bytes.list(|bytes| Ok((bytes.long()?, Payload::bytes(bytes.block()?))))?,
            })
        })?,
        queues: bytes.list(Bytes::number)?,
        pending: bytes.list(Bytes::long)?,
    })
}
