//! Pointers that a plug-in hands in. It promises by the declarations in `plugin.h` that one which is not
//! NULL points to what it says; reading and writing through them is here.

use crate::abi::{Handle, RawCallback};
use std::ffi::{CStr, c_char};

/// Text with an end; empty for NULL.
pub(crate) fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the plug-in promises a string with an end, which nobody changes meanwhile.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_string_lossy().into_owned()
}

/// Copies so many items; none for NULL.
pub(crate) fn items<T: Copy>(pointer: *const T, count: usize) -> Vec<T> {
    if pointer.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: the plug-in promises that so many are there, and nobody changes them meanwhile.
    unsafe { std::slice::from_raw_parts(pointer, count) }.to_vec()
}

/// Writes a result, and nothing to NULL.
pub(crate) fn put<T>(pointer: *mut T, value: T) {
    if !pointer.is_null() {
        // SAFETY: the plug-in promises room for one.
        unsafe { pointer.write(value) };
    }
}

/// Reads one item; `None` for NULL.
pub(crate) fn get<T: Copy>(pointer: *const T) -> Option<T> {
    // SAFETY: the plug-in promises that one is there.
    (!pointer.is_null()).then(|| unsafe { pointer.read() })
}

/// Writes text with an end, cut off where there is no more room.
pub(crate) fn put_text(pointer: *mut c_char, room: u64, text: &str) {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let Some(most) = room.checked_sub(1).filter(|_| !pointer.is_null()) else { return };
    for (index, byte) in text.bytes().take(most).chain([0]).enumerate() {
        put(pointer.wrapping_add(index), byte.cast_signed());
    }
}

/// A function of the plug-in's with what it keeps, which is destroyed once.
pub(crate) struct Callback {
    raw: RawCallback,
    instance: u64,
}

// SAFETY: the plug-in promises in `plugin.h` that a callback may be called and destroyed on any thread.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Callback {
    pub(crate) fn new(raw: RawCallback) -> Self {
        Self { raw, instance: crate::carry::instance() }
    }

    pub(crate) fn call(&self, handle: Handle, value: u64) {
        let raw = self.raw;
        crate::carry::into_plugin(self.instance, || {
            // SAFETY: not destroyed before `self` is dropped, and of that signature.
            unsafe { (raw.call)(raw.context, handle, value) };
        });
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        let raw = self.raw;
        // SAFETY: destroyed once, here. It only frees what C++ keeps, and what that releases is safe
        // anywhere.
        crate::carry::into_plugin(self.instance, || unsafe { (raw.destroy)(raw.context) });
    }
}
