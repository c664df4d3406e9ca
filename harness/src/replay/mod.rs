//! The bridge from a tape to the client: a [`Replayer`] serves connections, completions and shared
//! memory from what was recorded.
//!
//! A replay compares what the client does with the tape and gives it what the tape holds. Where the
//! two part, that is a [`Divergence`], and nothing is ever made up: see [`OnDivergence`].

mod attempt;
mod connection;
mod crossing;
mod describe;
mod diagnose;
mod difference;
mod display;
mod divergence;
mod endless;
mod matching;
mod memory;
mod naming;
mod options;
mod other;
mod patches;
mod plain;
mod polling;
mod program;
mod progress;
mod queue;
mod replayer;
mod report;
mod request;
mod session;
mod state;
mod symbols;
mod system;
#[cfg(test)]
mod tests;

pub use crossing::{CrossingReport, LinedUp};
pub use divergence::{
    Candidate, Difference, Divergence, DivergenceKind, DivergenceReport, Place, Remedy, Shown,
};
pub use options::{OnDivergence, PatchTiming, Policy, ReplayOptions, UnknownPolicy};
pub use program::LoadError;
pub use replayer::Replayer;
pub use report::{ReplayReport, Unused};
