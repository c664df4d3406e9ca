//! The recorder over a small system of the tests' own: what it writes, and what it leaves alone.

mod device;
mod events;
mod memory;
mod policy;
mod program;
mod queue;
mod redaction;
mod tape;
mod transparency;
