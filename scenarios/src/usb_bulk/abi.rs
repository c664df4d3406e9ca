//! What passes between both sides: six selectors, and bytes.

/// Class of the dext (`IOUserClass`), by which the client finds it.
pub const USER_CLASS: &str = "UsbBulk";

/// Bundle identifier of the dext.
pub const BUNDLE_ID: &str = "com.example.UsbBulk";

/// Selectors.
pub mod selector {
    /// Asynchronous: sends the structure to the bulk OUT endpoint. One scalar in, a tag. Completes
    /// with the tag and the bytes sent.
    pub const WRITE: u32 = 0;
    /// Asynchronous: fills the output structure from the bulk IN endpoint. One scalar in, a tag.
    /// Completes with the tag and the bytes received.
    pub const READ: u32 = 1;
    /// Aborts what is under way on an endpoint. One scalar in, one of [`endpoint`](super::endpoint).
    pub const ABORT: u32 = 2;
    /// Clears the stall of an endpoint. One scalar in, one of [`endpoint`](super::endpoint).
    pub const CLEAR_STALL: u32 = 3;
    /// Has the device do something next. Two scalars in: one of [`device`](super::device) and its
    /// argument.
    pub const DEVICE: u32 = 4;
    /// Gives what has come through: packets, bytes and the sum of the bytes that the device received,
    /// and bytes that the dext copied.
    pub const COUNTS: u32 = 5;
}

/// Endpoints, as the selectors name them.
pub mod endpoint {
    /// Bulk OUT, to the device.
    pub const OUT: u64 = 0;
    /// Bulk IN, from the device.
    pub const IN: u64 = 1;
}

/// What the device can be told to do, as a vendor request to its firmware would.
pub mod device {
    /// Send so many bytes, in one transfer.
    pub const SEND: u64 = 0;
    /// Stall the next packet that goes out.
    pub const STALL: u64 = 1;
}

/// Bytes of a full packet of both endpoints, as of a high-speed device.
pub const PACKET: u32 = 512;

/// The byte at `position` of what the device sends.
#[must_use]
pub const fn sent_byte(position: u64) -> u8 {
    (position % 251) as u8
}
