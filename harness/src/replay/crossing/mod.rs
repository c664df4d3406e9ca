//! How a client crosses a gap: it has come to the end of what the tape holds in one piece, and does what is
//! on no tape, until it does what stands behind the gap.
//!
//! Between the two it is answered with what the tape holds of the same sort, and told nothing else; what it
//! reads of shared memory is the keyframe's. As soon as an operation is one that stands behind the gap, the
//! client is taken to have come there, and is served strictly from there on. Where it turns out soon that
//! it has not, it goes on crossing.

mod answer;
mod counts;
mod line_up;
mod memory;
mod never;
mod take;
mod time;

pub(super) use counts::Crossing;
pub use counts::{CrossingReport, LinedUp};
pub(super) use line_up::Come;
pub(super) use never::never_across;
pub(super) use take::Taken;
pub(super) use time::NO_SHIFT;
