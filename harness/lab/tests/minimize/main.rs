//! Tapes with a planted failure, shrunk to the few events that it needs.

mod over;
mod planted;
mod shrinks;
