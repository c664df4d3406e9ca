//! IOKit's C functions over any [`System`](dextape::connection::System), so that a client written in C
//! or in anything that calls C runs on Linux, unchanged.
//!
//! A library that links this crate exports the functions under Apple's names. It says once, before
//! `main`, where their answers come from: [`install`]. Nothing is started before the client first asks
//! for a service. The headers to compile clients against are in `include/` beside this crate.
//!
//! What a function does is decided in [`dextape::boundary`]; here raw pointers become the shape of a
//! call, and what a real client would see as a fault is one. A panic never unwinds into the client:
//! a divergence of a replay, and any other, goes to stderr and the process exits with 101.
//!
//! # What is on a tape, and what costs
//!
//! A call that the library half refuses by itself (too many scalars, a size beyond all sizes) reaches no
//! system, and so is on no tape: its answer follows from what the client gave, and a tape holds just what
//! the client could not have known. A replay refuses it by the same rules.
//!
//! Structures of up to 4096 bytes are copied from where the client says, with no look at whether they are
//! there: where they are not, the client faults, as in the real library. Longer ones are copied by the
//! system, which finds out (B6) for the price of a system call.
//!
//! # A map of the code
//!
//! - `raw`, `guard`, `fault`, `say`: pointers of the client, the end of panics, faults, messages.
//! - `start`: where answers come from, and what is said at exit.
//! - `port`: names, rights and messages, as Mach has them.
//! - `cf`: as much of CoreFoundation as clients of IOKit use, its run loop included.
//! - `dispatch`: queues, semaphores, groups and sources, with and without blocks.
//! - `mach`: the C functions on ports, messages and memory.
//! - `io`: the C functions of IOKit itself.
//!
//! On other systems than Linux the crate is empty: a Mac has IOKit.

#![cfg(target_os = "linux")]

#[macro_use]
mod guard;

mod fault;
mod raw;
mod say;
mod space;
mod start;

mod port;

mod cf;
mod darwin;
mod dispatch;
mod io;
mod mach;

pub use say::say;
pub use space::client_space;
pub use start::{Backend, Finish, StartError, begin, install, install_default};
