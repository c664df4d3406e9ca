//! The tape of a run that is being played.

use crate::memory::Shadow;
use crate::tape::{Body, Event, Payload, Sequence};
use std::collections::HashMap;
use std::time::Duration;

/// Events of one run, as a recorder would have written them.
#[derive(Debug, Default)]
pub(super) struct Log {
    events: Vec<Event>,
    positions: HashMap<u32, u64>,
    lanes: HashMap<u32, Lane>,
    memories: HashMap<u32, Watched>,
}

/// What a lane has done since its last event.
#[derive(Debug, Default)]
struct Lane {
    last: Sequence,
    /// Reads that were no events: memory, offset, length, how often.
    reads: Vec<(u32, u64, u64, u64)>,
    /// Polls that found nothing.
    polls: Vec<(u32, u64)>,
}

#[derive(Debug, Default)]
struct Watched {
    shadow: Shadow,
    /// Where the client has known the bytes since which event.
    known: Vec<(u64, u64, Sequence)>,
    /// What gave the client the memory.
    origin: Option<Sequence>,
    connection: Option<u32>,
}

/// Entries of `known` of a memory.
const KNOWN_MAX: usize = 256;

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Log {
    pub(super) fn into_events(self) -> Vec<Event> {
        self.events
    }

    pub(super) fn append(
        &mut self,
        lane: u32,
        connection: Option<u32>,
        cause: Option<Sequence>,
        time: Duration,
        body: Body,
    ) -> Sequence {
        let sequence = self.events.len() as Sequence + 1;
        let position = self.positions.entry(lane).or_default();
        *position += 1;
        let mut event = Event::new(sequence, lane, *position, body);
        event.connection = connection;
        event.cause = cause;
        event.time = nanoseconds(time);
        self.events.push(event);
        let lane = self.lanes.entry(lane).or_default();
        lane.last = sequence;
        lane.reads.clear();
        lane.polls.clear();
        sequence
    }

    /// The connection of an event.
    pub(super) fn connection_of(&self, sequence: Sequence) -> Option<u32> {
        let index = usize::try_from(sequence).ok()?.checked_sub(1)?;
        self.events.get(index)?.connection
    }

    /// A poll found nothing.
    pub(super) fn polled(&mut self, lane: u32, queue: u32) {
        let polls = &mut self.lanes.entry(lane).or_default().polls;
        match polls.iter_mut().find(|(of, _)| *of == queue) {
            Some((_, count)) => *count += 1,
            None => polls.push((queue, 1)),
        }
    }

    /// Polls of the lane that found nothing since its last event.
    pub(super) fn polls(&self, lane: u32, queue: u32) -> u64 {
        let polls = self.lanes.get(&lane).and_then(|lane| {
            lane.polls.iter().find(|(of, _)| *of == queue).map(|(_, count)| *count)
        });
        polls.unwrap_or(0)
    }

    /// The client has got a memory.
    pub(super) fn came(&mut self, memory: u32, connection: Option<u32>, origin: Sequence) {
        let watched = self.memories.entry(memory).or_default();
        watched.origin.get_or_insert(origin);
        watched.connection = watched.connection.or(connection);
    }

    /// The client knows these bytes without having read them.
    pub(super) fn knows(&mut self, memory: u32, offset: u64, bytes: &[u8], since: Sequence) {
        let watched = self.memories.entry(memory).or_default();
        watched.shadow.write(offset, bytes);
        watched.note(offset, bytes.len() as u64, since);
    }

    /// The client has read these bytes.
    pub(super) fn read(
        &mut self,
        (lane, time): (u32, Duration),
        memory: u32,
        offset: u64,
        bytes: &[u8],
        (registers, counts): (bool, bool),
    ) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len() as u64;
        let watched = self.memories.entry(memory).or_default();
        let (origin, connection) = (watched.origin, watched.connection);
        let range = if registers {
            Some(offset..offset + length)
        } else {
            watched.shadow.difference(offset, bytes)
        };
        let Some(range) = range else {
            let of = self.lanes.entry(lane).or_default();
            if counts {
                let same =
                    |it: &&mut (u32, u64, u64, u64)| (it.0, it.1, it.2) == (memory, offset, length);
                match of.reads.iter_mut().find(same) {
                    Some((.., count)) => *count += 1,
                    None => of.reads.push((memory, offset, length, 1)),
                }
            }
            let since = if of.last > 0 { Some(of.last) } else { origin };
            if let Some(since) = since {
                watched.note(offset, length, since);
            }
            return;
        };
        let changed = &bytes[(range.start - offset) as usize..(range.end - offset) as usize];
        let last_equal = if registers { None } else { watched.last_equal(range.start, range.end) };
        let overlaps = |it: &&(u32, u64, u64, u64)| {
            it.0 == memory && it.1 < range.end && range.start < it.1 + it.2
        };
        let reads = self.lanes.get(&lane).map(|lane| &lane.reads[..]).unwrap_or_default();
        let read = reads.iter().filter(overlaps).map(|it| it.3).sum::<u64>() + 1;
        let data = Payload::bytes(changed);
        let (offset, unattributed) = (range.start, false);
        let body = Body::Patch { memory, offset, data, read, last_equal, unattributed };
        let sequence = self.append(lane, connection, origin, time, body);
        if !registers {
            self.knows(memory, offset, bytes, sequence);
        }
    }

    /// What a memory's events have as connection and cause.
    pub(super) fn origin(&self, memory: u32) -> (Option<u32>, Option<Sequence>) {
        self.memories.get(&memory).map_or((None, None), |it| (it.connection, it.origin))
    }
}

impl Watched {
    fn note(&mut self, offset: u64, length: u64, since: Sequence) {
        let same = |it: &&mut (u64, u64, Sequence)| (it.0, it.1) == (offset, length);
        match self.known.iter_mut().find(same) {
            Some((.., last)) => *last = since.max(*last),
            None => {
                if self.known.len() == KNOWN_MAX {
                    self.known.remove(0);
                }
                self.known.push((offset, length, since));
            }
        }
    }

    /// After which event all of the range was last known.
    fn last_equal(&self, start: u64, end: u64) -> Option<Sequence> {
        let covers = |it: &&(u64, u64, Sequence)| it.0 <= start && end <= it.0 + it.1;
        self.known.iter().filter(covers).map(|it| it.2).max()
    }
}
