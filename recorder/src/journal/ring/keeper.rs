//! What is kept of records that are given up: the beginnings of connections, what is still under way,
//! and the state that they led to.

use super::pinned::{Class, Connection, Lane, Pinned, Underway};
use super::shadows::Shadows;
use crate::journal::decode::{Content, decode};
use crate::journal::layout::{IN_CHUNKS, RECORD_HEAD, u32_at, u64_at};
use crate::journal::reader::stamp;
use crate::journal::{Stamp, kind};
use dextape::tape::{Body, Keyframe, NoteSubject, Payload};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Lanes, connections, queues and calls that are followed: what is more is kept only in part.
const LANES_MAX: usize = 1024;
const CONNECTIONS_MAX: usize = 1024;
const QUEUES_MAX: usize = 4096;
const PENDING_MAX: usize = 1024;

/// What may be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::journal) struct Limits {
    /// Bytes of records, and of pages of shadows.
    pub(in crate::journal) prologue: u64,
    pub(in crate::journal) shadows: u64,
    /// Calls of a connection that belong to its beginning.
    pub(in crate::journal) first_calls: u32,
    /// Selectors whose calls are pinned.
    pub(in crate::journal) sticky: Vec<u32>,
}

/// A record on its way through the keeper.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Given<'a> {
    pub(in crate::journal) position: u64,
    pub(in crate::journal) kind: u8,
    pub(in crate::journal) flags: u8,
    /// The whole record, from word 0 on.
    pub(in crate::journal) bytes: &'a [u8],
}

/// Takes records in their order and keeps what a tape needs of them. The same records lead to the same
/// keeper, however often it was saved and read back between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::journal) struct Keeper {
    pub(super) limits: Limits,
    /// Events so far, and the time of the last one.
    pub(super) events: u64,
    pub(super) time: u64,
    /// Bytes of all that is pinned.
    pub(super) used: u64,
    pub(super) always: Vec<Pinned>,
    pub(super) opening: Vec<Pinned>,
    pub(super) connections: BTreeMap<u32, Connection>,
    pub(super) lanes: BTreeMap<u32, Lane>,
    pub(super) queues: BTreeSet<u32>,
    /// Asynchronous calls that may still complete, by their token.
    pub(super) pending: BTreeMap<u64, Vec<Pinned>>,
    /// Completions that nobody has taken yet.
    pub(super) posted: BTreeMap<u64, Vec<Pinned>>,
    pub(super) sticky: VecDeque<Pinned>,
    pub(super) shadows: Shadows,
    /// Chunks whose record has not come yet.
    pub(super) chunks: BTreeMap<u64, Pinned>,
}

/// What stands in front of the records that are left.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::journal) enum Front {
    /// A record that was kept.
    Record(u64, Vec<u8>),
    /// So many events were given up here; time of the event before.
    Gap { position: u64, events: u64, time: u64 },
    /// The state behind all of them.
    Keyframe { position: u64, keyframe: Keyframe, time: u64 },
    /// Of a memory so many bytes are not in the keyframe.
    Lost { position: u64, memory: u32, bytes: u64, time: u64 },
}

