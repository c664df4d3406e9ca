//! What sealing is told, and what it tells.

use std::path::PathBuf;

/// Options of sealing. By default everything that the journal holds goes to the tape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealOptions {
    /// Of a write to shared memory that is longer than so many bytes, the tape gets the hash only.
    /// A write is an expectation: a replay can compare it by its hash, but people cannot read it.
    pub hash_writes_over: Option<u64>,
}

/// What became of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealReport {
    /// Events on the tape, gaps included.
    pub events: u64,
    /// Gaps: places where events are missing.
    pub gaps: u64,
    /// Calls, waits and other operations that were entered and never left: in flight when the
    /// recording ended.
    pub in_flight: u64,
    /// Records that were begun and never finished: their process was killed while it wrote them.
    /// Nothing is lost by them that was finished.
    pub holes: u64,
    /// References to events that are not on the tape, because of a gap.
    pub unresolved: u64,
    /// Processes that the recording knows of; a forked child counts even if it recorded nothing.
    pub processes: u64,
    /// Bytes of the tape.
    pub bytes: u64,
    /// Files beside the journal that have the name of a forked child's and are not: of another
    /// recording, or no journal at all.
    pub ignored: Vec<PathBuf>,
}
