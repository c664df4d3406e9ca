//! Mapped memory, and how accesses to it were seen.

/// What a map gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedMemory {
    /// Number of the memory; aliases share it.
    pub memory: u32,
    /// The descriptor's length (F10).
    pub length: u64,
    /// Accessible bytes: whole pages of the recorded system.
    pub size: u64,
    /// How reads and writes of it were seen.
    pub capture: Capture,
    /// The client's writes are refused (F2).
    pub read_only: bool,
}

/// How the accesses to a memory were captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capture {
    /// Through accessors: exact.
    Accessor,
    /// By page protection.
    PageProtection,
    /// By trapping single instructions.
    Trap,
    /// By comparison at sync points.
    SyncPoints,
    /// Not at all: what the client saw there is not on the tape.
    Uncaptured,
    /// Through accessors, and each read is a patch by itself, whether or not it saw what the client
    /// knew: device registers, where a read may change what the next one gives.
    Registers,
}
