//! What is kept of records that are given up: the beginnings of connections, what is still under way,
//! and the state that they led to.

use super::pinned::{AsyncCall, Class, Connection, Lane, Pinned, Posted, Queue};
use super::shadows::Shadows;
use crate::journal::decode::{Content, decode};
use crate::journal::layout::{IN_CHUNKS, RECORD_HEAD, u32_at, u64_at};
use crate::journal::reader::stamp;
use crate::journal::{Stamp, kind};
use dextape::tape::{Body, Keyframe, NoteSubject, Payload};
use std::collections::{BTreeMap, VecDeque};

/// What may be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::journal) struct Limits {
    /// Bytes of records, of pages of shadows, and of what is under way.
    pub(in crate::journal) prologue: u64,
    pub(in crate::journal) shadows: u64,
    pub(in crate::journal) transit: u64,
    /// Lanes, connections, queues, calls, completions and memories that are followed, of each so many.
    pub(in crate::journal) entries: u32,
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

/// Takes records in their order and keeps what a tape needs of them, within its limits. The same records
/// lead to the same keeper, however often it was saved and read back between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::journal) struct Keeper {
    pub(super) limits: Limits,
    /// Events so far, those included that gaps speak of, and the time of the last one.
    pub(super) events: u64,
    pub(super) time: u64,
    /// How many were given up is not known: segments were missing.
    pub(super) uncounted: bool,
    /// Bytes of all that is pinned, and of what is under way.
    pub(super) used: u64,
    pub(super) moving: u64,
    pub(super) always: Vec<Pinned>,
    pub(super) opening: Vec<Pinned>,
    pub(super) connections: BTreeMap<u32, Connection>,
    pub(super) lanes: BTreeMap<u32, Lane>,
    pub(super) queues: BTreeMap<u32, Queue>,
    /// Asynchronous calls by their token, and completions by theirs.
    pub(super) calls: BTreeMap<u64, AsyncCall>,
    pub(super) posted: BTreeMap<u64, Posted>,
    pub(super) sticky: VecDeque<Pinned>,
    pub(super) shadows: Shadows,
    /// Chunks whose record has not come yet.
    pub(super) chunks: BTreeMap<u64, Pinned>,
    /// Chunks that there was no room for: of the last one of each record, how its body begins.
    pub(super) dropped: BTreeMap<u64, Vec<u8>>,
}

