//! Codes as text.

use crate::raw::In;
use dextape::IoReturn;
use std::collections::HashMap;
use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

/// Texts that were handed out: a client keeps the pointer.
static TEXTS: Mutex<Option<HashMap<u32, &'static [u8]>>> = Mutex::new(None);

/// What a code is called: the class of the error, and what it says.
fn text(code: u32) -> String {
    let code = IoReturn(code);
    let class = match code.0 {
        0..0x4000 => "(os/kern)",
        0x1000_0000..=0x1000_3fff => "(ipc/send)",
        0x1000_4000..=0x1000_7fff => "(ipc/rcv)",
        0xffff_fe00.. => "(ipc/mig)",
        _ if code.0 >> 26 == 0x38 => "(iokit/common)",
        _ => return format!("unknown error code ({})", code.as_kern_return()),
    };
    let Some(name) = code.name() else {
        return format!("unknown error code ({})", code.as_kern_return());
    };
    let words = name.trim_start_matches("kIOReturn");
    let words: String = match words.strip_prefix("KERN_").or(words.strip_prefix("MACH_SEND_")) {
        Some(words) => words.replace('_', " ").to_lowercase(),
        None => words
            .strip_prefix("MACH_RCV_")
            .or(words.strip_prefix("MIG_"))
            .map(|words| words.replace('_', " ").to_lowercase())
            .unwrap_or_else(|| spaced(words)),
    };
    format!("{class} {words}")
}

/// `NotPermitted` as `not permitted`; an abbreviation stays together.
fn spaced(name: &str) -> String {
    let mut text = String::new();
    let mut before = ' ';
    for character in name.chars() {
        if character.is_uppercase() && before.is_lowercase() {
            text.push(' ');
        }
        before = character;
        text.extend(character.to_lowercase());
    }
    text
}

export! {
    fn mach_error_string(code: i32) -> *const c_char {
        let code = code.cast_unsigned();
        let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = texts.get_or_insert_with(HashMap::new);
        // As many as there are codes that a program meets.
        let text: &'static [u8] = texts.entry(code).or_insert_with(|| {
            let mut text = text(code).into_bytes();
            text.push(0);
            Box::leak(text.into_boxed_slice())
        });
        text.as_ptr().cast()
    }

    fn mach_error(what: In<c_char>, code: i32) {
        let what = what.string().unwrap_or_default();
        eprintln!("{what} {} ({code:#x})", text(code.cast_unsigned()));
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn codes_have_their_class_and_their_words() {
        assert_eq!(text(0xe000_02e2), "(iokit/common) not permitted");
        assert_eq!(text(0xe000_02c2), "(iokit/common) bad argument");
        assert_eq!(text(0x1000_0003), "(ipc/send) invalid dest");
        assert_eq!(text(0xdead_beef), "unknown error code (-559038737)");
    }
}
