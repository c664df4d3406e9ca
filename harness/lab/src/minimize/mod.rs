//! Tapes shrunk to the few events that a failure needs.

mod cut;
mod error;
mod failure;
mod kept;
mod minimize;
mod options;
mod shrink;
mod simplify;
mod units;

pub use error::MinimizeError;
pub use failure::{Driven, Failure, message_class};
pub use minimize::{Attempt, Minimized, TRIMMED, minimize};
pub use options::{MinimizeOptions, Mode, Progress, ProgressFn};
