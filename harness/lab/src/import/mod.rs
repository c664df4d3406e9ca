//! Logs of other tools become tapes.
//!
//! `literal` reads one line, `log` pairs the lines of a call, `handles` gives what a log names by ports
//! and addresses its number, `imf` makes events of calls.

mod error;
mod handles;
mod imf;
mod literal;
mod log;
mod parameters;
mod report;

pub use error::ImportError;
pub use imf::import_imf;
pub use report::ImportReport;
