//! `Stop`s that C++ has not passed to its base yet, and classes of what it has created.

use crate::abi::Object;
use dextape::driverkit::{DeferredStop, defer_super_stop};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// By the address of the object that is stopped.
static STOPS: Mutex<BTreeMap<usize, DeferredStop>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// Class in the kernel of what `Create` made last.
    static CREATED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The object is being stopped: that counts as passed on once it says so (H9).
pub(crate) fn begin(object: Object) {
    if let Some(stop) = defer_super_stop() {
        let before = lock().insert(object.addr(), stop);
        drop(before);
    }
}

/// The object has passed its `Stop` to the base.
pub(crate) fn passed_on(object: Object) {
    let stop = lock().remove(&object.addr());
    if let Some(stop) = stop {
        stop.super_stop();
    }
}

/// The object is gone, and its `Stop` with it.
pub(crate) fn forget(object: Object) {
    let stop = lock().remove(&object.addr());
    drop(stop);
}

fn lock() -> std::sync::MutexGuard<'static, BTreeMap<usize, DeferredStop>> {
    STOPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An object of that class was created.
pub(crate) fn created(class: String) {
    CREATED.set(Some(class));
}

/// The class of the object that was created last on this thread.
pub(crate) fn take_created() -> Option<String> {
    CREATED.take()
}
