//! Queues of work, and what waits for them.

mod block;
mod delivery;
mod function;
mod group;
mod once;
mod pool;
mod queue;
mod semaphore;
mod source;
mod time;

pub(crate) use delivery::Delivery;
pub(crate) use queue::main_queue;
