//! What works on tapes as data.
//!
//! - [`drive`](drive()): the tape plays the client, a dext answers, and its answers are compared with
//!   those of the tape.
//! - [`import_imf`]: a log of IMF's interposer becomes a tape.

mod drive;
mod import;

pub use drive::{
    Difference, DifferenceKind, DriveError, DriveOptions, DriveReport, drive, planned_faults,
};
pub use import::{ImportError, ImportReport, import_imf};
