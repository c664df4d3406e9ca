//! Sizes and counts that the boundary fixes. Each names the rule it rests on.

/// Scalars a call may carry each way (A2, A5).
pub const SCALARS_MAX: usize = 16;

/// Longest structure, in bytes, that travels inside the message; one byte more goes out of line
/// as a memory descriptor (A8, A9, A11).
pub const INLINE_STRUCTURE_MAX: u64 = 4096;

/// Entries of the asynchronous reference that a client may pass (D1).
pub const ASYNC_REFERENCE_MAX: usize = 8;

/// Arguments a completion may carry (D13).
pub const COMPLETION_ARGUMENTS_MAX: usize = 16;

/// Arguments that a trap takes, beside its index (G20).
pub const TRAP_ARGUMENTS_MAX: usize = 6;

/// Bytes of serialised properties that the kernel takes (G19).
pub const PROPERTIES_MAX: u64 = 4 << 20;

/// Undelivered completions a wake port holds before further ones are dropped (D18).
pub const WAKE_PORT_QUEUE_MAX: usize = 65_534;

/// Index of the asynchronous reference that the kernel reserves for itself (D7, D9).
pub const ASYNC_RESERVED_INDEX: usize = 0;

/// Index of the callback function in the asynchronous reference (D9).
pub const ASYNC_CALLOUT_FUNCTION_INDEX: usize = 1;

/// Index of the callback's context pointer in the asynchronous reference (D9).
pub const ASYNC_CALLOUT_REFCON_INDEX: usize = 2;

/// `*outputStructCntP` that asks for variable output (A14), as a 64-bit size.
pub const VARIABLE_OUTPUT_SIZE: u64 = -3_i64 as u64;

/// Descriptors that can be joined to one, and ranges of the client's memory in one (I13, I14).
pub const DESCRIPTOR_PARTS_MAX: usize = 32;

/// Page size of the simulated machine, in bytes. Apple silicon has pages of 16 KiB.
pub const PAGE_SIZE: u64 = 16_384;
