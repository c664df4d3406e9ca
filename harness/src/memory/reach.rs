//! Whether a raw pointer can stand for a memory.

/// How code that has nothing but raw pointers can reach a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RawReach {
    /// Not at all: an access does something, as one of a device's register does.
    #[default]
    Never,
    /// Not at all: nobody knows what is there. The client can have it mapped, but not touch it.
    Unknown,
    /// Through a copy that is kept like it from time to time: what comes from a tape.
    Copied,
    /// As [`Copied`](Self::Copied), but that a tape has each access of its client and expects it again:
    /// what a raw pointer does to the copy is missing there.
    ByAccess,
    /// At an address of this process.
    At(RawView),
}

/// Ordinary memory of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawView {
    /// Address of the first byte.
    pub address: u64,
    /// Somebody wants to see what the client sees, and raw accesses pass it by: it has to be shown the
    /// memory from time to time, by a read of it.
    pub watched: bool,
}
