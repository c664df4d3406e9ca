//! Core Foundation values, each released once, and registry values from and to them.

use core_foundation_sys::array::{
    CFArrayCreate, CFArrayGetCount, CFArrayGetTypeID, CFArrayGetValueAtIndex, kCFTypeArrayCallBacks,
};
use core_foundation_sys::base::{
    CFAllocatorRef, CFGetTypeID, CFIndex, CFRange, CFRelease, CFRetain, CFTypeRef,
    kCFAllocatorDefault,
};
use core_foundation_sys::data::{CFDataCreate, CFDataGetBytePtr, CFDataGetLength, CFDataGetTypeID};
use core_foundation_sys::dictionary::{
    CFDictionaryCreate, CFDictionaryGetCount, CFDictionaryGetKeysAndValues, CFDictionaryGetTypeID,
    CFDictionaryRef, kCFTypeDictionaryKeyCallBacks, kCFTypeDictionaryValueCallBacks,
};
use core_foundation_sys::number::{
    CFBooleanGetTypeID, CFBooleanGetValue, CFNumberCreate, CFNumberGetTypeID, CFNumberGetValue,
    kCFBooleanFalse, kCFBooleanTrue, kCFNumberSInt64Type,
};
use core_foundation_sys::set::{CFSetGetCount, CFSetGetTypeID, CFSetGetValues};
use core_foundation_sys::string::{
    CFStringCreateWithBytes, CFStringGetBytes, CFStringGetLength, CFStringGetTypeID, CFStringRef,
    kCFStringEncodingUTF8,
};
use dextape::connection::Value;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::NonNull;

/// Nesting of a registry value that is followed; the registry itself has a few levels.
const DEPTH_MAX: usize = 32;

/// One reference to a Core Foundation value.
#[derive(Debug)]
pub(super) struct CfValue(NonNull<c_void>);

impl CfValue {
    /// Takes over a reference; `None` for null.
    ///
    /// # Safety
    ///
    /// `value` is null, or a value that the caller created or copied and hands over.
    pub(super) unsafe fn owned(value: CFTypeRef) -> Option<Self> {
        NonNull::new(value.cast_mut()).map(Self)
    }

    /// The value, for a call while `self` lives.
    pub(super) fn raw(&self) -> CFTypeRef {
        self.0.as_ptr()
    }

    /// Hands the reference over to a function that consumes it.
    pub(super) fn into_raw(self) -> CFTypeRef {
        let value = self.raw();
        std::mem::forget(self);
        value
    }

    /// A string. `None` where there is no memory for it.
    pub(super) fn string(text: &str) -> Option<Self> {
        let length = CFIndex::try_from(text.len()).ok()?;
        // SAFETY: the bytes are `length` bytes of UTF-8, and are copied.
        let string = unsafe {
            CFStringCreateWithBytes(allocator(), text.as_ptr(), length, kCFStringEncodingUTF8, 0)
        };
        // SAFETY: created here.
        unsafe { Self::owned(string.cast()) }
    }

