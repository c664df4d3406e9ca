//! The controller and its disk.

use super::abi::{
    BLOCK, Completion, IDENTIFY_LENGTH, Submission, admin_opcode, identify, opcode, status,
};
use dextape::memory::Memory;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Blocks of the disk.
pub(super) const BLOCKS: u64 = 128;

const SERIAL: &str = "DT0001";
const MODEL: &str = "Example ring disk";

/// Data of a command: where the controller can reach memory, and how much of it is the command's.
pub(super) struct Data<'a> {
    pub(super) memory: &'a dyn Memory,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// A controller with one namespace.
#[derive(Debug)]
pub(super) struct Disk {
    bytes: Mutex<Vec<u8>>,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self { bytes: Mutex::new(vec![0; (BLOCKS * BLOCK) as usize]) }
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command of a queue pair.
    pub(super) fn execute(&self, submission: &Submission, data: Option<Data<'_>>) -> Completion {
        let command = &submission.command;
        let status = match command.opcode {
            opcode::FLUSH => Ok(()),
            opcode::WRITE | opcode::READ => self.transfer(submission, data),
            _ => Err(status::INVALID_OPCODE),
        };
        Self::completion(submission, status)
    }

    /// Runs a command of the administrator's.
    pub(super) fn administer(submission: &Submission, data: Option<Data<'_>>) -> Completion {
        let command = &submission.command;
        let status = match (command.opcode, command.first_block, data) {
            (admin_opcode::IDENTIFY, what @ 0..=1, Some(data)) => {
                let mut page = vec![0; IDENTIFY_LENGTH as usize];
                let mut put = |at: u64, bytes: &[u8]| {
                    page[at as usize..][..bytes.len()].copy_from_slice(bytes);
                };
                if what == 0 {
                    put(identify::BLOCKS, &BLOCKS.to_le_bytes());
                } else {
                    put(identify::SERIAL, format!("{SERIAL:<20}").as_bytes());
                    put(identify::MODEL, format!("{MODEL:<40}").as_bytes());
                }
                store(&data, &page)
            }
            (admin_opcode::IDENTIFY, 0..=1, None) => Err(status::DATA_TRANSFER_ERROR),
            (admin_opcode::IDENTIFY, ..) => Err(status::INVALID_FIELD),
            _ => Err(status::INVALID_OPCODE),
        };
        Self::completion(submission, status)
    }

    fn transfer(&self, submission: &Submission, data: Option<Data<'_>>) -> Result<(), u16> {
        let command = &submission.command;
        let count = u64::from(command.last_block) + 1;
        let end = command.first_block.checked_add(count).filter(|end| *end <= BLOCKS);
        let end = end.ok_or(status::OUT_OF_RANGE)?;
        let range = (command.first_block * BLOCK) as usize..(end * BLOCK) as usize;
        let data = data.ok_or(status::DATA_TRANSFER_ERROR)?;
        let mut bytes = self.bytes();
        if command.opcode == opcode::READ {
            return store(&data, &bytes[range]);
        }
        if data.length < range.len() as u64 {
            return Err(status::DATA_TRANSFER_ERROR);
        }
        let read = data.memory.copy_out(data.offset, &mut bytes[range]);
        read.map_err(|_| status::DATA_TRANSFER_ERROR)
    }

    fn completion(submission: &Submission, status: Result<(), u16>) -> Completion {
        let status = status.err().unwrap_or(status::SUCCESS);
        Completion {
            command_id: submission.command.command_id,
            status: status << 1,
            ..Completion::default()
        }
    }
}

/// Writes data to memory. What cannot be written because it is read-only is lost without a word: the
/// write went to a page that nobody looks at.
fn store(data: &Data<'_>, bytes: &[u8]) -> Result<(), u16> {
    if data.length < bytes.len() as u64 {
        return Err(status::DATA_TRANSFER_ERROR);
    }
    let stored = data.memory.copy_in(data.offset, bytes);
    if stored.is_err() && !data.memory.is_read_only() {
        return Err(status::DATA_TRANSFER_ERROR);
    }
    Ok(())
}
