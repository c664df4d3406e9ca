//! The bugs.

/// A bug: what its author did, and what people said who met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Bug {
    /// A wait that gives nothing is taken for one that has lasted. "A job was given up after two seconds; the
    /// limit is twelve."
    NullNothingIsTimeout,
    /// An answer is a second one only where job and attempt are the same: the late answer to the first attempt
    /// and that to the second count both. "Billed twice, once a month."
    NullRetryCounted,
    /// While a registration waits to be confirmed, whatever comes next is taken for that. "Registered under a
    /// number that nobody has."
    NullConfirmationAssumed,
    /// A call that fails does not give its credit back. "Slower and slower, and then it stands."
    NullCreditLost,
    /// A job counts as done before its result is stored. "The last line of the report is missing."
    NullDoneBeforeStored,

    /// Asks for the counter by one call and moves it by the next. "Two entries in one row."
    SharedTicketGuessed,
    /// Counts itself out, and looks later whether it was the last one. "Error on exit: not mapped."
    SharedLastOneTwice,
    /// Says nothing of a call that fails. "Some names are not capitalised, and the log is clean."
    SharedErrorSwallowed,
    /// Starts the next beat after a fixed time, whether the last one was seen or not. "Two pulses of three are
    /// counted when a backup is running."
    SharedBeatsMerge,
    /// The path that cleans up a failed start takes for granted what that did not get. "Crash where there was
    /// an error message before."
    SharedNothingOnErrorPath,

    /// Compares sequence numbers as they are, also where they have begun anew. "After some days one transfer
    /// is corrupt."
    UsbSequenceAcrossWrap,
    /// Any sign of life begins the time of every transfer anew. "A read hung for an hour until the writer
    /// paused."
    UsbTimeRestarts,
    /// After an abort sleeps a little, then uses the buffer again. "Zeros in the first packet after a pause."
    UsbReusedAfterAbort,
    /// A read that fails is the end of the stream. "Half of the file, and a success message."
    UsbGoneIsEnd,
    /// The end of a failed transfer is noted, and nobody is woken. "The program does not quit after an error."
    UsbErrorWakesNobody,

    /// Rings the bell for new commands only: what ended while the ring was full is never heard of. "A copy
    /// stops at 100 %."
    NvmeFullRingUnheard,
    /// Takes the rings down while the other thread works with them. "Crash after an error message."
    NvmeTornDownUnderWriter,
    /// Puts a command again whose bell could not be rung; it is in the ring. "Unknown command 7 after a
    /// hiccup."
    NvmePutAgain,
    /// A start that fails gives its mappings back, and keeps the queue pairs. "No resources after the tenth
    /// try to start."
    NvmeFirstPairKept,
    /// Hands a block over to be read when its write is put into the ring. "Verification fails on a good disk."
    NvmeReadBeforeWritten,

    /// Takes the index of any notice for that of the ring, also one of the take before. "Frames of the last
    /// recording at the beginning of the next."
    CaptureStaleNotice,
    /// Empties the ring before it stops the source, not after. "Recordings end some frames early."
    CaptureStopDropsLast,
    /// Drops the oldest record where the writer does not keep up. "Gaps, and the driver counts no overruns."
    CaptureQueueOverflows,
    /// Subtracts what came from what was taken: more may have come by now. "Crashes under load: attempt to
    /// subtract with overflow."
    CaptureLagUnderflows,
    /// Closes the writer's queue after a success only. "The window stays when the camera is pulled out."
    CaptureWriterLeftWaiting,

    /// Two threads change the mask, and the older one of two masks may be set last. "One queue of the card
    /// stands still."
    IrqMaskStale,
    /// A vector whose work meets an error stays masked. "No more packets after one bad one."
    IrqMaskedAfterError,
    /// Takes masked bits with the others, and has no use for them. "An interrupt is lost while the last one is
    /// still worked on."
    IrqMaskedDropped,
    /// Asks for another wait when one was quiet, though that is outstanding. "Busy, now and then."
    IrqArmedAfterQuiet,
    /// Any completion means that no wait is outstanding, also that of the wait before. "Busy, since the last
    /// update of the driver."
    IrqStaleDisarms,
}

impl Bug {
    pub(super) const OF_NULL_DRIVER: [Self; 5] = [
        Self::NullNothingIsTimeout,
        Self::NullRetryCounted,
        Self::NullConfirmationAssumed,
        Self::NullCreditLost,
        Self::NullDoneBeforeStored,
    ];

    pub(super) const OF_SHARED_BUFFER: [Self; 5] = [
        Self::SharedTicketGuessed,
        Self::SharedLastOneTwice,
        Self::SharedErrorSwallowed,
        Self::SharedBeatsMerge,
        Self::SharedNothingOnErrorPath,
    ];

    pub(super) const OF_USB_BULK: [Self; 5] = [
        Self::UsbSequenceAcrossWrap,
        Self::UsbTimeRestarts,
        Self::UsbReusedAfterAbort,
        Self::UsbGoneIsEnd,
        Self::UsbErrorWakesNobody,
    ];

    pub(super) const OF_NVME_RINGS: [Self; 5] = [
        Self::NvmeFullRingUnheard,
        Self::NvmeTornDownUnderWriter,
        Self::NvmePutAgain,
        Self::NvmeFirstPairKept,
        Self::NvmeReadBeforeWritten,
    ];

    pub(super) const OF_CAPTURE_RING: [Self; 5] = [
        Self::CaptureStaleNotice,
        Self::CaptureStopDropsLast,
        Self::CaptureQueueOverflows,
        Self::CaptureLagUnderflows,
        Self::CaptureWriterLeftWaiting,
    ];

    pub(super) const OF_IRQ_PAGE: [Self; 5] = [
        Self::IrqMaskStale,
        Self::IrqMaskedAfterError,
        Self::IrqMaskedDropped,
        Self::IrqArmedAfterQuiet,
        Self::IrqStaleDisarms,
    ];
}
