//! What a page shows of a tape, in columns.

use super::mark::{Mark, MarkKind};
use super::pack::Pack;
use crate::view::{
    FieldValue, Links, NamedField, Names, for_each_field, is_failure, printable, shown, title,
};
use dextape::tape::{Body, Digest, Event, Header, Host, Structure, Tape, TapeError};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Bytes of one payload that go into a page.
const PAYLOAD_MAX: usize = 64 << 10;

/// Bytes of all payloads that go into a page.
const PAYLOADS_MAX: usize = 48 << 20;

/// Characters of one text that go into a page.
const TEXT_MAX: usize = 600;

/// Bytes of the fields that a title names.
const GIST_MAX: usize = 100;

/// No event, connection, payload.
const NONE: i32 = -1;

/// Texts and bytes that the tapes of a page share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    texts: HashMap<String, i32>,
    in_order: Vec<String>,
    bytes: Vec<u8>,
    /// First byte, bytes kept, whole length; of each payload.
    payloads: Vec<[i32; 3]>,
    known: HashMap<Digest, i32>,
}

impl Shared {
    pub(super) fn text(&mut self, text: &str) -> i32 {
        if let Some(number) = self.texts.get(text) {
            return *number;
        }
        let cut = match text.char_indices().nth(TEXT_MAX) {
            Some((at, _)) => format!("{}..", &text[..at]),
            None => text.to_owned(),
        };
        let number = self.in_order.len() as i32;
        self.in_order.push(cut);
        self.texts.insert(text.to_owned(), number);
        number
    }

    fn payload(&mut self, bytes: &[u8]) -> i32 {
        let digest = Digest::of(bytes);
        if let Some(number) = self.known.get(&digest) {
            return *number;
        }
        let room = PAYLOADS_MAX - self.bytes.len();
        let kept = &bytes[..bytes.len().min(PAYLOAD_MAX).min(room)];
        let number = self.payloads.len() as i32;
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.payloads.push([self.bytes.len() as i32, kept.len() as i32, length]);
        self.bytes.extend(kept);
        self.known.insert(digest, number);
        number
    }

    pub(super) fn finish(self, pack: &mut Pack, told: &mut Map<String, Value>) {
        pack.octets("bytes".to_owned(), &self.bytes);
        pack.integers("payloads".to_owned(), &self.payloads.concat());
        told.insert("texts".to_owned(), json!(self.in_order));
    }
}

/// The columns of one tape; see `data.js`, which reads them.
#[derive(Debug, Default)]
struct Columns {
    sequence: Vec<f64>,
    time: Vec<f64>,
    kind: Vec<i32>,
    process: Vec<i32>,
    lane: Vec<i32>,
    connection: Vec<i32>,
    selector: Vec<i32>,
    cause: Vec<i32>,
    leave: Vec<i32>,
    before: Vec<i32>,
    flags: Vec<i32>,
    title: Vec<i32>,
    field_from: Vec<i32>,
    /// Name, text and payload of each field, and the offset of its first byte.
    fields: Vec<i32>,
    /// Event, memory, first byte and length of each access, and who made it.
    accesses: Vec<i32>,
}

/// The event tells of a failure.
const FAILED: i32 = 1;
/// A fault was planned there.
const FAULT: i32 = 2;
/// A replay diverged there.
const DIVERGED: i32 = 4;

