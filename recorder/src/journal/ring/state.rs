//! The state of a ring as it stands in its file, so that a process that is killed leaves it.

use super::keeper::{Keeper, Limits};
use super::pinned::{Class, Connection, Lane, Pinned, Underway};
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
    /// The state as bytes, at most `most` of them: where it has more, shadows and what is under way are
    /// left out.
    pub(in crate::journal) fn encode(&mut self, most: u64) -> Vec<u8> {
        let mut bytes = self.encode_whole();
        if bytes.len() as u64 > most {
            self.keeper.let_go_of_much();
            bytes = self.encode_whole();
        }
        if bytes.len() as u64 > most {
            self.keeper = Keeper::new(self.keeper.limits.clone());
            bytes = self.encode_whole();
        }
        bytes
    }

    fn encode_whole(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.keeper.encode(&mut body);
        let mut bytes = Vec::with_capacity(STATE_HEAD + body.len());
        bytes.put(&MAGIC);
        bytes.number(0);
        bytes.number(VERSION);
        bytes.long(self.recording);
        bytes.long(self.oldest);
        bytes.long(body.len() as u64);
        bytes.put(&body);
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
    /// Lets go of what takes most and is needed least.
    fn let_go_of_much(&mut self) {
        self.shadows = Shadows::default();
        self.lanes.values_mut().for_each(|lane| {
            lane.underway = None;
            lane.fields = None;
        });
        self.chunks.clear();
        self.sticky.clear();
        self.count();
    }

    fn encode(&self, sink: &mut Vec<u8>) {
        let Limits { prologue, shadows, first_calls, sticky } = &self.limits;
        sink.long(*prologue);
        sink.long(*shadows);
        sink.number(*first_calls);
        sink.long(sticky.len() as u64);
        sticky.iter().for_each(|selector| sink.number(*selector));
        sink.long(self.events);
        sink.long(self.time);
        put_all(sink, &self.always);
        put_all(sink, &self.opening);
        sink.long(self.connections.len() as u64);
        for (number, known) in &self.connections {
            sink.number(*number);
            sink.number(known.service);
            sink.number(known.calls);
            sink.byte(u8::from(known.closed));
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
            put_all(sink, &lane.fields);
            sink.byte(u8::from(lane.underway.is_some()));
            if let Some(Underway { class, before, enter }) = &lane.underway {
                put_class(sink, *class);
                put_all(sink, before);
                put(sink, enter);
            }
        }
        sink.long(self.queues.len() as u64);
        self.queues.iter().for_each(|queue| sink.number(*queue));
        for pool in [&self.pending, &self.posted] {
            sink.long(pool.len() as u64);
            for (token, records) in pool {
                sink.long(*token);
                put_all(sink, records);
            }
        }
        put_all(sink, &self.sticky);
        put_all(sink, self.chunks.values());
        self.shadows.encode(sink);
    }

    fn decode(bytes: &mut Bytes<'_>) -> Result<Self, Fault> {
        let limits = Limits {
            prologue: bytes.long()?,
            shadows: bytes.long()?,
            first_calls: bytes.number()?,
            sticky: bytes.list(Bytes::number)?,
        };
        let (events, time) = (bytes.long()?, bytes.long()?);
        let (always, opening) = (bytes.list(take)?, bytes.list(take)?);
        let connections = bytes.list(|bytes| {
            let number = bytes.number()?;
            let (service, calls, closed) = (bytes.number()?, bytes.number()?, bytes.flag()?);
            let records = bytes.list(take)?;
            let maps = bytes.list(|bytes| Ok((bytes.number()?, bytes.list(take)?)))?;
            let maps = maps.into_iter().collect();
            Ok((number, Connection { service, calls, closed, records, maps }))
        })?;
        let lanes = bytes.list(|bytes| {
            let (number, connection) = (bytes.number()?, bytes.maybe_number()?);
            let (loose, mut fields) = (bytes.number()?, bytes.list(take)?);
            let underway = if bytes.flag()? {
                let class = take_class(bytes)?;
                Some(Underway { class, before: bytes.list(take)?, enter: take(bytes)? })
            } else {
                None
            };
            let fields = fields.pop();
            Ok((number, Lane { connection, loose, underway, fields, spare: Vec::new() }))
        })?;
        let queues = bytes.list(Bytes::number)?;
        let pool = |bytes: &mut Bytes<'_>| Ok((bytes.long()?, bytes.list(take)?));
        let (pending, posted) = (bytes.list(pool)?, bytes.list(pool)?);
        let (sticky, chunks) = (bytes.list(take)?, bytes.list(take)?);
        let shadows = Shadows::decode(bytes)?;
        let mut keeper = Self {
            limits,
            events,
            time,
            used: 0,
            always,
            opening,
            connections: connections.into_iter().collect(),
            lanes: lanes.into_iter().collect(),
            queues: queues.into_iter().collect(),
            pending: pending.into_iter().collect(),
            posted: posted.into_iter().collect(),
            sticky: sticky.into(),
            shadows,
            chunks: chunks.into_iter().map(|chunk| (chunk.position, chunk)).collect(),
        };
        keeper.count();
        Ok(keeper)
    }

    /// Counts the bytes of what is pinned.
    fn count(&mut self) {
        let mut used = 0;
        let mut add = |records: &[Pinned]| {
            used += records.iter().map(Pinned::cost).sum::<u64>();
        };
        add(&self.always);
        add(&self.opening);
        for known in self.connections.values() {
            add(&known.records);
            known.maps.values().for_each(|records| add(records));
        }
        self.pending.values().chain(self.posted.values()).for_each(|records| add(records));
        let (front, back) = self.sticky.as_slices();
        add(front);
        add(back);
        self.used = used;
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
        Class::Always => (1, 0, 0),
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
        1 => Class::Always,
        2 => Class::Opening,
        3 => Class::Connection(number),
        4 => Class::Map(number),
        5 => Class::Mapped(number, memory),
        6 => Class::Sticky,
        7 => Class::Pending(first),
        _ => return Err(Fault("an unknown class of records")),
    })
}
