//! What a replay leaves to say when it is over.

use super::{CrossingReport, Place, Policy};
use std::collections::BTreeMap;
use std::fmt;

/// The result of a replay without divergence.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a client that stops early leaves events unused, and only the report says so"]
#[non_exhaustive]
pub struct ReplayReport {
    /// The policy that was used.
    pub policy: Policy,
    /// Operations that the tape holds.
    pub operations: u64,
    /// Operations that the client made.
    pub used: u64,
    /// Operations left over, by lane and connection.
    pub unused: BTreeMap<(u32, Option<u32>), Unused>,
    /// Patches that no read of the client has seen.
    pub unread_patches: Vec<Place>,
    /// Differences that a rule of the tape or of the options covered.
    pub masked: u64,
    /// Symbols that the client's values were bound to.
    pub symbols: u64,
    /// How the client crossed gaps, where the tape has some and the policy is
    /// [`Policy::AcrossGaps`].
    pub crossing: Option<CrossingReport>,
}

/// Operations of one lane and connection that the client never made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unused {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Place,
    /// The first of them as one line.
    pub event: String,
}

impl ReplayReport {
    /// True where the client did all that the tape holds, and came across each gap. Patches that nobody
    /// read do not count, nor what a client passed over behind a gap.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let crossed = |crossing: &CrossingReport| crossing.not_reached.is_empty();
        self.unused.is_empty() && self.crossing.as_ref().is_none_or(crossed)
    }
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replayed {} of {} operations ({})", self.used, self.operations, self.policy)?;
        for ((lane, connection), unused) in &self.unused {
            write!(f, "\n  lane {lane}")?;
            if let Some(connection) = connection {
                write!(f, ", connection {connection}")?;
            }
            let first = &unused.first;
            write!(
                f,
                ": {} unused, from event {}: {}",
                unused.count, first.sequence, unused.event
            )?;
        }
        if let Some(first) = self.unread_patches.first() {
            let count = self.unread_patches.len();
            write!(f, "\n  {count} patches of shared memory that nobody read, from {first}")?;
        }
        if self.masked > 0 {
            write!(f, "\n  {} differences in masked fields", self.masked)?;
        }
        if self.symbols > 0 {
            write!(f, "\n  {} values bound to symbols", self.symbols)?;
        }
        if let Some(crossing) = &self.crossing {
            write!(f, "\n  {crossing}")?;
        }
        Ok(())
    }
}
