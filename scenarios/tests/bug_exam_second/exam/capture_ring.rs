//! A client of `capture-ring`: two takes over one ring. Main controls the source and feeds a short queue;
//! a second thread writes the records down with the time that the driver's clock says.

use super::Bug;
use super::held::Held;
use super::verdict::{Failure, Outcome, Stop, connect, promise, sum_up};
use dextape::connection::{CompletionQueue, Connection, ConnectionExt, Mapping, System};
use dextape::schedule::{Monitor, Schedule};
use dextape_scenarios::capture_ring::abi::{
    MAGIC, RECORD, USER_CLASS, VERSION, header, memory_type, record, record_offset, ring_length,
    selector, state,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// Records of the first take, after which it is stopped. The second ends with its source.
const FIRST_TAKE: u32 = 40;

/// Records that wait to be written down.
const QUEUE: usize = 6;

/// The ring is looked at after this time even where nobody tells of records.
const LOOK: Duration = Duration::from_micros(3300);

/// How long the source may bring nothing.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Desk {
    records: VecDeque<u32>,
    /// Records of this take that were written down.
    written: u32,
    /// Nothing more comes.
    is_closed: bool,
    /// The writer has ended by itself.
    has_no_writer: bool,
}

struct Client {
    bug: Option<Bug>,
    connection: Arc<dyn Connection>,
    schedule: Schedule,
    queue: Arc<dyn CompletionQueue>,
    ring: Mapping,
    capacity: u32,
    desk: Monitor<Desk>,
}

/// A take as it goes.
#[derive(Default)]
struct Take {
    /// Records taken out of the ring.
    read_index: u32,
    /// The least number that the next record can have.
    expected: u32,
}

pub(super) fn run(system: &Arc<dyn System>, bug: Option<Bug>) -> Result<Outcome, Failure> {
    let connection = match connect(&**system, USER_CLASS) {
        Ok(connection) => connection,
        Err(stop) => return sum_up([Err(stop)]),
    };
    let held = Held::new(&connection);
    let worked = session(bug, system, &connection, &held);
    let unmapped = held.unmap_rest();
    let verified = held.verify();
    let closed = connection.close().ok().map_err(Stop::from);
    sum_up([verified, worked, unmapped, closed])
}

fn session(
    bug: Option<Bug>,
    system: &Arc<dyn System>,
    connection: &Arc<dyn Connection>,
    held: &Held,
) -> Result<(), Stop> {
    let ring = held.map(memory_type::RING)?;
    let capacity = ring.load::<u32>(header::CAPACITY)?;
    let is_known = ring.load::<u32>(header::MAGIC)? == MAGIC
        && ring.load::<u16>(header::VERSION)? == VERSION
        && (1..=1024).contains(&capacity)
        && ring_length(capacity) <= ring.length();
    if !is_known {
        return Err(Stop::trouble("the driver has another ring"));
    }
    let schedule = system.schedule().clone();
    let client = Arc::new(Client {
        bug,
        connection: Arc::clone(connection),
        queue: system.completion_queue(),
        ring,
        capacity,
        desk: Monitor::new(&schedule, "desk", Desk::default()),
        schedule,
    });
    let writer = {
        let client = Arc::clone(&client);
        system.schedule().spawn("writer", move || {
            let written = client.write_down();
            client.desk.lock().has_no_writer = true;
            client.desk.notify_all();
            written
        })
    };
    let taken = client.take(1, FIRST_TAKE).and_then(|()| client.take(2, u32::MAX));
    if taken.is_ok() || bug != Some(Bug::CaptureWriterLeftWaiting) {
        client.desk.lock().is_closed = true;
        client.desk.notify_all();
    }
    let written = writer.join();
    // Without a writer main can only say so.
    if written.is_err() { written } else { taken }
}

impl Client {
    fn word(&self, place: u64) -> Result<u32, Stop> {
        let word = self.ring.load::<u32>(place)?;
        fence(Ordering::Acquire);
        Ok(word)
    }

    fn take(&self, number: u64, records: u32) -> Result<(), Stop> {
        self.desk.lock().written = 0;
        let (mut take, reference) = (Take::default(), [0, 1, number]);
        let listen = self.connection.call(selector::LISTEN);
        listen.completing_on(&*self.queue, &reference).send()?;
        self.connection.call(selector::START).send()?;
        let mut heard = self.schedule.now();
        while take.read_index < records {
            let told = self.queue.wait(Some(LOOK));
            let before = take.read_index;
            // All that is there after the end was seen is all.
            let state = self.word(header::STATE)?;
            let index = self.word(header::WRITE_INDEX)?;
            match told {
                Some(told) if !told.status.is_success() => return Err(told.status.into()),
                Some(told) if self.bug == Some(Bug::CaptureStaleNotice) => {
                    let said = told.arguments.first().copied().unwrap_or_default() as u32;
                    let more = said.wrapping_sub(before) as i32;
                    self.drain(&mut take, more.clamp(0, self.capacity as i32) as u32)?;
                }
                _ => self.drain(&mut take, index.wrapping_sub(before))?,
            }
            match state {
                state::ACTIVE => {}
                state::STOPPED => return self.end(&mut take),
                other => {
                    return Err(Stop::trouble(format_args!("the capture is in state {other}")));
                }
            }
            let now = self.schedule.now();
            heard = if take.read_index == before { heard } else { now };
            if now >= heard + PATIENCE {
                return Err(Stop::trouble("the source is silent"));
            }
        }
        self.connection.call(selector::STOP).send()?;
        if self.bug == Some(Bug::CaptureStopDropsLast) {
            return self.check(&take);
        }
        self.end(&mut take)
    }

