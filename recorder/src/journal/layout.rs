//! The bytes of a journal: segments, their headers, and the two words in front of each record.
//!
//! A journal is a sequence of segments of one size, a power of two, each at a multiple of that size.
//! A segment starts with a header of [`HEADER_SIZE`] bytes; records follow at multiples of 8.
//! A position is `segment number * segment size + offset in the segment`. Everything is little-endian,
//! and what was never written is zero.
//!
//! | record | |
//! |---|---|
//! | word 0 | length in bytes without padding (32 bits), kind (8), flags (8), [`RECORD_TAG`] (16); stored at reservation |
//! | word 1 | checksum, never 0; stored last, 0 until then |
//! | lane, connection | 32 bits each |
//! | time, cause | 64 bits each |
//! | body | by its kind |
//!
//! In a ring the file has room for a number of segments, whose places are used again, and behind them two
//! states of what was given up (`ring`). Positions go on growing.
//!
//! The checksum ([`Sum`]) is over the position, word 0 and all that follows word 1, so that neither
//! remains of a recycled segment nor bytes that look like a record are taken for one.

use super::ring::RingHeader;

/// Version of the format. Raised when an older reader could misread a journal.
pub(crate) const FORMAT: u32 = 2;

/// The version that plain journals have: only rings came later.
const FORMAT_PLAIN: u32 = 1;

/// First bytes of each segment.
pub(crate) const MAGIC: [u8; 8] = *b"dxtjrnl\n";

/// Bytes of a segment's header.
pub(crate) const HEADER_SIZE: usize = 128;

/// Smallest and largest segment.
pub(crate) const SEGMENT_SIZE_MIN: u32 = 4096;
pub(crate) const SEGMENT_SIZE_MAX: u32 = 64 << 20;

/// Bytes of a record before its body.
pub(crate) const RECORD_HEAD: usize = 40;

/// Records stand at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

/// High bits of word 0.
pub(crate) const RECORD_TAG: u16 = 0xd7a9;

/// Flags of word 0: the stamp has a connection; the body begins in chunk records.
pub(crate) const HAS_CONNECTION: u8 = 1;
pub(crate) const IN_CHUNKS: u8 = 2;

/// Room at the end of what is ready that records never take: two gaps that say where and why a
/// recording stopped, for which no room can be found when it does.
pub(crate) const STOP_ROOM: u64 = 2 * STOP_GAP;

/// Room of one of them.
pub(crate) const STOP_GAP: u64 = 384;

/// Longest record in a segment of this size; what is longer goes in chunks. A quarter, so that little
/// is lost where a record does not fit before the end of a segment.
pub(crate) const fn record_max(segment_size: u64) -> u64 {
    segment_size / 4
}

/// Longest body of a record, over all of its chunks.
pub(crate) const BODY_MAX: u64 = 256 << 20;

/// Where in a header a ring is described.
const RING: usize = 96;

/// Largest state of a ring.
const STATE_SIZE_MAX: u64 = 256 << 20;

/// Depth of forks that is followed.
pub(crate) const FORK_DEPTH_MAX: usize = 8;

/// Word 0 of a record.
pub(crate) const fn word_0(length: u32, kind: u8, flags: u8) -> u64 {
    length as u64 | (kind as u64) << 32 | (flags as u64) << 40 | (RECORD_TAG as u64) << 48
}

/// Length, kind and flags of a word 0; `None` where it is none.
pub(crate) const fn split_word_0(word: u64) -> Option<(u32, u8, u8)> {
    if (word >> 48) as u16 == RECORD_TAG && word as u32 >= RECORD_HEAD as u32 {
        Some((word as u32, (word >> 32) as u8, (word >> 40) as u8))
    } else {
        None
    }
}

