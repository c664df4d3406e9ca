//! What passes between both sides: two memory types, the layout of the buffer, three selectors.

/// Class of the dext (`IOUserClass`), by which the client finds it.
pub const USER_CLASS: &str = "SharedBuffer";

/// Bundle identifier of the dext.
pub const BUNDLE_ID: &str = "com.example.SharedBuffer";

/// Memory types.
pub mod memory_type {
    /// The buffer, which both sides write.
    pub const BUFFER: u32 = 0;
    /// The status, which only the dext writes: it is mapped read-only.
    pub const STATUS: u32 = 1;
}

/// Selectors.
pub mod selector {
    /// Turns the text in the buffer to capitals; gives how many letters changed.
    pub const CAPITALS: u32 = 0;
    /// Sets the flag in the buffer so many milliseconds later.
    pub const SET_FLAG_LATER: u32 = 1;
    /// Adds to the counter in the buffer and gives what it was before.
    pub const COUNT: u32 = 2;
}

/// Length of the buffer in bytes.
pub const BUFFER_LENGTH: u64 = 128;

/// Alignment of the buffer in bytes.
pub const BUFFER_ALIGNMENT: u64 = 8;

/// Length of the status in bytes.
pub const STATUS_LENGTH: u64 = 16;

/// Where things are in the buffer.
pub mod buffer {
    /// The flag, 32 bits: 1 once it is set.
    pub const FLAG: u64 = 0;
    /// Capabilities of the client, 32 bits, one bit each.
    pub const BITS: u64 = 4;
    /// The counter, 64 bits, to which both sides add.
    pub const COUNTER: u64 = 8;
    /// The text, up to the first zero byte.
    pub const TEXT: u64 = 16;
    /// Bytes of the text.
    pub const TEXT_LENGTH: u64 = super::BUFFER_LENGTH - TEXT;
}

/// Where things are in the status.
pub mod status {
    /// How many methods the dext has served, 32 bits.
    pub const SERVED: u64 = 0;
    /// The last selector served, 32 bits.
    pub const LAST: u64 = 4;
}

const _: () = {
    assert!(BUFFER_LENGTH.is_multiple_of(BUFFER_ALIGNMENT));
    assert!(buffer::COUNTER.is_multiple_of(8));
    assert!(buffer::TEXT + buffer::TEXT_LENGTH == BUFFER_LENGTH);
    assert!(status::LAST + 4 <= STATUS_LENGTH);
};
