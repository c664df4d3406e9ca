//! Strategies for property tests: client programs, mock dexts that answer them, and the two run
//! against each other. Needs the feature `proptest`.
//!
//! A [`Program`] is plain data that shrinks to something a person can read; [`Program::run`] drives
//! any [`System`](crate::connection::System) with it and gives what the client saw. A [`DextPlan`] is
//! a dext as data; [`PlannedService`] serves it through the mock kernel. [`fault_plan`] says what goes
//! wrong meanwhile, and [`schedule`] when things happen.
//!
//! For a dext of one's own there are [`legal_call`], [`edge_call`] and [`illegal_call`] of its contract,
//! and [`structure`] for bytes that have a layout. A [`TapePlan`] is a tape as data.

mod call;
mod dext;
mod faults;
mod plan;
mod program;
mod run;
mod schedule;
mod shape;
mod tape;
#[cfg(test)]
mod tests;

pub use call::{edge_call, illegal_call, legal_call};
pub use dext::PlannedService;
pub use faults::fault_plan;
pub use plan::{DextPlan, MemoryPlan, MethodPlan, dext_plan};
pub use program::{Access, InputPlan, OutputPlan, Program, Step, program};
pub use run::{Observation, SERVICE_CLASS};
pub use schedule::{schedule, schedule_of};
pub use shape::{Shaped, structure};
pub use tape::{TapePlan, TapeStep, tape_plan};
