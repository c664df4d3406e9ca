//! Recording: the wrapper around a system, the journal, sealing, and the real system on macOS.

#![deny(unsafe_code)]

#[doc(hidden)]
pub mod exam;
pub mod flight;
pub mod iokit;
pub mod journal;
pub mod program;
pub mod recording;
pub mod seal;
pub mod suite;
