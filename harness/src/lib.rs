//! Record, replay and mock macOS user-client traffic.
//!
//! A map of the code, from the ground up:
//!
//! - [`io_return`], [`limits`], [`call`]: the words.
//! - [`schedule`]: tasks and time, simulated or free.
//! - [`memory`]: memory that client and dext share, and its shadow.
//! - [`boundary`]: the kernel's rules, each under its number.
//! - [`connection`]: the client's side. Start here to write a client.
//! - [`tape`]: the written side.
//! - [`driverkit`]: the dext's side. Start here to write a mock dext.
//! - [`kernel`]: the bridge between client and mock dext.
//! - [`replay`]: the bridge from a tape to the client.
//! - `strategies` (feature `proptest`): client programs and mock dexts for property tests.
//! - `snapshot` (feature `insta`): assertions on the transcript of a tape.

pub mod io_return;

pub mod call;
pub mod limits;

pub mod schedule;

pub mod memory;

pub mod boundary;

pub mod connection;

pub mod tape;

pub mod driverkit;

pub mod kernel;

pub mod replay;

#[cfg(feature = "proptest")]
pub mod strategies;

#[cfg(feature = "insta")]
pub mod snapshot;

pub use io_return::IoReturn;
