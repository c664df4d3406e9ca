//! The flight recorder's half of a journal: segments that are used again, and what is kept of those
//! that are given up.
//!
//! The file has room for a number of segments. Once it is used up, the helper takes the oldest ones,
//! hands their records to the [`Keeper`], which keeps beginnings and the state that the records led to,
//! saves that state in the file, and only then gives the segments' places to new ones. There are two
//! places for states, used in turn, so that a process that is killed at any moment leaves one that is
//! whole; segments older than it count as given up.

mod calls;
mod front;
mod geometry;
mod keeper;
mod operations;
mod options;
mod pinned;
mod places;
mod recycle;
mod room;
mod shadows;
mod state;

pub(super) use geometry::{AHEAD_IN_RING, Geometry};
pub(super) use keeper::{Front, Given, Keeper};
pub use options::{BadRing, RingOptions};
pub(super) use places::Ring;
pub(super) use recycle::{Recycler, take_segment};
pub(super) use state::{RingHeader, State};
