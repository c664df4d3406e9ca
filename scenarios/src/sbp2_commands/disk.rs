//! The target: a small disk that takes SCSI commands.

use super::abi::{BLOCK, SENSE};
use std::time::Duration;

/// Blocks of the disk.
const BLOCKS: u32 = 32;

/// How long it takes for what needs no motor.
const QUICK: Duration = Duration::from_millis(2);

/// How long it takes for what does.
const SLOW: Duration = Duration::from_millis(100);

/// Operation codes.
pub(super) mod opcode {
    pub(in super::super) const TEST_UNIT_READY: u8 = 0x00;
    pub(in super::super) const INQUIRY: u8 = 0x12;
    pub(in super::super) const START_STOP_UNIT: u8 = 0x1b;
    pub(in super::super) const READ_CAPACITY: u8 = 0x25;
    pub(in super::super) const READ: u8 = 0x28;
    pub(in super::super) const WRITE: u8 = 0x2a;
}

/// What the target makes of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) takes: Duration,
    pub(super) data: Vec<u8>,
    /// Sense key, and additional code; `None` where all is well.
    pub(super) sense: Option<(u8, u8)>,
    /// The medium was ejected.
    pub(super) ejected: bool,
}

impl Answer {
    fn with_data(data: Vec<u8>) -> Self {
        Self { takes: QUICK, data, sense: None, ejected: false }
    }

    fn refusal(key: u8, code: u8) -> Self {
        Self { takes: QUICK, data: Vec::new(), sense: Some((key, code)), ejected: false }
    }

    /// Illegal request: there is no such block.
    fn out_of_range() -> Self {
        Self::refusal(5, 0x21)
    }

    /// The sense data in fixed format; none where all is well.
    pub(super) fn sense_data(&self) -> Vec<u8> {
        let Some((key, code)) = self.sense else { return Vec::new() };
        let mut data = vec![0; SENSE as usize];
        (data[0], data[2], data[7], data[12]) = (0x70, key, SENSE as u8 - 8, code);
        data
    }
}

#[derive(Debug)]
pub(super) struct Disk {
    blocks: Vec<u8>,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self { blocks: vec![0; (BLOCKS * BLOCK) as usize] }
    }

    pub(super) fn command(&mut self, cdb: &[u8], outgoing: &[u8]) -> Answer {
        match cdb.first().copied().unwrap_or(u8::MAX) {
            opcode::TEST_UNIT_READY => Answer::with_data(Vec::new()),
            opcode::INQUIRY => {
                let mut data = vec![0; 36];
                data[4] = 31;
                data[8..32].copy_from_slice(b"EXAMPLE Small Disk      ");
                data[32..].copy_from_slice(b"1.0 ");
                Answer::with_data(data)
            }
            opcode::READ_CAPACITY => {
                let numbers = [(BLOCKS - 1).to_be_bytes(), BLOCK.to_be_bytes()];
                Answer::with_data(numbers.concat())
            }
            opcode::START_STOP_UNIT => {
                let ejected = cdb.get(4).is_some_and(|bits| bits & 0b10 != 0);
                Answer { takes: SLOW, ejected, ..Answer::with_data(Vec::new()) }
            }
            opcode::READ => match self.range(cdb) {
                Some(range) => Answer::with_data(self.blocks[range].to_vec()),
                None => Answer::out_of_range(),
            },
            opcode::WRITE => match self.range(cdb).filter(|range| range.len() == outgoing.len()) {
                Some(range) => {
                    self.blocks[range].copy_from_slice(outgoing);
                    Answer::with_data(Vec::new())
                }
                None => Answer::out_of_range(),
            },
            // Illegal request: no such operation.
            _ => Answer::refusal(5, 0x20),
        }
    }

    /// The bytes that a command block of ten bytes names.
    fn range(&self, cdb: &[u8]) -> Option<std::ops::Range<usize>> {
        let first = u32::from_be_bytes(cdb.get(2..6)?.try_into().ok()?);
        let count = u32::from(u16::from_be_bytes(cdb.get(7..9)?.try_into().ok()?));
        let end = first.checked_add(count).filter(|end| *end <= BLOCKS)?;
        Some((first * BLOCK) as usize..(end * BLOCK) as usize)
    }
}
