//! Operations of the client: an enter waits in its lane for the leave, which decides what becomes of both.

use super::keeper::{Given, Keeper};
use super::pinned::{Class, Connection, Pinned, Underway};
use crate::journal::layout::{IN_CHUNKS, RECORD_HEAD, u32_at};
use crate::journal::{Stamp, kind};
use dextape::tape::Body;

/// Bytes of an enter that are needed for what it does, where there is no room for all of it; opens, maps and
/// unmaps have no more.
const BEGINNING: usize = RECORD_HEAD + 24;

impl Keeper {
    /// An operation is entered.
    pub(super) fn entered(&mut self, stamp: &Stamp, given: Given<'_>, ordinal: u64) {
        let class = match (given.kind, stamp.connection) {
            (kind::OPEN, _) => self.class_of_loose(stamp),
            (kind::WAIT, _) => {
                self.touch_queue(u32_at(given.bytes, RECORD_HEAD));
                self.class_of_loose(stamp)
            }
            (kind::CLOSE, Some(connection)) => Class::Connection(connection),
            (kind::MAP, Some(connection)) if !self.is_beginning(connection) => {
                Class::Map(connection)
            }
            (kind::MAP | kind::UNMAP, _) => self.class_within(stamp),
            (_, Some(connection)) => self.class_of_call(connection, given),
            (_, None) => Class::Drop,
        };
        if given.kind == kind::ASYNC_CALL {
            self.called(stamp, given);
        }
        let chunks = self.take_chunks(given);
        self.lane(stamp.lane);
        let Some(lane) = self.lanes.get_mut(&stamp.lane) else { return };
        self.moving -= lane.cost();
        if stamp.connection.is_some() {
            lane.connection = stamp.connection;
        }
        let fields = lane.fields.take();
        let mut bytes = std::mem::take(&mut lane.spare);
        bytes.clear();
        bytes.extend_from_slice(given.bytes);
        let enter = Pinned { position: given.position, ordinal, bytes };
        let mut underway = match chunks {
            Some(chunks) => {
                let before = fields.into_iter().chain(chunks).collect();
                Underway { class, before, enter, whole: true }
            }
            None => Underway { class, before: Vec::new(), enter, whole: false },
        };
        if !underway.whole || self.moving + underway.cost() > self.limits.transit {
            underway.enter.bytes.truncate(BEGINNING);
            underway.before.clear();
            (underway.whole, underway.class) = (false, Class::Drop);
        }
        lane.underway = Some(underway);
        self.moving += lane.cost();
    }

    fn class_of_call(&mut self, connection: u32, given: Given<'_>) -> Class {
        let first_calls = self.limits.first_calls;
        let Some(known) = self.connections.get_mut(&connection) else { return Class::Drop };
        known.calls = known.calls.saturating_add(1);
        let calls = known.calls;
        if calls <= first_calls && self.is_beginning(connection) {
            return Class::Connection(connection);
        }
        if matches!(given.kind, kind::CALL | kind::ASYNC_CALL) && !self.limits.sticky.is_empty() {
            let selector = match self.body(given) {
                _ if given.flags & IN_CHUNKS == 0 => Some(u32_at(given.bytes, RECORD_HEAD)),
                Some(Body::Call(call) | Body::AsyncCall { call, .. }) => Some(call.selector),
                _ => None,
            };
            if selector.is_some_and(|selector| self.limits.sticky.contains(&selector)) {
                return Class::Sticky;
            }
        }
        if given.kind == kind::ASYNC_CALL { Class::Pending(given.position) } else { Class::Drop }
    }

    /// An operation is left.
    pub(super) fn left(&mut self, stamp: &Stamp, given: Given<'_>, ordinal: u64) {
        self.lane(stamp.lane);
        let Some(lane) = self.lanes.get_mut(&stamp.lane) else { return };
        self.moving -= lane.cost();
        let (underway, fields) = (lane.underway.take(), lane.fields.take());
        self.moving += lane.cost();
        let chunks = self.take_chunks(given);
        let entered =
            underway.filter(|it| Some(it.enter.position) == stamp.cause.map(|it| it.get()));
        let Some(Underway { mut class, before, enter, .. }) = entered else { return };
        match given.kind {
            kind::OPENED => {
                if let Some(number) = stamp.connection {
                    class = self.opened(number, &enter);
                    self.lane(stamp.lane).connection = Some(number);
                }
            }
            // No completion comes of a call that failed.
            kind::RETURN if u32_at(given.bytes, RECORD_HEAD) != 0 => {
                self.call_failed(enter.position);
                if matches!(class, Class::Pending(_)) {
                    class = Class::Drop;
                }
            }
            kind::MAPPED => class = self.mapped(stamp, given, &enter, class),
            kind::UNMAPPED => self.unmapped(stamp, given, &enter),
            kind::CLOSED => {
                if let Some(number) = stamp.connection {
                    self.closed(number);
                }
            }
            _ => {}
        }
        let Some(chunks) = chunks.filter(|_| class != Class::Drop) else {
            if let Some(lane) = self.lanes.get_mut(&stamp.lane) {
                lane.spare = enter.bytes;
            }
            return;
        };
        let leave = Pinned::new(given.position, ordinal, given.bytes);
        let records = before.into_iter().chain([enter]).chain(fields).chain(chunks).chain([leave]);
        let needed = matches!(given.kind, kind::OPENED | kind::MAPPED | kind::CLOSED);
        self.push_all(class, records.collect(), needed);
    }

    fn opened(&mut self, number: u32, enter: &Pinned) -> Class {
        let entries = self.limits.entries as usize;
        if self.connections.len() >= entries && !self.shed_closed(u32::MAX) {
            return Class::Drop;
        }
        let service = u32_at(&enter.bytes, RECORD_HEAD);
        if let Some(before) = self.connections.remove(&number) {
            self.free(&before.records);
            before.maps.values().for_each(|records| self.free(records));
        }
        self.connections.insert(number, Connection { service, ..Connection::default() });
        // An open is so short that it is always there as a whole.
        Class::Connection(number)
    }

    fn mapped(&mut self, stamp: &Stamp, given: Given<'_>, enter: &Pinned, class: Class) -> Class {
        let (Some(connection), Some(Body::Mapped { outcome: Ok(mapped) })) =
            (stamp.connection, self.body(given))
        else {
            return if matches!(class, Class::Map(_)) { Class::Drop } else { class };
        };
        let entries = self.limits.entries as usize;
        self.shadows.map(connection, u32_at(&enter.bytes, RECORD_HEAD), &mapped, entries);
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

    fn closed(&mut self, number: u32) {
        self.shadows.close(number);
        self.calls_closed(number);
        if let Some(known) = self.connections.get_mut(&number) {
            known.closed = true;
            let maps = std::mem::take(&mut known.maps);
            maps.values().for_each(|records| self.free(records));
        }
    }
}
