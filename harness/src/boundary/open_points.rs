//! What Apple's published source cannot settle, as switches.

use crate::IoReturn;

/// Answers to what Apple's published source leaves open: Appendix C of the semantics reference, and the
/// rules whose evidence is an [inference](super::Evidence::Inferred). The default is what the reference
/// suggests. Whoever knows better, from a Mac, says so; and who wants a client or a dext to work either
/// way tests it with both.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::boundary::OpenPoints;
/// use dextape::kernel::MockSystem;
/// use dextape::schedule::Schedule;
///
/// Schedule::simulate(1, |schedule| {
///     let open = OpenPoints {
///         base_method: IoReturn::BAD_ARGUMENT,
///         close_waits_for_stop: true,
///         ..OpenPoints::SUGGESTED
///     };
///     let mock = MockSystem::builder(schedule).open_points(open).build();
/// #   let _ = mock;
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpenPoints {
    /// What the mapping gives that a dext makes of a structure input where the client has no memory
    /// (B6). Suggested: `kIOReturnError`.
    pub bad_pointer: IoReturn,
    /// Whether `scalarInput` is a pointer where its count is 0 (B11, Appendix C no. 2). Suggested:
    /// yes. A dext in Rust sees an empty slice either way.
    pub empty_scalar_input_is_pointer: bool,
    /// Who looks first at `structureOutput` beside an output descriptor (C5, Appendix C no. 3).
    /// Suggested: the kernel.
    pub output_beside_descriptor: OutputJudge,
    /// What a scalar output holds before the dext writes to it (B2, C8, Appendix C no. 4). Suggested:
    /// 0.
    pub scalar_output_start: u64,
    /// What the options of `CopyClientMemoryForType` hold before the dext writes to them (F2,
    /// Appendix C no. 4). Suggested: 0.
    pub memory_options_start: u64,
    /// What an asynchronous call gives whose wake port is no receive right of the caller (D5).
    /// Suggested: `MACH_SEND_INVALID_RIGHT`.
    pub foreign_wake_port: IoReturn,
    /// Whether a completion can be received before the call that it completes has returned (D17).
    /// Suggested: yes.
    pub completion_overtakes_call: bool,
    /// Whether the base `ExternalMethod` looks for the function before it looks at the counts (E5).
    /// Suggested: no.
    pub function_checked_first: bool,
    /// What the base `ExternalMethod` gives without a dispatch entry (E7, Appendix C no. 1). Suggested:
    /// `kIOReturnUnsupported`.
    pub base_method: IoReturn,
    /// What an open gives where the dext has no `NewUserClient` (G10). Suggested:
    /// `kIOReturnUnsupported`.
    pub base_new_user_client: IoReturn,
    /// Whether a close returns only when the dext's `Stop` has run (G14). Suggested: no.
    pub close_waits_for_stop: bool,
    /// The length that a buffer's `GetAddressRange` gives after a `SetLength` (I6, Appendix C no. 5).
    /// Suggested: the length that was set.
    pub address_range_length: RangeLength,
}

/// Who looks at `structureOutput` beside an output descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputJudge {
    /// The kernel, to which an empty one is no error (C5).
    Kernel,
    /// The framework in the dext, to which any is this error.
    Framework(IoReturn),
}

/// Which length it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RangeLength {
    /// The current one.
    Current,
    /// The capacity, whatever was set.
    Capacity,
}

impl OpenPoints {
    /// What the semantics reference suggests.
    pub const SUGGESTED: Self = Self {
        bad_pointer: IoReturn::ERROR,
        empty_scalar_input_is_pointer: true,
        output_beside_descriptor: OutputJudge::Kernel,
        scalar_output_start: 0,
        memory_options_start: 0,
        foreign_wake_port: IoReturn::MACH_SEND_INVALID_RIGHT,
        completion_overtakes_call: true,
        function_checked_first: false,
        base_method: IoReturn::UNSUPPORTED,
        base_new_user_client: IoReturn::UNSUPPORTED,
        close_waits_for_stop: false,
        address_range_length: RangeLength::Current,
    };
}

impl Default for OpenPoints {
    fn default() -> Self {
        Self::SUGGESTED
    }
}
