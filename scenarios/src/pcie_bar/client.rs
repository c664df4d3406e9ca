//! The client: a server for a program that drives the device from user space. It works through a fixed
//! list of requests, and exits when the device is gone.

use super::abi::{
    IDENTITY, NO_RESULT, USER_CLASS, bar, command, event, fill_byte, register, selector,
};
use crate::ScenarioError;
use crate::print::{Outcome, Plain};
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{
    CallError, Connection, ConnectionExt, Mapping, Matching, NoticeKind, NoticeQueue, System,
};
use dextape::memory::SharedBuffer;
use dextape::schedule::Schedule;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How often the client looks whether a command is done, and how long.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_millis(500);

/// How long it waits to be told that the device is gone, once it looks so.
const NOTICE_PATIENCE: Duration = Duration::from_millis(100);

/// Bytes of host memory for the device.
const BUFFER: u64 = 0x4000;

/// Offset of the command register, and its bits for memory space and mastering.
const COMMAND: u64 = 0x04;
const ENABLED: u64 = 0x06;

/// Why the client does not go through the list to its end.
enum Stop {
    /// Reads give all ones.
    Gone,
    Failed(ScenarioError),
}

impl<E: Into<ScenarioError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

pub(super) fn run(system: &Arc<dyn System>, out: &mut dyn Write) -> Result<(), ScenarioError> {
    let notices = system
        .watch(&Matching::user_class(USER_CLASS))
        .map_err(ScenarioError::refused("watch PcieBar"))?;
    let connection = crate::open(system, USER_CLASS)?;
    let mut server = Server { connection: &*connection, schedule: system.schedule(), out };
    let stopped = match server.serve() {
        Ok(()) => {
            writeln!(out, "close: {}", Plain(connection.close()))?;
            return Ok(());
        }
        Err(stopped) => stopped,
    };
    // As a program whose interest callback calls `exit`: it closes nothing itself.
    let told = wait_for_termination(&*notices);
    match stopped {
        Stop::Failed(error) if !told => return Err(error),
        Stop::Failed(error) => writeln!(out, "failed to {error}")?,
        Stop::Gone => writeln!(out, "the device reads all ones")?,
    }
    writeln!(out, "{}", if told { "terminated: exit" } else { "nobody says so: exit" })?;
    Ok(())
}

fn wait_for_termination(notices: &dyn NoticeQueue) -> bool {
    loop {
        match notices.wait(Some(NOTICE_PATIENCE)) {
            Some(notice) if notice.kind == NoticeKind::Terminated => return true,
            Some(_) => {}
            None => return false,
        }
    }
}

struct Server<'a> {
    connection: &'a dyn Connection,
    schedule: &'a Schedule,
    out: &'a mut dyn Write,
}