/// Checksum of a record, 8 bytes a step: a table-driven CRC would take more of a small record's time
/// than all the rest. Each step is a bijection of the state, so a change within one aligned word is
/// always seen; any other escapes once in 2^64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Of a record at this position with this word 0.
    #[inline]
    pub(crate) fn new(position: u64, word_0: u64) -> Self {
        let mut sum = Self(0x9e37_79b9_7f4a_7c15);
        sum.word(position);
        sum.word(word_0);
        sum
    }

    /// Takes 8 bytes, of which those after the record's end are 0.
    #[inline]
    pub(crate) fn word(&mut self, word: u64) {
        // An odd factor, so that nothing is lost, and a rotation, so that its high bits, which
        // depend on all of the word's, reach the next factor's low ones.
        self.0 = (self.0 ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(29);
    }

    /// Takes the last bytes, any number, and gives word 1.
    #[inline]
    pub(crate) fn finish(mut self, bytes: &[u8]) -> u64 {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            // Word 0 holds the length, so the zeros are no other record's bytes.
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed ^ (mixed >> 29)).max(1)
    }
}

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Bytes of each segment of the journal.
    pub(crate) segment_size: u32,
    /// Page size of the machine that wrote it.
    pub(crate) page_size: u32,
    /// Number of the segment; segments are read in this order.
    pub(crate) number: u64,
    /// How often its place in the file was used before.
    pub(crate) generation: u32,
    /// Place of the segment before it in the file; `None` for the first.
    pub(crate) previous: Option<u64>,
    /// Number of the journal's first segment: records before it belong to the parent's journal.
    pub(crate) origin: u64,
    /// Number of the recording; a forked child's journal has its parent's.
    pub(crate) recording: u64,
    /// Which process: the ordinals of the forks that led to it from the first one, which has none.
    pub(crate) forks: Vec<u32>,
    /// Of a segment of a ring, how its file is divided.
    pub(super) ring: Option<RingHeader>,
}

/// Why bytes are no segment header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// All are zero: set aside and never used.
    Unused,
    /// They are damaged, or something else.
    Damaged(&'static str),
    /// Of a later version.
    TooNew(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&MAGIC);
        let format = if self.ring.is_some() { FORMAT } else { FORMAT_PLAIN };
        put(&format.to_le_bytes());
        put(&(HEADER_SIZE as u32).to_le_bytes());
        put(&self.segment_size.to_le_bytes());
        put(&self.page_size.to_le_bytes());
        put(&self.number.to_le_bytes());
        put(&self.generation.to_le_bytes());
        put(&(self.forks.len() as u32).to_le_bytes());
        put(&self.previous.unwrap_or(u64::MAX).to_le_bytes());
        put(&self.origin.to_le_bytes());
        put(&self.recording.to_le_bytes());
        for ordinal in self.forks.iter().take(FORK_DEPTH_MAX) {
            put(&ordinal.to_le_bytes());
        }
        if let Some(ring) = &self.ring {
            bytes[RING..RING + 4].copy_from_slice(&ring.places.to_le_bytes());
            bytes[RING + 4..RING + 8].copy_from_slice(&ring.keep.to_le_bytes());
            bytes[RING + 8..RING + 16].copy_from_slice(&ring.state_size.to_le_bytes());
            bytes[RING + 16..RING + 24].copy_from_slice(&ring.last.to_le_bytes());
        }
        let checksum = crc32fast::hash(&bytes[..HEADER_SIZE - 4]);
        bytes[HEADER_SIZE - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let Some(bytes) = bytes.first_chunk::<HEADER_SIZE>() else {
            return Err(HeaderFault::Damaged("it is cut off"));
        };
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(HeaderFault::Unused);
        }
        let u32_at = |at: usize| u32_at(bytes, at);
        let u64_at = |at: usize| u64_at(bytes, at);
        if bytes[..8] != MAGIC {
            return Err(HeaderFault::Damaged("it does not begin with the journal's magic"));
        }
        if u32_at(HEADER_SIZE - 4) != crc32fast::hash(&bytes[..HEADER_SIZE - 4]) {
            return Err(HeaderFault::Damaged("its header does not match its checksum"));
        }
        if u32_at(8) > FORMAT {
            return Err(HeaderFault::TooNew(u32_at(8)));
        }
        let segment_size = u32_at(16);
        let depth = u32_at(36) as usize;
        let (number, origin) = (u64_at(24), u64_at(48));
        let sound = u32_at(8) != 0
            && u32_at(12) == HEADER_SIZE as u32
            && segment_size.is_power_of_two()
            && (SEGMENT_SIZE_MIN..=SEGMENT_SIZE_MAX).contains(&segment_size)
            && depth <= FORK_DEPTH_MAX
            && origin <= number
            && number < u64::MAX / u64::from(SEGMENT_SIZE_MAX);
        let ring = (u32_at(8) > FORMAT_PLAIN).then(|| RingHeader {
            places: u32_at(RING),
            keep: u32_at(RING + 4),
            state_size: u64_at(RING + 8),
            last: u64_at(RING + 16),
        });
        let sound = sound
            && ring.is_none_or(|ring| {
                (1..1 << 24).contains(&ring.places)
                    && (1..=ring.places).contains(&ring.keep)
                    && ring.state_size <= STATE_SIZE_MAX
            });
        if !sound {
            return Err(HeaderFault::Damaged("its header holds impossible values"));
        }
        Ok(Self {
            segment_size,
            page_size: u32_at(20),
            number,
            generation: u32_at(32),
            previous: Some(u64_at(40)).filter(|previous| *previous != u64::MAX),
            origin,
            recording: u64_at(56),
            forks: (0..depth).map(|index| u32_at(64 + 4 * index)).collect(),
            ring,
        })
    }
}