/// Adds the tape's columns under names that begin with `prefix`, and gives what else is told of it.
pub(super) fn scene(
    tape: &Tape,
    called: &str,
    marks: &[Mark],
    names: &dyn Names,
    prefix: &str,
    shared: &mut Shared,
    pack: &mut Pack,
) -> Result<Value, TapeError> {
    let events = tape.events();
    let links = Links::of(events);
    let mut columns = Columns::default();
    let mut kinds: Vec<&str> = Vec::new();
    let mut memories: Memories = Memories::default();
    // The event before that handed in or gave back the same thing.
    let mut before: HashMap<Before, i32> = HashMap::new();
    let mut trouble = None;
    for (place, event) in events.iter().enumerate() {
        let name = event.body.name();
        let kind = kinds.iter().position(|known| *known == name).unwrap_or_else(|| {
            kinds.push(name);
            kinds.len() - 1
        });
        let number = |place: Option<usize>| place.map_or(NONE, |place| place as i32);
        columns.sequence.push(event.sequence as f64);
        columns.time.push(event.time as f64);
        columns.kind.push(kind as i32);
        columns.process.push(event.process as i32);
        columns.lane.push(event.lane as i32);
        columns.connection.push(event.connection.map_or(NONE, |it| it as i32));
        columns.selector.push(links.selector(place).map_or(NONE, |it| it as i32));
        columns.cause.push(number(links.cause(place)));
        columns.leave.push(number(links.leave(place)));
        columns.flags.push(if is_failure(&event.body) { FAILED } else { 0 });
        let mut title = title(event, place, &links, names);
        columns.field_from.push((columns.fields.len() / 4) as i32);
        let mut gist = String::new();
        let key = before_key(event, place, &links);
        let earlier = key.and_then(|key| before.insert(key, place as i32));
        columns.before.push(earlier.unwrap_or(NONE));
        for_each_field(event, place, &links, &mut |name, value| {
            let word = shared.text(&name.shown(&value, names));
            let text = shared.text(&shown(&value, names));
            let (mut payload, mut first) = (NONE, 0);
            let mut named = Vec::new();
            if let FieldValue::Bytes { payload: held, part, offset } = value {
                first = i32::try_from(offset).unwrap_or(i32::MAX);
                match tape.bytes(held) {
                    Ok(Some(bytes)) if !bytes.is_empty() => {
                        payload = shared.payload(&bytes);
                        named =
                            part.map_or_else(Vec::new, |it| names.structure(it, offset, &bytes));
                        if matches!(event.body, Body::Call(_) | Body::AsyncCall { .. }) {
                            gist = gist_of(&named, offset, &bytes);
                        }
                    }
                    Ok(_) => {}
                    Err(error) => trouble = Some(error),
                }
            }
            columns.fields.extend([word, text, payload, first]);
            for field in named {
                let word = shared.text(&format!("  {}", printable(&field.name)));
                let text = shared.text(&printable(&field.value));
                columns.fields.extend([word, text, NONE, field.offset as i32]);
            }
        });
        title.push_str(&gist);
        columns.title.push(shared.text(&title));
        memories.event(event, &links, names);
        memories.access(event, place, &mut columns.accesses);
    }
    columns.field_from.push((columns.fields.len() / 4) as i32);
    if let Some(error) = trouble {
        return Err(error);
    }
    let mut told_marks = Vec::new();
    for mark in marks {
        let Some(place) = links.place(mark.sequence) else { continue };
        columns.flags[place as usize] |= match mark.kind {
            MarkKind::Fault => FAULT,
            MarkKind::Divergence => DIVERGED,
        };
        told_marks.push(json!([place, mark.kind.word(), printable(&mark.text)]));
    }
    for (name, column) in [
        ("kind", columns.kind),
        ("process", columns.process),
        ("lane", columns.lane),
        ("connection", columns.connection),
        ("selector", columns.selector),
        ("cause", columns.cause),
        ("leave", columns.leave),
        ("before", columns.before),
        ("flags", columns.flags),
        ("title", columns.title),
        ("fieldFrom", columns.field_from),
        ("fields", columns.fields),
        ("accesses", columns.accesses),
    ] {
        pack.integers(format!("{prefix}{name}"), &column);
    }
    pack.floats(format!("{prefix}sequence"), &columns.sequence);
    pack.floats(format!("{prefix}time"), &columns.time);
    Ok(json!({
        "name": printable(called),
        "prefix": prefix,
        "header": header(tape.header()),
        "kinds": kinds,
        "memories": memories.told,
        "marks": told_marks,
    }))
}

/// The first fields of a call's structure that hold something, so that calls of one selector can be told
/// apart in a list; nothing where there are no names.
fn gist_of(named: &[NamedField], offset: u64, bytes: &[u8]) -> String {
    let holds_something = |field: &&NamedField| {
        let from = usize::try_from(field.offset.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = usize::try_from(field.length).unwrap_or(usize::MAX);
        bytes.iter().skip(from).take(length).any(|byte| *byte != 0)
    };
    let mut told: Vec<String> = Vec::new();
    for field in named.iter().filter(holds_something) {
        let said = format!("{}: {}", printable(&field.name), printable(&field.value));
        if told.iter().map(String::len).sum::<usize>() + said.len() > GIST_MAX {
            told.push("..".to_owned());
            break;
        }
        told.push(said);
    }
    if told.is_empty() { String::new() } else { format!(" {{{}}}", told.join(", ")) }
}

/// What is compared with what came before: calls of a selector, returns of one, places in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Before {
    Exchange(Option<u32>, u32, bool),
    Memory(u32, u32, u64),
}

