//! The state of a ring as it stands in its file, so that a process that is killed leaves it.

use super::keeper::{Keeper, Limits};
use super::pinned::{AsyncCall, Class, Connection, Lane, Pinned, Posted, Queue, Underway};
use super::shadows::Shadows;
use crate::journal::decode::{Bytes, Fault};
use crate::journal::layout::{ALIGNMENT, HEADER_SIZE, RECORD_HEAD, u32_at, u64_at};
use crate::journal::sink::Sink;

/// First bytes of a state.
const MAGIC: [u8; 8] = *b"dxtstate";

/// Bytes before the body: magic, checksum, version, recording, oldest segment, length of the body.
const STATE_HEAD: usize = 40;

/// Version of the form below.
const VERSION: u32 = 1;

/// What the header of a segment says of the ring that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) struct RingHeader {
    /// Segments that the file has room for.
    pub(in crate::journal) places: u32,
    /// Segments that are certain to be left, up to the last one with records: older ones may be, or not.
    pub(in crate::journal) keep: u32,
    /// Bytes of each of the two states behind the places.
    pub(in crate::journal) state_size: u64,
    /// How long ago the oldest event of the tape may be, in nanoseconds; 0 without such a limit.
    pub(in crate::journal) last: u64,
}

/// All that was before a segment.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::journal) struct State {
    /// Number of the recording.
    pub(in crate::journal) recording: u64,
    /// Number of the oldest segment that is left.
    pub(in crate::journal) oldest: u64,
    /// What is kept of those before it.
    pub(in crate::journal) keeper: Keeper,
}

impl State {
    /// The state as bytes, at most `most` of them, which the keeper's limits see to.
    pub(in crate::journal) fn encode(&mut self, most: u64) -> Vec<u8> {
        let bytes = self.encode_whole();
        let fits = bytes.len() as u64 <= most;
        debug_assert!(fits, "a state of {} bytes, for which there are {most}", bytes.len());
        if fits {
            return bytes;
        }
        self.keeper = Keeper::new(self.keeper.limits.clone());
        self.keeper.uncounted = true;
        self.encode_whole()
    }

    fn encode_whole(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put(&MAGIC);
        bytes.number(0);
        bytes.number(VERSION);
        bytes.long(self.recording);
        bytes.long(self.oldest);
        bytes.long(0);
        self.keeper.encode(&mut bytes);
        let body = bytes.len() - STATE_HEAD;
        bytes[STATE_HEAD - 8..STATE_HEAD].copy_from_slice(&(body as u64).to_le_bytes());
        let sum = crc32fast::hash(&bytes[12..]);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The state at the beginning of `bytes`; `None` where none is whole there.
    pub(in crate::journal) fn decode(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(&MAGIC) || u32_at(bytes, 12) != VERSION {
            return None;
        }
        let length = usize::try_from(u64_at(bytes, 32)).ok()?;
        let end = STATE_HEAD.checked_add(length)?;
        let whole = bytes.get(..end)?;
        if crc32fast::hash(&whole[12..]) != u32_at(bytes, 8) {
            return None;
        }
        let mut body = Bytes(&whole[STATE_HEAD..]);
        let keeper = Keeper::decode(&mut body).ok()?;
        Some(Self { recording: u64_at(bytes, 16), oldest: u64_at(bytes, 24), keeper })
    }
}

impl Keeper {
    fn encode(&self, sink: &mut Vec<u8>) {
        let Limits { prologue, shadows, transit, entries, first_calls, sticky } = &self.limits;
        sink.long(*prologue);
        sink.long(*shadows);
        sink.long(*transit);
        sink.number(*entries);
        sink.number(*first_calls);
        sink.long(sticky.len() as u64);
        sticky.iter().for_each(|selector| sink.number(*selector));
        sink.long(self.events);
        sink.long(self.time);
        sink.byte(u8::from(self.uncounted));
        put_all(sink, &self.always);
        put_all(sink, &self.opening);
        sink.long(self.connections.len() as u64);
        for (number, known) in &self.connections {
            sink.number(*number);
            sink.number(known.service);
            sink.number(known.calls);
            sink.byte(u8::from(known.closed));
            sink.number(known.events);
            sink.long(known.bytes);
            put_all(sink, &known.records);
            sink.long(known.maps.len() as u64);
            for (memory, records) in &known.maps {
                sink.number(*memory);
                put_all(sink, records);
            }
        }
        sink.long(self.lanes.len() as u64);
        for (number, lane) in &self.lanes {
            sink.number(*number);
            sink.maybe_number(lane.connection);
            sink.number(lane.loose);
            sink.long(lane.touched);
            put_all(sink, &lane.fields);
            sink.byte(u8::from(lane.underway.is_some()));
            if let Some(Underway { class, before, enter, whole }) = &lane.underway {
                sink.byte(u8::from(*whole));
                put_class(sink, *class);
                put_all(sink, before);
                put(sink, enter);
            }
        }
        sink.long(self.queues.len() as u64);
        for (number, queue) in &self.queues {
            sink.number(*number);
            sink.long(queue.touched);
            put_all(sink, &queue.records);
        }
        sink.long(self.calls.len() as u64);
        for (token, call) in &self.calls {
            sink.long(*token);
            sink.number(call.connection);
            sink.long(call.completions);
            sink.long(call.completed);
            sink.number(call.waiting);
            sink.byte(u8::from(call.done));
            put_all(sink, &call.records);
        }
        sink.long(self.posted.len() as u64);
        for (token, posted) in &self.posted {
            sink.long(*token);
            sink.long(posted.call);
            put_all(sink, &posted.records);
        }
        put_all(sink, &self.sticky);
        put_all(sink, self.chunks.values());
        sink.long(self.dropped.len() as u64);
        for (token, head) in &self.dropped {
            sink.long(*token);
            sink.block(head);
        }
        self.shadows.encode(sink);
    }

