//! From journals to a tape.
//!
//! [`seal`] does it from file to file; [`Sealing`] gives the events one by one.

mod error;
mod family;
mod lookup;
mod options;
mod sealing;
mod write;

pub use error::SealError;
pub use options::{SealOptions, SealReport};
pub use sealing::Sealing;
pub use write::seal;
