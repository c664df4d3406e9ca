//! The client: writes and reads buffers of several sizes, then meets a stall, a short packet, an
//! abort, and a read that is too small to be asynchronous.

use super::abi::{USER_CLASS, device, endpoint, selector, sent_byte};
use crate::print::{Outcome, Plain};
use crate::{ScenarioError, open};
use dextape::call::Completion;
use dextape::connection::{CallError, CompletionQueue, Connection, ConnectionExt, Reply, System};
use dextape::memory::{AccessError, SharedBuffer};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long the client waits for a transfer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sizes on both sides of what fits a message, whole packets and not.
const WRITES: [usize; 6] = [1, 512, 4096, 4097, 8192, 10_000];

pub(super) fn run(system: &Arc<dyn System>, out: &mut dyn Write) -> Result<(), ScenarioError> {
    let connection = open(system, USER_CLASS)?;
    let queue = system.completion_queue();
    let mut bus = Bus { connection: &*connection, queue: &*queue, out, tag: 0 };
    bus.writes()?;
    bus.stall()?;
    bus.reads()?;
    bus.abort()?;
    bus.small_read()?;
    writeln!(out, "close: {}", Plain(connection.close()))?;
    Ok(())
}

struct Bus<'a> {
    connection: &'a dyn Connection,
    queue: &'a dyn CompletionQueue,
    out: &'a mut dyn Write,
    /// Tells the transfers apart.
    tag: u64,
}

impl Bus<'_> {
    /// Begins a write. Up to 4096 bytes the call copies; above that the buffer has to outlive it.
    fn begin_write(&mut self, bytes: &[u8]) -> Result<Reply, CallError> {
        self.tag += 1;
        let (tag, reference) = ([self.tag], [0, 1, self.tag]);
        let call = self.connection.call(selector::WRITE).scalars(&tag);
        let call = call.completing_on(self.queue, &reference);
        if bytes.len() as u64 > dextape::limits::INLINE_STRUCTURE_MAX {
            call.input_shared(&SharedBuffer::from_bytes(bytes)).send()
        } else {
            call.input_bytes(bytes).send()
        }
    }

    fn begin_read(&mut self, buffer: &SharedBuffer) -> Result<Reply, CallError> {
        self.tag += 1;
        let (tag, reference) = ([self.tag], [0, 2, self.tag]);
        let call = self.connection.call(selector::READ).scalars(&tag);
        call.completing_on(self.queue, &reference).output_shared(buffer)
    }

    /// Waits for the transfer that was begun last and tells how it went.
    fn finish(&mut self) -> Result<String, ScenarioError> {
        let Some(completion) = self.queue.wait(Some(PATIENCE)) else {
            return Ok("no completion".to_owned());
        };
        let Completion { status, arguments, reference } = completion;
        let [tag, bytes] = arguments[..] else {
            return Ok(format!("a completion of {} arguments", arguments.len()));
        };
        let mine = tag == self.tag && reference[2] == self.tag;
        let whose = if mine { "" } else { " of another transfer" };
        Ok(format!("{}, {bytes} bytes{whose}", Plain(status)))
    }

    fn device(&self, command: u64, argument: u64) -> Result<(), CallError> {
        self.connection.call(selector::DEVICE).scalars(&[command, argument]).send().map(drop)
    }

    fn writes(&mut self) -> Result<(), ScenarioError> {
        for size in WRITES {
            let before = self.counts()?;
            let bytes: Vec<u8> = (0..size).map(|position| (position % 253) as u8).collect();
            let reply = self.begin_write(&bytes);
            let finished = self.finish()?;
            let [packets, received, sum, copied] = self.counts()?;
            writeln!(
                self.out,
                "write {size}: {}; {finished}; device {} packets, {} bytes; copied {}",
                Outcome(&reply),
                packets - before[0],
                received - before[1],
                copied - before[3],
            )?;
            let expected: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
            if sum - before[2] != expected {
                writeln!(self.out, "  other bytes arrived")?;
            }
        }
        Ok(())
    }

    fn counts(&self) -> Result<[u64; 4], ScenarioError> {
        let reply = self.connection.call(selector::COUNTS).want_scalars(4).send()?;
        let mut counts = [0; 4];
        counts.iter_mut().zip(&reply.scalars[..]).for_each(|(count, scalar)| *count = *scalar);
        Ok(counts)
    }

    fn stall(&mut self) -> Result<(), ScenarioError> {
        self.device(device::STALL, 0)?;
        for what in ["stalled write", "write while stalled"] {
            let reply = self.begin_write(&[1; 100]);
            let finished = if reply.is_ok() { self.finish()? } else { "no transfer".to_owned() };
            writeln!(self.out, "{what}: {}; {finished}", Outcome(&reply))?;
        }
        let reply = self.connection.call(selector::CLEAR_STALL).scalars(&[endpoint::OUT]).send();
        writeln!(self.out, "clear the stall: {}", Outcome(&reply))?;
        let reply = self.begin_write(&[1; 100]);
        let finished = self.finish()?;
        writeln!(self.out, "write after it: {}; {finished}", Outcome(&reply))?;
        Ok(())
    }

    fn reads(&mut self) -> Result<(), ScenarioError> {
        for (what, sent) in [("whole", 8192), ("short", 1000), ("empty", 0)] {
            let buffer = SharedBuffer::new(8192);
            buffer.memory().copy_in(0, &[0xee; 8192])?;
            let reply = self.begin_read(&buffer);
            // The call has returned, and nothing has come yet.
            let early = filled(&buffer)?;
            self.device(device::SEND, sent)?;
            let finished = self.finish()?;
            let late = filled(&buffer)?;
            writeln!(
                self.out,
                "read, {what}: {}; {early} bytes when it returned; {finished}; {late} bytes then",
                Outcome(&reply)
            )?;
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<(), ScenarioError> {
        let buffer = SharedBuffer::new(8192);
        let reply = self.begin_read(&buffer);
        let waited = self.finish()?;
        let aborted = self.connection.call(selector::ABORT).scalars(&[endpoint::IN]).send();
        let finished = self.finish()?;
        writeln!(self.out, "read without data: {}; {waited}", Outcome(&reply))?;
        writeln!(self.out, "abort it: {}; {finished}", Outcome(&aborted))?;
        Ok(())
    }

    /// An output of 4096 bytes or less goes back in the reply of the call: the dext has no memory of
    /// the client's to fill later.
    fn small_read(&mut self) -> Result<(), ScenarioError> {
        let mut buffer = [0xee; 4096];
        self.tag += 1;
        let (tag, reference) = ([self.tag], [0, 2, self.tag]);
        let call = self.connection.call(selector::READ).scalars(&tag);
        let reply = call.completing_on(self.queue, &reference).output_bytes(&mut buffer);
        if reply.is_err() {
            writeln!(self.out, "small read: {}", Outcome(&reply))?;
            return Ok(());
        }
        self.device(device::SEND, 1000)?;
        let finished = self.finish()?;
        let zeros = buffer.iter().filter(|byte| **byte == 0).count();
        writeln!(
            self.out,
            "small read: {}; {finished}; {zeros} of 4096 bytes are zero",
            Outcome(&reply)
        )?;
        Ok(())
    }
}

/// How many bytes at the start of the buffer are those that the device sends.
fn filled(buffer: &SharedBuffer) -> Result<u64, AccessError> {
    let bytes = buffer.memory().read_vec(0, buffer.length())?;
    let sent = (0..).map(sent_byte).zip(bytes);
    Ok(sent.take_while(|(sent, byte)| sent == byte).count() as u64)
}
