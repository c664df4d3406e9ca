//! `CFString`. Text is UTF-8 inside; lengths are those of UTF-16, as everywhere in CoreFoundation.

use super::object::{Body, CfRef, Index, Owned, Range, TypeId, type_id};
use super::text_of;
use crate::raw::{In, Out};
use std::ffi::c_char;
use std::sync::PoisonError;

/// Encodings that are told apart.
mod encoding {
    pub(super) const MAC_ROMAN: u32 = 0;
    pub(super) const WINDOWS_LATIN: u32 = 0x0500;
    pub(super) const LATIN_1: u32 = 0x0201;
    pub(super) const ASCII: u32 = 0x0600;
    pub(super) const UTF_8: u32 = 0x0800_0100;
    pub(super) const UTF_16: u32 = 0x0100;
    pub(super) const UTF_16_LE: u32 = 0x1400_0100;
}

/// What is no text of that encoding gives NULL.
fn make(bytes: &[u8], encoded: u32) -> CfRef {
    let text = match encoded {
        encoding::UTF_8 | encoding::ASCII => std::str::from_utf8(bytes).ok().map(str::to_owned),
        encoding::MAC_ROMAN | encoding::LATIN_1 | encoding::WINDOWS_LATIN => {
            Some(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
        encoding::UTF_16 | encoding::UTF_16_LE => {
            let (pairs, _) = bytes.as_chunks::<2>();
            let units: Vec<_> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    };
    match text {
        Some(text) => Owned::make(Body::string(text.as_bytes())).give(),
        None => CfRef::NULL,
    }
}

/// The text in an encoding; `None` where it cannot be said in it.
fn encode(text: &str, encoded: u32) -> Option<Vec<u8>> {
    let single = |most: u32| {
        text.chars()
            .map(|character| {
                u8::try_from(u32::from(character)).ok().filter(|_| u32::from(character) < most)
            })
            .collect::<Option<Vec<u8>>>()
    };
    match encoded {
        encoding::UTF_8 => Some(text.as_bytes().to_vec()),
        encoding::ASCII | encoding::MAC_ROMAN => single(0x80),
        encoding::LATIN_1 | encoding::WINDOWS_LATIN => single(0x100),
        encoding::UTF_16 | encoding::UTF_16_LE => {
            Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect())
        }
        _ => None,
    }
}

fn text(string: CfRef) -> String {
    if string.is_null() {
        crate::fault::fault();
    }
    text_of(string).unwrap_or_default()
}

/// A part of the text, by units of UTF-16.
fn part(text: &str, range: Range) -> Option<String> {
    let units: Vec<_> = text.encode_utf16().collect();
    let start = usize::try_from(range.location).ok()?;
    let length = usize::try_from(range.length).ok()?;
    Some(String::from_utf16_lossy(units.get(start..start.checked_add(length)?)?))
}

fn change(string: CfRef, change: impl FnOnce(&mut Vec<u8>)) {
    if let Body::String(bytes) = &string.object().body {
        let mut bytes = bytes.write().unwrap_or_else(PoisonError::into_inner);
        bytes.pop();
        change(&mut bytes);
        bytes.push(0);
    }
}

/// Options of a comparison.
const CASE_INSENSITIVE: usize = 1;

export! {
    fn CFStringGetTypeID() -> TypeId {
        type_id::STRING
    }

    fn CFStringCreateWithCString(_allocator: CfRef, from: In<c_char>, encoding: u32) -> CfRef {
        from.text().map_or(CfRef::NULL, |bytes| make(&bytes, encoding))
    }

    fn CFStringCreateWithCStringNoCopy(
        _allocator: CfRef,
        from: In<c_char>,
        encoding: u32,
        _deallocator: CfRef,
    ) -> CfRef {
        from.text().map_or(CfRef::NULL, |bytes| make(&bytes, encoding))
    }

    fn CFStringCreateWithBytes(
        _allocator: CfRef,
        from: In<u8>,
        length: Index,
        encoding: u32,
        _external: u8,
    ) -> CfRef {
        make(&from.to_vec(usize::try_from(length).unwrap_or(0)), encoding)
    }

    fn CFStringCreateWithCharacters(_allocator: CfRef, from: In<u16>, length: Index) -> CfRef {
        let units = from.to_vec(usize::try_from(length).unwrap_or(0));
        Owned::make(Body::string(String::from_utf16_lossy(&units).as_bytes())).give()
    }

    fn CFStringCreateCopy(_allocator: CfRef, string: CfRef) -> CfRef {
        Owned::make(Body::string(text(string).as_bytes())).give()
    }

    fn CFStringCreateMutable(_allocator: CfRef, _capacity: Index) -> CfRef {
        Owned::make(Body::string(b"")).give()
    }

    fn CFStringCreateMutableCopy(_allocator: CfRef, _capacity: Index, string: CfRef) -> CfRef {
        Owned::make(Body::string(text(string).as_bytes())).give()
    }

    fn CFStringCreateWithSubstring(_allocator: CfRef, string: CfRef, range: Range) -> CfRef {
        let part = part(&text(string), range);
        part.map_or(CfRef::NULL, |part| Owned::make(Body::string(part.as_bytes())).give())
    }

    fn CFStringAppend(string: CfRef, more: CfRef) {
        let more = text(more);
        change(string, |bytes| bytes.extend_from_slice(more.as_bytes()));
    }

    fn CFStringAppendCString(string: CfRef, more: In<c_char>, _encoding: u32) {
        let more = more.text().unwrap_or_default();
        change(string, |bytes| bytes.extend_from_slice(&more));
    }

    fn CFStringGetLength(string: CfRef) -> Index {
        text(string).encode_utf16().count() as Index
    }

    fn CFStringGetCharacterAtIndex(string: CfRef, index: Index) -> u16 {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        text(string).encode_utf16().nth(index).unwrap_or(0)
    }

    fn CFStringGetCharacters(string: CfRef, range: Range, to: Out<u16>) {
        if let Some(part) = part(&text(string), range) {
            to.copy_from(&part.encode_utf16().collect::<Vec<_>>());
        }
    }

    fn CFStringGetCString(string: CfRef, to: Out<c_char>, room: Index, encoding: u32) -> u8 {
        let Some(bytes) = encode(&text(string), encoding) else { return 0 };
        let room = usize::try_from(room).unwrap_or(0);
        if bytes.len() >= room {
            // As much as fits, and an end.
            to.put_text(b"", room);
            return 0;
        }
        to.put_text(&bytes, room);
        1
    }

    fn CFStringGetCStringPtr(string: CfRef, encoding: u32) -> *const c_char {
        let Body::String(bytes) = &string.object().body else { return std::ptr::null() };
        let bytes = bytes.read().unwrap_or_else(PoisonError::into_inner);
        let can = match encoding {
            encoding::UTF_8 => true,
            encoding::ASCII | encoding::MAC_ROMAN | encoding::LATIN_1 => bytes.is_ascii(),
            _ => false,
        };
        if can { bytes.as_ptr().cast() } else { std::ptr::null() }
    }

    fn CFStringGetBytes(
        string: CfRef,
        range: Range,
        encoding: u32,
        _loss: u8,
        _external: u8,
        to: Out<u8>,
        room: Index,
        used: Out<Index>,
    ) -> Index {
        let encoded = part(&text(string), range).and_then(|part| encode(&part, encoding));
        let Some(bytes) = encoded else {
            used.write(0);
            return 0;
        };
        let room = if to.is_null() { bytes.len() } else { usize::try_from(room).unwrap_or(0) };
        let taken = &bytes[..bytes.len().min(room)];
        if !to.is_null() {
            to.copy_from(taken);
        }
        used.write(taken.len() as Index);
        if taken.len() == bytes.len() { range.length } else { taken.len() as Index }
    }

    fn CFStringGetMaximumSizeForEncoding(length: Index, encoding: u32) -> Index {
        match encoding {
            encoding::UTF_8 => length.saturating_mul(3),
            encoding::UTF_16 | encoding::UTF_16_LE => length.saturating_mul(2),
            _ => length,
        }
    }

    fn CFStringCompare(a: CfRef, b: CfRef, options: usize) -> Index {
        let (a, b) = (text(a), text(b));
        let order = if options & CASE_INSENSITIVE == 0 {
            a.encode_utf16().cmp(b.encode_utf16())
        } else {
            a.to_lowercase().cmp(&b.to_lowercase())
        };
        order as Index
    }

    fn CFStringHasPrefix(string: CfRef, prefix: CfRef) -> u8 {
        u8::from(text(string).starts_with(&text(prefix)))
    }

    fn CFStringHasSuffix(string: CfRef, suffix: CfRef) -> u8 {
        u8::from(text(string).ends_with(&text(suffix)))
    }

    fn CFStringGetIntValue(string: CfRef) -> i32 {
        let text = text(string);
        let text = text.trim_start();
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let end = digits.find(|character: char| !character.is_ascii_digit());
        let number = digits[..end.unwrap_or(digits.len())].parse::<i64>().unwrap_or(0);
        let number = if text.starts_with('-') { -number } else { number };
        number.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
    }
}
