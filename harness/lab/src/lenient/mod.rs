//! A baseline for clients: a tape of which most is gone still answers all that a client asks.
//!
//! What the tape holds is given as it was recorded, to the operation with the same inputs that comes as
//! often as there. All else is answered as usual: with what the whole tape answered to most calls of that
//! selector, which [`mark`] notes in the header, and otherwise with success and zeros. A replay is strict
//! and invents nothing; this invents on purpose, and is for finding out which answers of a tape matter.

mod call;
mod connection;
mod error;
mod held;
mod imposed;
mod key;
mod mark;
mod memory;
mod ordinary;
mod queue;
mod state;
mod system;
mod usual;

pub use error::LenientError;
pub(crate) use imposed::imposed;
pub(crate) use mark::{OCCURRENCE, inlined, unmark};
pub use mark::{is_marked, mark};
pub use system::{Lenient, LenientReport};
pub(crate) use usual::usual;
