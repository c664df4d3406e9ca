//! What passes between both sides: eight selectors, two structures, and a block of status.

use bytemuck::{Pod, Zeroable};

/// Class of the dext (`IOUserClass`), by which the client finds it.
pub const USER_CLASS: &str = "FireWireBus";

/// Bundle identifier of the dext.
pub const BUNDLE_ID: &str = "com.example.FireWireBus";

/// Selectors, under the numbers of ASFireWire.
pub mod selector {
    /// Makes a session with a target. One scalar in, the node; one out, the session.
    pub const CREATE_SESSION: u32 = 52;
    /// Begins to log in. One scalar in, the session.
    pub const START_LOGIN: u32 = 53;
    /// Gives the state of a session. One scalar in; five out: one of [`login`](super::login), the
    /// login's number, the generation of the bus, the last error, and 1 where it reconnects.
    pub const SESSION_STATE: u32 = 54;
    /// Submits a command. Two scalars in: the session, and the generation for which it is meant; and a
    /// [`CommandRequest`](super::CommandRequest) with what follows it. One out: the command.
    pub const SUBMIT_COMMAND: u32 = 57;
    /// Gives the result of a command, once. One scalar in; out a
    /// [`CommandResult`](super::CommandResult) with what follows it.
    pub const COMMAND_RESULT: u32 = 58;
    /// Ends a session. One scalar in.
    pub const RELEASE_SESSION: u32 = 60;
    /// Resets the bus. It has begun when this returns.
    pub const BUS_RESET: u32 = 61;
}

/// Types of memory.
pub mod memory_type {
    /// The [`StatusBlock`](super::StatusBlock); read-only.
    pub const STATUS: u32 = 0;
}

/// States of a session.
pub mod login {
    /// Not logged in.
    pub const IDLE: u64 = 0;
    /// On its way.
    pub const LOGGING_IN: u64 = 1;
    /// Commands can be submitted.
    pub const LOGGED_IN: u64 = 2;
    /// The bus was reset; it logs in again by itself.
    pub const RECONNECTING: u64 = 3;
    /// The target is gone.
    pub const FAILED: u64 = 6;
}

/// Which way a command's data goes.
pub mod direction {
    /// There is none.
    pub const NONE: u8 = 0;
    /// From the target.
    pub const FROM_TARGET: u8 = 1;
    /// To the target.
    pub const TO_TARGET: u8 = 2;
}

/// Node of the disk.
pub const DISK_NODE: u64 = 0;

/// Bytes of a block of the disk.
pub const BLOCK: u32 = 512;

/// Bytes of sense data.
pub const SENSE: u32 = 18;

/// Before the command block and the outgoing data, of so many bytes each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CommandRequest {
    /// Bytes of the command block, 1 to 16.
    pub cdb_length: u32,
    /// Bytes that come back at most.
    pub transfer_length: u32,
    /// Bytes of outgoing data.
    pub outgoing_length: u32,
    /// After how many milliseconds the command fails.
    pub timeout_ms: u32,
    /// One of [`direction`].
    pub direction: u8,
    /// Whether sense data is wanted.
    pub capture_sense: u8,
    /// Zero.
    pub reserved: [u8; 2],
}

/// Before the data that came back and the sense data, of so many bytes each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CommandResult {
    /// 0, or the code with which the command failed on its way.
    pub transport_status: u32,
    /// 0: the target has said all in the sense data.
    pub sbp_status: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Bytes of data.
    pub payload_length: u32,
    /// Bytes of sense data; none where all went well.
    pub sense_length: u32,
}

/// What the dext shows of the bus. `sequence` is odd while it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct StatusBlock {
    /// 1.
    pub version: u32,
    /// 256.
    pub length: u32,
    /// One more before a change, and one more after it.
    pub sequence: u64,
    /// When it changed last, in nanoseconds.
    pub timestamp: u64,
    /// Why: one of [`reason`].
    pub reason: u32,
    /// Zero.
    pub detail: u32,
    /// What the controller does, for people.
    pub state_name: [u8; 32],
    /// The same as a number.
    pub state: u32,
    /// Bit 0: the link is active.
    pub flags: u32,
    /// Generation of the bus.
    pub generation: u32,
    /// Nodes on the bus.
    pub nodes: u32,
    /// Node of this machine.
    pub local_node: u32,
    /// Node of the root.
    pub root_node: u32,
    /// Zero.
    pub reserved: [u32; 2],
    /// Resets of the bus.
    pub resets: u64,
    /// Commands that are under way.
    pub pending: u32,
    /// Commands whose time was up.
    pub timeouts: u32,
    /// Zero.
    pub more: [u64; 18],
}

/// Why the status has changed.
pub mod reason {
    /// It was made.
    pub const BOOT: u32 = 1;
    /// The bus was reset.
    pub const BUS_RESET: u32 = 3;
    /// A command came or went.
    pub const COMMAND: u32 = 4;
}

/// Where the sequence lies in a [`StatusBlock`].
pub const SEQUENCE_OFFSET: u64 = 8;

const _: () = {
    assert!(size_of::<CommandRequest>() == 20);
    assert!(size_of::<CommandResult>() == 16);
    assert!(size_of::<StatusBlock>() == 256);
    assert!(std::mem::offset_of!(StatusBlock, sequence) as u64 == SEQUENCE_OFFSET);
};
