//! What makes two operations the same: their kind, what they are of, and their inputs.

use dextape::connection::{Matching, MethodInput, MethodOutput, StructureInput, StructureOutput};
use dextape::tape::{Body, Call, Event, Field, FieldRule, OutputKind, Structure};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A hash of what was asked.
pub(super) type Key = u64;

/// What is asked of a connection beside calls, of the registry or of a queue.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) enum Simple<'a> {
    Property { service: u64, key: Option<&'a str> },
    Open { service: u64, open_type: u32 },
    Map { connection: u32, memory_type: u32 },
    Unmap { connection: u32, memory_type: u32 },
    Close { connection: u32 },
    Other { connection: u32, what: &'a str },
    Wait { queue: u32 },
    Write { memory: u32, offset: u64, length: u64 },
}

/// A call, from either side.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallKey<'a> {
    pub(super) connection: u32,
    pub(super) asynchronous: bool,
    pub(super) selector: u32,
    pub(super) scalars: &'a [u64],
    pub(super) scalar_count: u32,
    /// The bytes handed in; `None` where only their length is known.
    pub(super) bytes: Option<&'a [u8]>,
    pub(super) length: u64,
    pub(super) scalars_asked: u32,
    /// Kind and size of the structure asked for.
    pub(super) output: (u8, u64),
}

fn hash_of(what: impl Hash) -> Key {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

impl Simple<'_> {
    pub(super) fn key(&self) -> Key {
        hash_of((1, self))
    }
}

/// Key of a search in the registry.
pub(super) fn matching(matching: &Matching, watched: bool) -> Key {
    hash_of((2, watched, format!("{matching:?}")))
}

impl<'a> CallKey<'a> {
    /// Key with what the rules do not compare left out.
    pub(super) fn key(&self, rules: &[FieldRule]) -> Key {
        let mut rules = rules.iter().filter(|rule| {
            let compared = matches!(rule.field, Field::ScalarInput(_) | Field::StructureInput(..));
            compared && rule.selector.is_none_or(|own| own == self.selector)
        });
        let Some(first) = rules.next() else { return self.plain(self.scalars, self.bytes) };
        let mut scalars = self.scalars.to_vec();
        let mut bytes = self.bytes.map(<[u8]>::to_vec);
        for rule in std::iter::once(first).chain(rules) {
            match rule.field {
                Field::ScalarInput(index) => {
                    scalars.get_mut(index).into_iter().for_each(|scalar| *scalar = 0);
                }
                Field::StructureInput(offset, length) => {
                    let range = bytes.iter_mut().flatten().skip(offset as usize);
                    range.take(length as usize).for_each(|byte| *byte = 0);
                }
                _ => {}
            }
        }
        self.plain(&scalars, bytes.as_deref())
    }

    fn plain(&self, scalars: &[u64], bytes: Option<&[u8]>) -> Key {
        let shape = (self.connection, self.asynchronous, self.selector, self.scalar_count);
        hash_of((3, shape, scalars, bytes, self.length, self.scalars_asked, self.output))
    }

    /// The call of a client.
    pub(super) fn of_client(
        connection: u32,
        asynchronous: bool,
        selector: u32,
        input: &MethodInput<'a>,
        contents: Option<&'a [u8]>,
        output: &MethodOutput<'_>,
    ) -> Self {
        let bytes = match input.structure {
            StructureInput::Bytes(bytes) => bytes,
            _ => contents.unwrap_or_default(),
        };
        let length = input.structure.size();
        Self {
            connection,
            asynchronous,
            selector,
            scalars: &input.scalars[..input.scalars.len().min(16)],
            scalar_count: u32::try_from(input.scalars.len()).unwrap_or(u32::MAX),
            bytes: Some(bytes),
            length,
            scalars_asked: output.scalar_count,
            output: match &output.structure {
                StructureOutput::None => (0, 0),
                StructureOutput::Bytes([]) => (0, 0),
                StructureOutput::Bytes(bytes) => (1, bytes.len() as u64),
                StructureOutput::Shared(buffer) => (2, buffer.length()),
                StructureOutput::Null { size: 0 } | StructureOutput::Unmapped { size: 0 } => (0, 0),
                StructureOutput::Null { size } => (3, *size),
                StructureOutput::Unmapped { size } => (5, *size),
                StructureOutput::Variable(_) => (4, 0),
            },
        }
    }

