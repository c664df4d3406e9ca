//! Asynchronous calls and their completions.

use super::keeper::{Given, Keeper};
use super::pinned::{AsyncCall, Class, Pinned, Posted};
use crate::journal::Stamp;
use crate::journal::layout::{RECORD_HEAD, u32_at};
use dextape::tape::{Body, OutputKind, Payload, Structure};

/// Calls that have completed once, which most never do again, and are kept all the same for a while: a
/// second completion tells that they go on.
const ONCE_MAX: usize = 32;

impl Keeper {
    /// An asynchronous call is made.
    pub(super) fn called(&mut self, stamp: &Stamp, given: Given<'_>) {
        if self.calls.len() >= self.limits.entries as usize {
            self.forget_a_call();
        }
        let connection = stamp.connection.unwrap_or(0);
        self.calls.insert(given.position, AsyncCall { connection, ..AsyncCall::default() });
        let Some(Body::AsyncCall { call, queue, .. }) = self.body(given) else { return };
        if let Some(queue) = queue {
            self.touch_queue(queue);
        }
        let (budget, entries) = (self.limits.shadows, self.limits.entries as usize);
        if let Structure::Shared { memory, data } = &call.input {
            self.shadows.lend(*memory, data.length(), given.position, entries);
            match data {
                Payload::Bytes(bytes) => self.shadows.write(*memory, 0, bytes, budget),
                other => self.shadows.lose(*memory, 0, other.length(), budget),
            }
        }
        if let OutputKind::Shared { memory, size } = call.output
            && self.shadows.lend(memory, size, given.position, entries)
        {
            // What the client has in it stands nowhere.
            self.shadows.lose(memory, 0, size, budget);
        }
    }

    /// A call has failed.
    pub(super) fn call_failed(&mut self, call: u64) {
        self.forget(call);
    }

    /// The connection is closed: its calls complete no more.
    pub(super) fn calls_closed(&mut self, connection: u32) {
        let of = |(_, call): &(&u64, &AsyncCall)| call.connection == connection && !call.done;
        let tokens: Vec<u64> = self.calls.iter().filter(of).map(|(token, _)| *token).collect();
        for token in tokens {
            if let Some(call) = self.calls.get_mut(&token) {
                call.done = true;
            }
            self.settle(token);
        }
    }

    /// A call has completed.
    pub(super) fn posted(&mut self, stamp: &Stamp, given: Given<'_>, ordinal: u64) {
        let token = stamp.cause.map_or(0, |cause| cause.get());
        if let Some(call) = self.calls.get_mut(&token) {
            call.completions = call.completions.saturating_add(1);
            call.completed = ordinal;
        }
        let class = self.class_within(stamp);
        let kept = class != Class::Drop && self.pin(class, stamp, given, ordinal);
        if self.posted.len() >= self.limits.entries as usize
            && let Some(oldest) = self.posted.keys().next().copied()
        {
            self.forget_completion(oldest);
        }
        let mut records = Vec::new();
        if !kept {
            let record = Pinned::new(given.position, ordinal, given.bytes);
            if self.make_room(record.cost(), u32::MAX) {
                self.used += record.cost();
                records.push(record);
            }
        }
        self.posted.insert(given.position, Posted { call: token, records });
        if let Some(call) = self.calls.get_mut(&token) {
            call.waiting = call.waiting.saturating_add(1);
        }
        self.forget_calls_that_completed();
    }

    /// The client took a completion.
    pub(super) fn delivered(&mut self, stamp: &Stamp, given: Given<'_>, ordinal: u64) {
        self.touch_queue(u32_at(given.bytes, RECORD_HEAD));
        let class = self.class_of_loose(stamp);
        if let Some(posted) = stamp.cause.and_then(|cause| self.posted.remove(&cause.get())) {
            self.free(&posted.records);
            if class != Class::Drop {
                self.push_all(class, posted.records, false);
            }
            self.taken(posted.call);
        }
        self.pin(class, stamp, given, ordinal);
    }

    fn forget_completion(&mut self, posted: u64) {
        if let Some(posted) = self.posted.remove(&posted) {
            self.free(&posted.records);
            self.taken(posted.call);
        }
    }

    /// One completion of a call less is waiting to be taken.
    fn taken(&mut self, call: u64) {
        if let Some(known) = self.calls.get_mut(&call) {
            known.waiting = known.waiting.saturating_sub(1);
            self.settle(call);
        }
    }

    /// Forgets a call that completes no more, once all of its completions are taken.
    fn settle(&mut self, call: u64) {
        if self.calls.get(&call).is_some_and(|call| call.done && call.waiting == 0) {
            self.forget(call);
        }
    }

    fn forget_calls_that_completed(&mut self) {
        let once = |(_, call): &(&u64, &AsyncCall)| call.completions == 1 && call.waiting == 0;
        while self.calls.iter().filter(once).count() > ONCE_MAX {
            let oldest = self.calls.iter().filter(once).min_by_key(|(_, call)| call.completed);
            let Some(oldest) = oldest.map(|(token, _)| *token) else { break };
            self.forget(oldest);
        }
    }

    /// Makes room for another call: those that have completed go first, then the oldest.
    fn forget_a_call(&mut self) {
        let order = |(token, call): &(&u64, &AsyncCall)| {
            (!call.done, call.completions != 1, call.completed, **token)
        };
        if let Some(gone) = self.calls.iter().min_by_key(order).map(|(token, _)| *token) {
            self.forget(gone);
        }
    }

    fn forget(&mut self, call: u64) {
        if let Some(gone) = self.calls.remove(&call) {
            self.free(&gone.records);
            self.shadows.give_back(call);
        }
    }
}
