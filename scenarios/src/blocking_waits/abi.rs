//! What passes between both sides: six selectors and a page of registers.

use std::time::Duration;

/// Class of the dext (`IOUserClass`), by which the client finds it.
pub const USER_CLASS: &str = "VideoBoard";

/// Bundle identifier of the dext.
pub const BUNDLE_ID: &str = "com.example.VideoBoard";

/// Selectors, under AJA's numbers.
pub mod selector {
    /// Reads a register. One scalar in, its number; one out.
    pub const READ_REGISTER: u32 = 0;
    /// Writes a register. Two scalars in: its number, and the value.
    pub const WRITE_REGISTER: u32 = 1;
    /// Returns at the next interrupt. Two scalars in: one of [`interrupt`](super::interrupt), and after
    /// how many milliseconds to return without one, 0 for never. One out: 1 where it came.
    pub const WAIT_FOR_INTERRUPT: u32 = 11;
    /// Gives how often an interrupt came. One scalar in, one out.
    pub const INTERRUPT_COUNT: u32 = 12;
    /// Returns when somebody changes the format. One scalar in, milliseconds as above; one out.
    pub const WAIT_FOR_CHANGE: u32 = 13;
}

/// Types of memory.
pub mod memory_type {
    /// The registers, 32 bits each.
    pub const REGISTERS: u32 = 0;
}

/// Interrupts, each with a line of its own.
pub mod interrupt {
    /// The output begins another frame.
    pub const OUTPUT: u64 = 0;
    /// The first input has received another frame.
    pub const INPUT_1: u64 = 1;
    /// The second one, which is not connected.
    pub const INPUT_2: u64 = 2;
    /// How many there are.
    pub const COUNT: usize = 3;
}

/// Registers.
pub mod register {
    /// What board it is; read-only.
    pub const ID: u64 = 0;
    /// 1 runs the board, 0 stops it.
    pub const CONTROL: u64 = 1;
    /// The frame that goes out.
    pub const OUTPUT_FRAME: u64 = 2;
    /// The frame that came in last; read-only.
    pub const INPUT_FRAME: u64 = 3;
    /// The video format; a write is what [`WAIT_FOR_CHANGE`](super::selector::WAIT_FOR_CHANGE) waits
    /// for.
    pub const FORMAT: u64 = 4;
    /// How many there are.
    pub const COUNT: u64 = 5;
}

/// What the register `ID` holds.
pub const BOARD_ID: u32 = 0x10_5180;

/// Length of the registers' memory in bytes.
pub const REGISTERS_LENGTH: u64 = 4096;

/// How long a frame takes.
pub const FRAME: Duration = Duration::from_millis(20);

/// When in a frame the first input has its own: halfway between two of the output's.
pub const INPUT_OFFSET: Duration = Duration::from_millis(10);
