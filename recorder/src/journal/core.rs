//! One process's journal: its ground, and what became of the records that did not get there.

use super::chunks::Chunks;
use super::layout::{BODY_MAX, HAS_CONNECTION, RECORD_HEAD, STOP_GAP, STOP_ROOM, record_max};
use super::sink::{Measure, Sink as _};
use super::slot::{Claim, Ground, Slot};
use super::{Record, Stamp, Token};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Bits of `trouble`: records were dropped and no gap says so yet; recording has stopped; it has
/// been finished.
const DROPPED: u32 = 1;
const STOPPED: u32 = 2;
const FINISHED: u32 = 4;

/// Most bytes of a reason that fit a gap in the room kept for stopping: its record's head, whether
/// and how many events (9), the length of the text (8).
const REASON_MAX: usize = STOP_GAP as usize - RECORD_HEAD - 17;

#[derive(Debug)]
pub(super) struct Core {
    pub(super) ground: Ground,
    record_max: u64,
    /// Longest body of a record, over all of its chunks.
    body_max: u64,
    wait: Duration,
    /// Appends wait for a segment as long as it takes.
    patient: AtomicBool,
    /// 0 as long as all is well: the one word that an append looks at.
    trouble: AtomicU32,
    /// Records dropped that no gap tells of yet, and the time of the last of them.
    dropped: AtomicU64,
    dropped_at: AtomicU64,
    /// Position after the segments that are ready, the room for stopping included.
    pub(super) prepared: AtomicU64,
    /// Why there will be no further segment.
    failure: OnceLock<String>,
    helper: OnceLock<Thread>,
    /// Microseconds that the helper sleeps before it looks for work. For tests.
    pub(super) drowsy: AtomicU32,
}

impl Core {
    pub(super) fn new(ground: Ground, segment_size: u64, body_max: u64, wait: Duration) -> Self {
        Self {
            ground,
            record_max: record_max(segment_size),
            body_max: body_max.min(BODY_MAX),
            wait,
            patient: AtomicBool::new(false),
            trouble: AtomicU32::new(0),
            dropped: AtomicU64::new(0),
            dropped_at: AtomicU64::new(0),
            prepared: AtomicU64::new(0),
            failure: OnceLock::new(),
            helper: OnceLock::new(),
            drowsy: AtomicU32::new(0),
        }
    }

    /// From now on an append waits for a segment until there is one or there will be none.
    pub(super) fn be_patient(&self) {
        self.patient.store(true, Ordering::Relaxed);
    }

    /// The thread to wake when segments are used up.
    pub(super) fn set_helper(&self, helper: Thread) {
        // Set once, by whoever starts the only helper.
        let _ = self.helper.set(helper);
    }

    /// Called by the helper: the segments before `end` are ready.
    pub(super) fn raise(&self, end: u64) {
        self.prepared.store(end, Ordering::Relaxed);
        self.ground.frontier().raise(end - STOP_ROOM);
    }

    /// Called by the helper: there will be no further segment.
    pub(super) fn fail(&self, mut reason: String) {
        let mut length = reason.len().min(REASON_MAX);
        while !reason.is_char_boundary(length) {
            length -= 1;
        }
        reason.truncate(length);
        // The helper gives up after its first failure.
        let _ = self.failure.set(reason);
    }

    /// Why there will be no further segment, if so.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Why recording has stopped, if it has.
    pub(super) fn stopped(&self) -> Option<&str> {
        let stopped = self.trouble.load(Ordering::Acquire) & STOPPED != 0;
        self.failure.get().filter(|_| stopped).map(String::as_str)
    }

    #[inline]
    pub(super) fn append(&self, stamp: &Stamp, record: &Record<'_>) -> Option<Token> {
        if self.trouble.load(Ordering::Relaxed) != 0 && !self.settle(stamp) {
            return None;
        }
        let token = self.write(stamp, record);
        if token.is_none() {
            self.count(1, stamp.time);
        }
        token
    }

    /// Writes a record, or not.
    #[inline]
    fn write(&self, stamp: &Stamp, record: &Record<'_>) -> Option<Token> {
        let mut measure = Measure::default();
        record.encode(&mut measure);
        let length = measure.0;
        if RECORD_HEAD as u64 + length > self.record_max
            || matches!(
                record,
                Record::Property { .. } | Record::Matched { .. } | Record::Watch { .. }
            )
        {
            return self.write_with_care(stamp, record, length);
        }
        let flags = if stamp.connection.is_some() { HAS_CONNECTION } else { 0 };
        let mut slot = self.slot(length, record.kind(), flags, stamp)?;
        record.encode(&mut slot);
        slot.commit()
    }

    /// The rare records: long ones go in chunks; those that no reader would take become a gap.
    #[cold]
    fn write_with_care(&self, stamp: &Stamp, record: &Record<'_>, length: u64) -> Option<Token> {
        if length > self.body_max {
            let reason = match self.body_max {
                BODY_MAX => "an event was longer than 256 MiB",
                _ => "an event was longer than an eighth of the ring",
            };
            return self.write(stamp, &Record::Gap { events: Some(1), reason });
        }
        if !record.is_shallow() {
            let reason = "a registry value was nested deeper than 64 levels";
            return self.write(stamp, &Record::Gap { events: Some(1), reason });
        }
        let flags = if stamp.connection.is_some() { HAS_CONNECTION } else { 0 };
        if RECORD_HEAD as u64 + length <= self.record_max {
            let mut slot = self.slot(length, record.kind(), flags, stamp)?;
            record.encode(&mut slot);
            return slot.commit();
        }
        let mut chunks = Chunks::new(self, self.record_max, *stamp, length, record.kind(), flags);
        record.encode(&mut chunks);
        chunks.commit()
    }