    /// What stands for `value`. `None` where there is no memory for it.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Boolean(boolean) => {
                let constant =
                    if *boolean { &raw const kCFBooleanTrue } else { &raw const kCFBooleanFalse };
                // SAFETY: a constant of the library.
                let boolean = unsafe { *constant };
                // SAFETY: a live value.
                let boolean = unsafe { CFRetain(boolean.cast()) };
                // SAFETY: retained here.
                unsafe { Self::owned(boolean) }
            }
            Value::Number(number) => {
                let place = std::ptr::from_ref(number).cast();
                // SAFETY: the place holds 64 bits, which are copied.
                let number = unsafe { CFNumberCreate(allocator(), kCFNumberSInt64Type, place) };
                // SAFETY: created here.
                unsafe { Self::owned(number.cast()) }
            }
            Value::String(text) => Self::string(text),
            Value::Data(bytes) => {
                let length = CFIndex::try_from(bytes.len()).ok()?;
                // SAFETY: the slice holds `length` bytes, which are copied.
                let data = unsafe { CFDataCreate(allocator(), bytes.as_ptr(), length) };
                // SAFETY: created here.
                unsafe { Self::owned(data.cast()) }
            }
            Value::Array(values) => {
                let values: Vec<Self> = values.iter().map(Self::of).collect::<Option<_>>()?;
                let mut raw: Vec<CFTypeRef> = values.iter().map(Self::raw).collect();
                let count = CFIndex::try_from(raw.len()).ok()?;
                // SAFETY: `count` live values, which the array retains.
                let array = unsafe {
                    CFArrayCreate(
                        allocator(),
                        raw.as_mut_ptr(),
                        count,
                        &raw const kCFTypeArrayCallBacks,
                    )
                };
                // SAFETY: created here.
                unsafe { Self::owned(array.cast()) }
            }
            Value::Dictionary(entries) => Self::dictionary(entries),
            // The enum may grow; what has no counterpart here cannot be asked for.
            _ => None,
        }
    }

    /// A dictionary with string keys. `None` where there is no memory for it.
    pub(super) fn dictionary(entries: &BTreeMap<String, Value>) -> Option<Self> {
        let keys: Vec<Self> = entries.keys().map(|key| Self::string(key)).collect::<Option<_>>()?;
        let values: Vec<Self> = entries.values().map(Self::of).collect::<Option<_>>()?;
        let raw_keys: Vec<CFTypeRef> = keys.iter().map(Self::raw).collect();
        let raw_values: Vec<CFTypeRef> = values.iter().map(Self::raw).collect();
        let count = CFIndex::try_from(raw_keys.len()).ok()?;
        // SAFETY: `count` live keys and values, which the dictionary retains.
        let dictionary = unsafe {
            CFDictionaryCreate(
                allocator(),
                raw_keys.as_ptr(),
                raw_values.as_ptr(),
                count,
                &raw const kCFTypeDictionaryKeyCallBacks,
                &raw const kCFTypeDictionaryValueCallBacks,
            )
        };
        // SAFETY: created here.
        unsafe { Self::owned(dictionary.cast()) }
    }

    /// What it is to a client. `None` for what the registry cannot hold, such as a date.
    pub(super) fn value(&self) -> Option<Value> {
        // SAFETY: the value lives as long as `self`.
        unsafe { value_of(self.raw(), DEPTH_MAX) }
    }
}

impl Drop for CfValue {
    fn drop(&mut self) {
        // SAFETY: the reference is this value's own, and this is its end.
        unsafe { CFRelease(self.raw()) }
    }
}

/// What a Core Foundation value is to a client. `None` for NULL and for what the registry cannot hold.
///
/// # Safety
///
/// `value` is NULL, or alive during the call, and nobody changes it meanwhile.
#[must_use]
pub unsafe fn registry_value(value: CFTypeRef) -> Option<Value> {
    // SAFETY: the caller's promise.
    unsafe { value_of(value, DEPTH_MAX) }
}

fn allocator() -> CFAllocatorRef {
    // SAFETY: a constant of the library.
    unsafe { kCFAllocatorDefault }
}

