//! A tape made ready to be served: steps in a compact array, their bytes in one arena, the patches and
//! completions beside them. Nothing of it changes during a replay.

mod arena;
mod call;
mod compile;
mod courses;
mod keys;
mod layout;
mod lookups;
mod pointed;
mod rules;
mod segments;
mod shared;
mod step;

pub(super) use arena::Arena;
pub use compile::LoadError;
pub(super) use courses::Courses;
pub(super) use keys::update_words;
pub(super) use lookups::sort_of;
pub(super) use rules::{CallRules, Compare, FieldRules, SymbolSet, unmarked};
pub(super) use segments::Segments;
pub(super) use step::{
    Buffer, EventIndex, Flags, Kind, LaneIndex, MemoryIndex, NONE, Outcome, Patch, PatchIndex,
    Post, Program, Step, StepIndex,
};
