//! Tapes shrunk to the few events that a failure needs.

mod apart;
mod baseline;
mod cut;
mod ended;
mod error;
mod failure;
mod kept;
mod options;
mod over;
mod search;
mod shrink;
mod simplify;
#[cfg(test)]
mod tests;
mod units;

pub use apart::minimize_apart;
pub use baseline::{Baseline, MakeBaseline, answered_over, lay_over, places_over};
pub use ended::answered;
pub(crate) use ended::caught;
pub use error::MinimizeError;
pub use failure::{Driven, Failure, message_class};
pub use options::{MinimizeOptions, Mode, Progress, ProgressFn};
pub use over::minimize_over;
pub use search::{Attempt, Minimized, TRIMMED, minimize};
