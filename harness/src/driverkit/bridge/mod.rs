//! What the kernel needs of a dext: to call into it as the real one does, to take what it leaves, and
//! to see its mistakes.
//!
//! The kernel keeps the rules of the boundary (`crate::boundary`); this keeps ownership: which
//! references the system holds during a call and gives up after it, and which the dext hands over.
//! Both functions that call into a dext report what they see to the dext's process; nothing more need
//! be done for the lints.

mod client_memory;
mod external_method;
mod lifecycle;

pub use client_memory::{ClientMemory, ClientMemoryCall, copy_client_memory};
pub use external_method::{ExternalMethodCall, ExternalMethodOutcome, external_method};
pub(crate) use lifecycle::stop;
pub use lifecycle::{
    ClientTask, Phase, forget_client, in_phase, run_on_queue, set_client_task, set_default_queue,
};
