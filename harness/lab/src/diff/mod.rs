//! Two tapes beside each other: what is on one only, what changed, what moved.
//!
//! `item` makes a tape a list of operations and single events with keys, `rules` knows which of their
//! fields differ from run to run, `align` pairs the items of two tapes by what `common` finds in their lanes,
//! `order` finds which pairs moved, `compare` tells two items of a pair apart, `volatile` takes out what differs
//! in every run, `diff` puts it together, `text` and `json` tell it.
//!
//! Each lane is aligned by itself, in linear space; completions belong to their calls and are paired with
//! them, wherever they stand. Numbers of connections, memories, queues and services are handles: those of
//! one tape stand for those of the other, as they first meet. Times, sequence numbers and positions are not
//! compared. Where both tapes are of simulated time the order across lanes is, too.

mod align;
mod common;
mod compare;
#[expect(clippy::module_inception, reason = "the verb of this room")]
mod diff;
mod field_change;
mod item;
mod json;
mod order;
mod rules;
mod text;
mod volatile;

pub use diff::{Change, Diff, DiffCounts, DiffEntry, DiffOptions, DiffSide, diff};
pub use field_change::FieldChange;
pub use text::DiffText;
pub use volatile::VolatileField;
