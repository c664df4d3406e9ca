//! What passes between both sides: seven selectors, four structures, three kinds of memory.

use bytemuck::{Pod, Zeroable};

/// Class of the dext (`IOUserClass`), by which the client finds it.
pub const USER_CLASS: &str = "NvmeRings";

/// Bundle identifier of the dext.
pub const BUNDLE_ID: &str = "com.example.NvmeRings";

/// Selectors.
pub mod selector {
    /// Resets the controller and makes it ready.
    pub const INIT: u32 = 0;
    /// Runs one [`Submission`](super::Submission) to its end inside the call: structure in, structure
    /// out.
    pub const ONESHOT: u32 = 1;
    /// Makes a queue pair: a [`QueueRequest`](super::QueueRequest) in and out.
    pub const CREATE_QUEUE_PAIR: u32 = 2;
    /// Deletes the queue pair that a [`QueueRequest`](super::QueueRequest) names.
    pub const DELETE_QUEUE_PAIR: u32 = 3;
    /// Makes memory for data known: its size as the first eight bytes of a structure of any length,
    /// and gives a token of eight bytes.
    pub const ALLOC_BUFFER: u32 = 4;
    /// Gives the memory of a token back.
    pub const DEALLOC_BUFFER: u32 = 5;
    /// The doorbell: two scalars in, the numbers of the submission and of the completion queue.
    pub const POKE: u32 = 6;
}

/// Memory types.
pub mod memory_type {
    /// The submission ring of a queue pair.
    #[must_use]
    pub const fn submissions(queue: u16) -> u32 {
        1 << 16 | queue as u32
    }

    /// The completion ring of a queue pair.
    #[must_use]
    pub const fn completions(queue: u16) -> u32 {
        queue as u32
    }

    /// The data of a buffer that the dext made.
    #[must_use]
    pub const fn data(token: u64) -> u32 {
        1 << 17 | (token & 0xffff) as u32
    }
}

/// A command as the controller has it: 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Command {
    /// What is wanted: one of [`opcode`], or of [`admin_opcode`] in a oneshot.
    pub opcode: u8,
    /// Not used here.
    pub flags: u8,
    /// Tells the commands under way in one queue apart.
    pub command_id: u16,
    /// The namespace: 1.
    pub namespace: u32,
    /// Not used here.
    pub reserved: u64,
    /// Pointers of the controller to data, which the dext fills in.
    pub pointers: [u64; 3],
    /// First block.
    pub first_block: u64,
    /// Blocks less one.
    pub last_block: u32,
    /// Not used here.
    pub unused: [u32; 3],
}

/// A command's end as the controller has it: 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Completion {
    /// What the command gives back.
    pub result: u32,
    /// Not used here.
    pub reserved: u32,
    /// Head of the submission ring when the command was taken.
    pub submission_head: u16,
    /// The submission ring that the command came from.
    pub queue: u16,
    /// The command.
    pub command_id: u16,
    /// Bit 0 is the phase, which is 1 on the first pass through the ring, 0 on the second, and so on;
    /// the rest is one of [`status`].
    pub status: u16,
}

/// An entry of both rings, and what a oneshot takes and gives: 144 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Submission {
    /// The command.
    pub command: Command,
    /// How it ended.
    pub completion: Completion,
    /// The client's own, handed back as it is.
    pub opaque: u64,
    /// The queue that it is for.
    pub queue: u64,
    /// Length of the data in bytes.
    pub data_bytes: u64,
    /// Where the data begins in its buffer.
    pub data_offset: u64,
    /// Token of the buffer.
    pub data_token: u64,
    /// Metadata, which is not used here: length, offset, token.
    pub metadata: [u64; 3],
}

/// A queue pair: 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct QueueRequest {
    /// Its number; 0 has the dext choose one.
    pub id: u64,
    /// Entries of each ring, one of which always stays empty.
    pub depth: u64,
    /// Interrupt vector; -1 for none, which is all that there is here.
    pub vector: i64,
    /// Not used here.
    pub flags: u64,
}

const _: () = {
    assert!(size_of::<Command>() == 64);
    assert!(size_of::<Completion>() == 16);
    assert!(size_of::<Submission>() == 144);
    assert!(size_of::<QueueRequest>() == 32);
};

/// Fewest and most entries of a ring.
pub const DEPTH: std::ops::RangeInclusive<u64> = 2..=1024;

/// Commands of a queue pair.
pub mod opcode {
    /// Does nothing here: what was written is kept already.
    pub const FLUSH: u8 = 0x00;
    /// Writes blocks.
    pub const WRITE: u8 = 0x01;
    /// Reads blocks.
    pub const READ: u8 = 0x02;
}

/// Commands of a oneshot.
pub mod admin_opcode {
    /// Tells what is there, as 4096 bytes of data: the namespace where `first_block` is 0, the
    /// controller where it is 1.
    pub const IDENTIFY: u8 = 0x06;
}

/// How commands end: type and code of the status, without the phase.
pub mod status {
    /// It worked.
    pub const SUCCESS: u16 = 0x00;
    /// No such command.
    pub const INVALID_OPCODE: u16 = 0x01;
    /// A field that does not do.
    pub const INVALID_FIELD: u16 = 0x02;
    /// The data cannot be reached.
    pub const DATA_TRANSFER_ERROR: u16 = 0x04;
    /// A block beyond the end.
    pub const OUT_OF_RANGE: u16 = 0x80;
}

/// Bytes of a block.
pub const BLOCK: u64 = 512;

/// Bytes that an identify gives.
pub const IDENTIFY_LENGTH: u64 = 4096;

/// Where things are in what an identify gives.
pub mod identify {
    /// Serial number of the controller, 20 characters.
    pub const SERIAL: u64 = 4;
    /// Model of the controller, 40 characters.
    pub const MODEL: u64 = 24;
    /// Blocks of the namespace, 64 bits.
    pub const BLOCKS: u64 = 0;
}
