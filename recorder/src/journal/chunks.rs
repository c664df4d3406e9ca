//! A record that is longer than a segment takes at once.

use super::core::Core;
use super::kind;
use super::layout::{IN_CHUNKS, RECORD_HEAD};
use super::sink::Sink;
use super::slot::Slot;
use super::{Stamp, Token};

/// Cuts a body in chunks. Each chunk is a record of its own whose cause is the chunk before it; the
/// record itself comes last, with the token of the last chunk, how many bytes the chunks hold, and
/// the rest of the body. A reader that sees the record so sees its chunks; chunks without a
/// record, of a process that was killed in between, mean nothing.
#[derive(Debug)]
pub(super) struct Chunks<'a> {
    core: &'a Core,
    stamp: Stamp,
    /// Bytes of a chunk, and of all chunks.
    size: u64,
    lead: u64,
    /// Bytes of all chunks that are still to come, and of the rest of the body.
    lead_left: u64,
    rest: u64,
    /// Kind and flags of the record.
    kind: u8,
    flags: u8,
    /// The chunk before, the one being filled, and its bytes still to come.
    last: Option<Token>,
    slot: Option<Slot<'a>>,
    slot_left: u64,
    failed: bool,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(
        core: &'a Core,
        record_max: u64,
        stamp: Stamp,
        length: u64,
        kind: u8,
        flags: u8,
    ) -> Self {
        let size = (record_max - RECORD_HEAD as u64 - 16) & !7;
        let rest = length % size;
        Self {
            core,
            stamp,
            size,
            lead: length - rest,
            lead_left: length - rest,
            rest,
            kind,
            flags: flags | IN_CHUNKS,
            last: None,
            slot: None,
            slot_left: 0,
            failed: false,
        }
    }

    fn next_slot(&mut self) {
        let stamp = Stamp { cause: self.last, ..self.stamp };
        self.slot = self.core.slot(self.size, kind::CHUNK, 0, &stamp);
        self.slot_left = self.size;
        self.failed |= self.slot.is_none();
    }

    fn end_slot(&mut self) {
        self.last = self.slot.take().and_then(Slot::commit);
        self.failed |= self.last.is_none();
    }

    /// Opens the record itself, once its chunks are committed.
    fn open_record(&mut self) {
        if let Some(last) = self.last {
            self.slot = self.core.slot(16 + self.rest, self.kind, self.flags, &self.stamp);
            if let Some(slot) = &mut self.slot {
                slot.long(last.get());
                slot.long(self.lead);
            }
        }
        self.failed |= self.slot.is_none();
    }

    /// Commits the record itself.
    pub(super) fn commit(mut self) -> Option<Token> {
        if self.slot.is_none() && !self.failed {
            self.open_record();
        }
        if self.failed {
            return None;
        }
        self.slot.take()?.commit()
    }
}

impl Sink for Chunks<'_> {
    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.lead_left > 0 && !self.failed {
            if self.slot.is_none() {
                self.next_slot();
                continue;
            }
            let take = self.slot_left.min(bytes.len() as u64) as usize;
            let (now, later) = bytes.split_at(take);
            if let Some(slot) = &mut self.slot {
                slot.put(now);
            }
            bytes = later;
            self.slot_left -= take as u64;
            self.lead_left -= take as u64;
            if self.slot_left == 0 {
                self.end_slot();
            }
        }
        if bytes.is_empty() || self.failed {
            return;
        }
        if self.slot.is_none() {
            self.open_record();
        }
        if let Some(slot) = &mut self.slot {
            slot.put(bytes);
        }
    }
}
