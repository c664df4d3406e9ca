//! The bridge between client and dext: carries calls, mappings and completions across and asks the
//! boundary at each step.
//!
//! [`MockSystem`] is where to start: publish a [`Service`](crate::driverkit::Service), then be its
//! client through [`System`](crate::connection::System).

mod builder;
mod client_memory;
mod client_process;
mod connection;
mod dext;
mod faults;
mod gate;
mod memory;
mod method;
mod notice;
mod open;
mod other;
mod queue;
mod registry;
mod system;
mod task;
mod under_way;

pub use builder::MockBuilder;
pub use client_process::ClientProcess;
pub use registry::ServiceDescription;
pub use system::MockSystem;
