//! How an original call gets past the recorder.
//!
//! The recorder stands before a [`System`](dextape::connection::System), whose methods have Rust's
//! arguments. A replacement leaves here, for its own thread, how the original is called with the
//! program's own arguments; the system behind the recorder picks that up and does it. So the
//! recorder's enter comes before the original and its leave after, and the original gets just what the
//! program gave.

use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::{Mapping, MethodOutput, OtherReply, Value};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ptr::NonNull;

/// An original call on its way, by the kind of its answer.
pub(super) enum Passage<'a> {
    Services(&'a mut dyn FnMut() -> Result<Vec<ServiceId>, IoReturn>),
    Property(&'a mut dyn FnMut() -> Result<Option<Value>, IoReturn>),
    Properties(&'a mut dyn FnMut() -> Result<BTreeMap<String, Value>, IoReturn>),
    Method(&'a mut dyn FnMut(&mut MethodOutput<'_>) -> IoReturn),
    /// With the reference as the recorder has marked it.
    AsyncMethod(&'a mut dyn FnMut(Option<&[u64]>, &mut MethodOutput<'_>) -> IoReturn),
    Map(&'a mut dyn FnMut() -> Result<Mapping, IoReturn>),
    Other(&'a mut dyn FnMut() -> OtherReply),
    /// Open, unmap, close.
    Plain(&'a mut dyn FnMut() -> IoReturn),
}

thread_local! {
    /// Without destructor, so that it is there as long as the thread runs the program's code.
    static WAITING: Cell<Option<NonNull<Passage<'static>>>> = const { Cell::new(None) };
}

/// Takes away what nobody has picked up, also where the recorder panics.
struct Clear;

impl Drop for Clear {
    fn drop(&mut self) {
        WAITING.set(None);
    }
}

/// Calls `body` with `passage` to be picked up by the system behind the recorder.
pub(super) fn with<R>(mut passage: Passage<'_>, body: impl FnOnce() -> R) -> R {
    WAITING.set(Some(NonNull::from(&mut passage).cast()));
    let _clear = Clear;
    body()
}

/// Picks the passage up, once. `None` where none is waiting.
pub(super) fn take<R>(make: impl FnOnce(&mut Passage<'_>) -> R) -> Option<R> {
    let mut waiting = WAITING.take()?;
    // SAFETY: `with` is still running on this thread, further down the stack, since it clears the
    // cell at its end; it holds the passage and does not touch it meanwhile, and the cell is empty now,
    // so that this is the only reference. The lifetime is shortened to this call.
    Some(make(unsafe { waiting.as_mut() }))
}