fn before_key(event: &Event, place: usize, links: &Links) -> Option<Before> {
    match &event.body {
        Body::Call(_) | Body::AsyncCall { .. } | Body::Return(_) => {
            let returns = event.body.is_leave();
            Some(Before::Exchange(event.connection, links.selector(place)?, returns))
        }
        Body::Write { memory, offset, .. } | Body::Patch { memory, offset, .. } => {
            Some(Before::Memory(event.process, *memory, *offset))
        }
        _ => None,
    }
}

/// The memories of a tape, for the heat maps.
#[derive(Debug, Default)]
struct Memories {
    numbers: HashMap<(u32, u32), i32>,
    told: Vec<Value>,
}

impl Memories {
    fn number(&mut self, process: u32, memory: u32, what: impl FnOnce() -> (String, u64)) -> i32 {
        *self.numbers.entry((process, memory)).or_insert_with(|| {
            let (what, length) = what();
            let of = if process == 1 { String::new() } else { format!("P{process} ") };
            self.told.push(json!([format!("{of}memory {memory}, {what}"), length]));
            self.told.len() as i32 - 1
        })
    }

    /// Learns of memories that the event brings.
    fn event(&mut self, event: &Event, links: &Links, names: &dyn Names) {
        match &event.body {
            Body::Mapped { outcome: Ok(mapped) } => {
                let memory_type = links.memory_type(event.process, mapped.memory);
                self.number(event.process, mapped.memory, || {
                    let name = memory_type.and_then(|it| names.memory_type(it));
                    let name = name.map(|name| printable(&name)).unwrap_or_else(|| {
                        memory_type.map_or_else(String::new, |it| format!("type {it:#x}"))
                    });
                    (name, mapped.length)
                });
            }
            Body::Call(call) | Body::AsyncCall { call, .. } => {
                if let Structure::Shared { memory, data } = &call.input {
                    let length = data.length();
                    self.number(event.process, *memory, || ("shared input".to_owned(), length));
                }
                if let dextape::tape::OutputKind::Shared { memory, size } = call.output {
                    self.number(event.process, memory, || ("shared output".to_owned(), size));
                }
            }
            _ => {}
        }
    }

    /// Notes an access: by the client (0), seen as a change (1), atomic (2).
    fn access(&mut self, event: &Event, place: usize, accesses: &mut Vec<i32>) {
        let (memory, offset, length, who) = match &event.body {
            Body::Write { memory, offset, data, .. } => (*memory, *offset, data.length(), 0),
            Body::Patch { memory, offset, data, .. } => (*memory, *offset, data.length(), 1),
            Body::Update { memory, offset, width, .. } => (*memory, *offset, width.bytes(), 2),
            _ => return,
        };
        let number = self.number(event.process, memory, || (String::new(), offset + length));
        let cut = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
        accesses.extend([place as i32, number, cut(offset), cut(length), who]);
    }
}

/// The header as people read it.
fn header(header: &Header) -> Value {
    let mut told: Vec<[String; 2]> = Vec::new();
    let mut tell = |key: &str, value: String| told.push([key.to_owned(), printable(&value)]);
    if let Some(scenario) = &header.scenario {
        tell("scenario", scenario.name.clone());
        for (key, value) in &scenario.parameters {
            tell(&format!("  {}", printable(key)), value.clone());
        }
    }
    tell(
        "host",
        match &header.host {
            Host::Mock => "mock".to_owned(),
            Host::Mac { model, system } => format!("{model}, {system}"),
        },
    );
    tell("time", format!("{:?}", header.time).to_lowercase());
    if let Some(seed) = header.seed {
        tell("seed", format!("{seed:#x}"));
    }
    tell("recorder", header.recorder.clone());
    tell("format", header.format.to_string());
    tell("page size", format!("{:#x}", header.page_size));
    for (number, service) in &header.services {
        let all = [&service.class, &service.name, &service.user_class, &service.bundle_id];
        let mut told: Vec<&str> = all.into_iter().flatten().map(String::as_str).collect();
        told.dedup();
        tell(&format!("service {number}"), told.join(", "));
    }
    if let Some(policy) = &header.policy {
        tell("policy", policy.clone());
    }
    if !header.rules.is_empty() {
        tell("rules", header.rules.len().to_string());
    }
    header.redactions.iter().for_each(|redaction| tell("redacted", redaction.clone()));
    header.provenance.iter().for_each(|note| tell("provenance", note.clone()));
    json!(told)
}