/// What stands in front of the records that are left.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::journal) enum Front {
    /// A record that was kept.
    Record(u64, Vec<u8>),
    /// So many events were given up here, if that is known; time of the event before.
    Gap { position: u64, events: Option<u64>, time: u64 },
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
        if is_event {
            self.events = self.events.saturating_add(1);
            self.time = self.time.max(stamp.time);
        }
        let ordinal = if is_event { self.events } else { 0 };
        match given.kind {
            kind::CHUNK => self.hold_chunk(&stamp, given),
            kind::FIELDS => self.hold_fields(&stamp, given),
            kind::HEADER | kind::SERVICE | kind::FORK | kind::EXEC => {
                self.pin_always(&stamp, given, ordinal);
            }
            kind::TERMINATED => self.pin_always(&stamp, given, ordinal),
            kind::NOTE => match self.body(given) {
                Some(Body::Note { subject: NoteSubject::Uncaptured, .. }) => {
                    self.pin_always(&stamp, given, ordinal);
                }
                _ => drop(self.take_chunks(given)),
            },
            kind::GAP => {
                if let Some(Body::Gap { events, .. }) = self.body(given) {
                    self.uncounted |= events.is_none();
                    let more = events.unwrap_or(1).saturating_sub(1);
                    self.events = self.events.saturating_add(more);
                }
                drop(self.take_chunks(given));
            }
            kind::QUEUE | kind::WATCH => self.queue(&stamp, given, ordinal),
            kind::MATCHED | kind::PROPERTY | kind::NOTICE => {
                let class = self.class_of_loose(&stamp);
                self.pin(class, &stamp, given, ordinal);
            }
            kind::DELIVERED => self.delivered(&stamp, given, ordinal),
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
            _ => drop(self.take_chunks(given)),
        }
    }

    /// Segments are missing here: what became of memories and operations meanwhile is not known.
    pub(in crate::journal) fn interrupted(&mut self) {
        self.uncounted = true;
        self.shadows.lose_all();
        for lane in self.lanes.values_mut() {
            (lane.underway, lane.fields) = (None, None);
        }
        self.chunks.clear();
        self.dropped.clear();
        self.count();
    }

    /// What is known of a lane; the one that was quiet longest makes room for a new one.
    pub(super) fn lane(&mut self, number: u32) -> &mut Lane {
        if !self.lanes.contains_key(&number) && self.lanes.len() >= self.limits.entries as usize {
            let quiet = |(_, lane): &(&u32, &Lane)| (lane.underway.is_some(), lane.touched);
            let quietest = self.lanes.iter().min_by_key(quiet).map(|(number, _)| *number);
            if let Some(gone) = quietest.and_then(|number| self.lanes.remove(&number)) {
                self.moving -= gone.cost();
            }
        }
        let lane = self.lanes.entry(number).or_default();
        lane.touched = self.events;
        lane
    }

    /// True while a connection is in its beginning.
    pub(super) fn is_beginning(&self, connection: u32) -> bool {
        let (calls, events) =
            (self.limits.first_calls, self.limits.first_calls.saturating_mul(16).max(16));
        let known = self.connections.get(&connection);
        known.is_some_and(|known| known.calls <= calls && known.events < events)
    }

    /// What becomes of an event within a connection that is no operation.
    pub(super) fn class_within(&self, stamp: &Stamp) -> Class {
        match stamp.connection {
            Some(connection) if self.is_beginning(connection) => Class::Connection(connection),
            _ => Class::Drop,
        }
    }

    /// What becomes of an event that is of no connection, or of a queue: it goes with the connection that
    /// its lane uses.
    pub(super) fn class_of_loose(&mut self, stamp: &Stamp) -> Class {
        let early = self.limits.first_calls.saturating_mul(4);
        let lane = self.lane(stamp.lane);
        let Some(connection) = lane.connection else {
            lane.loose = lane.loose.saturating_add(1);
            return if lane.loose <= early { Class::Opening } else { Class::Drop };
        };
        if self.is_beginning(connection) { Class::Connection(connection) } else { Class::Drop }
    }

    /// A queue was made. Nobody says when one goes, so the one that was quiet longest makes room.
    fn queue(&mut self, stamp: &Stamp, given: Given<'_>, ordinal: u64) {
        let queue = u32_at(given.bytes, RECORD_HEAD);
        let Some(records) = self.gather(stamp, given, ordinal) else { return };
        let cost: u64 = records.iter().map(Pinned::cost).sum();
        let most = self.limits.prologue / 8;
        let mut bytes: u64 = self.queues.values().map(Queue::cost).sum();
        if let Some(before) = self.queues.remove(&queue) {
            bytes -= before.cost();
            self.free(&before.records);
        }
        while self.queues.len() >= self.limits.entries as usize || bytes + cost > most {
            let quietest = self.queues.iter().min_by_key(|(_, queue)| queue.touched);
            let quietest = quietest.map(|(number, _)| *number);
            let Some(gone) = quietest.and_then(|number| self.queues.remove(&number)) else { break };
            bytes -= gone.cost();
            self.free(&gone.records);
        }
        let fits = bytes + cost <= most && self.make_room(cost, u32::MAX);
        let records = if fits { records } else { Vec::new() };
        self.used += records.iter().map(Pinned::cost).sum::<u64>();
        self.queues.insert(queue, Queue { touched: ordinal, records });
    }

    /// A queue was named.
    pub(super) fn touch_queue(&mut self, queue: u32) {
        if let Some(known) = self.queues.get_mut(&queue) {
            known.touched = self.events;
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
                other => self.shadows.lose(memory, offset, other.length(), budget),
            },
            Some(Body::Update { memory, offset, width, update }) => {
                let mut word = [0; 8];
                let length = width.bytes() as usize;
                if self.shadows.read(memory, offset, &mut word[..length]).is_some() {
                    let new = update.apply(u64::from_le_bytes(word), width).to_le_bytes();
                    self.shadows.write(memory, offset, &new[..length], budget);
                }
            }
            // It was too long to be followed; its body begins with the memory and the offset.
            _ => match self.dropped_beginning(given) {
                Some(head) => {
                    let length = match given.kind {
                        kind::WRITE => u64_at(&head, 14),
                        _ => u64_at(&head, 29),
                    };
                    self.shadows.lose(u32_at(&head, 0), u64_at(&head, 4), length, budget);
                }
                None => self.shadows.lose_all(),
            },
        }
    }

    /// The event of a record, whose chunks may have gone.
    pub(super) fn body(&self, given: Given<'_>) -> Option<Body> {
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
}
