//! Driving: the tape plays the client.
//!
//! A map of the code: `session` is a run as a whole, `lane` performs the operations of one client thread,
//! `call` and `memory` those that are more than a line; `pace` keeps the order, `things` and `symbols`
//! know what the numbers and handles of the tape stand for here; `report` is what comes out.

mod call;
mod error;
mod lane;
mod memory;
mod options;
mod pace;
mod report;
mod session;
mod symbols;
mod things;

pub use error::DriveError;
pub use options::{DriveOptions, planned_faults};
pub use report::{Difference, DifferenceKind, DriveReport};
pub use session::drive;
