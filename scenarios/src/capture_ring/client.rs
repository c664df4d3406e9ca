//! The client: waits for records, copies them out of the ring, and tells what it lost.

use super::abi::{
    MAGIC, RECORD, USER_CLASS, VERSION, header, memory_type, reason, record, record_offset,
    selector,
};
use super::clock::{self, ZeroTimestamp};
use super::dext::{BATCH, Full, INTERVAL};
use super::{FULL, parameter};
use crate::print::{Outcome, Plain};
use crate::{Parameters, ScenarioError, open};
use dextape::call::MapOptions;
use dextape::connection::{CompletionQueue, ConnectionExt, Mapping, System};
use dextape::memory::AccessError;
use dextape::schedule::Schedule;
use std::io::Write;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// How long the client waits to be told.
const PATIENCE: Duration = Duration::from_secs(1);

/// The batch after which a slow client is busy.
const BUSY_AFTER: u32 = 2;

/// How the client uses the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// It copies, gives back, and looks at the records' numbers.
    Right,
    /// As right, but busy with something else for longer than the ring lasts.
    Slow,
    /// Busy, and it takes the records for one after the other.
    Trusting,
    /// It never gives back what it has read.
    NoRelease,
    /// Busy, and it takes the write index for a place in the ring.
    WrappedIndex,
    /// It gives records back before it has looked at them.
    EarlyRelease,
}

const HABITS: [(&str, Habit); 6] = [
    ("right", Habit::Right),
    ("slow", Habit::Slow),
    ("trusting", Habit::Trusting),
    ("no-release", Habit::NoRelease),
    ("wrapped-index", Habit::WrappedIndex),
    ("early-release", Habit::EarlyRelease),
];

pub(super) fn run(
    parameters: &Parameters,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let habit = parameters.choice(parameter::CLIENT, &HABITS)?;
    let full = parameters.choice(parameter::FULL, &FULL)?;
    let connection = open(system, USER_CLASS)?;
    let queue = system.completion_queue();
    let map = connection.map_memory(memory_type::RING, MapOptions::ANYWHERE, 0);
    let ring = map.map_err(ScenarioError::refused("map the ring"))?;
    let Some(capacity) = describe(&ring, out)? else {
        writeln!(out, "close: {}", Plain(connection.close()))?;
        return Ok(());
    };

    let plain = |selector| Outcome(&connection.call(selector).send()).to_string();
    let listen = connection.call(selector::LISTEN).completing_on(&*queue, &[0, 1, 2]).send();
    writeln!(out, "listen: {}", Outcome(&listen))?;
    writeln!(out, "start: {}", plain(selector::START))?;
    writeln!(out, "start again: {}", plain(selector::START))?;
    let mut reader = Reader {
        habit,
        full,
        capacity,
        ring: &ring,
        queue: &*queue,
        schedule: system.schedule(),
        out,
        read_index: 0,
        expected: 0,
        captured: 0,
        batches: 0,
        clock: None,
    };
    reader.capture()?;
    reader.sum_up()?;
    writeln!(out, "stop: {}", plain(selector::STOP))?;
    let unmapped = connection.unmap_memory(memory_type::RING, ring.address());
    writeln!(out, "unmap the ring: {}", Plain(unmapped))?;
    writeln!(out, "close: {}", Plain(connection.close()))?;
    Ok(())
}

/// What the ring says of itself; `None` where it is not what this client knows.
fn describe(ring: &Mapping, out: &mut dyn Write) -> Result<Option<u32>, ScenarioError> {
    let magic = ring.load::<u32>(header::MAGIC)?;
    let version = ring.load::<u16>(header::VERSION)?;
    let capacity = ring.load::<u32>(header::CAPACITY)?;
    let record = u64::from(ring.load::<u32>(header::RECORD_BYTES)?);
    let offset = u64::from(ring.load::<u32>(header::DATA_OFFSET)?);
    let known = magic == MAGIC && version == VERSION;
    let fits = record == RECORD
        && offset == header::LENGTH
        && capacity > 0
        && offset + record * u64::from(capacity) <= ring.length();
    writeln!(out, "ring: {capacity} records of {record} bytes from {offset} on")?;
    if known && fits {
        return Ok(Some(capacity));
    }
    writeln!(out, "this is no ring of version {VERSION}")?;
    Ok(None)
}

struct Reader<'a> {
    habit: Habit,
    full: Full,
    capacity: u32,
    ring: &'a Mapping,
    queue: &'a dyn CompletionQueue,
    schedule: &'a Schedule,
    out: &'a mut dyn Write,
    /// Records that it is done with.
    read_index: u32,
    /// The number that the next record should have.
    expected: u32,
    captured: u32,
    batches: u32,
    /// The first zero timestamp that it saw.
    clock: Option<ZeroTimestamp>,
}

