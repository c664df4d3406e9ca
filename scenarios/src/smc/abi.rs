//! What passes between an AppleSMC client and the service: one selector, one structure of 80 bytes.

use bytemuck::{Pod, Zeroable};
use std::fmt;

/// Class by which the service is found.
pub const CLASS: &str = "AppleSMC";

/// The only selector: [`ParamStruct`] in, [`ParamStruct`] out.
pub const SELECTOR: u32 = 2;

/// The most bytes of a value that [`ParamStruct`] carries.
pub const DATA_MAX: usize = 32;

/// Commands, in [`ParamStruct::data8`].
pub mod command {
    /// Reads the value of `key`; `key_info.data_size` is the size expected.
    pub const READ_KEY: u8 = 5;
    /// Writes `bytes` as the value of `key`; `key_info.data_size` is the size given.
    pub const WRITE_KEY: u8 = 6;
    /// Gives the key at index `data32`, in `key`.
    pub const KEY_FROM_INDEX: u8 = 8;
    /// Gives size, type and attributes of `key`, in `key_info`.
    pub const KEY_INFO: u8 = 9;
}

/// Results, in [`ParamStruct::result`], in-band: the call itself worked.
pub mod result {
    /// It worked.
    pub const SUCCESS: u8 = 0x00;
    /// The general error, which states no reason. The mock answers it where a dump says that a key
    /// is not readable and states no code; no dump states this one.
    pub const ERROR: u8 = 0x01;
    /// No such command.
    pub const BAD_COMMAND: u8 = 0x82;
    /// No such key.
    pub const NOT_FOUND: u8 = 0x84;
    /// The key cannot be read.
    pub const NOT_READABLE: u8 = 0x85;
    /// The key cannot be written.
    pub const NOT_WRITABLE: u8 = 0x86;
    /// The size given is not that of the key.
    pub const KEY_SIZE_MISMATCH: u8 = 0x87;
    /// No key has this index.
    pub const KEY_INDEX_RANGE: u8 = 0xb8;
}

/// Bits of [`KeyInfo::data_attributes`].
pub mod attribute {
    /// The key can be written.
    pub const WRITE: u8 = 0x40;
    /// The key can be read.
    pub const READ: u8 = 0x80;
}

/// Four characters as AppleSMC passes them: a number of four bytes whose highest byte is the first
/// character, in the byte order of the machine. So `#KEY` is `0x234b4559`, and its bytes in memory
/// are `YEK#` on every Mac.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct FourCharacters(pub u32);

impl FourCharacters {
    /// From the characters in reading order.
    #[must_use]
    pub const fn new(characters: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(characters))
    }

    /// The characters in reading order.
    #[must_use]
    pub const fn characters(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for FourCharacters {
    /// Writes the characters, with `?` for what cannot be printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.characters().iter().try_for_each(|&byte| {
            let printable = byte == b' ' || byte.is_ascii_graphic();
            write!(f, "{}", if printable { char::from(byte) } else { '?' })
        })
    }
}

/// Version of the SMC's firmware; part of the structure, unused by the commands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Version {
    /// Major, minor, build, reserved.
    pub parts: [u8; 4],
    /// Release.
    pub release: u16,
}

/// Power limits; part of the structure, unused by the commands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PowerLimits {
    /// Version of the limits.
    pub version: u16,
    /// Length of the limits.
    pub length: u16,
    /// Limits of CPU, GPU and memory.
    pub limits: [u32; 3],
}

/// Size, type and attributes of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct KeyInfo {
    /// Bytes of the value.
    pub data_size: u32,
    /// Type of the value, such as `ui32` or `flag`.
    pub data_type: FourCharacters,
    /// Bits of [`attribute`].
    pub data_attributes: u8,
    /// Padding that the C structure has here.
    pub padding: [u8; 3],
}

/// The structure of every call, in and out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ParamStruct {
    /// The key.
    pub key: FourCharacters,
    /// Unused here.
    pub version: Version,
    /// Padding that the C structure has here.
    pub padding_before_limits: [u8; 2],
    /// Unused here.
    pub limits: PowerLimits,
    /// Size, type and attributes of the key.
    pub key_info: KeyInfo,
    /// One of [`result`], in a reply.
    pub result: u8,
    /// Unused here.
    pub status: u8,
    /// One of [`command`], in a request.
    pub data8: u8,
    /// Padding that the C structure has here.
    pub padding_before_data32: u8,
    /// An index.
    pub data32: u32,
    /// The value, as many bytes as `key_info.data_size` says but not more than these.
    pub bytes: [u8; DATA_MAX],
}

// Clients that left a padding out were refused: the sizes are the protocol.
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<Version>() == 6);
    assert!(size_of::<PowerLimits>() == 16);
    assert!(size_of::<KeyInfo>() == 12);
    assert!(size_of::<ParamStruct>() == 80);
    assert!(offset_of!(ParamStruct, version) == 4);
    assert!(offset_of!(ParamStruct, limits) == 12);
    assert!(offset_of!(ParamStruct, key_info) == 28);
    assert!(offset_of!(ParamStruct, result) == 40);
    assert!(offset_of!(ParamStruct, data8) == 42);
    assert!(offset_of!(ParamStruct, data32) == 44);
    assert!(offset_of!(ParamStruct, bytes) == 48);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stand_backwards_in_memory() {
        let key = FourCharacters::new(*b"#KEY");
        assert_eq!(key.0, 0x234b_4559);
        assert_eq!(key.0.to_le_bytes(), *b"YEK#");
        assert_eq!(key.to_string(), "#KEY");
        assert_eq!(FourCharacters::new(*b"ui8\0").to_string(), "ui8?");
    }
}
