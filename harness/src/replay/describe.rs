//! Operations and events in one line, for people.

use super::program::{Buffer, EventIndex, NONE, Outcome, Program, StepIndex};
use super::request::{CallRequest, FOREIGN_QUEUE, Request, recorded};
use crate::IoReturn;
use crate::connection::{Matching, Value};
use crate::memory::Update;
use crate::tape::{Body, OtherCall};
use std::fmt::Write as _;

/// Characters of properties that a line shows.
const PROPERTIES_SHOWN: usize = 200;

/// Scalars and bytes that a line shows.
const SHOWN: usize = 8;

/// What the client asked for.
pub(super) fn request(program: &Program, request: &Request<'_>) -> String {
    match request {
        Request::Call(given) => call(given),
        Request::Matched(matching) => format!("look for services with {}", conditions(matching)),
        Request::Watch(matching) => format!("watch services with {}", conditions(matching)),
        Request::Property { service, key: Some(key) } => {
            format!("read property {key:?} of service {service}")
        }
        Request::Property { service, key: None } => {
            format!("read all properties of service {service}")
        }
        Request::Queue => "make a completion queue".to_owned(),
        Request::Open { service, open_type } => {
            format!("open service {service} with type {open_type}")
        }
        Request::Wait { queue, timeout: None } => format!("wait for queue {queue}"),
        Request::Wait { queue, timeout: Some(timeout) } => {
            let timeout = std::time::Duration::from_nanos(*timeout);
            format!("wait for queue {queue}, at most {timeout:?}")
        }
        Request::Take { queue } => format!("take a completion from queue {queue}"),
        Request::TakeNotice { queue } => format!("take a notice from queue {queue}"),
        Request::Map { connection, memory_type, options, address } => {
            let mut text = format!(
                "map memory type {memory_type} of connection {connection}, options {options:#x}"
            );
            if *address != 0 {
                let _ = write!(text, ", at {address:#x}");
            }
            text
        }
        Request::Unmap { connection, memory_type, memory } => {
            let memory =
                memory.map_or("no mapping".to_owned(), |number| format!("memory {number}"));
            format!(
                "unmap memory type {memory_type} of connection {connection}, by the address of {memory}"
            )
        }
        Request::Close { connection } => format!("close connection {connection}"),
        Request::Other { connection, call } => {
            format!("{} on connection {connection}", other(call))
        }
        Request::Write { memory, offset, width, bytes, length } => {
            let number =
                program.memories.get(*memory as usize).map_or(NONE, |memory| memory.number);
            let what = match width {
                Some(width) => format!("a word of {} bytes", width.bytes()),
                None => format!("{length} bytes"),
            };
            format!("write {what} to memory {number} at offset {offset:#x}{}", hex(bytes))
        }
        Request::Update { memory, offset, width, update: what } => {
            let number =
                program.memories.get(*memory as usize).map_or(NONE, |memory| memory.number);
            let width = width.bytes();
            format!(
                "{} a word of {width} bytes of memory {number} at offset {offset:#x}",
                update(*what)
            )
        }
    }
}

/// A step and what it gives.
pub(super) fn step(program: &Program, index: StepIndex) -> String {
    let held = program.step(index);
    let asked = request(program, &recorded(program, index));
    if held.leave == NONE {
        return format!("{asked} (the tape ends in it)");
    }
    match program.outcomes.get(held.outcome as usize) {
        Some(Outcome::TimedOut) if held.leave != NONE => format!("{asked} -> timed out"),
        _ if held.leave == held.enter => asked,
        _ => match leave(&program.event(held.leave).body) {
            Some(result) => format!("{asked} -> {result}"),
            None => asked,
        },
    }
}

/// An event of the tape.
pub(super) fn event(program: &Program, index: EventIndex) -> String {
    let found = program
        .steps
        .binary_search_by_key(&index, |step| step.enter)
        .ok()
        .and_then(|step| u32::try_from(step).ok());
    match (found, &program.event(index).body) {
        (Some(found), _) => step(program, found),
        (None, Body::Patch { memory, offset, data, .. }) => {
            format!("see {} changed bytes of memory {memory} at offset {offset:#x}", data.length())
        }
        (None, body) => match leave(body) {
            Some(result) => format!("return {result}"),
            None => "an event that the client does not make".to_owned(),
        },
    }
}

fn leave(body: &Body) -> Option<IoReturn> {
    match body {
        Body::Return(returned) => Some(returned.result),
        Body::OpenFailed { result } | Body::Unmapped { result } | Body::Closed { result } => {
            Some(*result)
        }
        Body::Opened | Body::Mapped { outcome: Ok(_) } => Some(IoReturn::SUCCESS),
        Body::Mapped { outcome: Err(result) } => Some(*result),
        Body::OtherReturn { outcome } => Some(outcome.err().unwrap_or(IoReturn::SUCCESS)),
        _ => None,
    }
}

