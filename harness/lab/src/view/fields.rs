//! The fields of an event, one after the other, in the order in which people read them.

use super::links::Links;
use super::names::{Names, Part};
use super::value::{FieldValue, printable};
use dextape::memory::Update;
use dextape::registry::NoticeKind;
use dextape::tape::{
    Body, Call, Capture, Event, MappedMemory, OtherCall, OutputKind, Return, Structure,
};

/// What a field is called. Names within one operation differ, those of enter and leave together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FieldName {
    pub(crate) word: &'static str,
    pub(crate) index: Option<u32>,
}

impl FieldName {
    /// The name in words; a protocol's own where it has one.
    pub(crate) fn shown(self, value: &FieldValue<'_>, names: &dyn Names) -> String {
        if let FieldValue::Scalar { part: Some(part), index, .. } = value
            && let Some(name) = names.scalar(*part, *index)
        {
            return printable(&name);
        }
        match self.index {
            Some(index) => format!("{} {index}", self.word),
            None => self.word.to_owned(),
        }
    }
}

/// What is told of each field.
pub(crate) trait Visit<'a>: FnMut(FieldName, FieldValue<'a>) {}
impl<'a, F: FnMut(FieldName, FieldValue<'a>)> Visit<'a> for F {}

struct Telling<'v, V> {
    visit: &'v mut V,
}

impl<'a, V: Visit<'a>> Telling<'_, V> {
    fn field(&mut self, word: &'static str, value: FieldValue<'a>) {
        (self.visit)(FieldName { word, index: None }, value);
    }

    fn scalars(&mut self, word: &'static str, values: &[u64], part: Option<Part>) {
        for (index, value) in values.iter().enumerate() {
            let name = FieldName { word, index: Some(index as u32) };
            (self.visit)(name, FieldValue::Scalar { part, index, value: *value });
        }
    }

    fn flag(&mut self, word: &'static str, flag: bool) {
        if flag {
            self.field(word, FieldValue::Word("yes"));
        }
    }
}

