//! The bugs, one at a time.

/// A bug of the sampler. Each is of another kind, and none shows to a client that keeps to the
/// description, makes one thing at a time, and waits for its completions before it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The dispatch entry of `ADD` checks nothing, and the method takes its arguments to be there.
    /// "Our fuzzer passes one scalar instead of two and the driver is gone."
    EntryUnchecked,
    /// The selector is compared with `<=` where it should be `<`. "Selector 10, which does not exist,
    /// crashes the driver; 11 and above are refused."
    SelectorOffByOne,
    /// `CONFIGURE` casts whatever structure it gets. "With the old 8-byte structure the call succeeds,
    /// and the mask is heap garbage that `INFO` then shows to the client."
    ShortStructureCast,
    /// `INVERT` counts whole words only, and does not refuse what is left over. "For 7 bytes the call
    /// succeeds, but 4 come back; in large buffers the last bytes stay as they were."
    OddTailDropped,
    /// `FEED` reads `structureInput` and has never heard of the descriptor. "Blocks up to 4096 bytes
    /// work; from 4097 on success, with sum 0 and length 0."
    DescriptorIgnored,
    /// `FEED` copies as many bytes as it is given into the window. "A block longer than the window
    /// takes the driver down: it writes past the end of its mapping."
    LengthTrusted,
    /// A new window with each `CopyClientMemoryForType`. "Unmapping fails with kIOReturnBadArgument,
    /// and a second mapping of the window has another address and nothing in it."
    FreshWindow,
    /// The status is returned from `CopyClientMemoryForType` without a retain. "The first mapping is
    /// fine, the second one fails, and the driver crashes some time later in a release."
    StatusNotRetained,
    /// `Stop` releases the watch, but the sample that is under way is not called off. "The driver
    /// crashes in AsyncCompletion a moment after the app has quit; never while it runs."
    SampleAfterStop,
    /// `Stop` drops the watch and then waits until no watch is active, which only the watch itself
    /// would tell. "If the app is killed while it watches, the driver cannot be opened or unloaded any
    /// more; sample shows Stop waiting."
    StopWaitsForWatch,
    /// A watch that is replaced is overwritten without a release. "The app changes the interval a few
    /// times an hour; after a week the driver has thousands of OSActions."
    ReplacedWatchLeaked,
    /// `INFO` gives its structure whatever room was asked for. "The old app, which asks for 16 bytes,
    /// gets kIOReturnBadArgument although the method returns success; the one that asks for 64 gets 24
    /// and takes the rest for zeros."
    OutputLongerThanAsked,
}

impl Bug {
    /// Every bug.
    pub(crate) const ALL: [Self; 12] = [
        Self::EntryUnchecked,
        Self::SelectorOffByOne,
        Self::ShortStructureCast,
        Self::OddTailDropped,
        Self::DescriptorIgnored,
        Self::LengthTrusted,
        Self::FreshWindow,
        Self::StatusNotRetained,
        Self::SampleAfterStop,
        Self::StopWaitsForWatch,
        Self::ReplacedWatchLeaked,
        Self::OutputLongerThanAsked,
    ];
}