    fn decode(bytes: &mut Bytes<'_>) -> Result<Self, Fault> {
        let limits = Limits {
            prologue: bytes.long()?,
            shadows: bytes.long()?,
            transit: bytes.long()?,
            entries: bytes.number()?,
            first_calls: bytes.number()?,
            sticky: bytes.list(Bytes::number)?,
        };
        let (events, time, uncounted) = (bytes.long()?, bytes.long()?, bytes.flag()?);
        let (always, opening) = (bytes.list(take)?, bytes.list(take)?);
        let connections = bytes.list(|bytes| {
            let number = bytes.number()?;
            let (service, calls, closed) = (bytes.number()?, bytes.number()?, bytes.flag()?);
            let (events, size) = (bytes.number()?, bytes.long()?);
            let records = bytes.list(take)?;
            let maps = bytes.list(|bytes| Ok((bytes.number()?, bytes.list(take)?)))?;
            let maps = maps.into_iter().collect();
            Ok((number, Connection { service, calls, closed, events, bytes: size, records, maps }))
        })?;
        let lanes = bytes.list(|bytes| {
            let (number, connection) = (bytes.number()?, bytes.maybe_number()?);
            let (loose, touched, mut fields) = (bytes.number()?, bytes.long()?, bytes.list(take)?);
            let underway = if bytes.flag()? {
                let (whole, class) = (bytes.flag()?, take_class(bytes)?);
                Some(Underway { class, before: bytes.list(take)?, enter: take(bytes)?, whole })
            } else {
                None
            };
            let fields = fields.pop();
            let spare = Vec::new();
            Ok((number, Lane { connection, loose, touched, underway, fields, spare }))
        })?;
        let queues = bytes.list(|bytes| {
            let (number, touched) = (bytes.number()?, bytes.long()?);
            Ok((number, Queue { touched, records: bytes.list(take)? }))
        })?;
        let calls = bytes.list(|bytes| {
            let (token, connection) = (bytes.long()?, bytes.number()?);
            let (completions, completed) = (bytes.long()?, bytes.long()?);
            let (waiting, done) = (bytes.number()?, bytes.flag()?);
            let records = bytes.list(take)?;
            let call = AsyncCall { connection, completions, completed, waiting, done, records };
            Ok((token, call))
        })?;
        let posted = bytes.list(|bytes| {
            let (token, call) = (bytes.long()?, bytes.long()?);
            Ok((token, Posted { call, records: bytes.list(take)? }))
        })?;
        let (sticky, chunks) = (bytes.list(take)?, bytes.list(take)?);
        let dropped = bytes.list(|bytes| {
            let (token, length) = (bytes.long()?, bytes.long()?);
            Ok((token, bytes.take(length)?.to_vec()))
        })?;
        let shadows = Shadows::decode(bytes)?;
        let mut keeper = Self {
            limits,
            events,
            time,
            uncounted,
            used: 0,
            moving: 0,
            always,
            opening,
            connections: connections.into_iter().collect(),
            lanes: lanes.into_iter().collect(),
            queues: queues.into_iter().collect(),
            calls: calls.into_iter().collect(),
            posted: posted.into_iter().collect(),
            sticky: sticky.into(),
            shadows,
            chunks: chunks.into_iter().map(|chunk| (chunk.position, chunk)).collect(),
            dropped: dropped.into_iter().collect(),
        };
        keeper.count();
        Ok(keeper)
    }
}

fn put(sink: &mut Vec<u8>, record: &Pinned) {
    sink.long(record.position);
    sink.long(record.ordinal);
    sink.block(&record.bytes);
}

fn put_all<'a>(sink: &mut Vec<u8>, records: impl IntoIterator<Item = &'a Pinned>) {
    let at = sink.len();
    sink.long(0);
    let mut count = 0_u64;
    for record in records {
        put(sink, record);
        count += 1;
    }
    sink[at..at + 8].copy_from_slice(&count.to_le_bytes());
}

