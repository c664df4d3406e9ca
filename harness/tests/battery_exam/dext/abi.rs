//! What passes between the sampler and its clients.

use bytemuck::{Pod, Zeroable};

/// Class of the dext (`IOUserClass`), by which clients find it.
pub(crate) const USER_CLASS: &str = "Sampler";

/// Bundle identifier of the dext.
pub(crate) const BUNDLE_ID: &str = "com.example.sampler";

/// Selectors.
pub(crate) mod selector {
    /// Two scalars in; their sum and the carry out.
    pub(crate) const ADD: u32 = 0;
    /// Opens the session: the mode in, the session's number out. A connection has one at a time.
    pub(crate) const OPEN_SESSION: u32 = 1;
    /// Closes the session, and with it what was allocated.
    pub(crate) const CLOSE_SESSION: u32 = 2;
    /// Asynchronous: an interval in milliseconds and a number of samples in; as many completions with
    /// the sample's number. A watch that is replaced by another one ends with `kIOReturnAborted`.
    pub(crate) const WATCH: u32 = 3;
    /// Keeps a value for the session: the value in, a handle out. A session keeps 64 at most, and
    /// refuses more with `kIOReturnNoSpace`.
    pub(crate) const ALLOCATE: u32 = 4;
    /// Gives a kept value back: the handle in, the value out; the handle is void then.
    pub(crate) const FREE: u32 = 5;
    /// Gives an `Info`.
    pub(crate) const INFO: u32 = 6;
    /// Takes a `Configuration`.
    pub(crate) const CONFIGURE: u32 = 7;
    /// A structure of whole words in, as long a one out: every bit inverted. No dispatch entry.
    pub(crate) const INVERT: u32 = 8;
    /// A channel and a structure of any bytes in; their sum and their number out. The bytes are in the
    /// window then, from its start. No dispatch entry.
    pub(crate) const FEED: u32 = 9;
    /// How many there are.
    pub(crate) const COUNT: u32 = 10;
}

/// Memory types.
pub(crate) mod memory_type {
    /// The window that `FEED` writes to.
    pub(crate) const WINDOW: u32 = 0;
    /// Two words that only the dext writes: methods that succeeded, and the last one's selector.
    pub(crate) const STATUS: u32 = 1;
}

/// Modes of a session are below that.
pub(crate) const MODES: u64 = 3;

/// Longest interval of a watch, in milliseconds, and most samples.
pub(crate) const INTERVAL_MAX: u64 = 1000;
pub(crate) const SAMPLES_MAX: u64 = 16;

/// Values that a session keeps at most.
pub(crate) const OBJECTS_MAX: usize = 64;

/// Words of `INVERT`, and the most bytes.
pub(crate) const WORD: u64 = 4;
pub(crate) const INVERT_MAX: u64 = 65_536;

/// Channels of `FEED` are below that.
pub(crate) const CHANNELS: u64 = 4;

/// Length of the window, which is the most that `FEED` takes.
pub(crate) const WINDOW_LENGTH: u64 = 16_384;

/// Length of the status.
pub(crate) const STATUS_LENGTH: u64 = 64;

/// What `CONFIGURE` takes; every value is fine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Configuration {
    pub(crate) gain: u32,
    pub(crate) rate: u32,
    pub(crate) mask: u64,
}

/// What `INFO` gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Info {
    /// 3.
    pub(crate) version: u32,
    /// How often the connection fed.
    pub(crate) feeds: u32,
    pub(crate) configuration: Configuration,
}

pub(crate) const VERSION: u32 = 3;

const _: () = assert!(size_of::<Configuration>() == 16 && size_of::<Info>() == 24);
