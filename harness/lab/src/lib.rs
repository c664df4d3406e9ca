//! What works on tapes as data.
//!
//! - [`drive`](drive()): the tape plays the client, a dext answers, and its answers are compared with
//!   those of the tape.

mod drive;

pub use drive::{
    Difference, DifferenceKind, DriveError, DriveOptions, DriveReport, drive, planned_faults,
};