impl Reader<'_> {
    /// Reads until the capture is over.
    fn capture(&mut self) -> Result<(), ScenarioError> {
        loop {
            let Some(completion) = self.queue.wait(Some(PATIENCE)) else {
                writeln!(self.out, "nothing for {} s", PATIENCE.as_secs())?;
                return Ok(());
            };
            let why = completion.arguments.get(1).copied();
            self.drain()?;
            match why {
                Some(reason::RECORDS) => {}
                Some(reason::ENDED) => break,
                Some(reason::BUS_RESET) => {
                    writeln!(self.out, "the bus was reset")?;
                    break;
                }
                other => writeln!(self.out, "told for an unknown reason: {other:?}")?,
            }
            if self.clock.is_none() {
                self.clock = clock::read(&**self.ring)?;
            }
            self.batches += 1;
            if self.batches == BUSY_AFTER && self.is_slow() {
                // Longer than the ring lasts by a batch, or just as long for the client that cannot
                // tell a full ring from an empty one.
                let longer = if self.habit == Habit::WrappedIndex { 0 } else { BATCH };
                self.be_busy(self.capacity + longer);
            }
        }
        Ok(())
    }

    fn is_slow(&self) -> bool {
        matches!(self.habit, Habit::Slow | Habit::Trusting | Habit::WrappedIndex)
    }

    /// Does something else while so many packets come, until halfway between two of them.
    fn be_busy(&self, packets: u32) {
        let since_packet = self.schedule.now().as_nanos() % INTERVAL.as_nanos();
        let since_packet = Duration::from_nanos(u64::try_from(since_packet).unwrap_or_default());
        self.schedule.sleep(INTERVAL * packets + INTERVAL / 2 - since_packet);
    }

    /// Takes what there is.
    fn drain(&mut self) -> Result<(), ScenarioError> {
        let write_index = self.ring.load::<u32>(header::WRITE_INDEX)?;
        fence(Ordering::Acquire);
        let mut count = write_index.wrapping_sub(self.read_index);
        if self.habit == Habit::WrappedIndex {
            // The number of records between two places in the ring, which is 0 where it is full.
            count = (write_index % self.capacity + self.capacity - self.read_index % self.capacity)
                % self.capacity;
        }
        let is_behind = match self.full {
            Full::DropNew => count > self.capacity,
            Full::Overwrite => count >= self.capacity,
        };
        if is_behind {
            // The oldest are gone, and the one after them may just be written.
            let gone = count - self.capacity + 1;
            writeln!(self.out, "overrun: {gone} records are gone")?;
            self.read_index = self.read_index.wrapping_add(gone);
            count -= gone;
        }
        if self.habit == Habit::EarlyRelease {
            self.release(count)?;
            // What it does with the records takes as long as the ring lasts.
            self.be_busy(self.capacity);
        }
        let mut taken: Option<RangeInclusive<u32>> = None;
        for step in 0..count {
            let index = self.read_index.wrapping_add(step);
            let bytes = self.ring.read_vec(record_offset(index, self.capacity), RECORD)?;
            let number = bytes.first_chunk().copied().map_or(0, u32::from_le_bytes);
            if bytes != record(number) {
                writeln!(self.out, "record {number} is torn")?;
            }
            self.check(number)?;
            let first = taken.map_or(number, |taken| *taken.start());
            taken = Some(first..=number);
            self.captured += 1;
        }
        match self.habit {
            Habit::EarlyRelease => self.read_index = self.read_index.wrapping_add(count),
            Habit::NoRelease => self.read_index = self.read_index.wrapping_add(count),
            _ => {
                self.release(count)?;
                self.read_index = self.read_index.wrapping_add(count);
            }
        }
        if let Some(taken) = taken {
            writeln!(self.out, "records {} to {}", taken.start(), taken.end())?;
        }
        Ok(())
    }

    /// Tells the driver that it is done with so many records more.
    fn release(&self, count: u32) -> Result<(), AccessError> {
        let index = self.read_index.wrapping_add(count);
        self.ring.swap::<u32>(header::READ_INDEX, index).map(drop)
    }

    /// Looks whether a record follows the one before.
    fn check(&mut self, number: u32) -> Result<(), ScenarioError> {
        if self.habit != Habit::Trusting && number != self.expected {
            writeln!(self.out, "expected record {}, found {number}", self.expected)?;
        }
        self.expected = number.wrapping_add(1);
        Ok(())
    }

    fn sum_up(&mut self) -> Result<(), ScenarioError> {
        let packets = self.ring.load::<u32>(header::PACKETS)?;
        let overruns = self.ring.load::<u32>(header::OVERRUNS)?;
        writeln!(
            self.out,
            "captured {} of {packets} packets; the driver counts {overruns} overruns",
            self.captured
        )?;
        let (Some(first), Some(last)) = (self.clock, clock::read(&**self.ring)?) else {
            return Ok(());
        };
        let packets = last.packet.saturating_sub(first.packet);
        let time = last.time.saturating_sub(first.time);
        if let Some(rate) = (packets * 1_000_000_000).checked_div(time) {
            writeln!(self.out, "clock: {packets} packets at {rate} a second")?;
        }
        Ok(())
    }
}