impl Keeper {
    pub(in crate::journal) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes the next record.
    pub(in crate::journal) fn take(&mut self, given: Given<'_>) {
        let stamp = stamp(given.bytes, given.flags);
        let is_event =
            !matches!(given.kind, kind::CHUNK | kind::HEADER | kind::SERVICE | kind::FIELDS);
        self.events += u64::from(is_event);
        let ordinal = if is_event { self.events } else { 0 };
        if is_event {
            self.time = self.time.max(stamp.time);
        }
        let pinned = || Pinned::new(given.position, ordinal, given.bytes);
        match given.kind {
            kind::CHUNK => self.hold_chunk(pinned()),
            kind::FIELDS => {
                if let Some(lane) = self.lane(stamp.lane) {
                    lane.fields = Some(pinned());
                }
            }
            kind::HEADER => {
                let is_header = |held: &Pinned| held.kind() == kind::HEADER;
                let mut before = 0;
                self.always.retain(|held| {
                    before += if is_header(held) { held.cost() } else { 0 };
                    !is_header(held)
                });
                self.used -= before;
                self.pin(Class::Always, &stamp, given, ordinal);
            }
            kind::SERVICE | kind::FORK | kind::EXEC | kind::TERMINATED => {
                self.pin(Class::Always, &stamp, given, ordinal);
            }
            kind::NOTE => {
                if let Some(Body::Note { subject: NoteSubject::Uncaptured, .. }) = self.body(given)
                {
                    self.pin(Class::Always, &stamp, given, ordinal);
                }
            }
            kind::GAP | kind::KEYFRAME => {}
            kind::QUEUE | kind::WATCH => {
                let queue = u32_at(given.bytes, RECORD_HEAD);
                if self.queues.len() < QUEUES_MAX {
                    self.queues.insert(queue);
                }
                self.pin(Class::Always, &stamp, given, ordinal);
            }
            kind::MATCHED | kind::PROPERTY | kind::NOTICE => {
                let class = self.class_of_loose(&stamp);
                self.pin(class, &stamp, given, ordinal);
            }
            kind::DELIVERED => {
                if let Some(cause) = stamp.cause
                    && let Some(posted) = self.posted.remove(&cause.get())
                {
                    self.free(&posted);
                    let class = self.class_of_loose(&stamp);
                    if class != Class::Drop {
                        posted.into_iter().for_each(|posted| self.pin_ready(class, posted));
                    }
                }
                let class = self.class_of_loose(&stamp);
                self.pin(class, &stamp, given, ordinal);
            }
            kind::POSTED => self.posted(&stamp, given, ordinal),
            kind::WRITE | kind::UPDATE | kind::PATCH | kind::UNATTRIBUTED_PATCH => {
                self.memory_changed(given);
                let class = self.class_within(&stamp);
                self.pin(class, &stamp, given, ordinal);
            }
            kind::OPEN
            | kind::CALL
            | kind::ASYNC_CALL
            | kind::OTHER_CALL
            | kind::MAP
            | kind::UNMAP
            | kind::CLOSE
            | kind::WAIT => self.entered(&stamp, given, ordinal),
            kind::OPENED
            | kind::OPEN_FAILED
            | kind::RETURN
            | kind::OTHER_RETURN
            | kind::MAPPED
            | kind::UNMAPPED
            | kind::CLOSED
            | kind::WOKE => self.left(&stamp, given, ordinal),
            _ => {}
        }
    }

    fn lane(&mut self, number: u32) -> Option<&mut Lane> {
        if self.lanes.len() >= LANES_MAX && !self.lanes.contains_key(&number) {
            return None;
        }
        Some(self.lanes.entry(number).or_default())
    }

    /// True while a connection is in its beginning.
    fn is_beginning(&self, connection: u32) -> bool {
        let known = self.connections.get(&connection);
        known.is_some_and(|known| known.calls <= self.limits.first_calls)
    }

    /// What becomes of an event within a connection that is no operation.
    fn class_within(&self, stamp: &Stamp) -> Class {
        match stamp.connection {
            Some(connection) if self.is_beginning(connection) => Class::Connection(connection),
            _ => Class::Drop,
        }
    }

    /// What becomes of an event that is of no connection, or of a queue: it goes with the connection that
    /// its lane uses.
    fn class_of_loose(&mut self, stamp: &Stamp) -> Class {
        let first_calls = self.limits.first_calls;
        let Some(lane) = self.lane(stamp.lane) else { return Class::Drop };
        let Some(connection) = lane.connection else {
            lane.loose = lane.loose.saturating_add(1);
            let early = lane.loose <= first_calls.saturating_mul(4);
            return if early { Class::Opening } else { Class::Drop };
        };
        if self.is_beginning(connection) { Class::Connection(connection) } else { Class::Drop }
    }

