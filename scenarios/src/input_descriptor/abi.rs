//! What passes between both sides: one selector.

/// Class of the dext (`IOUserClass`), by which the client finds it.
pub const USER_CLASS: &str = "InputDescriptor";

/// Bundle identifier of the dext.
pub const BUNDLE_ID: &str = "com.example.InputDescriptor";

/// Selectors.
pub mod selector {
    /// Asynchronous: has the device fill the client's buffer, which is the output structure, or
    /// naively the input structure; of over 4096 bytes. One scalar in, a tag. Completes with the tag
    /// and the bytes that the device has sent.
    pub const CAPTURE: u32 = 0;
}

/// The byte at `position` of what the device captures.
#[must_use]
pub const fn sample(position: u64) -> u8 {
    (position % 239) as u8
}
