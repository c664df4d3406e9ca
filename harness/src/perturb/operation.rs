//! What a client asks of its system: the places at which a run can differ.

use std::fmt;
use std::time::Duration;

/// One operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// The registry is asked, or watched.
    Registry,
    Open,
    Close,
    Call(u32),
    AsyncCall(u32),
    /// A call beside methods and memory.
    Other,
    Map(u32),
    Unmap(u32),
    /// A wait for a completion.
    Wait,
    /// A look whether there is one.
    Poll,
    /// A wait for a notice.
    WaitForNotice,
    Load(Place),
    Store(Place),
    Update(Place),
    CopyOut(Place, u64),
    CopyIn(Place, u64),
}

/// A place in shared memory: the memory type (`None` of a shared buffer) and the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) memory_type: Option<u32>,
    pub(super) offset: u64,
}

impl Operation {
    /// True where it asks the kernel or the dext for something.
    pub(super) fn is_call(self) -> bool {
        matches!(
            self,
            Self::Open
                | Self::Close
                | Self::Call(_)
                | Self::AsyncCall(_)
                | Self::Other
                | Self::Map(_)
                | Self::Unmap(_)
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry => f.write_str("a look into the registry"),
            Self::Open => f.write_str("open"),
            Self::Close => f.write_str("close"),
            Self::Call(selector) => write!(f, "call {selector}"),
            Self::AsyncCall(selector) => write!(f, "asynchronous call {selector}"),
            Self::Other => f.write_str("another call"),
            Self::Map(memory_type) => write!(f, "map {memory_type}"),
            Self::Unmap(memory_type) => write!(f, "unmap {memory_type}"),
            Self::Wait => f.write_str("wait for a completion"),
            Self::Poll => f.write_str("poll for a completion"),
            Self::WaitForNotice => f.write_str("wait for a notice"),
            Self::Load(place) => write!(f, "load {place}"),
            Self::Store(place) => write!(f, "store {place}"),
            Self::Update(place) => write!(f, "update {place}"),
            Self::CopyOut(place, length) => write!(f, "copy {length} bytes out {place}"),
            Self::CopyIn(place, length) => write!(f, "copy {length} bytes in {place}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.memory_type {
            Some(memory_type) => write!(f, "at {:#x} of memory {memory_type}", self.offset),
            None => write!(f, "at {:#x} of a shared buffer", self.offset),
        }
    }
}

/// An operation that was made, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) lane: u32,
    /// Which of its lane, from 1 on.
    pub(super) number: u64,
    pub(super) operation: Operation,
    pub(super) began: Duration,
}
