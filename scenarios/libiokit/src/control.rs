//! The functions of `dextape.h`, for programs that begin and end their recording themselves.

use crate::served::Recording;
use dextape_cabi::{begin, say};
use dextape_recorder::flight::Triggers;
use dextape_recorder::journal::RingOptions;
use std::ffi::{CStr, OsStr, OsString, c_char};
use std::os::unix::ffi::OsStrExt as _;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the program asked to record before anything was started.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) tape: PathBuf,
    /// In place of what the environment says.
    pub(crate) flight: Option<(RingOptions, Triggers)>,
}

enum State {
    /// Nothing was started yet.
    Fresh(Option<Asked>),
    /// What answers was started, with or without a recording.
    Started(Option<Arc<Recording>>),
}

static STATE: Mutex<State> = Mutex::new(State::Fresh(None));

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the program asked for, which is started now.
pub(crate) fn asked() -> Option<Asked> {
    match &mut *state() {
        State::Fresh(asked) => asked.take(),
        State::Started(_) => None,
    }
}

/// What answers is started, and recorded where it is.
pub(crate) fn started(recording: Option<Arc<Recording>>) {
    *state() = State::Started(recording);
}

fn recording() -> Option<Arc<Recording>> {
    match &*state() {
        State::Started(recording) => recording.clone(),
        State::Fresh(_) => None,
    }
}

/// A string that the program gives; `None` for NULL and for nothing.
///
/// # Safety
///
/// It ends with 0.
unsafe fn text(text: *const c_char) -> Option<OsString> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; it is copied at once.
    let text = unsafe { CStr::from_ptr(text) };
    (!text.is_empty()).then(|| OsStr::from_bytes(text.to_bytes()).to_owned())
}

/// Runs the body of an exported function: 0 for true, -1 for false and for a panic, which was printed.
fn answer(body: impl FnOnce() -> bool + std::panic::UnwindSafe) -> i32 {
    if catch_unwind(body).unwrap_or(false) { 0 } else { -1 }
}

fn start(tape: Option<OsString>, flight: Option<(RingOptions, Triggers)>) -> bool {
    let Some(tape) = tape.map(PathBuf::from) else {
        say("failed to record: no tape is named");
        return false;
    };
    match &mut *state() {
        State::Fresh(asked) => *asked = Some(Asked { tape, flight }),
        State::Started(recording) => {
            let why = match recording {
                Some(_) => "a recording was begun already",
                None => "IOKit was used before; on this system a recording begins before that",
            };
            say(&format!("failed to record {}: {why}", tape.display()));
            return false;
        }
    }
    begin() && recording().is_some()
}

/// Begins a recording: see `dextape.h`.
///
/// # Safety
///
/// `tape` is NULL, which is refused, or a string that ends with 0.
// SAFETY: no other library has functions of this name.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn dextape_record_start(tape: *const c_char) -> i32 {
    // SAFETY: the caller's promise.
    let tape = unsafe { text(tape) };
    answer(|| start(tape, None))
}

/// Begins a recording by the flight recorder: see `dextape.h`.
///
/// # Safety
///
/// Each is NULL or a string that ends with 0.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn dextape_record_start_ring(
    tape: *const c_char,
    ring: *const c_char,
    triggers: *const c_char,
) -> i32 {
    // SAFETY: the caller's promise, here and below.
    let tape = unsafe { text(tape) };
    // SAFETY: as above.
    let ring = unsafe { text(ring) };
    // SAFETY: as above.
    let triggers = unsafe { text(triggers) };
    answer(|| {
        let ring = ring.map(|ring| ring.to_string_lossy().parse::<RingOptions>());
        let triggers = triggers.map(|text| text.to_string_lossy().parse::<Triggers>());
        let ring = ring.transpose().map_err(|error| error.to_string());
        let triggers = triggers.transpose().map_err(|error| error.to_string());
        match (ring, triggers) {
            (Ok(ring), Ok(triggers)) => {
                start(tape, Some((ring.unwrap_or_default(), triggers.unwrap_or_default())))
            }
            (Err(error), _) | (_, Err(error)) => {
                say(&format!("failed to {error}"));
                false
            }
        }
    })
}

/// Marks this place of the recording: see `dextape.h`.
///
/// # Safety
///
/// `reason` is NULL, which counts as empty, or a string that ends with 0.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn dextape_record_trigger(reason: *const c_char) -> i32 {
    // SAFETY: the caller's promise.
    let reason = unsafe { text(reason) }.unwrap_or_default();
    answer(|| {
        let reason = reason.to_string_lossy();
        recording().is_some_and(|recording| recording.trigger(&reason))
    })
}

/// Ends the recording: see `dextape.h`.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn dextape_record_stop() -> i32 {
    answer(|| {
        let Some(recording) = recording() else { return false };
        match recording.seal() {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                say(&error);
                false
            }
            None => false,
        }
    })
}