    /// An operation is entered: its record waits in its lane for the leave.
    fn entered(&mut self, stamp: &Stamp, given: Given<'_>, ordinal: u64) {
        let class = match (given.kind, stamp.connection) {
            (kind::OPEN, _) => self.class_of_loose(stamp),
            (kind::WAIT, _) => self.class_of_loose(stamp),
            (kind::CLOSE, Some(connection)) => Class::Connection(connection),
            (kind::MAP, Some(connection)) if !self.is_beginning(connection) => {
                Class::Map(connection)
            }
            (kind::MAP | kind::UNMAP, _) => self.class_within(stamp),
            (_, Some(connection)) => self.class_of_call(connection, given),
            (_, None) => Class::Drop,
        };
        if given.kind == kind::ASYNC_CALL && self.pending.len() < PENDING_MAX {
            self.pending.insert(given.position, Vec::new());
        }
        let chunks = self.take_chunks(given);
        let Some(lane) = self.lane(stamp.lane) else { return };
        if let Some(connection) = stamp.connection {
            lane.connection = Some(connection);
        }
        let fields = lane.fields.take();
        let mut bytes = std::mem::take(&mut lane.spare);
        bytes.clear();
        bytes.extend_from_slice(given.bytes);
        let enter = Pinned { position: given.position, ordinal, bytes };
        lane.underway =
            Some(Underway { class, before: fields.into_iter().chain(chunks).collect(), enter });
    }

    fn class_of_call(&mut self, connection: u32, given: Given<'_>) -> Class {
        let Some(known) = self.connections.get_mut(&connection) else { return Class::Drop };
        known.calls = known.calls.saturating_add(1);
        if known.calls <= self.limits.first_calls {
            return Class::Connection(connection);
        }
        let is_call = matches!(given.kind, kind::CALL | kind::ASYNC_CALL);
        let plain = given.flags & IN_CHUNKS == 0;
        let selector = u32_at(given.bytes, RECORD_HEAD);
        if is_call && plain && self.limits.sticky.contains(&selector) {
            return Class::Sticky;
        }
        if given.kind == kind::ASYNC_CALL { Class::Pending(given.position) } else { Class::Drop }
    }

    /// An operation is left.
    fn left(&mut self, stamp: &Stamp, given: Given<'_>, ordinal: u64) {
        let Some(lane) = self.lanes.get_mut(&stamp.lane) else { return };
        let underway = lane.underway.take();
        let entered =
            underway.filter(|it| Some(it.enter.position) == stamp.cause.map(|it| it.get()));
        let Some(Underway { mut class, before, enter }) = entered else {
            lane.fields = None;
            return;
        };
        match given.kind {
            kind::OPENED => {
                if let Some(number) = stamp.connection {
                    class = self.opened(number, &enter);
                    if let Some(lane) = self.lanes.get_mut(&stamp.lane) {
                        lane.connection = Some(number);
                    }
                }
            }
            kind::RETURN => {
                if u32_at(given.bytes, RECORD_HEAD) != 0 {
                    // No completion comes of a call that failed.
                    if let Some(records) = self.pending.remove(&enter.position) {
                        self.free(&records);
                    }
                    if matches!(class, Class::Pending(_)) {
                        class = Class::Drop;
                    }
                }
            }
            kind::MAPPED => class = self.mapped(stamp, given, &enter, class),
            kind::UNMAPPED => self.unmapped(stamp, given, &enter),
            kind::CLOSED => {
                if let Some(number) = stamp.connection {
                    self.shadows.close(number);
                    if let Some(known) = self.connections.get_mut(&number) {
                        known.closed = true;
                    }
                }
            }
            _ => {}
        }
        let chunks = self.take_chunks(given);
        let lane = self.lanes.get_mut(&stamp.lane);
        let fields = lane.and_then(|lane| lane.fields.take());
        if class == Class::Drop {
            if let Some(lane) = self.lanes.get_mut(&stamp.lane) {
                lane.spare = enter.bytes;
            }
            return;
        }
        let leave = Pinned::new(given.position, ordinal, given.bytes);
        let records = before.into_iter().chain([enter]).chain(fields).chain(chunks).chain([leave]);
        let records: Vec<Pinned> = records.collect();
        let cost = records.iter().map(Pinned::cost).sum();
        if self.has_room(class, cost) {
            records.into_iter().for_each(|record| self.push(class, record));
        }
    }

