//! Budgets: what is pinned as long as there is room, and what makes room.

use super::keeper::{Given, Keeper};
use super::pinned::{Class, Connection, Lane, Pinned, Queue};
use crate::journal::layout::{IN_CHUNKS, RECORD_HEAD, u32_at, u64_at};
use crate::journal::{Stamp, kind};

/// Bytes of the beginning of a body that are remembered where its chunks have no room.
const HEAD: usize = 40;

/// Records whose chunks had no room and that have not come yet: a lane has one at a time.
const DROPPED_MAX: usize = 64;

impl Lane {
    /// Bytes that are under way in it.
    pub(super) fn cost(&self) -> u64 {
        let underway = self.underway.as_ref().map_or(0, super::pinned::Underway::cost);
        underway + self.fields.as_ref().map_or(0, Pinned::cost)
    }
}

impl Queue {
    pub(super) fn cost(&self) -> u64 {
        self.records.iter().map(Pinned::cost).sum()
    }
}

impl Keeper {
    /// Holds a chunk until its record comes. Records that take more than there is for all that is under way
    /// are not followed: only their beginning is remembered.
    pub(super) fn hold_chunk(&mut self, stamp: &Stamp, given: Given<'_>) {
        let chunk = Pinned::new(given.position, 0, given.bytes);
        let before = stamp.cause.map_or(0, |cause| cause.get());
        if let Some(head) = self.dropped.remove(&before) {
            self.dropped.insert(given.position, head);
            return;
        }
        self.moving += chunk.cost();
        self.chunks.insert(given.position, chunk);
        while self.moving > self.limits.transit
            && let Some((position, oldest)) = self.chunks.pop_first()
        {
            self.moving -= oldest.cost();
            let before = u64_at(&oldest.bytes, 32);
            let head = self.dropped.remove(&before).unwrap_or_else(|| {
                let body = oldest.bytes.get(RECORD_HEAD..).unwrap_or_default();
                body[..body.len().min(HEAD)].to_vec()
            });
            self.dropped.insert(position, head);
            if self.dropped.len() > DROPPED_MAX {
                self.dropped.pop_first();
            }
        }
    }

    /// Holds further fields until the event of their lane comes.
    pub(super) fn hold_fields(&mut self, stamp: &Stamp, given: Given<'_>) {
        let fields = Pinned::new(given.position, 0, given.bytes);
        // In chunks they are longer than any that the recorder writes.
        let plain = given.flags & IN_CHUNKS == 0;
        drop(self.take_chunks(given));
        self.lane(stamp.lane);
        let Some(lane) = self.lanes.get_mut(&stamp.lane) else { return };
        self.moving -= lane.fields.take().as_ref().map_or(0, Pinned::cost);
        if plain && self.moving + fields.cost() <= self.limits.transit {
            self.moving += fields.cost();
            lane.fields = Some(fields);
        }
    }

    /// The chunks of a record, which belong to nobody else; `None` where not all are there.
    pub(super) fn take_chunks(&mut self, given: Given<'_>) -> Option<Vec<Pinned>> {
        let mut taken = Vec::new();
        if given.flags & IN_CHUNKS == 0 {
            return Some(taken);
        }
        let mut next = u64_at(given.bytes, RECORD_HEAD);
        let mut left = u64_at(given.bytes, RECORD_HEAD + 8);
        while let Some(chunk) = self.chunks.remove(&next) {
            self.moving -= chunk.cost();
            left = left.saturating_sub((chunk.bytes.len() - RECORD_HEAD) as u64);
            next = u64_at(&chunk.bytes, 32);
            taken.push(chunk);
        }
        self.dropped.remove(&next);
        taken.reverse();
        (left == 0).then_some(taken)
    }

    /// How the body of a record begins whose chunks had no room.
    pub(super) fn dropped_beginning(&self, given: Given<'_>) -> Option<Vec<u8>> {
        if given.flags & IN_CHUNKS == 0 {
            return None;
        }
        let mut next = u64_at(given.bytes, RECORD_HEAD);
        while let Some(chunk) = self.chunks.get(&next) {
            next = u64_at(&chunk.bytes, 32);
        }
        self.dropped.get(&next).filter(|head| head.len() == HEAD).cloned()
    }

    /// A record with its chunks and the further fields of its lane; `None` where not all of it is there.
    pub(super) fn gather(
        &mut self,
        stamp: &Stamp,
        given: Given<'_>,
        ordinal: u64,
    ) -> Option<Vec<Pinned>> {
        let chunks = self.take_chunks(given);
        let fields = self.lanes.get_mut(&stamp.lane).and_then(|lane| lane.fields.take());
        self.moving -= fields.as_ref().map_or(0, Pinned::cost);
        let record = Pinned::new(given.position, ordinal, given.bytes);
        Some(fields.into_iter().chain(chunks?).chain([record]).collect())
    }

    /// Pins a record that is no operation. False where there is no room for it.
    pub(super) fn pin(
        &mut self,
        class: Class,
        stamp: &Stamp,
        given: Given<'_>,
        ordinal: u64,
    ) -> bool {
        if class == Class::Drop {
            // The common case: nothing is copied.
            drop(self.take_chunks(given));
            let fields = self.lanes.get_mut(&stamp.lane).and_then(|lane| lane.fields.take());
            self.moving -= fields.as_ref().map_or(0, Pinned::cost);
            return false;
        }
        let records = self.gather(stamp, given, ordinal);
        records.is_some_and(|records| self.push_all(class, records, false))
    }

