//! Tasks and time: where client threads, dispatch queues and timers run, and what a wait is.
//!
//! A [`Schedule`] is *simulated* or *free*. In a simulated one exactly one task runs at a time, the
//! next one is drawn by a seeded generator, and virtual time moves only when every task waits. In a
//! free one tasks are ordinary threads and time is the machine's. All waiting in this crate goes
//! through a [`Monitor`], so that the same code serves both.

mod free;
mod life;
mod monitor;
mod pool;
mod priority;
mod quiet;
mod seed;
mod simulation;
mod task;
mod variation;

pub use life::Life;
pub use monitor::{Monitor, MonitorGuard};
pub use seed::Generator;
pub(crate) use simulation::ENDLESS;
pub use task::{Schedule, TaskHandle, TaskId, TimeMode};
pub(crate) use variation::Variation;
