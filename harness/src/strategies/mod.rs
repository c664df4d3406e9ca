//! Strategies for property tests: client programs, mock dexts that answer them, and the two run
//! against each other. Needs the feature `proptest`.
//!
//! A [`Program`] is plain data that shrinks to something a person can read; [`Program::run`] drives
//! any [`System`](crate::connection::System) with it and gives what the client saw. A [`DextPlan`] is
//! a dext as data; [`PlannedService`] serves it through the mock kernel. [`fault_plan`] says what goes
//! wrong meanwhile.

mod dext;
mod faults;
mod plan;
mod program;
mod run;

pub use dext::PlannedService;
pub use faults::fault_plan;
pub use plan::{DextPlan, MemoryPlan, MethodPlan, dext_plan};
pub use program::{Access, InputPlan, OutputPlan, Program, Step, program};
pub use run::{Observation, SERVICE_CLASS};