    /// Pins what every tape needs: header, services, processes, ends. A header replaces the one before; of
    /// the rest what is older goes first, but for services of open connections.
    pub(super) fn pin_always(&mut self, stamp: &Stamp, given: Given<'_>, ordinal: u64) {
        let Some(records) = self.gather(stamp, given, ordinal) else { return };
        if given.kind == kind::HEADER {
            let (mut freed, mut chunks) = (0, true);
            self.always.retain(|held| {
                // Chunks of the header stand in front of it, and nothing else is in chunks here.
                let of_header = matches!(held.kind(), kind::HEADER | kind::CHUNK) && chunks;
                chunks &= held.kind() != kind::HEADER;
                freed += if of_header { held.cost() } else { 0 };
                !of_header
            });
            self.used -= freed;
        }
        let cost: u64 = records.iter().map(Pinned::cost).sum();
        let most = self.limits.prologue / 2;
        let mut bytes: u64 = self.always.iter().map(Pinned::cost).sum();
        while bytes + cost > most {
            let open = |service| {
                self.connections.values().any(|known| !known.closed && known.service == service)
            };
            let oldest = self.always.iter().position(|held| match held.kind() {
                kind::HEADER | kind::CHUNK => false,
                kind::SERVICE => !open(u32_at(&held.bytes, RECORD_HEAD)),
                _ => true,
            });
            let Some(oldest) = oldest else { break };
            let gone = self.always.remove(oldest);
            bytes -= gone.cost();
            self.used -= gone.cost();
        }
        if bytes + cost <= most && self.make_room(cost, u32::MAX) {
            self.used += cost;
            // The header in front of all.
            match given.kind {
                kind::HEADER => drop(self.always.splice(0..0, records)),
                _ => self.always.extend(records),
            }
        }
    }

    /// Pins records that belong together, all or none. What is `needed` may take all the room that there is.
    pub(super) fn push_all(&mut self, class: Class, records: Vec<Pinned>, needed: bool) -> bool {
        let cost: u64 = records.iter().map(Pinned::cost).sum();
        let most = self.limits.prologue;
        let (of_class, at_most, but) = match class {
            Class::Drop | Class::Map(_) => return false,
            Class::Opening => (self.opening.iter().map(Pinned::cost).sum(), most / 4, u32::MAX),
            Class::Sticky => {
                while self.sticky.iter().map(Pinned::cost).sum::<u64>() + cost > most / 4
                    && self.shed_sticky()
                {}
                (0, most / 4, u32::MAX)
            }
            Class::Pending(_) => (0, most, u32::MAX),
            Class::Connection(number) | Class::Mapped(number, _) => {
                let bytes = self.connections.get(&number).map_or(0, |known| known.bytes);
                if needed { (0, most, number) } else { (bytes, most / 4, number) }
            }
        };
        // Beginnings leave room for what is under way.
        let spared = if needed || matches!(class, Class::Pending(_)) { 0 } else { most / 4 };
        if cost.saturating_add(of_class) > at_most || !self.make_room(cost + spared, but) {
            return false;
        }
        let list = match class {
            Class::Drop | Class::Map(_) => return false,
            Class::Opening => &mut self.opening,
            Class::Sticky => {
                self.used += cost;
                self.sticky.extend(records);
                return true;
            }
            Class::Pending(call) => match self.calls.get_mut(&call) {
                Some(call) => &mut call.records,
                None => return false,
            },
            Class::Connection(number) => match self.connections.get_mut(&number) {
                Some(known) => {
                    if !needed {
                        let events = records.iter().filter(|it| it.ordinal > 0).count() as u32;
                        known.bytes = known.bytes.saturating_add(cost);
                        known.events = known.events.saturating_add(events);
                    }
                    &mut known.records
                }
                None => return false,
            },
            Class::Mapped(number, memory) => match self.connections.get_mut(&number) {
                Some(known) => known.maps.entry(memory).or_default(),
                None => return false,
            },
        };
        self.used += cost;
        list.extend(records);
        true
    }

    /// These records are pinned no longer.
    pub(super) fn free(&mut self, records: &[Pinned]) {
        self.used -= records.iter().map(Pinned::cost).sum::<u64>();
    }

    /// Makes room for so many bytes, if that can be: what is sticky goes first, oldest first, then whole
    /// connections that are closed, other than `but`, newest first, so that the beginning of all stays whole.
    pub(super) fn make_room(&mut self, cost: u64, but: u32) -> bool {
        let most = self.limits.prologue;
        if cost > most {
            return false;
        }
        while self.used + cost > most && (self.shed_sticky() || self.shed_closed(but)) {}
        self.used + cost <= most
    }

    fn shed_sticky(&mut self) -> bool {
        let oldest = self.sticky.pop_front();
        self.used -= oldest.as_ref().map_or(0, Pinned::cost);
        oldest.is_some()
    }

    /// Lets go of the newest connection that is closed, other than `but`.
    pub(super) fn shed_closed(&mut self, but: u32) -> bool {
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

    /// Counts the bytes of what is pinned and of what is under way.
    pub(super) fn count(&mut self) {
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
        self.queues.values().for_each(|queue| add(&queue.records));
        self.calls.values().for_each(|call| add(&call.records));
        self.posted.values().for_each(|posted| add(&posted.records));
        let (front, back) = self.sticky.as_slices();
        add(front);
        add(back);
        self.used = used;
        self.moving = self.lanes.values().map(Lane::cost).sum::<u64>()
            + self.chunks.values().map(Pinned::cost).sum::<u64>();
    }
}
