//! A tape in the terminal: a list to search, fields and bytes of what is chosen.
//!
//! `state` is what is shown and how keys change it, `view` draws it, `run` joins both to a terminal.

mod run;
mod state;
mod view;

pub use run::{TerminalError, run};
pub use state::{Key, State};
pub use view::draw;
