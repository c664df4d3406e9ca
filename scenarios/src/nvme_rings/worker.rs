//! What a client thread does with its queue pair.

use super::abi::{BLOCK, Command, opcode, status};
use super::host_buffer::HostBuffer;
use super::host_queue::{DataPlace, HostQueue};
use super::ring;
use crate::ScenarioError;
use dextape::connection::Connection;
use dextape::schedule::Schedule;
use std::collections::BTreeSet;
use std::fmt::{self, Display, Write as _};

/// What the client fills the place with into which it reads.
const UNTOUCHED: u8 = 0xee;

/// The status of a command that has ended.
pub(super) struct Ended(pub(super) u16);

impl Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            status::SUCCESS => "ok",
            status::INVALID_OPCODE => "invalid opcode",
            status::INVALID_FIELD => "invalid field",
            status::DATA_TRANSFER_ERROR => "data transfer error",
            status::OUT_OF_RANGE => "block out of range",
            other => return write!(f, "status {other:#x}"),
        })
    }
}

/// A thread's work: writes blocks, reads them back, and tries what fails.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) queue: HostQueue,
    pub(super) buffer: HostBuffer,
    first_block: u64,
    blocks: u64,
    last_id: u16,
    text: String,
}

impl Worker {
    pub(super) fn new(queue: HostQueue, buffer: HostBuffer, first_block: u64, blocks: u64) -> Self {
        Self { queue, buffer, first_block, blocks, last_id: 0, text: String::new() }
    }

    /// What it has to tell.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The byte that block `index` is full of.
    fn pattern(&self, index: u64) -> u8 {
        ((self.first_block + index) * 37 + 1) as u8
    }

    pub(super) fn work(
        &mut self,
        connection: &dyn Connection,
        schedule: &Schedule,
    ) -> Result<(), ScenarioError> {
        for index in 0..self.blocks {
            let bytes = [self.pattern(index); BLOCK as usize];
            self.buffer.memory().copy_in(index * BLOCK, &bytes)?;
            let place = (self.blocks + index) * BLOCK;
            self.buffer.memory().copy_in(place, &[UNTOUCHED; BLOCK as usize])?;
        }
        let all = self.transfer(opcode::WRITE, 0, connection, schedule)?
            && self.transfer(opcode::READ, self.blocks * BLOCK, connection, schedule)?;
        if !all {
            return Ok(());
        }
        self.compare()?;
        self.failures(connection, schedule)
    }

    /// Reads or writes all blocks, as many at once as the ring has room for. False where it gave up.
    fn transfer(
        &mut self,
        opcode: u8,
        offset: u64,
        connection: &dyn Connection,
        schedule: &Schedule,
    ) -> Result<bool, ScenarioError> {
        let what = if opcode == opcode::WRITE { "write" } else { "read" };
        writeln!(self.text, "{what} {} blocks", self.blocks).map_err(fmt_error)?;
        let mut next = 0;
        while next < self.blocks {
            let mut under_way = BTreeSet::new();
            let mut full = false;
            while next < self.blocks && !full {
                let first_block = self.first_block + next;
                let command = self.command(opcode, first_block);
                let token = self.buffer.token;
                let data = DataPlace { token, offset: offset + next * BLOCK, bytes: BLOCK };
                if self.queue.submit(command, data)? {
                    self.last_id = command.command_id;
                    under_way.insert(command.command_id);
                    next += 1;
                } else {
                    full = true;
                }
            }
            write!(self.text, "  {} submitted", under_way.len()).map_err(fmt_error)?;
            self.text.push_str(if full { ", no room for more" } else { "" });
            self.queue.poke(connection)?;
            if !self.reap(under_way, schedule)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn command(&self, opcode: u8, first_block: u64) -> Command {
        let command_id = self.last_id + 1;
        Command { opcode, command_id, namespace: 1, first_block, ..Command::default() }
    }

    /// Waits for the end of what is under way. False where that does not come.
    fn reap(
        &mut self,
        mut under_way: BTreeSet<u16>,
        schedule: &Schedule,
    ) -> Result<bool, ScenarioError> {
        if under_way.is_empty() {
            self.text.push_str(", and nothing is under way\n");
            return Ok(false);
        }
        self.text.push_str("; ended");
        while !under_way.is_empty() {
            let Some(ring::Ended { completion, opaque }) = self.queue.wait(schedule)? else {
                let missing = under_way.iter().map(|id| u64::from(*id)).collect::<Vec<_>>();
                let missing = crate::print::Numbers(&missing);
                writeln!(self.text, "; no word of {missing}").map_err(fmt_error)?;
                return Ok(false);
            };
            let id = completion.command_id;
            if !under_way.remove(&id) || opaque != 0x1000 + u64::from(id) {
                writeln!(self.text, "; then {id}, which is not under way").map_err(fmt_error)?;
                return Ok(false);
            }
            write!(self.text, " {id}").map_err(fmt_error)?;
            let status = completion.status >> 1;
            if status != status::SUCCESS {
                write!(self.text, " ({})", Ended(status)).map_err(fmt_error)?;
            }
        }
        self.text.push('\n');
        Ok(true)
    }

    /// Whether what was read is what was written.
    fn compare(&mut self) -> Result<(), ScenarioError> {
        let (mut same, mut untouched) = (0, 0);
        for index in 0..self.blocks {
            let place = (self.blocks + index) * BLOCK;
            let bytes = self.buffer.memory().read_vec(place, BLOCK)?;
            same += u64::from(bytes.iter().all(|byte| *byte == self.pattern(index)));
            untouched += u64::from(bytes.iter().all(|byte| *byte == UNTOUCHED));
        }
        let all = self.blocks;
        let rest =
            if untouched > 0 { format!(", {untouched} never arrived") } else { String::new() };
        writeln!(self.text, "  {same} of {all} blocks as written{rest}").map_err(fmt_error)?;
        Ok(())
    }

    /// Commands that fail, one at a time.
    fn failures(
        &mut self,
        connection: &dyn Connection,
        schedule: &Schedule,
    ) -> Result<(), ScenarioError> {
        let token = self.buffer.token;
        let data = DataPlace { token, offset: 0, bytes: BLOCK };
        // The page goes on behind the buffer, so the memory would be there.
        let past = self.buffer.length();
        let cases = [
            ("read past the end", opcode::READ, 1 << 40, data),
            ("no such opcode", 0x7f, 0, data),
            ("no such buffer", opcode::READ, 0, DataPlace { token: 999, ..data }),
            ("data past its buffer", opcode::WRITE, 0, DataPlace { offset: past, ..data }),
        ];
        for (what, opcode, first_block, data) in cases {
            let command = self.command(opcode, first_block);
            if !self.queue.submit(command, data)? {
                writeln!(self.text, "{what}: no room").map_err(fmt_error)?;
                return Ok(());
            }
            self.last_id = command.command_id;
            write!(self.text, "{what}").map_err(fmt_error)?;
            self.queue.poke(connection)?;
            if !self.reap(BTreeSet::from([command.command_id]), schedule)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Writing to a string fails only where what is written does.
fn fmt_error(error: fmt::Error) -> ScenarioError {
    ScenarioError::Other(error.into())
}
