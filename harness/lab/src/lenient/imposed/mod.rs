//! A baseline that lives: a mock answers all that a client asks, but for what a tape holds.
//!
//! What the tape holds is imposed on the mock, to the operation with the same inputs that comes as often
//! as there:
//!
//! - Its thread makes it no earlier than there. A call is answered as recorded, and takes at least as long. One that worked is made of the mock, too,
//!   so that the mock knows of it; one that failed is not.
//! - An asynchronous call has the completions that the tape holds of it, as long after it as there, and no
//!   others: one that the tape no longer holds is lost.
//! - A search, an open, a map and an unmap that failed fail; a property is what it was.
//!
//! Memory is the mock's.

mod connection;
mod queue;
mod state;
mod system;

pub(crate) use system::imposed;
