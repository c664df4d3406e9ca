//! How a recording begins and ends: by the environment, or by the functions of `dextape.h`.

use super::edge::Inside;
use super::original::{atexit, getenv};
use super::recorder::{self, Flying};
use crate::gate;
use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt as _;
use std::panic::catch_unwind;
use std::path::PathBuf;

/// Has dyld call [`load`] before the program runs.
#[used]
#[unsafe(link_section = "__DATA,__mod_init_func")]
static LOAD: extern "C" fn() = load;

extern "C" fn load() {
    let _ = catch_unwind(|| {
        // SAFETY: a name, and before the program has threads that could change the environment.
        let value = unsafe { getenv(c"DEXTAPE_RECORD".as_ptr()) };
        // SAFETY: what `getenv` gives is NULL or a string that ends with 0, and nobody changes it now.
        let tape = unsafe { path_of(value) };
        // SAFETY: as above.
        let value = unsafe { getenv(c"DEXTAPE_ANNOTATIONS".as_ptr()) };
        // SAFETY: as above.
        if let Some(annotations) = unsafe { path_of(value) } {
            recorder::annotated_by(annotations);
        }
        // SAFETY: as above.
        let value = unsafe { getenv(c"DEXTAPE_REDACT".as_ptr()) };
        // SAFETY: as above.
        if let Some(policy) = unsafe { path_of(value) } {
            recorder::redacted_by(policy);
        }
        // SAFETY: as above.
        let value = unsafe { getenv(c"DEXTAPE_RING".as_ptr()) };
        // SAFETY: as above.
        let ring = unsafe { text_of(value) };
        // SAFETY: as above.
        let value = unsafe { getenv(c"DEXTAPE_TRIGGER".as_ptr()) };
        // SAFETY: as above.
        let triggers = unsafe { text_of(value) };
        recorder::flying(ring, triggers);
        if let Some(tape) = tape {
            recorder::ask(tape, None);
        }
        // Before any handler of the program's, so that it runs after them.
        // SAFETY: a function that lives as long as the process, since nobody unloads what was inserted.
        unsafe { atexit(unload) };
        gate::watch_forks();
    });
}

extern "C" fn unload() {
    let Some(_inside) = Inside::enter() else { return };
    let _ = catch_unwind(recorder::stop);
}

/// A path that the program gives; `None` for NULL and for nothing.
///
/// # Safety
///
/// The string ends with 0.
unsafe fn path_of(text: *const c_char) -> Option<PathBuf> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; it is copied at once.
    let text = unsafe { CStr::from_ptr(text) };
    (!text.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(text.to_bytes())))
}

/// A text that the program gives, without what is no Unicode; `None` for NULL and for nothing.
///
/// # Safety
///
/// The string ends with 0.
unsafe fn text_of(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; it is copied at once.
    let text = unsafe { CStr::from_ptr(text) };
    (!text.is_empty()).then(|| text.to_string_lossy().into_owned())
}

/// Begins a recording: `tape` is the file that it becomes. 0, or -1 where one is running already, or
/// the file's journal cannot be made, which is said on stderr.
///
/// # Safety
///
/// `tape` is NULL, which is refused, or a string that ends with 0.
// SAFETY: no other library has functions of this name.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn dextape_record_start(tape: *const c_char) -> i32 {
    let Some(_inside) = Inside::enter() else { return -1 };
    let started = catch_unwind(|| {
        // SAFETY: the caller's promise.
        let tape = unsafe { path_of(tape) };
        tape.is_some_and(|tape| recorder::start(tape, None))
    });
    if started.unwrap_or(false) { 0 } else { -1 }
}

/// Begins a recording by the flight recorder. 0, or -1 where one is running already, its journal cannot be
/// made, or the ring or the triggers cannot be read, which is said on stderr.
///
/// # Safety
///
/// Each is NULL or a string that ends with 0.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn dextape_record_start_ring(
    tape: *const c_char,
    ring: *const c_char,
    triggers: *const c_char,
) -> i32 {
    let Some(_inside) = Inside::enter() else { return -1 };
    let started = catch_unwind(|| {
        // SAFETY: the caller's promise.
        let ring = unsafe { text_of(ring) };
        // SAFETY: the caller's promise.
        let triggers = unsafe { text_of(triggers) };
        let flight = Flying { ring: Some(ring.unwrap_or_else(|| "64MiB".to_owned())), triggers };
        // SAFETY: the caller's promise.
        let tape = unsafe { path_of(tape) };
        tape.is_some_and(|tape| recorder::start(tape, Some(flight)))
    });
    if started.unwrap_or(false) { 0 } else { -1 }
}

/// Marks this place of the recording as the one that matters, with a note on the tape: 0, or -1 where
/// nothing is recorded.
///
/// # Safety
///
/// `reason` is NULL, which counts as empty, or a string that ends with 0.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn dextape_record_trigger(reason: *const c_char) -> i32 {
    let Some(_inside) = Inside::enter() else { return -1 };
    let _open = gate::enter();
    let triggered = catch_unwind(|| {
        // SAFETY: the caller's promise.
        let reason = unsafe { text_of(reason) }.unwrap_or_default();
        recorder::current().is_some_and(|recorder| recorder.trigger(&reason))
    });
    if triggered.unwrap_or(false) { 0 } else { -1 }
}

/// Ends the recording and seals its tape. 0, or -1 where there is none, or where it could not be
/// sealed, which is said on stderr. Connections that are open go on, unrecorded.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub(super) extern "C" fn dextape_record_stop() -> i32 {
    let Some(_inside) = Inside::enter() else { return -1 };
    if catch_unwind(recorder::stop).unwrap_or(false) { 0 } else { -1 }
}
