//! Tapes for whole test suites: each test names its tape, and one variable says for the whole run whether
//! tapes are played or recorded.
//!
//! `DEXTAPE_MODE` is one of
//!
//! | | a test whose tape is there | a test without one | a run that does what its tape does not hold |
//! |---|---|---|---|
//! | `none`, the default | is replayed | fails | fails |
//! | `once` | is replayed | is recorded | fails |
//! | `new_episodes` | is replayed | is recorded | is recorded anew |
//! | `all` | is recorded anew | is recorded | |
//!
//! A recording is of the whole run, and so of whole connections: a device that missed the earlier calls of a
//! connection cannot answer the later ones. Everything but `none` reaches a device, which takes macOS and the
//! feature `live`; without them the variable is an error, and never silently something else.

mod error;
mod expiry;
mod mode;
mod run;
mod tape_for;
mod used;

pub use error::TapeForError;
pub use expiry::{Date, EXPIRES, expiry};
pub use mode::{MODE, Mode};
pub use run::RunRecording;
pub use tape_for::{Ran, TapeFor};
pub use used::USED;
