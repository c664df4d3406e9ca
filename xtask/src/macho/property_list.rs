//! Property lists of files that nobody vouches for.

use plist::Value;
use std::io::Cursor;

/// Arrays and dictionaries of one list. A value within a value within a value is freed recursively, so
/// there must not be any number of them.
const CONTAINERS_MAX: usize = 1024;

/// Bytes of a list in binary form, where a few bytes are a container.
const BINARY_MAX: usize = 32 << 10;

/// Reads a property list in either form.
///
/// # Errors
///
/// What was expected instead.
pub(super) fn read_property_list(bytes: &[u8]) -> Result<Value, String> {
    let failed = |error: plist::Error| format!("expected a property list: {error}");
    if bytes.starts_with(b"bplist") {
        if bytes.len() > BINARY_MAX {
            return Err(format!("expected at most {BINARY_MAX} bytes of a binary property list"));
        }
        return Value::from_reader(Cursor::new(bytes)).map_err(failed);
    }
    let opens = |tag: &[u8]| bytes.windows(tag.len()).filter(|window| *window == tag).count();
    if opens(b"<array") + opens(b"<dict") > CONTAINERS_MAX {
        return Err(format!("expected at most {CONTAINERS_MAX} arrays and dictionaries in a list"));
    }
    Value::from_reader_xml(bytes).map_err(failed)
}