fn take(bytes: &mut Bytes<'_>) -> Result<Pinned, Fault> {
    let (position, ordinal) = (bytes.long()?, bytes.long()?);
    let length = bytes.long()?;
    let record = bytes.take(length)?;
    let stands = position >= HEADER_SIZE as u64 && position.is_multiple_of(ALIGNMENT as u64);
    if !stands || record.len() < RECORD_HEAD {
        return Err(Fault("a record that stands nowhere"));
    }
    Ok(Pinned { position, ordinal, bytes: record.to_vec() })
}

fn put_class(sink: &mut Vec<u8>, class: Class) {
    let (tag, first, second) = match class {
        Class::Drop => (0, 0, 0),
        Class::Opening => (2, 0, 0),
        Class::Connection(number) => (3, u64::from(number), 0),
        Class::Map(number) => (4, u64::from(number), 0),
        Class::Mapped(number, memory) => (5, u64::from(number), memory),
        Class::Sticky => (6, 0, 0),
        Class::Pending(call) => (7, call, 0),
    };
    sink.byte(tag);
    sink.long(first);
    sink.number(second);
}

fn take_class(bytes: &mut Bytes<'_>) -> Result<Class, Fault> {
    let (tag, first, memory) = (bytes.byte()?, bytes.long()?, bytes.number()?);
    let number = first as u32;
    Ok(match tag {
        0 => Class::Drop,
        2 => Class::Opening,
        3 => Class::Connection(number),
        4 => Class::Map(number),
        5 => Class::Mapped(number, memory),
        6 => Class::Sticky,
        7 => Class::Pending(first),
        _ => return Err(Fault("an unknown class of records")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exam::Flight;
    use crate::journal::ring::{Geometry, take_segment};
    use crate::journal::segments::Segments;
    use crate::journal::{Journal, JournalOptions, RingOptions};
    use std::time::Duration;

    #[test]
    fn a_keeper_is_the_same_however_often_it_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        // Segments so small that something is under way at the end of each, and much is in chunks.
        let options = JournalOptions {
            segment_size: 4096,
            wait: Duration::from_secs(20),
            ..JournalOptions::default()
        };
        let journal = Journal::create(&path, options).unwrap();
        Flight::new(&[&journal], 8).run(6_000);
        drop(journal);
        let mut segments = Segments::open(&path).unwrap();
        let options = RingOptions::of_size(1 << 20).sticky(2).shadows(20 << 10).first_calls(9);
        let geometry = Geometry::of(&options, 4096);
        let mut keeper = Keeper::new(Geometry::limits(&options));
        let mut saved = State { recording: 1, oldest: 0, keeper: keeper.clone() };
        let (mut underway, mut chunks) = (0, 0);
        for number in 0..segments.places.len() as u64 {
            let bytes = segments.load(number).unwrap().unwrap();
            take_segment(&mut keeper, number, &bytes);
            take_segment(&mut saved.keeper, number, &bytes);
            saved.oldest = number + 1;
            let text = saved.encode(geometry.state_size);
            saved = State::decode(&text).unwrap();
            assert_eq!(saved.oldest, number + 1);
            assert!(saved.keeper == keeper, "after segment {number}");
            underway += keeper.lanes.values().filter(|lane| lane.underway.is_some()).count();
            chunks += keeper.chunks.len();
        }
        assert!(underway > 100 && chunks > 5, "{underway} {chunks}");
    }

    #[test]
    fn a_state_that_was_cut_or_changed_is_none() {
        let mut keeper = Keeper::new(Limits { entries: 4, ..Limits::default() });
        keeper.events = 77;
        let whole = State { recording: 1, oldest: 5, keeper }.encode(4096);
        assert!(State::decode(&whole).is_some());
        for at in 0..whole.len() {
            assert!(State::decode(&whole[..at]).is_none(), "cut at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 4;
            assert!(State::decode(&changed).is_none(), "changed at {at}");
        }
    }
}