    fn opened(&mut self, number: u32, enter: &Pinned) -> Class {
        if self.connections.len() >= CONNECTIONS_MAX && !self.shed_closed(u32::MAX) {
            return Class::Drop;
        }
        let service = u32_at(&enter.bytes, RECORD_HEAD);
        self.connections.insert(number, Connection { service, ..Connection::default() });
        Class::Connection(number)
    }

    fn mapped(&mut self, stamp: &Stamp, given: Given<'_>, enter: &Pinned, class: Class) -> Class {
        let (Some(connection), Some(Body::Mapped { outcome: Ok(mapped) })) =
            (stamp.connection, self.body(given))
        else {
            return if matches!(class, Class::Map(_)) { Class::Drop } else { class };
        };
        self.shadows.map(connection, u32_at(&enter.bytes, RECORD_HEAD), &mapped);
        match class {
            Class::Map(connection) => Class::Mapped(connection, mapped.memory),
            other => other,
        }
    }

    fn unmapped(&mut self, stamp: &Stamp, given: Given<'_>, enter: &Pinned) {
        let Some(connection) = stamp.connection else { return };
        if u32_at(given.bytes, RECORD_HEAD) != 0 {
            return;
        }
        let memory_type = u32_at(&enter.bytes, RECORD_HEAD);
        let named = (enter.bytes.get(RECORD_HEAD + 4) == Some(&1))
            .then(|| u32_at(&enter.bytes, RECORD_HEAD + 5));
        if let Some(memory) = self.shadows.unmap(connection, memory_type, named)
            && let Some(known) = self.connections.get_mut(&connection)
            && let Some(records) = known.maps.remove(&memory)
        {
            self.free(&records);
        }
    }

    fn posted(&mut self, stamp: &Stamp, given: Given<'_>, ordinal: u64) {
        if let Some(call) = stamp.cause
            && let Some(records) = self.pending.remove(&call.get())
        {
            self.free(&records);
        }
        let class = self.class_within(stamp);
        if class != Class::Drop {
            self.pin(class, stamp, given, ordinal);
        } else if self.posted.len() < PENDING_MAX {
            let record = Pinned::new(given.position, ordinal, given.bytes);
            if self.has_room(class, record.cost()) {
                self.used += record.cost();
                self.posted.insert(given.position, vec![record]);
            }
        }
    }

    /// Follows what the client knows of its memory.
    fn memory_changed(&mut self, given: Given<'_>) {
        let budget = self.limits.shadows;
        match self.body(given) {
            Some(
                Body::Write { memory, offset, data, .. } | Body::Patch { memory, offset, data, .. },
            ) => match &data {
                Payload::Bytes(bytes) => self.shadows.write(memory, offset, bytes, budget),
                other => self.shadows.lose(memory, offset, other.length()),
            },
            Some(Body::Update { memory, offset, width, update }) => {
                let mut word = [0; 8];
                let length = width.bytes() as usize;
                if self.shadows.read(memory, offset, &mut word[..length]).is_some() {
                    let new = update.apply(u64::from_le_bytes(word), width).to_le_bytes();
                    self.shadows.write(memory, offset, &new[..length], budget);
                }
            }
            // Its chunks were given up before it was begun to be kept.
            _ => {}
        }
    }

    /// The event of a record, whose chunks may have gone.
    fn body(&self, given: Given<'_>) -> Option<Body> {
        let body = given.bytes.get(RECORD_HEAD..)?;
        let decoded = if given.flags & IN_CHUNKS == 0 {
            decode(given.kind, body)
        } else {
            let mut parts = Vec::new();
            let mut next = u64_at(body, 0);
            let mut left = u64_at(body, 8);
            while left > 0 {
                let chunk = self.chunks.get(&next)?;
                let data = chunk.bytes.get(RECORD_HEAD..)?;
                left = left.checked_sub(data.len() as u64).filter(|_| !data.is_empty())?;
                parts.push(data);
                next = u64_at(&chunk.bytes, 32);
            }
            parts.reverse();
            parts.push(body.get(16..)?);
            decode(given.kind, &parts.concat())
        };
        match decoded.ok()? {
            Content::Event(body) => Some(body),
            _ => None,
        }
    }

