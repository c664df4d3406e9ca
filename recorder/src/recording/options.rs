//! What a recording session is told before it begins.

use super::{ClientPointers, Redactor};
use crate::journal::JournalOptions;
use dextape::limits::PAGE_SIZE;
use dextape::tape::{Capture, FieldRule, Host, Scenario};
use std::sync::Arc;

/// Options of a recording. The defaults are those of a mock.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// The recorded machine.
    pub host: Host,
    /// Page size of the recorded system, in bytes.
    pub page_size: u64,
    /// The scenario, where the client belongs to one.
    pub scenario: Option<Scenario>,
    /// How a replay should match, where that is known beforehand.
    pub policy: Option<String>,
    /// Fields that a replay should not compare, or compare as symbols.
    pub rules: Vec<FieldRule>,
    /// What else is to be said of how it came about, such as faults that were planned.
    pub provenance: Vec<String>,
    /// Client pointers inside calls, and how what they lead to is read. The rules of their annotations go
    /// to [`rules`](Self::rules).
    pub pointers: Option<ClientPointers>,
    /// What keeps secrets off the disk.
    pub redactor: Option<Arc<dyn Redactor>>,
    /// What becomes of long bytes that the client hands in.
    pub long_writes: LongWrites,
    /// How the client's accesses to mapped memory are seen. Accessors see each one; where the client
    /// has raw pointers, whoever handed them out shows the memory at sync points.
    pub capture: Capture,
    /// Layout of the journal, and how long an append waits.
    pub journal: JournalOptions,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self {
            host: Host::Mock,
            page_size: PAGE_SIZE,
            scenario: None,
            policy: None,
            rules: Vec::new(),
            provenance: Vec::new(),
            pointers: None,
            redactor: None,
            long_writes: LongWrites::default(),
            capture: Capture::Accessor,
            journal: JournalOptions::default(),
        }
    }
}

/// What becomes of long bytes that the client hands in: what it writes to shared memory and the
/// structures of its calls. A replay only compares them, for which a hash is enough; people and
/// tools that read the tape want the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongWrites {
    /// They are recorded whole, whatever their length.
    Keep,
    /// Of more than so many bytes only the hash is recorded. Hashing takes its time on the client's
    /// thread.
    HashOver(u64),
}

impl Default for LongWrites {
    fn default() -> Self {
        Self::HashOver(1 << 20)
    }
}