/// Tells `visit` the fields of the event at `place`: all that it says but its numbers, time and
/// connection.
pub(crate) fn for_each_field<'a>(
    event: &'a Event,
    place: usize,
    links: &Links,
    visit: &mut impl Visit<'a>,
) {
    let mut tell = Telling { visit };
    let selector = links.selector(place);
    let memory_part = |memory: u32| {
        let memory_type = links.memory_type(event.process, memory);
        memory_type.map(|memory_type| Part::Memory { memory_type })
    };
    match &event.body {
        Body::Matched { matching, outcome } => {
            tell.field("matching", FieldValue::Matching(matching));
            match outcome {
                Ok(services) => tell.field("found", FieldValue::Services(services)),
                Err(result) => tell.field("result", FieldValue::Code(*result)),
            }
        }
        Body::Property { service, key, outcome } => {
            tell.field("service", FieldValue::Service(*service));
            match key {
                Some(key) => tell.field("key", FieldValue::Text(key)),
                None => tell.field("key", FieldValue::Word("all")),
            }
            match outcome {
                Ok(Some(value)) => tell.field("value", FieldValue::Registry(value)),
                Ok(None) => tell.field("value", FieldValue::Word("none")),
                Err(result) => tell.field("result", FieldValue::Code(*result)),
            }
        }
        Body::Watch { queue, matching, result } => {
            tell.field("matching", FieldValue::Matching(matching));
            tell.field("queue", FieldValue::Queue(*queue));
            tell.field("result", FieldValue::Code(*result));
        }
        Body::Notice { queue, kind, service } => {
            tell.field("queue", FieldValue::Queue(*queue));
            tell.field("service", FieldValue::Service(*service));
            tell.field(
                "notice",
                FieldValue::Word(match kind {
                    NoticeKind::Arrived => "arrived",
                    NoticeKind::Terminated => "terminated",
                }),
            );
        }
        Body::Queue { queue } => tell.field("queue", FieldValue::Queue(*queue)),
        Body::Open { service, open_type } => {
            tell.field("service", FieldValue::Service(*service));
            tell.field("type", FieldValue::Count(u64::from(*open_type)));
        }
        Body::Opened => tell.field("result", FieldValue::Word("ok")),
        Body::OpenFailed { result } | Body::Unmapped { result } | Body::Closed { result } => {
            tell.field("result", FieldValue::Code(*result));
        }
        Body::Call(call) => fields_of_call(&mut tell, call),
        Body::AsyncCall { call, queue, reference } => {
            fields_of_call(&mut tell, call);
            match queue {
                Some(queue) => tell.field("wake queue", FieldValue::Queue(*queue)),
                None => tell.field("wake queue", FieldValue::Word("none")),
            }
            tell.scalars("reference", reference.as_deref().unwrap_or_default(), None);
        }
        Body::Return(Return { result, scalars, structure_size, structure }) => {
            let part = selector.map(|selector| Part::Output { selector });
            tell.field("result", FieldValue::Code(*result));
            tell.scalars("returned scalar", scalars, part);
            if let Some(payload) = structure {
                tell.field("output", FieldValue::Bytes { payload, part, offset: 0 });
            }
            let told = structure.as_ref().map_or(0, dextape::tape::Payload::length);
            if let Some(size) = structure_size.filter(|size| *size != told) {
                tell.field("output size", FieldValue::Count(size));
            }
        }
        Body::Posted { ordinal, status, arguments, reference } => {
            let part = selector.map(|selector| Part::Completion { selector });
            tell.field("ordinal", FieldValue::Count(*ordinal));
            tell.field("status", FieldValue::Code(*status));
            tell.scalars("argument", arguments, part);
            let told = reference.iter().rposition(|entry| *entry != 0).map_or(0, |last| last + 1);
            tell.scalars("reference", &reference[..told], None);
        }
        Body::Delivered { queue, polls } => {
            tell.field("queue", FieldValue::Queue(*queue));
            tell.field("polls", FieldValue::Count(*polls));
        }
        Body::Wait { queue, timeout } => {
            tell.field("queue", FieldValue::Queue(*queue));
            match timeout {
                Some(timeout) => tell.field("timeout", FieldValue::Nanoseconds(*timeout)),
                None => tell.field("timeout", FieldValue::Word("none")),
            }
        }
        Body::Woke { timed_out } => {
            tell.field("woke", FieldValue::Word(if *timed_out { "timed out" } else { "ok" }));
        }
        Body::Map { memory_type, options, address } => {
            tell.field("memory type", FieldValue::Count(u64::from(*memory_type)));
            tell.field("options", FieldValue::Hex(u64::from(*options)));
            if *address != 0 {
                tell.field("address", FieldValue::Hex(*address));
            }
        }
        Body::Mapped { outcome } => match outcome {
            Ok(MappedMemory { memory, length, size, capture, read_only }) => {
                tell.field("result", FieldValue::Word("ok"));
                tell.field("memory", FieldValue::Memory(*memory));
                tell.field("length", FieldValue::Hex(*length));
                tell.field("size", FieldValue::Hex(*size));
                tell.field("capture", FieldValue::Word(capture_word(*capture)));
                tell.flag("read-only", *read_only);
            }
            Err(result) => tell.field("result", FieldValue::Code(*result)),
        },
        Body::Unmap { memory_type, memory } => {
            tell.field("memory type", FieldValue::Count(u64::from(*memory_type)));
            if let Some(memory) = memory {
                tell.field("memory", FieldValue::Memory(*memory));
            }
        }
        Body::OtherCall(call) => fields_of_other_call(&mut tell, call),
        Body::OtherReturn { outcome } => match outcome {
            Ok(service) => {
                tell.field("result", FieldValue::Word("ok"));
                if let Some(service) = service {
                    tell.field("service", FieldValue::Service(*service));
                }
            }
            Err(result) => tell.field("result", FieldValue::Code(*result)),
        },
        Body::Write { memory, offset, width, data } => {
            tell.field("memory", FieldValue::Memory(*memory));
            tell.field("offset", FieldValue::Hex(*offset));
            if let Some(width) = width {
                tell.field("width", FieldValue::Count(width.bytes()));
            }
            let part = memory_part(*memory);
            tell.field("data", FieldValue::Bytes { payload: data, part, offset: *offset });
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
            tell.field("memory", FieldValue::Memory(*memory));
            tell.field("offset", FieldValue::Hex(*offset));
            tell.field("width", FieldValue::Count(width.bytes()));
            tell.field("operation", FieldValue::Word(word));
            if let Some(expected) = expected {
                tell.field("expected", FieldValue::Hex(expected));
            }
            tell.field("operand", FieldValue::Hex(operand));
        }
        Body::Patch { memory, offset, data, read, unattributed, .. } => {
            tell.field("memory", FieldValue::Memory(*memory));
            tell.field("offset", FieldValue::Hex(*offset));
            tell.field("read", FieldValue::Count(*read));
            tell.flag("unattributed", *unattributed);
            let part = memory_part(*memory);
            tell.field("data", FieldValue::Bytes { payload: data, part, offset: *offset });
        }
        Body::Terminated { service } => match service {
            Some(service) => tell.field("service", FieldValue::Service(*service)),
            None => tell.field("service", FieldValue::Word("the user client")),
        },
        Body::Gap { events, reason } => {
            if let Some(events) = events {
                tell.field("events", FieldValue::Count(*events));
            }
            tell.field("reason", FieldValue::Text(reason));
        }
        Body::Keyframe(keyframe) => {
            for (connection, service) in &keyframe.connections {
                tell.field("connection", FieldValue::Connection(*connection));
                tell.field("service", FieldValue::Service(*service));
            }
            for memory in &keyframe.memories {
                tell.field("memory", FieldValue::Memory(memory.memory));
                tell.field("length", FieldValue::Hex(memory.length));
                let part = memory_part(memory.memory);
                for (offset, payload) in &memory.shadow {
                    tell.field("shadow", FieldValue::Bytes { payload, part, offset: *offset });
                }
            }
            for queue in &keyframe.queues {
                tell.field("queue", FieldValue::Queue(*queue));
            }
            tell.field("calls pending", FieldValue::Count(keyframe.pending.len() as u64));
        }
        Body::Fork { child } => tell.field("child", FieldValue::Count(u64::from(*child))),
        Body::Unknown { kind } => tell.field("kind", FieldValue::Text(kind)),
        _ => {}
    }
}

