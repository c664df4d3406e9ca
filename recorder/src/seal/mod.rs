//! From journals to a tape.
//!
//! [`seal`] does it from file to file; [`Sealing`] gives the events one by one. [`cut`] makes a tape of a
//! recording that goes on.

mod cut;
mod error;
mod family;
mod lookup;
mod options;
mod sealing;
mod write;

pub use cut::cut;
pub use error::SealError;
pub use options::{SealOptions, SealReport};
pub use sealing::Sealing;
pub use write::seal;
