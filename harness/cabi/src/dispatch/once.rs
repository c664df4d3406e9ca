//! What is done once.

use super::function::Function;
use crate::raw::Out;
use std::sync::atomic::{AtomicIsize, Ordering};

/// States of a predicate. The client's header looks at nothing but whether it is 0.
const BEGUN: isize = 1;
const DONE: isize = -1;

/// Does it, or waits until another thread has.
pub(super) fn once(predicate: Out<isize>, work: impl FnOnce()) {
    // SAFETY: the client promises an aligned word that only this function changes.
    let state = unsafe { AtomicIsize::from_ptr(predicate.pointer()) };
    match state.compare_exchange(0, BEGUN, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            work();
            state.store(DONE, Ordering::Release);
        }
        Err(_) => {
            while state.load(Ordering::Acquire) != DONE {
                std::thread::yield_now();
            }
        }
    }
}

export! {
    fn dispatch_once_f(predicate: Out<isize>, context: usize, function: Function) {
        once(predicate, || function(context));
    }
}
