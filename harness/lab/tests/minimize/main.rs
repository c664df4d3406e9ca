//! Tapes with a planted failure, shrunk to the few events that it needs.

mod planted;
mod shrinks;
