//! Panics that meet C++ on their way: no frame of C++ is unwound. What unwinds is caught before it, waits
//! until the plug-in has returned, and goes on behind it.
//!
//! Unwinding is how work ends whose process has died (H4), so this is more than a matter of mistakes.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

thread_local! {
    /// How many calls into plug-ins the thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// What goes on once the plug-in has returned.
    static CARRIED: RefCell<Option<Box<dyn Any + Send>>> = const { RefCell::new(None) };
    /// The dext that the thread works for.
    static INSTANCE: Cell<u64> = const { Cell::new(0) };
}

/// The dext that the thread works for.
pub(crate) fn instance() -> u64 {
    INSTANCE.get()
}

/// Calls into the plug-in for a dext, and lets go on afterwards what unwound meanwhile.
pub(crate) fn into_plugin<R>(instance: u64, call: impl FnOnce() -> R) -> R {
    let outer = INSTANCE.replace(instance);
    DEPTH.set(DEPTH.get() + 1);
    let result = call();
    DEPTH.set(DEPTH.get() - 1);
    INSTANCE.set(outer);
    if let Some(panic) = CARRIED.take() {
        resume_unwind(panic);
    }
    result
}

/// Runs a function that the plug-in has called. It gives `otherwise` where it unwinds, and where
/// something before it has: the dext is at its end then and is to return.
pub(crate) fn from_plugin<R>(otherwise: R, body: impl FnOnce() -> R) -> R {
    if CARRIED.with_borrow(Option::is_some) {
        return otherwise;
    }
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(panic) if DEPTH.get() > 0 => {
            CARRIED.set(Some(panic));
            otherwise
        }
        // A thread of the plug-in's own, which nobody behind it waits for.
        Err(_) => std::process::abort(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_unwinds_goes_on_behind_the_plug_in() {
        let mut after = Vec::new();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            into_plugin(7, || {
                assert_eq!(instance(), 7);
                after.push(from_plugin(1, || panic!("carried")));
                after.push(from_plugin(2, || 3));
            });
        }));
        assert_eq!(after, [1, 2], "nothing is done for a dext that is at its end");
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"carried"));
        assert_eq!((instance(), from_plugin(2, || 3)), (0, 3));
    }
}
