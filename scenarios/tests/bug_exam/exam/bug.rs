//! The bugs.

/// A seeded bug: its cause, then what a report from the field would say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Bug {
    /// The main thread waits for the condition before it looks whether the answer is there: a lost
    /// wake-up. "Now and then a request takes twenty seconds, and then it has its answer."
    NullLostWakeUp,
    /// A request is entered in the table once its call has returned; an answer that comes before is
    /// for nobody. "On the fast machine requests time out, on the slow one never."
    NullAnswerBeforeReturn,
    /// Answers are given to requests in the order in which those were sent, not by what they say.
    /// "Two users saw each other's results."
    NullOrderAssumed,
    /// Completions are counted, not answers: one that comes twice counts for two. "Crash, no result
    /// for a finished request; happened after the driver update."
    NullDoubleCounted,
    /// Requests have a number of two that are used again, also after one was given up: its late answer
    /// is taken for that of the next. "After a timeout the next result is wrong."
    NullNumberReused,

    /// Sleeps for as long as the driver usually takes, and then does not look. "Works here; fails when
    /// the machine is busy."
    SharedFixedSleep,
    /// Clears the flag after it has asked for it to be set, not before. "Hangs for two seconds, about
    /// once a day."
    SharedFlagClearedLate,
    /// Reads the text without the lock under which it is changed: a torn read. "The name on the screen
    /// was half in capitals."
    SharedTornText,
    /// Adds to the counter by a load and a store, while the driver adds to it, too. "The totals are
    /// short by a few."
    SharedCounterLost,
    /// Leaves without the unmap when a call fails. "Address space grows with every failed job."
    SharedUnmapForgotten,

    /// Takes the end of a read for data whatever its status says. "After unplugging there is garbage at
    /// the end of the file."
    UsbStatusIgnored,
    /// Takes the next buffer in turn when any read has ended, not when that buffer's has. "Blocks are
    /// repeated, with a hub between only."
    UsbBufferReused,
    /// A write is entered in the table once its call has returned. "A write that worked is reported as
    /// timed out."
    UsbEndBeforeReturn,
    /// Repeats a write whose call failed, though the data may have gone out. "The printer printed the
    /// page twice."
    UsbRetryDoubles,
    /// Thinks that a read which it has aborted brings no data. "A packet is missing after a pause."
    UsbAbortRace,

    /// Reads several ended commands at once beyond the end of the ring: an index that does not wrap.
    /// "Unknown command 0, under load, every few hours."
    NvmeIndexRunsOn,
    /// Copies the entry of the completion ring before it looks whether it is there. "An old command
    /// ends twice."
    NvmeEntryBeforeTail,
    /// Its time limit begins before the doorbell call, and what is over it loses its buffer, though the
    /// controller has it: a stale buffer is used again. "Wrong block after the disk was slow."
    NvmeBufferOfTheSlow,
    /// Takes the code of a connection that is gone for a mistake of its own. "Assertion failed when the
    /// disk was unplugged."
    NvmeGoneIsOurMistake,
    /// Forgets the first ring when the second cannot be mapped. "Leaks 1.2 kB for every failed open,
    /// and the ring stays."
    NvmeFirstRingLeaked,

    /// Reads number and time of the clock without the sequence that tells whether they belong
    /// together. "Sound and picture jump apart by some milliseconds."
    CaptureTornClock,
    /// Takes indices modulo the ring before it subtracts them: full is empty. "The recording stops when
    /// the disk was slow for a moment."
    CaptureFullIsEmpty,
    /// Gives records back before it has copied them. "Frames from the future in between."
    CaptureEarlyRelease,
    /// Takes one batch for each notice and never looks how much there is. "The end is missing; worse
    /// under load."
    CaptureBatchANotice,
    /// Does not look at the ring any more when it hears that the source has ended. "Sometimes the last
    /// four frames are missing."
    CaptureEndFirst,

    /// Clears the pending bits after it has handled them: what came meanwhile is gone. "A key press is
    /// swallowed."
    IrqClearedLate,
    /// Begins to wait after it has looked, and does not look again: a lost wake-up. "The card stands
    /// still until something else happens."
    IrqLostWakeUp,
    /// Handles what the completion says, not what is pending. "An interrupt was handled twice."
    IrqCompletionTrusted,
    /// Looks neither at the status nor at the count of a completion's arguments: an aborted wait is
    /// taken for the last interrupt again. "One event too many when the card is pulled."
    IrqAbortIsInterrupt,
    /// Takes silence for the end. "No more events after a coffee break."
    IrqSilenceIsEnd,
}

impl Bug {
    pub(super) const OF_NULL_DRIVER: [Self; 5] = [
        Self::NullLostWakeUp,
        Self::NullAnswerBeforeReturn,
        Self::NullOrderAssumed,
        Self::NullDoubleCounted,
        Self::NullNumberReused,
    ];

    pub(super) const OF_SHARED_BUFFER: [Self; 5] = [
        Self::SharedFixedSleep,
        Self::SharedFlagClearedLate,
        Self::SharedTornText,
        Self::SharedCounterLost,
        Self::SharedUnmapForgotten,
    ];

    pub(super) const OF_USB_BULK: [Self; 5] = [
        Self::UsbStatusIgnored,
        Self::UsbBufferReused,
        Self::UsbEndBeforeReturn,
        Self::UsbRetryDoubles,
        Self::UsbAbortRace,
    ];

    pub(super) const OF_NVME_RINGS: [Self; 5] = [
        Self::NvmeIndexRunsOn,
        Self::NvmeEntryBeforeTail,
        Self::NvmeBufferOfTheSlow,
        Self::NvmeGoneIsOurMistake,
        Self::NvmeFirstRingLeaked,
    ];

    pub(super) const OF_CAPTURE_RING: [Self; 5] = [
        Self::CaptureTornClock,
        Self::CaptureFullIsEmpty,
        Self::CaptureEarlyRelease,
        Self::CaptureBatchANotice,
        Self::CaptureEndFirst,
    ];

    pub(super) const OF_IRQ_PAGE: [Self; 5] = [
        Self::IrqClearedLate,
        Self::IrqLostWakeUp,
        Self::IrqCompletionTrusted,
        Self::IrqAbortIsInterrupt,
        Self::IrqSilenceIsEnd,
    ];
}
