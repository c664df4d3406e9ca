//! What passes between both sides: five selectors and frames of 64 bytes.

/// Class of the dext (`IOUserClass`), by which the client finds it.
pub const USER_CLASS: &str = "HidFrames";

/// Bundle identifier of the dext.
pub const BUNDLE_ID: &str = "com.example.HidFrames";

/// Selectors.
pub mod selector {
    /// Sends a frame to the host: a structure of 64 bytes, or of 65 whose first is the report's number,
    /// 0.
    pub const SEND_FRAME: u32 = 0;
    /// Asynchronous: has every frame of the host told to the client from now on, in one way or the
    /// other. A second registration replaces the first.
    pub const NOTIFY_FRAME: u32 = 1;
    /// Plugs the device in: the host begins to talk.
    pub const START: u32 = 2;
    /// Unplugs it.
    pub const STOP: u32 = 3;
    /// Takes the oldest frame of the host: a structure of 64 bytes out. Only where the completion does
    /// not carry the frame itself.
    pub const GET_FRAME: u32 = 4;
}

/// Bytes of a frame.
pub const FRAME: usize = 64;

/// A frame.
pub type Frame = [u8; FRAME];

/// Scalars that carry a frame in a completion: eight bytes each, the first one lowest.
pub const FRAME_SCALARS: usize = FRAME / 8;

/// A frame as the arguments of a completion.
#[must_use]
pub fn to_scalars(frame: &Frame) -> [u64; FRAME_SCALARS] {
    let mut scalars = [0; FRAME_SCALARS];
    for (scalar, bytes) in scalars.iter_mut().zip(frame.as_chunks::<8>().0) {
        *scalar = u64::from_le_bytes(*bytes);
    }
    scalars
}

/// A frame from the arguments of a completion; `None` where there are not eight.
#[must_use]
pub fn from_scalars(scalars: &[u64]) -> Option<Frame> {
    let scalars: &[u64; FRAME_SCALARS] = scalars.try_into().ok()?;
    let mut frame = [0; FRAME];
    for (bytes, scalar) in frame.chunks_exact_mut(8).zip(scalars) {
        bytes.copy_from_slice(&scalar.to_le_bytes());
    }
    Some(frame)
}

/// The channel that everybody begins on.
pub const BROADCAST: u32 = 0xffff_ffff;

/// Commands of the protocol that the frames carry (CTAPHID).
pub mod command {
    /// What is sent comes back.
    pub const PING: u8 = 0x01;
    /// Asks for a channel: eight bytes that come back, then the channel, version and capabilities.
    pub const INIT: u8 = 0x06;
    /// The first command of a vendor; here a numbered report, which is not answered.
    pub const NUMBERED: u8 = 0x40;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_goes_through_scalars() {
        let frame: Frame = std::array::from_fn(|index| index as u8);
        let scalars = to_scalars(&frame);
        assert_eq!(scalars[1], 0x0f0e_0d0c_0b0a_0908);
        assert_eq!(from_scalars(&scalars), Some(frame));
        assert_eq!(from_scalars(&scalars[1..]), None);
    }
}
