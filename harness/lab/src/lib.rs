//! What works on tapes as data.
//!
//! - [`drive`](drive()): the tape plays the client, a dext answers, and its answers are compared with
//!   those of the tape.
//! - [`import_imf`]: a log of IMF's interposer becomes a tape.
//! - [`learn`](learn()): several recordings of one run become a tape that serves further ones; [`trial`]
//!   measures how well.

mod drive;
mod import;
mod learn;

pub use drive::{
    Difference, DifferenceKind, DriveError, DriveOptions, DriveReport, drive, planned_faults,
};
pub use import::{ImportError, ImportReport, import_imf};
pub use learn::{
    FieldClass, LearnError, LearnReport, Learned, LearnedField, Trial, TrialError, learn, trial,
};