/// A call beside methods and memory, without its connection.
pub(super) fn other(call: &OtherCall) -> String {
    match call {
        OtherCall::SetNotificationPort { notification_type, queue: None, .. } => {
            format!("set no notification port of type {notification_type}")
        }
        OtherCall::SetNotificationPort {
            notification_type, queue: Some(FOREIGN_QUEUE), ..
        } => format!("set another system's notification port of type {notification_type}"),
        OtherCall::SetNotificationPort { notification_type, queue: Some(queue), .. } => {
            format!("set the notification port of type {notification_type} to queue {queue}")
        }
        OtherCall::AddClient { client: Some(client) } => format!("add client {client}"),
        OtherCall::AddClient { client: None } => "add a client that is no connection".to_owned(),
        OtherCall::GetService => "get the service".to_owned(),
        OtherCall::SetProperties { properties: None } => {
            "set properties that cannot be serialised".to_owned()
        }
        OtherCall::SetProperties { properties: Some(properties) } => {
            let mut text = format!("set properties {properties:?}");
            if let Some((end, _)) = text.char_indices().nth(PROPERTIES_SHOWN) {
                text.truncate(end);
                text.push_str(" ..");
            }
            text
        }
        OtherCall::Trap { index, arguments } => {
            let arguments: Vec<_> = arguments.iter().map(|word| format!("{word:#x}")).collect();
            format!("trap {index} ({})", arguments.join(", "))
        }
        OtherCall::AddRef => "add a right".to_owned(),
        OtherCall::Release => "release a right".to_owned(),
    }
}

fn call(given: &CallRequest<'_>) -> String {
    let kind = if given.wake.is_some() { "call asynchronously" } else { "call" };
    let mut text = format!("{kind} selector {} of connection {}", given.selector, given.connection);
    // Writing to a string cannot fail.
    if given.scalar_count > 0 {
        let scalars: Vec<String> =
            given.scalars.iter().take(SHOWN).map(|scalar| format!("{scalar:#x}")).collect();
        let more = if given.scalar_count as usize > scalars.len() { ", .." } else { "" };
        let _ = write!(text, ", scalars [{}{more}]", scalars.join(", "));
    }
    match given.input {
        Buffer::None => {}
        Buffer::Null => drop(write!(text, ", a NULL structure of {} bytes", given.length)),
        Buffer::Unmapped => {
            let _ = write!(text, ", a structure of {} bytes where nothing is mapped", given.length);
        }
        Buffer::Shared => {
            let _ = write!(text, ", a shared buffer of {} bytes", given.length);
        }
        Buffer::Bytes | Buffer::Variable => {
            let _ = write!(text, ", a structure of {} bytes{}", given.length, hex(given.bytes));
        }
    }
    if given.scalars_asked > 0 {
        let plural = if given.scalars_asked == 1 { "" } else { "s" };
        let _ = write!(text, ", asking for {} scalar{plural}", given.scalars_asked);
    }
    match given.output {
        Buffer::None => {}
        Buffer::Variable => text.push_str(", asking for variable output"),
        Buffer::Bytes | Buffer::Null | Buffer::Unmapped | Buffer::Shared => {
            let _ = write!(text, ", asking for {} bytes", given.output_size);
        }
    }
    if let Some(wake) = &given.wake {
        match wake.queue {
            None => text.push_str(", without a port"),
            Some(FOREIGN_QUEUE) => text.push_str(", waking another system's queue"),
            Some(queue) => drop(write!(text, ", waking queue {queue}")),
        }
    }
    text
}

/// The first bytes, after a colon.
fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    let mut text = String::from(":");
    for byte in bytes.iter().take(SHOWN) {
        let _ = write!(text, " {byte:02x}");
    }
    if bytes.len() > SHOWN {
        text.push_str(" ..");
    }
    text
}

fn conditions(matching: &Matching) -> String {
    let conditions: Vec<String> = matching
        .conditions()
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key} {text:?}"),
            Value::Number(number) => format!("{key} {number:#x}"),
            Value::Boolean(boolean) => format!("{key} {boolean}"),
            _ => key.to_owned(),
        })
        .collect();
    if conditions.is_empty() { "no condition".to_owned() } else { conditions.join(", ") }
}

fn update(update: Update) -> String {
    match update {
        Update::Swap(word) => format!("swap {word:#x} into"),
        Update::Add(word) => format!("add {word:#x} to"),
        Update::Or(word) => format!("set the bits {word:#x} of"),
        Update::And(word) => format!("keep the bits {word:#x} of"),
        Update::CompareExchange { expected, new } => {
            format!("exchange {expected:#x} for {new:#x} in")
        }
    }
}
