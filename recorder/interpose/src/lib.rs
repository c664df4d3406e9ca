//! Records a real program from inside it: a macOS library with interposing tuples, which dyld loads
//! before the program when `DYLD_INSERT_LIBRARIES` names it.
//!
//! ```text
//! DYLD_INSERT_LIBRARIES=libdextape_interpose.dylib DEXTAPE_RECORD=client.tape.jsonl ./client
//! ```
//!
//! `DEXTAPE_RECORD` names the tape, `DEXTAPE_REDACT` a redaction policy, `DEXTAPE_RING` how much is kept and
//! `DEXTAPE_TRIGGER` what has a tape cut meanwhile. Nothing is written before the program first asks IOKit for something;
//! then the journal is made beside the tape, and at the exit of the process the tape is sealed from it.
//! After a crash the journal stays: `cargo xtask recover` makes the tape. A program that is linked
//! against the library starts and stops by the functions of `dextape.h` instead.
//!
//! What the program becomes by `exec`, and a child that does, is recorded in a tape of its own, with the number of
//! its process, where the library is inserted there as well; it seals what the program left. Where it is not, the
//! journal stays as after a crash. A policy that cannot be read records nothing, and that is said.
//!
//! The program gets what it would get without: the original is called once, with the program's own
//! arguments, through the library's import (to which dyld does not apply the library's own tuples);
//! what is recorded is read beside it. The events are those of
//! [`RecordingSession`](dextape_recorder::recording::RecordingSession): the same wrapper that records a
//! mock stands here before a system that makes the original calls.
//!
//! What is seen how:
//!
//! - Calls, opens, closes, maps and unmaps: exactly.
//! - Completions: through a function of the library's own that the kernel is given in place of the
//!   program's callback, where the wake port is that of an `IONotificationPort`. Of a program that
//!   receives from its port itself only the calls are recorded, and that is said on stderr.
//! - Mapped memory: by comparison at sync points, around each call of its connection and after each
//!   completion. What changed there is a patch, whoever made the change. Memory mapped with a cache
//!   mode of its own may be device registers, which must not be read for nothing: it is left alone.
//!
//! The library is there on macOS with the feature `live` only.

#[cfg(any(test, all(target_os = "macos", feature = "live")))]
mod gate;
mod numbers;

#[cfg(all(target_os = "macos", feature = "live"))]
mod dylib;

#[doc(hidden)]
#[doc(hidden)]
pub use numbers::Numbers;