fn fields_of_call<'a, V: Visit<'a>>(tell: &mut Telling<'_, V>, call: &'a Call) {
    let part = Some(Part::Input { selector: call.selector });
    tell.scalars("scalar", &call.scalars, part);
    if call.scalar_count as usize != call.scalars.len() {
        tell.field("scalars stated", FieldValue::Count(u64::from(call.scalar_count)));
    }
    match &call.input {
        Structure::None => {}
        Structure::Bytes(payload) => {
            tell.field("input", FieldValue::Bytes { payload, part, offset: 0 });
        }
        Structure::Shared { memory, data } => {
            tell.field("input memory", FieldValue::Memory(*memory));
            tell.field("input", FieldValue::Bytes { payload: data, part, offset: 0 });
        }
        Structure::Null { size } => tell.field("input NULL of size", FieldValue::Hex(*size)),
        Structure::Unmapped { size } => tell.field("input nowhere of size", FieldValue::Hex(*size)),
    }
    if call.scalars_asked != 0 {
        tell.field("scalars asked", FieldValue::Count(u64::from(call.scalars_asked)));
    }
    match call.output {
        OutputKind::None => {}
        OutputKind::Bytes { size } => tell.field("bytes asked", FieldValue::Count(size)),
        OutputKind::Shared { memory, size } => {
            tell.field("output memory", FieldValue::Memory(memory));
            tell.field("bytes asked", FieldValue::Count(size));
        }
        OutputKind::Null { size } => tell.field("output NULL of size", FieldValue::Hex(size)),
        OutputKind::Unmapped { size } => {
            tell.field("output nowhere of size", FieldValue::Hex(size))
        }
        OutputKind::Variable => tell.field("bytes asked", FieldValue::Word("variable")),
    }
}

fn fields_of_other_call<'a, V: Visit<'a>>(tell: &mut Telling<'_, V>, call: &'a OtherCall) {
    let what = |word| FieldValue::Word(word);
    match call {
        OtherCall::SetNotificationPort { notification_type, queue, .. } => {
            tell.field("what", what("set notification port"));
            tell.field("notification type", FieldValue::Count(u64::from(*notification_type)));
            if let Some(queue) = queue {
                tell.field("queue", FieldValue::Queue(*queue));
            }
        }
        OtherCall::AddClient { client } => {
            tell.field("what", what("add client"));
            if let Some(client) = client {
                tell.field("client", FieldValue::Connection(*client));
            }
        }
        OtherCall::GetService => tell.field("what", what("get service")),
        OtherCall::SetProperties { properties } => {
            tell.field("what", what("set properties"));
            if let Some(properties) = properties {
                tell.field("properties", FieldValue::Registry(properties));
            }
        }
        OtherCall::Trap { index, arguments } => {
            tell.field("what", what("trap"));
            tell.field("index", FieldValue::Count(u64::from(*index)));
            tell.scalars("argument", arguments, None);
        }
        OtherCall::AddRef => tell.field("what", what("add a right")),
        OtherCall::Release => tell.field("what", what("release a right")),
        _ => tell.field("what", what("unknown")),
    }
}

fn capture_word(capture: Capture) -> &'static str {
    match capture {
        Capture::Accessor => "accessor",
        Capture::PageProtection => "page protection",
        Capture::Trap => "traps",
        Capture::SyncPoints => "sync points",
        Capture::Uncaptured => "uncaptured",
        Capture::Registers => "registers",
        _ => "unknown",
    }
}
