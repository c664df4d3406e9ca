//! What a field holds, and how it is shown.

use super::names::{Names, Part};
use dextape::IoReturn;
use dextape::registry::{Matching, Value};
use dextape::tape::{Payload, render_payload};
use std::fmt::Write;

/// What a field of an event holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldValue<'a> {
    Count(u64),
    Hex(u64),
    Nanoseconds(u64),
    Scalar { part: Option<Part>, index: usize, value: u64 },
    Code(IoReturn),
    Text(&'a str),
    Word(&'static str),
    Connection(u32),
    Memory(u32),
    Queue(u32),
    Service(u32),
    Services(&'a [u32]),
    Registry(&'a Value),
    Matching(&'a Matching),
    Bytes { payload: &'a Payload, part: Option<Part>, offset: u64 },
}

/// The value in words, as one line that holds only what can be printed.
pub(crate) fn shown(value: &FieldValue<'_>, names: &dyn Names) -> String {
    match *value {
        FieldValue::Count(count) => count.to_string(),
        FieldValue::Hex(number) => format!("{number:#x}"),
        FieldValue::Nanoseconds(number) => format!("{number} ns"),
        FieldValue::Scalar { part, index, value } => {
            part.and_then(|part| names.scalar_value(part, index, value)).map_or_else(
                || format!("{value:#x}"),
                |said| format!("{} ({value:#x})", printable(&said)),
            )
        }
        FieldValue::Code(result) => shown_code(result, names),
        FieldValue::Text(text) => format!("{text:?}"),
        FieldValue::Word(word) => word.to_owned(),
        FieldValue::Connection(number) => format!("c{number}"),
        FieldValue::Memory(number) => format!("memory {number}"),
        FieldValue::Queue(number) => format!("queue {number}"),
        FieldValue::Service(number) => format!("service {number}"),
        FieldValue::Services([]) => "none".to_owned(),
        FieldValue::Services(numbers) => {
            let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
            format!("service {}", numbers.join(", "))
        }
        FieldValue::Registry(value) => registry(value),
        FieldValue::Matching(matching) => {
            let conditions: Vec<_> = matching
                .conditions()
                .map(|(key, value)| format!("{key:?} {}", registry(value)))
                .collect();
            if conditions.is_empty() { "all".to_owned() } else { conditions.join(", ") }
        }
        FieldValue::Bytes { payload, .. } => render_payload(payload),
    }
}

/// A result code in words.
pub(crate) fn shown_code(result: IoReturn, names: &dyn Names) -> String {
    match names.result(result) {
        Some(name) => format!("{} (0x{:08x})", printable(&name), result.0),
        None if result.is_success() => "ok".to_owned(),
        None => result.to_string(),
    }
}

fn registry(value: &Value) -> String {
    let list = |values: Vec<String>| values.join(", ");
    match value {
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Number(number) => format!("{number:#x}"),
        Value::String(text) => format!("{text:?}"),
        Value::Data(bytes) => format!("<{}>", render_payload(&Payload::bytes(bytes))),
        Value::Array(values) => format!("[{}]", list(values.iter().map(registry).collect())),
        Value::Dictionary(entries) => {
            let entry = |(key, value): (&String, &Value)| format!("{key:?}: {}", registry(value));
            format!("{{{}}}", list(entries.iter().map(entry).collect()))
        }
        other => format!("{other:?}"),
    }
}

/// The text with what cannot be printed, or turns the direction of writing, as escapes.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' | '\'' | '\\' => shown.push(char),
            // Writing to a text cannot fail.
            _ => write!(shown, "{}", char.escape_debug()).unwrap_or_default(),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::names::Hex;
    use super::*;

    #[test]
    fn texts_of_a_tape_are_shown_without_what_turns_or_clears_a_line() {
        let hostile = "a\u{202e}b\u{1b}[2J\n\"";
        assert_eq!(printable(hostile), "a\\u{202e}b\\u{1b}[2J\\n\"");
        let value = Value::Dictionary([(hostile.to_owned(), hostile.into())].into());
        let quoted = r#""a\u{202e}b\u{1b}[2J\n\"""#;
        assert_eq!(shown(&FieldValue::Registry(&value), &Hex), format!("{{{quoted}: {quoted}}}"));
    }
}