/// The registry value of a Core Foundation value. What is nested deeper than `depth`, and what the
/// registry cannot hold, is left out.
///
/// # Safety
///
/// `value` is null or alive during the call, and nobody changes it meanwhile.
unsafe fn value_of(value: CFTypeRef, depth: usize) -> Option<Value> {
    if value.is_null() || depth == 0 {
        return None;
    }
    // SAFETY: not null, and alive.
    let kind = unsafe { CFGetTypeID(value) };
    if kind == type_id(CFBooleanGetTypeID) {
        // SAFETY: it is a boolean.
        return Some(Value::Boolean(unsafe { CFBooleanGetValue(value.cast()) }));
    }
    if kind == type_id(CFNumberGetTypeID) {
        let mut number = 0_i64;
        let place = (&raw mut number).cast();
        // SAFETY: it is a number, and the place takes 64 bits. An OSNumber is never a fraction, so
        // nothing is lost.
        unsafe { CFNumberGetValue(value.cast(), kCFNumberSInt64Type, place) };
        return Some(Value::Number(number.cast_unsigned()));
    }
    if kind == type_id(CFStringGetTypeID) {
        // SAFETY: it is a string.
        return unsafe { text_of(value.cast()) }.map(Value::String);
    }
    if kind == type_id(CFDataGetTypeID) {
        // SAFETY: it is a data.
        let length = usize::try_from(unsafe { CFDataGetLength(value.cast()) }).ok()?;
        // SAFETY: as above.
        let start = unsafe { CFDataGetBytePtr(value.cast()) };
        if length == 0 || start.is_null() {
            return Some(Value::Data(Vec::new()));
        }
        // SAFETY: the data holds `length` bytes there, and nobody changes it.
        return Some(Value::Data(unsafe { std::slice::from_raw_parts(start, length) }.to_vec()));
    }
    if kind == type_id(CFArrayGetTypeID) {
        // SAFETY: it is an array.
        let count = unsafe { CFArrayGetCount(value.cast()) };
        let items = (0..count).filter_map(|index| {
            // SAFETY: the index is below the count.
            let item = unsafe { CFArrayGetValueAtIndex(value.cast(), index) };
            // SAFETY: the array keeps its items alive.
            unsafe { value_of(item, depth - 1) }
        });
        return Some(Value::Array(items.collect()));
    }
    if kind == type_id(CFSetGetTypeID) {
        // SAFETY: it is a set.
        let count = usize::try_from(unsafe { CFSetGetCount(value.cast()) }).ok()?;
        let mut items: Vec<CFTypeRef> = vec![std::ptr::null(); count];
        // SAFETY: room for as many items as the set has.
        unsafe { CFSetGetValues(value.cast(), items.as_mut_ptr()) };
        // SAFETY: the set keeps its items alive.
        let items = items.into_iter().filter_map(|item| unsafe { value_of(item, depth - 1) });
        return Some(Value::Array(items.collect()));
    }
    if kind == type_id(CFDictionaryGetTypeID) {
        // SAFETY: it is a dictionary.
        return Some(Value::Dictionary(unsafe { entries_of(value.cast(), depth) }));
    }
    None
}

/// The entries with a string key and a value that the registry can hold.
///
/// # Safety
///
/// As for [`value_of`].
unsafe fn entries_of(dictionary: CFDictionaryRef, depth: usize) -> BTreeMap<String, Value> {
    // SAFETY: the caller's dictionary.
    let count = usize::try_from(unsafe { CFDictionaryGetCount(dictionary) }).unwrap_or(0);
    let mut keys: Vec<CFTypeRef> = vec![std::ptr::null(); count];
    let mut values = keys.clone();
    // SAFETY: room for as many keys and values as the dictionary has.
    unsafe { CFDictionaryGetKeysAndValues(dictionary, keys.as_mut_ptr(), values.as_mut_ptr()) };
    let mut entries = BTreeMap::new();
    for (key, value) in keys.into_iter().zip(values) {
        // SAFETY: the dictionary keeps its keys alive.
        let key = unsafe { value_of(key, 1) };
        // SAFETY: and its values.
        let value = unsafe { value_of(value, depth - 1) };
        if let (Some(Value::String(key)), Some(value)) = (key, value) {
            entries.insert(key, value);
        }
    }
    entries
}

/// The text of a string; what is no Unicode (a lone surrogate) becomes a question mark.
///
/// # Safety
///
/// `string` is a live string.
unsafe fn text_of(string: CFStringRef) -> Option<String> {
    // SAFETY: the caller's string.
    let range = CFRange { location: 0, length: unsafe { CFStringGetLength(string) } };
    let mut needed = 0;
    let encoding = kCFStringEncodingUTF8;
    let (none, place) = (std::ptr::null_mut(), &raw mut needed);
    // SAFETY: the range is the whole string; without a buffer the bytes are only counted.
    unsafe { CFStringGetBytes(string, range, encoding, b'?', 0, none, 0, place) };
    let mut bytes = vec![0; usize::try_from(needed).ok()?];
    let room = bytes.as_mut_ptr();
    // SAFETY: the buffer has the bytes that were just counted.
    unsafe { CFStringGetBytes(string, range, encoding, b'?', 0, room, needed, place) };
    String::from_utf8(bytes).ok()
}

fn type_id(function: unsafe extern "C" fn() -> usize) -> usize {
    // SAFETY: the functions of this kind take nothing and answer with a constant.
    unsafe { function() }
}
