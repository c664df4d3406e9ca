//! The way from the program into a replacement and back.

use super::recorder::{self, Recorder};
use crate::gate;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// This thread is in here already: what it calls now is the recorder's own, or a signal handler's.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Calls that a signal handler of the program's has made meanwhile.
    static MISSED: Cell<u64> = const { Cell::new(0) };
}

fn errno() -> i32 {
    // SAFETY: it takes nothing and gives a place of the calling thread's own.
    let place = unsafe { libc::__error() };
    // SAFETY: as above.
    unsafe { *place }
}

fn set_errno(errno: i32) {
    // SAFETY: it takes nothing and gives a place of the calling thread's own.
    let place = unsafe { libc::__error() };
    // SAFETY: as above.
    unsafe { *place = errno }
}

/// While it lives the thread is inside. It keeps the errno that the program sees afterwards.
pub(super) struct Inside(i32);

impl Inside {
    /// `None` where the thread is inside already.
    pub(super) fn enter() -> Option<Self> {
        (!INSIDE.replace(true)).then(|| Self(errno()))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        set_errno(self.0);
        INSIDE.set(false);
    }
}

/// An original call that is made once, and its answer.
pub(super) struct Once<'a, R> {
    make: &'a mut dyn FnMut() -> R,
    answer: Option<R>,
    /// errno as the original left it.
    errno: i32,
    /// While the recorder is at work, and not the original.
    open: Option<gate::Open>,
}

impl<R: Copy> Once<'_, R> {
    /// Makes the call, or gives the answer that it has had.
    pub(super) fn make(&mut self) -> R {
        if let Some(answer) = self.answer {
            return answer;
        }
        self.open = None;
        let answer = (self.make)();
        self.errno = errno();
        self.answer = Some(answer);
        self.open = Some(gate::enter());
        answer
    }
}

/// Makes `original` and has `record` record it. The program gets the original's answer, whatever the
/// recorder does: it may make the call or not, and panic before or after it.
pub(super) fn through<R: Copy>(
    mut original: impl FnMut() -> R,
    record: impl FnOnce(&Recorder, &mut Once<'_, R>),
) -> R {
    let Some(mut inside) = Inside::enter() else {
        MISSED.set(MISSED.get() + 1);
        return original();
    };
    let open = Some(gate::enter());
    let mut once = Once { make: &mut original, answer: None, errno: inside.0, open };
    // A panic is printed by the hook, and the recording goes on with the next call.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if let Some(recorder) = recorder::current() {
            record(&recorder, &mut once);
            let missed = MISSED.replace(0);
            if missed > 0 {
                recorder.missed(missed);
            }
        }
    }));
    once.open = None;
    if once.answer.is_none() {
        // Nothing of it is recorded. It may fault, and a handler of the program's jump out from there.
        drop(inside);
        return (once.make)();
    }
    inside.0 = once.errno;
    once.make()
}