/// The number at `at`; 0 where the bytes end before it does.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |part| u32::from_le_bytes(*part))
}

/// As [`u32_at`].
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |part| u64::from_le_bytes(*part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            segment_size: 4096,
            page_size: 4096,
            number: 7,
            generation: 1,
            previous: Some(8192),
            origin: 3,
            recording: 0x1234_5678_9abc_def0,
            forks: vec![2, 1],
            ring: None,
        }
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        assert_eq!(SegmentHeader::decode(&header().encode()), Ok(header()));
        let first = SegmentHeader { previous: None, forks: Vec::new(), ..header() };
        assert_eq!(SegmentHeader::decode(&first.encode()), Ok(first));
        let ring = RingHeader { places: 48, keep: 30, state_size: 4096, last: 7 };
        let ring = SegmentHeader { ring: Some(ring), forks: vec![1; FORK_DEPTH_MAX], ..header() };
        assert_eq!(SegmentHeader::decode(&ring.encode()), Ok(ring));
    }

    #[test]
    fn each_flipped_bit_of_a_header_is_seen() {
        let bytes = header().encode();
        for bit in 0..HEADER_SIZE * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn each_flipped_bit_of_a_record_is_seen_and_so_are_swapped_words() {
        let bytes: Vec<u8> = (0..45_u8).map(|index| index.wrapping_mul(7)).collect();
        let sum = |bytes: &[u8]| Sum::new(4096, 77).finish(bytes);
        let expected = sum(&bytes);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(sum(&flipped), expected, "bit {bit}");
        }
        let mut swapped = bytes.clone();
        swapped[..16].rotate_left(8);
        assert_ne!(sum(&swapped), expected);
        assert_ne!(Sum::new(4104, 77).finish(&bytes), expected);
        assert_ne!(Sum::new(4096, 78).finish(&bytes), expected);
        let mut parts = Sum::new(4096, 77);
        (0..3).for_each(|index| parts.word(u64_at(&bytes, 8 * index)));
        assert_eq!(parts.finish(&bytes[24..]), expected);
    }

    #[test]
    fn a_header_of_a_later_format_is_named() {
        let mut bytes = header().encode();
        bytes[8] = 3;
        let checksum = crc32fast::hash(&bytes[..HEADER_SIZE - 4]);
        bytes[HEADER_SIZE - 4..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::TooNew(3)));
    }
}
