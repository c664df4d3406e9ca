//! The recorder's crash-safe binary log.
//!
//! [`Journal`] appends [`Record`]s and gives each a [`Token`].

mod append;
mod error;
mod options;
mod record;
mod token;

pub use append::{Journal, Status};
pub use error::JournalError;
pub use options::JournalOptions;
pub use record::{Call, Data, Keyframe, KeyframeMemory, Record, Return, Stamp, Structure};
pub use token::Token;
