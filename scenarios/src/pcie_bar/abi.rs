//! What passes between both sides: four selectors, BARs as memory types, and the device's registers.

/// Class of the dext (`IOUserClass`), by which the client finds it.
pub const USER_CLASS: &str = "PcieBar";

/// Bundle identifier of the dext.
pub const BUNDLE_ID: &str = "com.example.PcieBar";

/// Selectors.
pub mod selector {
    /// Reads the configuration space: offset and size (1, 2 or 4) in, the value out.
    pub const READ_CONFIG: u32 = 0;
    /// Writes it: offset, size and value in.
    pub const WRITE_CONFIG: u32 = 1;
    /// Resets the device. Its command register is 0 then.
    pub const RESET: u32 = 2;
    /// Lets the device reach the output structure, of over 4096 bytes, until the connection is closed.
    /// Its head is filled with the bus addresses: pairs of address and length, 64 bits each, up to a
    /// pair of zeros.
    pub const PREPARE_DMA: u32 = 3;
}

/// BARs, which are memory types: the number is the type.
pub mod bar {
    /// Registers.
    pub const REGISTERS: u32 = 0;
    /// Memory of the device.
    pub const VIDEO: u32 = 2;
}

/// Registers of BAR 0, 32 bits each but where it says otherwise.
pub mod register {
    /// Which device it is.
    pub const IDENTITY: u64 = 0x00;
    /// What has happened since the last read, which clears it: [`event`](super::event).
    pub const EVENTS: u64 = 0x04;
    /// What went wrong; a one that is written clears a bit: [`fault`](super::fault).
    pub const FAULTS: u64 = 0x08;
    /// Begins a command: one of [`command`](super::command).
    pub const DOORBELL: u64 = 0x0c;
    /// Bus address for the command, 64 bits.
    pub const ADDRESS: u64 = 0x10;
    /// Bytes for the command.
    pub const LENGTH: u64 = 0x18;
    /// Results, oldest first; a read takes one.
    pub const RESULT: u64 = 0x20;
}

/// Bits of the events.
pub mod event {
    /// A command is done.
    pub const DONE: u32 = 1;
}

/// Bits of the faults.
pub mod fault {
    /// The device could not read host memory.
    pub const READ: u32 = 1;
}

/// Commands.
pub mod command {
    /// Fills host memory with [`fill_byte`](super::fill_byte).
    pub const FILL: u32 = 1;
    /// Adds up the bytes of host memory: gives the sum and the count.
    pub const SUM: u32 = 2;
    /// Never ends.
    pub const HANG: u32 = 3;
}

/// What the identity register gives.
pub const IDENTITY: u32 = 0x1720_00a1;

/// What a result register without results gives.
pub const NO_RESULT: u32 = 0xdead_beef;

/// The byte at `position` of what the device fills memory with.
#[must_use]
pub const fn fill_byte(position: u64) -> u8 {
    (position % 241) as u8 + 1
}