    /// The call of a tape.
    pub(super) fn of_tape(connection: u32, asynchronous: bool, call: &'a Call) -> Self {
        let (bytes, length) = match &call.input {
            Structure::None => (Some(&[][..]), 0),
            Structure::Bytes(data) | Structure::Shared { data, .. } => {
                (data.as_bytes(), data.length())
            }
            Structure::Null { size } | Structure::Unmapped { size } => (Some(&[][..]), *size),
        };
        Self {
            connection,
            asynchronous,
            selector: call.selector,
            scalars: &call.scalars,
            scalar_count: call.scalar_count,
            bytes,
            length,
            scalars_asked: call.scalars_asked,
            output: match call.output {
                OutputKind::None => (0, 0),
                OutputKind::Bytes { size } => (1, size),
                OutputKind::Shared { size, .. } => (2, size),
                OutputKind::Null { size } => (3, size),
                OutputKind::Unmapped { size } => (5, size),
                OutputKind::Variable => (4, 0),
            },
        }
    }
}

/// Key of the operation that an event of a tape enters; `None` where it enters none. Calls of which only
/// the length of the bytes is known have a key of the length.
pub(super) fn of_event(event: &Event, rules: &[FieldRule]) -> Option<Key> {
    let connection = event.connection.unwrap_or(0);
    Some(match &event.body {
        Body::Matched { matching: asked, .. } => matching(asked, false),
        Body::Watch { matching: asked, .. } => matching(asked, true),
        Body::Property { service, key, .. } => {
            Simple::Property { service: u64::from(*service), key: key.as_deref() }.key()
        }
        Body::Open { service, open_type } => {
            Simple::Open { service: u64::from(*service), open_type: *open_type }.key()
        }
        Body::Call(call) => CallKey::of_tape(connection, false, call).key(rules),
        Body::AsyncCall { call, .. } => CallKey::of_tape(connection, true, call).key(rules),
        Body::Map { memory_type, .. } => {
            Simple::Map { connection, memory_type: *memory_type }.key()
        }
        Body::Unmap { memory_type, .. } => {
            Simple::Unmap { connection, memory_type: *memory_type }.key()
        }
        Body::Close => Simple::Close { connection }.key(),
        Body::OtherCall(call) => Simple::Other { connection, what: other(call) }.key(),
        Body::Write { memory, offset, data, .. } => {
            Simple::Write { memory: *memory, offset: *offset, length: data.length() }.key()
        }
        Body::Update { memory, offset, width, .. } => {
            Simple::Write { memory: *memory, offset: *offset, length: width.bytes() }.key()
        }
        Body::Wait { queue, .. } => Simple::Wait { queue: *queue }.key(),
        _ => return None,
    })
}

/// The name of a call beside methods and memory.
fn other(call: &dextape::tape::OtherCall) -> &'static str {
    use dextape::tape::OtherCall;
    match call {
        OtherCall::SetNotificationPort { .. } => "port",
        OtherCall::AddClient { .. } => "client",
        OtherCall::GetService => "service",
        OtherCall::SetProperties { .. } => "properties",
        OtherCall::Trap { .. } => "trap",
        OtherCall::AddRef => "add",
        OtherCall::Release => "release",
        _ => "other",
    }
}

/// The same, as a client makes it.
pub(super) fn other_asked(call: &dextape::connection::OtherCall<'_>) -> &'static str {
    use dextape::connection::OtherCall;
    match call {
        OtherCall::SetNotificationPort { .. } => "port",
        OtherCall::AddClient { .. } => "client",
        OtherCall::GetService => "service",
        OtherCall::SetProperties { .. } => "properties",
        OtherCall::Trap { .. } => "trap",
        OtherCall::AddRef => "add",
        OtherCall::Release => "release",
    }
}