    /// A slot for a body of `body` bytes, once its memory is ready; `None` where that took too long
    /// or will never be.
    #[inline]
    pub(super) fn slot(&self, body: u64, kind: u8, flags: u8, stamp: &Stamp) -> Option<Slot<'_>> {
        let claim = loop {
            match self.ground.reserve(body) {
                Some(claim) => break claim,
                // Once a segment: the helper is to make another one.
                None => self.wake(),
            }
        };
        if !self.ground.frontier().is_ready(claim.end()) && !self.wait_for(&claim, stamp) {
            return None;
        }
        self.ground.open(claim, kind, flags, stamp)
    }

    pub(super) fn wake(&self) {
        if let Some(helper) = self.helper.get() {
            helper.unpark();
        }
    }

    #[cold]
    fn wait_for(&self, claim: &Claim, stamp: &Stamp) -> bool {
        let start = Instant::now();
        self.wake();
        loop {
            if self.ground.frontier().is_ready(claim.end()) {
                return true;
            }
            if self.failure.get().is_some() {
                // The mark may have been raised between the look and the failure.
                if self.ground.frontier().is_ready(claim.end()) {
                    return true;
                }
                self.stop(stamp);
                return false;
            }
            if start.elapsed() >= self.wait && !self.patient.load(Ordering::Relaxed) {
                return false;
            }
            std::thread::sleep(Duration::from_micros(20));
        }
    }

    /// Stops recording, and says so in the room kept for it.
    fn stop(&self, stamp: &Stamp) {
        let before = self.trouble.fetch_or(STOPPED, Ordering::AcqRel);
        if before & STOPPED == 0
            && let Some(reason) = self.failure.get()
        {
            self.write_stop_gap(STOP_ROOM, stamp.lane, stamp.time, None, reason);
        }
    }

    fn write_stop_gap(&self, below: u64, lane: u32, time: u64, events: Option<u64>, reason: &str) {
        let gap = Record::Gap { events, reason };
        let mut measure = Measure::default();
        gap.encode(&mut measure);
        let stamp = Stamp { lane, time, ..Stamp::default() };
        let end = self.prepared.load(Ordering::Acquire);
        // SAFETY: `raise` leaves the mark `STOP_ROOM` below `prepared`, which no longer changes once
        // the helper has failed. The upper gap is written by whoever set `STOPPED`, the lower one by
        // whoever set `FINISHED`, each once.
        let slot = unsafe { self.ground.reserved_room(end, below, measure.0, gap.kind(), &stamp) };
        if let Some(mut slot) = slot {
            gap.encode(&mut slot);
            slot.commit();
        }
    }

    fn count(&self, records: u64, time: u64) {
        self.dropped_at.store(time, Ordering::Relaxed);
        self.dropped.fetch_add(records, Ordering::Relaxed);
        self.trouble.fetch_or(DROPPED, Ordering::Release);
    }

    /// Deals with trouble before an append. True where the append can go on.
    #[cold]
    fn settle(&self, stamp: &Stamp) -> bool {
        let trouble = self.trouble.load(Ordering::Acquire);
        if trouble & FINISHED != 0 {
            return false;
        }
        if trouble & STOPPED != 0 {
            self.count(1, stamp.time);
            return false;
        }
        self.tell_dropped(stamp);
        true
    }

    /// Writes a gap for what was dropped, if anything was and there is room again.
    fn tell_dropped(&self, stamp: &Stamp) {
        self.trouble.fetch_and(!DROPPED, Ordering::AcqRel);
        let records = self.dropped.swap(0, Ordering::AcqRel);
        if records == 0 {
            return;
        }
        let stamp = Stamp { lane: stamp.lane, time: stamp.time, ..Stamp::default() };
        let reason = "no segment of the journal was ready in time";
        if self.write(&stamp, &Record::Gap { events: Some(records), reason }).is_none() {
            self.count(records, stamp.time);
        }
    }

    /// Refuses what comes after, and tells of what was dropped.
    pub(super) fn finish(&self) {
        let before = self.trouble.fetch_or(FINISHED, Ordering::AcqRel);
        if before & FINISHED != 0 {
            return;
        }
        let time = self.dropped_at.load(Ordering::Relaxed);
        if before & STOPPED == 0 {
            self.tell_dropped(&Stamp { time, ..Stamp::default() });
            return;
        }
        let dropped = self.dropped.swap(0, Ordering::AcqRel);
        let reason = "recording had stopped";
        self.write_stop_gap(STOP_GAP, 0, time, Some(dropped), reason);
    }

    /// Writes word 0 of a record with a body of `body` bytes, or not even that, and leaves it: what a
    /// process killed at that moment leaves. For tests.
    pub(super) fn leave_hole(&self, stamp: &Stamp, body: u64, published: bool) {
        if published {
            if let Some(mut slot) = self.slot(body, super::kind::EXEC, 0, stamp) {
                (0..body).for_each(|_| slot.byte(0xee));
                slot.abandon();
            }
        } else {
            self.ground.reserve(body);
        }
    }
}
