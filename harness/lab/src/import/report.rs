//! What came of an import.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Calls of the log.
    pub calls: u64,
    /// Events of the tape.
    pub events: u64,
    /// Searches that stand in for a way to a service that no event can hold.
    pub stand_ins: u64,
    /// Calls that are no event of a tape, by function: what they gave is in the numbers of others.
    pub without_event: BTreeMap<String, u64>,
    /// Function of a call that the log ends within.
    pub cut_off: Option<String>,
    /// What the tape lacks, as it is kept in its header.
    pub lacks: Vec<String>,
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without: u64 = self.without_event.values().sum();
        write!(
            f,
            "imported {} of {} calls as {} events",
            self.calls - without,
            self.calls,
            self.events
        )?;
        if let Some(function) = &self.cut_off {
            write!(f, "\n  the log ends within a call of {function}, which is left out")?;
        }
        if self.stand_ins > 0 {
            write!(f, "\n  {} searches stand in for parents and the like", self.stand_ins)?;
        }
        for lack in &self.lacks {
            write!(f, "\n  lacks {lack}")?;
        }
        for (function, count) in &self.without_event {
            write!(f, "\n  no event: {count} of {function}")?;
        }
        Ok(())
    }
}
