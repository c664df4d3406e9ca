//! The end of every panic that comes near the client.

use crate::say::say;
use crate::start;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Declares exported functions: under their own names, and with nothing that unwinds out of them.
macro_rules! export {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block
    )*) => {$(
        $(#[$attribute])*
        // SAFETY: the name is Apple's, and no other function of this process has it with another
        // meaning: whoever links this library wants just that.
        #[unsafe(no_mangle)]
        pub(crate) extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            crate::guard::guard(stringify!($name), move || $body)
        }
    )*};
}

/// Declares exported variables.
macro_rules! export_static {
    ($(static $name:ident: $type:ty = $value:expr;)*) => {$(
        // SAFETY: as for functions.
        #[unsafe(no_mangle)]
        pub(crate) static $name: $type = $value;
    )*};
}

/// Runs the body of an exported function. What a callback of the client's throws, or the end of its thread
/// there, ends the process here, by Rust's own word: nothing of ours is made for being unwound by it. So the
/// types of callbacks say that they may.
#[inline]
pub(crate) fn guard<R>(function: &str, body: impl FnOnce() -> R) -> R {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(panic) => end(function, &*panic),
    }
}

/// Says why nothing goes on, keeps what was recorded, and ends the process with 101. The client's own
/// exit handlers do not run: they would only meet the same again.
#[cold]
fn end(function: &str, panic: &(dyn Any + Send)) -> ! {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
    say(&format!("failed to {function}: {text}"));
    start::finish_quietly();
    flush();
    // SAFETY: it takes no pointers and does not come back.
    unsafe { libc::_exit(EXIT_DIVERGED) }
}

/// Exit code of a process whose replay diverged.
pub(crate) const EXIT_DIVERGED: i32 = 101;

unsafe extern "C" {
    static stdout: *mut libc::FILE;
    fn ftrylockfile(file: *mut libc::FILE) -> libc::c_int;
    fn funlockfile(file: *mut libc::FILE);
}

/// What the client has printed goes out, unless another thread is printing just now.
pub(crate) fn flush() {
    // SAFETY: the C library's own stream, which it sets once before anything runs.
    let file = unsafe { stdout };
    // SAFETY: as above; it does not wait.
    if unsafe { ftrylockfile(file) } == 0 {
        // SAFETY: as above; the lock is this thread's.
        unsafe { libc::fflush(file) };
        // SAFETY: as above.
        unsafe { funlockfile(file) };
    }
}