impl Server<'_> {
    fn serve(&mut self) -> Result<(), Stop> {
        self.config()?;
        let registers = self.map(bar::REGISTERS)?;
        let video = self.map(bar::VIDEO)?;
        self.aliases(&registers)?;
        self.video(&video)?;
        self.identity(&registers)?;
        let buffer = SharedBuffer::new(BUFFER);
        let address = self.prepare(&buffer)?;
        self.fill(&registers, &buffer, address)?;
        self.sum(&registers, &buffer, address)?;
        self.beyond(&registers, address)?;
        self.hang(&registers)?;
        self.reset(&registers)?;
        for (name, mapping) in [("registers", &registers), ("video", &video)] {
            let unmapped = self.connection.unmap_memory(mapping.memory_type(), mapping.address());
            writeln!(self.out, "unmap the {name}: {}", Plain(unmapped))?;
        }
        Ok(())
    }

    fn read_config(&self, offset: u64, size: u64) -> Result<u64, CallError> {
        let inputs = [offset, size];
        let call = self.connection.call(selector::READ_CONFIG).scalars(&inputs);
        let reply = call.want_scalars(1).send()?;
        Ok(reply.scalars.first().copied().unwrap_or_default())
    }

    fn write_config(&self, offset: u64, size: u64, value: u64) -> Result<(), CallError> {
        let inputs = [offset, size, value];
        self.connection.call(selector::WRITE_CONFIG).scalars(&inputs).send().map(drop)
    }

    fn config(&mut self) -> Result<(), Stop> {
        let identity = self.read_config(0, 4)?;
        let class = self.read_config(8, 4)? >> 8;
        let command = self.read_config(COMMAND, 2)?;
        writeln!(self.out, "device {identity:08x}, class {class:06x}, command {command:#06x}")?;
        // How large a BAR is: the bits of the address that cannot be set.
        let before = self.read_config(0x10, 4)?;
        self.write_config(0x10, 4, u64::from(u32::MAX))?;
        let mask = self.read_config(0x10, 4)? & !0xf;
        self.write_config(0x10, 4, before)?;
        writeln!(self.out, "BAR 0 by its mask: {} bytes", !(mask as u32) as u64 + 1)?;
        let odd = self.connection.call(selector::READ_CONFIG).scalars(&[0, 3]);
        writeln!(self.out, "three bytes: {}", Outcome(&odd.want_scalars(1).send()))?;
        Ok(())
    }

    fn map(&mut self, memory_type: u32) -> Result<Mapping, Stop> {
        let mapping = self
            .connection
            .map_memory(memory_type, MapOptions::ANYWHERE, 0)
            .map_err(ScenarioError::refused(format!("map BAR {memory_type}")))?;
        writeln!(self.out, "map BAR {memory_type}: {} bytes", mapping.length())?;
        Ok(mapping)
    }

    fn aliases(&mut self, registers: &Mapping) -> Result<(), Stop> {
        let again = self.map(bar::REGISTERS)?;
        let same = again.address() == registers.address();
        writeln!(self.out, "  at {} address", if same { "the same" } else { "another" })?;
        for memory_type in [1, 5, 6] {
            let refused = self.connection.map_memory(memory_type, MapOptions::ANYWHERE, 0).err();
            let refused = refused.unwrap_or(IoReturn::SUCCESS);
            writeln!(self.out, "map BAR {memory_type}: {}", Plain(refused))?;
        }
        Ok(())
    }

    /// Memory of the device, copied in bulk as a program moves textures.
    fn video(&mut self, video: &Mapping) -> Result<(), Stop> {
        let bytes: Vec<u8> = (0..3000).map(|position| (position % 199) as u8).collect();
        video.copy_in(0x1003, &bytes)?;
        let same = video.read_vec(0x1003, bytes.len() as u64)? == bytes;
        writeln!(self.out, "video memory: {}", if same { "kept" } else { "other bytes" })?;
        Ok(())
    }

    fn identity(&mut self, registers: &Mapping) -> Result<(), Stop> {
        match registers.load::<u32>(register::IDENTITY)? {
            IDENTITY => writeln!(self.out, "identity {IDENTITY:08x}")?,
            u32::MAX => return Err(Stop::Gone),
            other => writeln!(self.out, "identity {other:08x}, which is unknown")?,
        }
        Ok(())
    }

    /// Makes host memory reachable: gives its bus address.
    fn prepare(&mut self, buffer: &SharedBuffer) -> Result<u64, Stop> {
        let small = self.connection.call(selector::PREPARE_DMA).output_bytes(&mut [0; 64]);
        writeln!(self.out, "prepare 64 bytes: {}", Outcome(&small))?;
        let reply = self.connection.call(selector::PREPARE_DMA).output_shared(buffer);
        writeln!(self.out, "prepare {BUFFER} bytes: {}", Outcome(&reply))?;
        reply?;
        let memory = buffer.memory();
        let mut segments = Vec::new();
        for pair in 0..BUFFER / 16 {
            let address = memory.load::<u64>(pair * 16)?;
            let length = memory.load::<u64>(pair * 16 + 8)?;
            if length == 0 {
                break;
            }
            segments.push((address, length));
        }
        let bytes: u64 = segments.iter().map(|segment| segment.1).sum();
        writeln!(self.out, "  {} segment of {bytes} bytes", segments.len())?;
        Ok(segments.first().map_or(0, |segment| segment.0))
    }

    /// Rings the doorbell and looks at the events until the command is done.
    fn command(
        &mut self,
        registers: &Mapping,
        command: u32,
        (address, length): (u64, u32),
    ) -> Result<bool, Stop> {
        registers.store::<u64>(register::ADDRESS, address)?;
        registers.store::<u32>(register::LENGTH, length)?;
        registers.store::<u32>(register::DOORBELL, command)?;
        let deadline = self.schedule.now() + PATIENCE;
        while self.schedule.now() < deadline {
            match registers.load::<u32>(register::EVENTS)? {
                u32::MAX => return Err(Stop::Gone),
                events if events & event::DONE != 0 => return Ok(true),
                _ => self.schedule.sleep(POLL_INTERVAL),
            }
        }
        Ok(false)
    }

    fn fill(
        &mut self,
        registers: &Mapping,
        buffer: &SharedBuffer,
        address: u64,
    ) -> Result<(), Stop> {
        let done = self.command(registers, command::FILL, (address, BUFFER as u32))?;
        let again = registers.load::<u32>(register::EVENTS)?;
        writeln!(self.out, "fill: done {done}, events then {again}")?;
        let bytes = buffer.memory().read_vec(0, BUFFER)?;
        let filled = (0..).map(fill_byte).zip(&bytes).take_while(|(want, is)| want == *is);
        writeln!(self.out, "  {} bytes arrived", filled.count())?;
        Ok(())
    }

    fn sum(
        &mut self,
        registers: &Mapping,
        buffer: &SharedBuffer,
        address: u64,
    ) -> Result<(), Stop> {
        buffer.memory().copy_in(100, &[200; 300])?;
        let expected: u64 =
            buffer.memory().read_vec(0, 5000)?.iter().map(|byte| u64::from(*byte)).sum();
        self.command(registers, command::SUM, (address, 5000))?;
        let sum = u64::from(registers.load::<u32>(register::RESULT)?);
        let count = registers.load::<u32>(register::RESULT)?;
        let right = if sum == expected { "right" } else { "wrong" };
        let rest = registers.load::<u32>(register::RESULT)?;
        let rest = if rest == NO_RESULT { "nothing" } else { "more" };
        writeln!(self.out, "sum of {count} bytes: {right}, then {rest}")?;
        Ok(())
    }

    /// A command that reaches over the end of what is prepared.
    fn beyond(&mut self, registers: &Mapping, address: u64) -> Result<(), Stop> {
        self.command(registers, command::SUM, (address + BUFFER - 1024, 4096))?;
        let faults = registers.load::<u32>(register::FAULTS)?;
        registers.store::<u32>(register::FAULTS, faults)?;
        let cleared = registers.load::<u32>(register::FAULTS)?;
        // The sum first, by a copy of one word, then the count.
        let _sum = registers.read_vec(register::RESULT, 4)?;
        let count = registers.load::<u32>(register::RESULT)?;
        writeln!(
            self.out,
            "beyond the end: faults {faults:#x}, cleared {cleared:#x}, {count} bytes read"
        )?;
        Ok(())
    }

    fn hang(&mut self, registers: &Mapping) -> Result<(), Stop> {
        let done = self.command(registers, command::HANG, (0, 0))?;
        writeln!(self.out, "hang: {}", if done { "done" } else { "timed out" })?;
        Ok(())
    }

    fn reset(&mut self, registers: &Mapping) -> Result<(), Stop> {
        let reply = self.connection.call(selector::RESET).send();
        writeln!(self.out, "reset: {}", Outcome(&reply))?;
        // Memory space is off: nobody answers.
        let silent = registers.load::<u32>(register::IDENTITY)? == u32::MAX;
        let command = self.read_config(COMMAND, 2)?;
        writeln!(self.out, "  command {command:#06x}, registers silent: {silent}")?;
        self.write_config(COMMAND, 2, command | ENABLED)?;
        self.identity(registers)
    }
}