    fn hold_chunk(&mut self, chunk: Pinned) {
        // Far more than one record has in a ring of this size: the oldest belong to none that comes.
        let most = self.limits.prologue.max(self.limits.shadows);
        let mut held: u64 = self.chunks.values().map(Pinned::cost).sum::<u64>() + chunk.cost();
        while held > most
            && let Some((_, oldest)) = self.chunks.pop_first()
        {
            held -= oldest.cost();
        }
        if chunk.cost() <= most {
            self.chunks.insert(chunk.position, chunk);
        }
    }

    /// The chunks of a record, which belong to nobody else.
    fn take_chunks(&mut self, given: Given<'_>) -> Vec<Pinned> {
        let mut taken = Vec::new();
        if given.flags & IN_CHUNKS != 0 {
            let mut next = u64_at(given.bytes, RECORD_HEAD);
            while let Some(chunk) = self.chunks.remove(&next) {
                next = u64_at(&chunk.bytes, 32);
                taken.push(chunk);
            }
            taken.reverse();
        }
        taken
    }

    /// Pins a record that is no operation.
    fn pin(&mut self, class: Class, stamp: &Stamp, given: Given<'_>, ordinal: u64) {
        let chunks = self.take_chunks(given);
        let fields = self.lanes.get_mut(&stamp.lane).and_then(|lane| lane.fields.take());
        let record = Pinned::new(given.position, ordinal, given.bytes);
        let records: Vec<Pinned> = fields.into_iter().chain(chunks).chain([record]).collect();
        let cost = records.iter().map(Pinned::cost).sum();
        if class != Class::Drop && self.has_room(class, cost) {
            records.into_iter().for_each(|record| self.push(class, record));
        }
    }

    fn pin_ready(&mut self, class: Class, record: Pinned) {
        if self.has_room(class, record.cost()) {
            self.push(class, record);
        }
    }

    fn push(&mut self, class: Class, record: Pinned) {
        let cost = record.cost();
        let list = match class {
            Class::Drop | Class::Map(_) => return,
            Class::Always => &mut self.always,
            Class::Opening => &mut self.opening,
            Class::Sticky => {
                self.used += cost;
                self.sticky.push_back(record);
                return;
            }
            Class::Pending(call) => match self.pending.get_mut(&call) {
                Some(list) => list,
                None => return,
            },
            Class::Connection(number) => match self.connections.get_mut(&number) {
                Some(known) => &mut known.records,
                None => return,
            },
            Class::Mapped(number, memory) => match self.connections.get_mut(&number) {
                Some(known) => known.maps.entry(memory).or_default(),
                None => return,
            },
        };
        self.used += cost;
        list.push(record);
    }

    pub(super) fn free(&mut self, records: &[Pinned]) {
        self.used -= records.iter().map(Pinned::cost).sum::<u64>();
    }

    /// Makes room for so many bytes, if that can be: what is sticky goes first, oldest first, then whole
    /// connections that are closed, newest first, so that the beginning of all stays whole.
    fn has_room(&mut self, class: Class, cost: u64) -> bool {
        let most = self.limits.prologue;
        let sticky: u64 = if class == Class::Sticky { most / 4 } else { most };
        if class == Class::Opening && self.cost_of_opening() + cost > most / 4 || cost > most {
            return false;
        }
        while self.used + cost > sticky
            && let Some(oldest) = self.sticky.pop_front()
        {
            self.used -= oldest.cost();
        }
        let but = match class {
            Class::Connection(number) | Class::Mapped(number, _) => number,
            _ => u32::MAX,
        };
        while self.used + cost > most && self.shed_closed(but) {}
        self.used + cost <= most
    }

    fn cost_of_opening(&self) -> u64 {
        self.opening.iter().map(Pinned::cost).sum()
    }

    /// Lets go of the newest connection that is closed, other than `but`.
    fn shed_closed(&mut self, but: u32) -> bool {
        let closed = |(number, known): &(&u32, &Connection)| known.closed && **number != but;
        let Some(number) = self.connections.iter().rev().find(closed).map(|(number, _)| *number)
        else {
            return false;
        };
        if let Some(gone) = self.connections.remove(&number) {
            self.free(&gone.records);
            gone.maps.values().for_each(|records| self.free(records));
        }
        true
    }
}
