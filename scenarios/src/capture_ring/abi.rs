//! What passes between both sides: three selectors and a ring of records.

/// Class of the dext (`IOUserClass`), by which the client finds it.
pub const USER_CLASS: &str = "CaptureRing";

/// Bundle identifier of the dext.
pub const BUNDLE_ID: &str = "com.example.CaptureRing";

/// Selectors.
pub mod selector {
    /// Starts the capture anew, with an empty ring.
    pub const START: u32 = 0;
    /// Stops it.
    pub const STOP: u32 = 1;
    /// Asynchronous: has the client told from now on. Completes with the write index and one of
    /// [`reason`](super::reason).
    pub const LISTEN: u32 = 2;
}

/// Memory types.
pub mod memory_type {
    /// The ring.
    pub const RING: u32 = 1;
}

/// Why a listener is told.
pub mod reason {
    /// There are some more records.
    pub const RECORDS: u64 = 0;
    /// The source has no more.
    pub const ENDED: u64 = 1;
    /// The bus was reset, which ends the capture.
    pub const BUS_RESET: u64 = 2;
}

/// Where things are in the header of the ring. All of it is the driver's but [`READ_INDEX`].
///
/// [`READ_INDEX`]: header::READ_INDEX
pub mod header {
    /// What the memory is: [`MAGIC`](super::MAGIC), 32 bits.
    pub const MAGIC: u64 = 0;
    /// Version of the layout: [`VERSION`](super::VERSION), 16 bits.
    pub const VERSION: u64 = 4;
    /// Records that the ring holds, 32 bits.
    pub const CAPACITY: u64 = 8;
    /// Bytes of a record, 32 bits.
    pub const RECORD_BYTES: u64 = 12;
    /// Where the first record begins, 32 bits.
    pub const DATA_OFFSET: u64 = 16;
    /// One of [`state`](super::state), 32 bits.
    pub const STATE: u64 = 20;
    /// Packets that came from the source, 32 bits.
    pub const PACKETS: u64 = 24;
    /// Records that were lost because the ring was full, 32 bits.
    pub const OVERRUNS: u64 = 36;
    /// Records written since the start, 32 bits. It runs on freely: record `n` is in entry `n` modulo
    /// the capacity.
    pub const WRITE_INDEX: u64 = 64;
    /// How often the zero timestamp was written, twice: it is odd while that is done, 32 bits.
    pub const CLOCK_SEQUENCE: u64 = 72;
    /// The zero timestamp: a packet's number, 64 bits.
    pub const CLOCK_PACKET: u64 = 80;
    /// The zero timestamp: when that packet came, in nanoseconds of the host's time, 64 bits.
    pub const CLOCK_TIME: u64 = 88;
    /// Records that the client is done with since the start, 32 bits. On a line of its own, since the
    /// client writes it.
    pub const READ_INDEX: u64 = 128;
    /// Bytes of the header.
    pub const LENGTH: u64 = 192;
}

/// States of the capture.
pub mod state {
    /// Not started yet.
    pub const IDLE: u32 = 0;
    /// Records come in.
    pub const ACTIVE: u32 = 1;
    /// It was stopped, or the source ended.
    pub const STOPPED: u32 = 2;
    /// The bus was reset.
    pub const BUS_RESET: u32 = 3;
}

/// What the ring's memory begins with.
pub const MAGIC: u32 = u32::from_be_bytes(*b"DTCR");

/// Version of the layout.
pub const VERSION: u16 = 1;

/// Bytes of a record: six blocks of 80, as digital video has them.
pub const RECORD: u64 = 480;

/// Bytes of a ring of that many records.
#[must_use]
pub const fn ring_length(capacity: u32) -> u64 {
    header::LENGTH + capacity as u64 * RECORD
}

/// Where record `index` begins.
#[must_use]
pub const fn record_offset(index: u32, capacity: u32) -> u64 {
    header::LENGTH + (index % capacity) as u64 * RECORD
}

/// The record that packet `number` carries: its number in the first four bytes, then the same byte
/// throughout.
#[must_use]
pub fn record(number: u32) -> [u8; RECORD as usize] {
    let mut record = [(number % 251) as u8; RECORD as usize];
    record[..4].copy_from_slice(&number.to_le_bytes());
    record
}

const _: () = {
    assert!(header::WRITE_INDEX / 64 != header::READ_INDEX / 64, "on lines of their own");
    assert!(header::READ_INDEX + 64 == header::LENGTH);
    assert!(RECORD.is_multiple_of(8) && header::LENGTH.is_multiple_of(8));
};
