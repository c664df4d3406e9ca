//! Faults as data: what goes wrong in a run, where and when.
//!
//! A [`FaultPlan`] says what the dext, its device or the system does wrong: the third call of a selector
//! fails, the dext dies in an open, a completion comes twice. It never says what the client sees of it:
//! the boundary decides that, as it does for a dext that really does so, and no plan can bring about
//! what the kernel could not. An error planned for `CopyClientMemoryForType`, for instance, reaches
//! the client as `kIOReturnBadArgument` on map (F5) and verbatim on unmap (F18).
//!
//! A plan has a text form for people and for command lines, one fault a line, and is JSON through
//! serde. [`MockSystem::builder`](crate::kernel::MockSystem::builder) takes one.

mod counter;
mod plan;
mod read;
mod text;

pub use counter::{FaultCounter, Strike};
pub use plan::{
    CallFault, CompletionFault, Ending, Fault, FaultPlan, MapFault, OpenFault, UnmapFault, When,
};
pub use read::FaultError;
pub(crate) use read::time as read_time;
pub(crate) use text::Time;
