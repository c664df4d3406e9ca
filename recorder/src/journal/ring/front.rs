//! What stands on the tape in front of the records that are left.

use super::Front;
use super::keeper::Keeper;
use super::pinned::Pinned;
use dextape::tape::{Keyframe, KeyframeMemory};

impl Keeper {
    /// What is kept, in order, with gaps where something is missing, and behind all of it the state.
    /// `boundary` is the position of the first record that is left: a multiple of 8. Empty places between
    /// such multiples are those of gaps and keyframe.
    pub(in crate::journal) fn front(&self, boundary: u64) -> Vec<Front> {
        let mut records: Vec<&Pinned> = self.always.iter().chain(&self.opening).collect();
        for known in self.connections.values() {
            records.extend(known.records.iter().chain(known.maps.values().flatten()));
        }
        records.extend(&self.sticky);
        self.queues.values().for_each(|queue| records.extend(&queue.records));
        self.calls.values().for_each(|call| records.extend(&call.records));
        self.posted.values().for_each(|posted| records.extend(&posted.records));
        for lane in self.lanes.values() {
            records.extend(&lane.fields);
            if let Some(underway) = lane.underway.as_ref().filter(|it| it.whole) {
                records.extend(underway.before.iter().chain([&underway.enter]));
            }
        }
        records.extend(self.chunks.values());
        records.sort_unstable_by_key(|record| record.position);
        records.dedup_by_key(|record| record.position);

        let mut front = Vec::with_capacity(records.len() + 2);
        let (mut last, mut time) = (0, 0);
        for record in records {
            if record.ordinal > 0 {
                let events = record.ordinal.saturating_sub(last).saturating_sub(1);
                if events > 0 {
                    let position = record.position.saturating_sub(4);
                    front.push(Front::Gap { position, events: Some(events), time });
                }
                (last, time) = (record.ordinal, record.time());
            }
            front.push(Front::Record(record.position, record.bytes.clone()));
        }
        let events = self.events.saturating_sub(last);
        if events > 0 || self.uncounted {
            let events = Some(events).filter(|_| !self.uncounted);
            front.push(Front::Gap { position: boundary - 4, events, time });
        }
        if !front.iter().any(|it| matches!(it, Front::Gap { .. })) {
            return front;
        }
        let memories = self.shadows.keyframe();
        let lost: Vec<(u32, u64)> =
            memories.iter().map(|(memory, lost)| (memory.memory, *lost)).collect();
        let is_open = |known: &&super::pinned::Connection| !known.closed;
        let open = self.connections.iter().filter(|(_, known)| is_open(known));
        // What a forked child has of its parent, it has not opened.
        let of_open = |memory: KeyframeMemory| {
            let is_open = |it: &u32| self.connections.get(it).is_some_and(|known| !known.closed);
            KeyframeMemory { connection: memory.connection.filter(is_open), ..memory }
        };
        let pending = self.calls.iter().filter(|(_, call)| call.is_pending());
        let keyframe = Keyframe {
            connections: open.map(|(number, known)| (*number, known.service)).collect(),
            memories: memories.into_iter().map(|(memory, _)| of_open(memory)).collect(),
            queues: self.queues.keys().copied().collect(),
            pending: pending.map(|(token, _)| *token).collect(),
        };
        let time = self.time;
        front.push(Front::Keyframe { position: boundary - 3, keyframe, time });
        for (memory, bytes) in lost.into_iter().filter(|(_, bytes)| *bytes > 0) {
            front.push(Front::Lost { position: boundary - 2, memory, bytes, time });
        }
        front
    }
}
