//! A client of `capture-ring`: takes records out of the ring until the source ends.

use super::Bug;
use super::ledger::Ledger;
use super::stop::{Failure, Outcome, Stop, check, conclude};
use super::waiting::{completion_within, open};
use dextape::connection::{CompletionQueue, Connection, ConnectionExt, Mapping, System};
use dextape::schedule::Schedule;
use dextape_scenarios::capture_ring::abi::{
    MAGIC, RECORD, USER_CLASS, VERSION, header, memory_type, reason, record, record_offset,
    ring_length, selector, state,
};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// How long the source may be silent.
const PATIENCE: Duration = Duration::from_secs(1);

/// Records that a notice stands for.
const BATCH: u32 = 4;

/// From one packet to the next, in nanoseconds.
const INTERVAL: u64 = 1_000_000;

struct Client<'a> {
    bug: Option<Bug>,
    queue: &'a dyn CompletionQueue,
    schedule: &'a Schedule,
    ring: Mapping,
    capacity: u32,
    read_index: u32,
    /// The number that the next record has at least.
    expected: u32,
    captured: u32,
    /// When packet 0 came, by the first zero timestamp.
    began: Option<u64>,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match open(system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return conclude([Err(stop)]),
    };
    let queue = system.completion_queue();
    let mut ledger = Ledger::new(&*connection);
    let worked = session(bug, &*connection, &*queue, system.schedule(), &mut ledger);
    let stopped = connection.call(selector::STOP).send().map(drop).map_err(Stop::from);
    let unmapped = ledger.unmap_all();
    let checked = ledger.check().map_err(Stop::from);
    let closed = connection.close().ok().map_err(Stop::from);
    conclude([checked, worked, stopped, unmapped, closed])
}

fn session(
    bug: Option<Bug>,
    connection: &dyn Connection,
    queue: &dyn CompletionQueue,
    schedule: &Schedule,
    ledger: &mut Ledger<'_>,
) -> Result<(), Stop> {
    let ring = ledger.map(memory_type::RING)?;
    let known = ring.load::<u32>(header::MAGIC)? == MAGIC
        && ring.load::<u16>(header::VERSION)? == VERSION
        && u64::from(ring.load::<u32>(header::RECORD_BYTES)?) == RECORD;
    let capacity = ring.load::<u32>(header::CAPACITY)?;
    if !known || capacity == 0 || ring_length(capacity) > ring.length() {
        return Err(Stop::trouble("this is no ring that the client knows"));
    }
    connection.call(selector::LISTEN).completing_on(queue, &[0, 1, 2]).send()?;
    connection.call(selector::START).send()?;
    let mut client = Client {
        bug,
        queue,
        schedule,
        ring,
        capacity,
        read_index: 0,
        expected: 0,
        captured: 0,
        began: None,
    };
    client.capture()?;
    client.sum_up()
}

impl Client<'_> {
    /// Takes records until the source has ended.
    fn capture(&mut self) -> Result<(), Stop> {
        loop {
            let Some(told) = completion_within(self.queue, self.schedule, PATIENCE) else {
                // The notice of the end may be lost; the ring knows it, too.
                if self.ring.load::<u32>(header::STATE)? == state::STOPPED {
                    return self.drain();
                }
                return Err(Stop::trouble("the source is silent"));
            };
            told.status.ok()?;
            match told.arguments.get(1).copied() {
                Some(reason::RECORDS) => {
                    self.look_at_the_clock()?;
                    self.drain()?;
                }
                Some(reason::ENDED) if self.bug == Some(Bug::CaptureEndFirst) => return Ok(()),
                Some(reason::ENDED) if self.bug == Some(Bug::CaptureBatchANotice) => return Ok(()),
                Some(reason::ENDED) => return self.drain(),
                other => return Err(Stop::trouble(format_args!("told for reason {other:?}"))),
            }
        }
    }

    /// Takes what there is.
    fn drain(&mut self) -> Result<(), Stop> {
        let write_index = self.ring.load::<u32>(header::WRITE_INDEX)?;
        fence(Ordering::Acquire);
        let count = match self.bug {
            Some(Bug::CaptureFullIsEmpty) => {
                let (write, read) = (write_index % self.capacity, self.read_index % self.capacity);
                (write + self.capacity - read) % self.capacity
            }
            Some(Bug::CaptureBatchANotice) => BATCH,
            _ => write_index.wrapping_sub(self.read_index),
        };
        check!(count <= self.capacity, "{count} records in a ring of {}", self.capacity);
        let done = self.read_index.wrapping_add(count);
        if self.bug == Some(Bug::CaptureEarlyRelease) {
            self.ring.swap::<u32>(header::READ_INDEX, done)?;
        }
        for index in (0..count).map(|step| self.read_index.wrapping_add(step)) {
            let bytes = self.ring.read_vec(record_offset(index, self.capacity), RECORD)?;
            let number = bytes.first_chunk().copied().map_or(0, u32::from_le_bytes);
            check!(bytes == record(number), "record {number} is torn");
            let expected = self.expected;
            check!(number >= expected, "record {number} comes after {expected} was due");
            // What was lost in between, the driver has counted.
            let lost = number - expected;
            if lost > 0 {
                let overruns = self.ring.load::<u32>(header::OVERRUNS)?;
                check!(lost <= overruns, "{lost} records are missing before {number}");
            }
            self.expected = number + 1;
            self.captured += 1;
        }
        if self.bug != Some(Bug::CaptureEarlyRelease) {
            self.ring.swap::<u32>(header::READ_INDEX, done)?;
        }
        self.read_index = done;
        Ok(())
    }

    /// Each packet comes one interval after the one before.
    fn look_at_the_clock(&mut self) -> Result<(), Stop> {
        let Some((packet, time)) = self.clock()? else { return Ok(()) };
        let began = time.wrapping_sub(packet * INTERVAL);
        let first = *self.began.get_or_insert(began);
        check!(began == first, "packet {packet} came at {time}, and packet 0 at {first}");
        Ok(())
    }

    fn clock(&self) -> Result<Option<(u64, u64)>, Stop> {
        for _ in 0..100 {
            let before = self.ring.load::<u32>(header::CLOCK_SEQUENCE)?;
            fence(Ordering::Acquire);
            let packet = self.ring.load::<u64>(header::CLOCK_PACKET)?;
            let time = self.ring.load::<u64>(header::CLOCK_TIME)?;
            fence(Ordering::Acquire);
            if self.bug == Some(Bug::CaptureTornClock) {
                return Ok(Some((packet, time)));
            }
            let after = self.ring.load::<u32>(header::CLOCK_SEQUENCE)?;
            if before == after && before.is_multiple_of(2) {
                return Ok((before > 0).then_some((packet, time)));
            }
        }
        Ok(None)
    }

    /// Every packet was captured, or counted as lost.
    fn sum_up(&self) -> Result<(), Stop> {
        let packets = self.ring.load::<u32>(header::PACKETS)?;
        let overruns = self.ring.load::<u32>(header::OVERRUNS)?;
        let captured = self.captured;
        let all = captured + overruns == packets;
        check!(all, "{captured} records of {packets} packets, and {overruns} overruns");
        Ok(())
    }
}
