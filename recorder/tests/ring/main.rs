//! The flight recorder's journal: a ring, and the tapes that are cut from it.

mod oracle;
mod tape;
mod weeks;
