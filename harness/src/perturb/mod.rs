//! One run, a thousand tests: what else the real system could have given, by seed.
//!
//! A run that is not the recorded one is described by what differs: a list of [`Deviation`]s. A client
//! thread stands still for a while, a wait ends for no reason, a timer is late, a completion comes
//! earlier or later, a change of shared memory is seen one read later or in two halves, a fault strikes.
//! Everything that a list does not name is as recorded, and no list can bring about what the boundary's
//! rules or the recorded edges forbid.

mod catalogue;
mod check;
mod deviation;
mod environment;
mod explore;
mod failure;
mod gate;
mod live;
mod operation;
mod origin;
mod read;
mod record;
mod shrink;
mod tape;
mod text;
mod verdict;

pub use check::{Check, describe_on_mock, run_on_mock};
pub use deviation::{Deviation, Deviations, Point, Shift};
pub use explore::{Depth, Explored};
pub use failure::Failure;
pub use origin::{Ended, MakeMock};
pub use read::DeviationError;
pub use record::{RunRecorder, StartRecording};
pub use shrink::shrink;
pub use tape::UnfitTape;
pub use verdict::Verdict;