    /// The source sends nothing more: takes the rest.
    fn end(&self, take: &mut Take) -> Result<(), Stop> {
        let rest = self.word(header::WRITE_INDEX)?.wrapping_sub(take.read_index);
        self.drain(take, rest)?;
        self.check(take)
    }

    fn drain(&self, take: &mut Take, count: u32) -> Result<(), Stop> {
        promise!(count <= self.capacity, "{count} records in a ring of {}", self.capacity);
        for _ in 0..count {
            let place = record_offset(take.read_index, self.capacity);
            let bytes = self.ring.read_vec(place, RECORD)?;
            let number = bytes.first_chunk().copied().map_or(0, u32::from_le_bytes);
            promise!(bytes == record(number), "record {number} is torn");
            let expected = take.expected;
            promise!(number >= expected, "record {number} comes where {expected} is due");
            let missing = number - expected;
            if missing > 0 {
                let overruns = self.word(header::OVERRUNS)?;
                promise!(missing <= overruns, "{missing} records are missing before {number}");
            }
            self.feed(number)?;
            take.expected = number + 1;
            take.read_index = take.read_index.wrapping_add(1);
        }
        if count > 0 {
            self.ring.swap::<u32>(header::READ_INDEX, take.read_index)?;
            self.look_at_the_clock(take)?;
        }
        Ok(())
    }

    /// Hands a record to the writer, who may have to catch up first.
    fn feed(&self, number: u32) -> Result<(), Stop> {
        let mut desk = self.desk.lock();
        while desk.records.len() >= QUEUE {
            if self.bug == Some(Bug::CaptureQueueOverflows) {
                desk.records.pop_front();
                break;
            }
            if desk.has_no_writer {
                return Err(Stop::trouble("nobody writes records down"));
            }
            desk.wait_until(None);
        }
        desk.records.push_back(number);
        drop(desk);
        self.desk.notify_all();
        Ok(())
    }

    /// The clock is not older than what was taken.
    fn look_at_the_clock(&self, take: &Take) -> Result<(), Stop> {
        let Some((packet, _)) = self.clock()? else { return Ok(()) };
        let (came, taken) = (packet + 1, u64::from(take.read_index));
        // The source may have sent more meanwhile.
        let is_older = if self.bug == Some(Bug::CaptureLagUnderflows) {
            taken - came
        } else {
            taken.saturating_sub(came)
        };
        promise!(is_older == 0, "the clock is {is_older} records older than the last");
        Ok(())
    }

    /// The zero timestamp: a packet and its time.
    fn clock(&self) -> Result<Option<(u64, u64)>, Stop> {
        for _ in 0..100 {
            let before = self.word(header::CLOCK_SEQUENCE)?;
            let packet = self.ring.load::<u64>(header::CLOCK_PACKET)?;
            let time = self.ring.load::<u64>(header::CLOCK_TIME)?;
            fence(Ordering::Acquire);
            if before == self.word(header::CLOCK_SEQUENCE)? && before.is_multiple_of(2) {
                return Ok((before > 0).then_some((packet, time)));
            }
        }
        Ok(None)
    }

    /// The second thread.
    fn write_down(&self) -> Result<(), Stop> {
        let mut stamp = 0;
        let mut desk = self.desk.lock();
        loop {
            let Some(number) = desk.records.front().copied() else {
                if desk.is_closed {
                    return Ok(());
                }
                desk.wait_until(None);
                continue;
            };
            drop(desk);
            if let Some((_, time)) = self.clock()? {
                promise!(time >= stamp, "record {number} is of {time}, and that before of {stamp}");
                stamp = time;
            }
            desk = self.desk.lock();
            // It stays in the queue until it is written down.
            if desk.records.front() == Some(&number) {
                desk.records.pop_front();
                desk.written += 1;
            }
            self.desk.notify_all();
        }
    }

    /// Every packet of the take was written down, or the driver has counted it as lost.
    fn check(&self, take: &Take) -> Result<(), Stop> {
        let mut desk = self.desk.lock();
        while !desk.records.is_empty() && !desk.has_no_writer {
            desk.wait_until(None);
        }
        let written = desk.written;
        drop(desk);
        let (packets, overruns) = (self.word(header::PACKETS)?, self.word(header::OVERRUNS)?);
        let all = written + overruns == packets;
        let taken = take.read_index;
        promise!(
            all || self.desk.lock().has_no_writer,
            "{written} of {taken} records are written down, of {packets} packets and {overruns} overruns"
        );
        Ok(())
    }
}
