//! Threads that work for the recorder beside the client's.

use std::cell::Cell;

thread_local! {
    static BESIDE: Cell<bool> = const { Cell::new(false) };
}

/// True on a thread that works for the recorder.
pub(crate) fn is_beside() -> bool {
    BESIDE.get()
}

/// Calls `body` on a thread that is none of the client's: what it finds in mapped memory is on the tape
/// in the device's lane, since no thread of the client has seen it just then.
pub fn beside_the_client<R>(body: impl FnOnce() -> R) -> R {
    struct Back(bool);

    impl Drop for Back {
        fn drop(&mut self) {
            BESIDE.set(self.0);
        }
    }

    let _back = Back(BESIDE.replace(true));
    body()
}
