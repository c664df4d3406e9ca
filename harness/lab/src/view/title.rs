//! An event in a few words.

use super::links::Links;
use super::names::Names;
use super::value::{FieldValue, printable, shown, shown_code};
use dextape::IoReturn;
use dextape::memory::Update;
use dextape::tape::{Body, Event, OtherCall, Return, render_payload};
use std::fmt::Write;

/// What the client was told, where the event tells it: of a leave, of a completion, of the registry.
pub(crate) fn result_of(body: &Body) -> Option<IoReturn> {
    let outcome = |failed: Option<&IoReturn>| Some(failed.copied().unwrap_or(IoReturn::SUCCESS));
    match body {
        Body::Matched { outcome: it, .. } => outcome(it.as_ref().err()),
        Body::Property { outcome: it, .. } => outcome(it.as_ref().err()),
        Body::Mapped { outcome: it } => outcome(it.as_ref().err()),
        Body::OtherReturn { outcome: it } => outcome(it.as_ref().err()),
        Body::Opened => Some(IoReturn::SUCCESS),
        Body::OpenFailed { result }
        | Body::Watch { result, .. }
        | Body::Return(Return { result, .. })
        | Body::Unmapped { result }
        | Body::Closed { result }
        | Body::Posted { status: result, .. } => Some(*result),
        _ => None,
    }
}

/// True for an event that tells of a failure, a gap or a wait that ran out.
pub(crate) fn is_failure(body: &Body) -> bool {
    matches!(body, Body::Gap { .. } | Body::Woke { timed_out: true })
        || result_of(body).is_some_and(|result| !result.is_success())
}

/// The event in a few words, on one line that holds only what can be printed. Of an operation the enter
/// says what is done, the leave what came of it.
pub(crate) fn title(event: &Event, place: usize, links: &Links, names: &dyn Names) -> String {
    let mut title = String::new();
    let selector = |selector: u32| match names.selector(selector) {
        Some(name) => printable(&name),
        None => selector.to_string(),
    };
    let called = || match links.selector(place).map(|number| (number, names.selector(number))) {
        Some((_, Some(name))) => printable(&name),
        Some((number, None)) => format!("selector {number}"),
        None => "an unknown call".to_owned(),
    };
    let memory_type = |memory_type: u32| match names.memory_type(memory_type) {
        Some(name) => printable(&name),
        None => memory_type.to_string(),
    };
    let code = |result| shown_code(result, names);
    // Writing to a text cannot fail.
    let _ = match &event.body {
        Body::Matched { matching, outcome } => {
            let found = match outcome {
                Ok(services) => shown(&FieldValue::Services(services), names),
                Err(result) => code(*result),
            };
            write!(title, "match {}: {found}", shown(&FieldValue::Matching(matching), names))
        }
        Body::Property { key, outcome, .. } => {
            let _ = match key {
                Some(key) => write!(title, "property {key:?}: "),
                None => write!(title, "properties: "),
            };
            match outcome {
                Ok(Some(value)) => title.write_str(&shown(&FieldValue::Registry(value), names)),
                Ok(None) => write!(title, "none"),
                Err(result) => title.write_str(&code(*result)),
            }
        }
        Body::Watch { matching, .. } => {
            write!(title, "watch {}", shown(&FieldValue::Matching(matching), names))
        }
        Body::Notice { kind, service, .. } => write!(title, "service {service} {kind:?}"),
        Body::Queue { queue } => write!(title, "queue {queue}"),
        Body::Open { service, open_type } => {
            write!(title, "open service {service} type {open_type}")
        }
        Body::Opened => write!(title, "opened"),
        Body::Call(call) | Body::AsyncCall { call, .. } => {
            let word = if matches!(event.body, Body::Call(_)) { "call" } else { "async call" };
            let _ = write!(title, "{word} {}(", selector(call.selector));
            for (index, scalar) in call.scalars.iter().enumerate() {
                let _ = write!(title, "{}{scalar:#x}", if index > 0 { ", " } else { "" });
            }
            write!(title, ")")
        }
        Body::Return(Return { result, .. }) => {
            write!(title, "return of {}: {}", called(), code(*result))
        }
        Body::Posted { ordinal, status, .. } => {
            write!(title, "completion {ordinal} of {}: {}", called(), code(*status))
        }
        Body::Delivered { .. } => write!(title, "completion of {} delivered", called()),
        Body::Wait { queue, timeout } => match timeout {
            Some(timeout) => write!(title, "wait on queue {queue} up to {timeout} ns"),
            None => write!(title, "wait on queue {queue}"),
        },
        Body::Woke { timed_out } => {
            write!(title, "{}", if *timed_out { "wait timed out" } else { "woke" })
        }
        Body::Map { memory_type: of, .. } => write!(title, "map type {}", memory_type(*of)),
        Body::Mapped { outcome } => match outcome {
            Ok(mapped) => write!(title, "mapped memory {}, {} bytes", mapped.memory, mapped.length),
            Err(result) => write!(title, "mapped: {}", code(*result)),
        },
        Body::Unmap { memory_type: of, .. } => write!(title, "unmap type {}", memory_type(*of)),
        Body::OpenFailed { result } => write!(title, "open failed: {}", code(*result)),
        Body::Unmapped { result } => write!(title, "unmapped: {}", code(*result)),
        Body::Close => write!(title, "close"),
        Body::Closed { result } => write!(title, "closed: {}", code(*result)),
        Body::OtherCall(call) => match call {
            OtherCall::Trap { index, .. } => write!(title, "trap {index}"),
            OtherCall::SetNotificationPort { .. } => write!(title, "set notification port"),
            OtherCall::AddClient { .. } => write!(title, "add client"),
            OtherCall::GetService => write!(title, "get service"),
            OtherCall::SetProperties { .. } => write!(title, "set properties"),
            OtherCall::AddRef => write!(title, "add a right"),
            OtherCall::Release => write!(title, "release a right"),
            _ => write!(title, "other call"),
        },
        Body::OtherReturn { outcome } => {
            let result = outcome.as_ref().err().copied().unwrap_or(IoReturn::SUCCESS);
            write!(title, "return: {}", code(result))
        }
        Body::Write { memory, offset, data, .. } => {
            write!(title, "write memory {memory}+{offset:#x} = {}", render_payload(data))
        }
        Body::Update { memory, offset, update, .. } => {
            let word = match update {
                Update::Swap(_) => "swap",
                Update::Add(_) => "add",
                Update::Or(_) => "or",
                Update::And(_) => "and",
                Update::CompareExchange { .. } => "compare and exchange",
            };
            write!(title, "atomic {word} memory {memory}+{offset:#x}")
        }
        Body::Patch { memory, offset, data, .. } => {
            write!(title, "patch memory {memory}+{offset:#x} = {}", render_payload(data))
        }
        Body::Terminated { service: Some(service) } => {
            write!(title, "service {service} terminated")
        }
        Body::Terminated { service: None } => write!(title, "user client terminated"),
        Body::Gap { reason, .. } => write!(title, "gap: {reason:?}"),
        Body::Keyframe(_) => write!(title, "keyframe"),
        Body::Fork { child } => write!(title, "fork of process {child}"),
        Body::Exec => write!(title, "exec"),
        body => write!(title, "{}", printable(body.name())),
    };
    title
}
