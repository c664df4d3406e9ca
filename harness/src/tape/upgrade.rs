//! Lines of older versions, made into lines of the current one, and the upgrade of a file.
//!
//! Version 0.9 is synthetic: no release wrote it. It differs from 1.0 in what a format most often
//! changes: names of fields, the form of values, and where one kind ends and the next begins.
//!
//! | 0.9 | 1.0 |
//! |---|---|
//! | header `machine`, `mode` | `host`, `time` |
//! | header `page_size` as a number | hex |
//! | `n`, `thread`, `index` | `seq`, `lane`, `pos` |
//! | `time` as a number | hex |
//! | `result`, `status` as signed numbers | names or hex |
//! | kind `call` with `"async":true` | kind `async_call` |
//! | kind `opened` with a `result` | kind `open_failed` |

use super::FORMAT_VERSION;
use super::error::TapeError;
use super::header_text::read_small;
use super::reader::TapeReader;
use super::tape_file::TapeFile;
use serde_json::{Map, Value};
use std::path::Path;

type Line = Map<String, Value>;
type Outcome<T> = Result<T, (u64, String)>;

/// Reads a tape of any readable version and writes it in the current one to `to`, which may be the same
/// file. Gives the number of events.
///
/// # Errors
///
/// The tape cannot be read whole, or the new one not written; `to` is as it was then.
pub fn upgrade(from: &Path, to: &Path) -> Result<u64, TapeError> {
    let mut reader = TapeReader::open(from)?;
    let mut file = TapeFile::create(to, reader.header())?;
    while let Some(event) = reader.next() {
        file.event_from(&event?, &|digest| reader.load(digest))?;
    }
    file.finish()?;
    Ok(reader.events())
}

/// A header line of 0.9 as one of the current version.
pub(super) fn header_line(text: &[u8]) -> Outcome<Vec<u8>> {
    let mut line: Line = read_small(text)?;
    rename(&mut line, "machine", "host")?;
    rename(&mut line, "mode", "time")?;
    change(&mut line, "page_size", decimal_to_hex)?;
    line.insert("tape".to_owned(), Value::String(FORMAT_VERSION.to_string()));
    Ok(Value::Object(line).to_string().into_bytes())
}

/// An event line of 0.9 as one of the current version.
pub(super) fn event_line(text: &[u8]) -> Outcome<Vec<u8>> {
    let mut line: Line = read_small(text)?;
    for (old, new) in [("n", "seq"), ("thread", "lane"), ("index", "pos")] {
        rename(&mut line, old, new)?;
    }
    change(&mut line, "time", decimal_to_hex)?;
    for key in ["result", "status"] {
        change(&mut line, key, signed_to_code)?;
    }
    let mut kind = line.remove("kind").ok_or((0, "the key `kind`".to_owned()))?;
    if kind == "call" && line.remove("async") == Some(Value::Bool(true)) {
        kind = "async_call".into();
    }
    if kind == "opened" && line.contains_key("result") {
        kind = "open_failed".into();
    }
    // The kind goes first, so that the reader need not look for it.
    let mut upgraded = format!("{{\"kind\":{kind}").into_bytes();
    for (key, value) in line {
        upgraded.push(b',');
        super::value::push_text(&mut upgraded, &key);
        upgraded.push(b':');
        upgraded.extend_from_slice(value.to_string().as_bytes());
    }
    upgraded.push(b'}');
    Ok(upgraded)
}

fn rename(line: &mut Line, old: &str, new: &str) -> Outcome<()> {
    if let Some(value) = line.remove(old)
        && line.insert(new.to_owned(), value).is_some()
    {
        return Err((0, format!("`{old}`, without the `{new}` of later versions")));
    }
    Ok(())
}

fn change(line: &mut Line, key: &str, how: fn(&Value) -> Option<String>) -> Outcome<()> {
    if let Some(value) = line.get_mut(key) {
        let text = how(value).ok_or_else(|| {
            (0, format!("`{key}` to be a number as in format 0.9, found {value}"))
        })?;
        *value = Value::String(text);
    }
    Ok(())
}

fn decimal_to_hex(value: &Value) -> Option<String> {
    value.as_u64().map(|number| format!("{number:#x}"))
}

fn signed_to_code(value: &Value) -> Option<String> {
    let code = i32::try_from(value.as_i64()?).ok()?;
    Some(format!("{:#010x}", code.cast_unsigned()))
}
