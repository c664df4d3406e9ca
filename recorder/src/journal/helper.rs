//! The thread that makes segments ready ahead of need, so that no client meets the disk.

use super::core::Core;
use super::layout::SegmentHeader;
use super::ring::Recycler;
use super::{map, process};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Segments behind the one in use that stay in memory for late writers.
const KEPT_BEHIND: u64 = 4;

/// Makes segments of one journal.
#[derive(Debug)]
pub(super) struct Helper {
    pub(super) core: Arc<Core>,
    pub(super) file: File,
    /// The header of the next segment.
    pub(super) header: SegmentHeader,
    pub(super) ahead: u64,
    /// Number of the oldest segment that is still in memory.
    pub(super) kept: u64,
    /// Bytes that the journal may take, for the message.
    pub(super) size_max: u64,
    pub(super) failed: bool,
    /// Of a ring, its places.
    pub(super) recycler: Option<Recycler>,
    pub(super) quit: Arc<AtomicBool>,
}

impl Helper {
    /// Makes segments until `ahead` are ready beyond the one in use.
    pub(super) fn make_ready(&mut self) {
        let size = u64::from(self.header.segment_size);
        while !self.failed
            && self.header.number <= self.core.ground.frontier().head() / size + self.ahead
        {
            if let Err(reason) = self.make_one() {
                self.failed = true;
                self.core.fail(reason);
            }
        }
    }

    /// Makes the next segment; an error says where and why that cannot be done.
    fn make_one(&mut self) -> Result<(), String> {
        let size = u64::from(self.header.segment_size);
        let position = self.header.number * size;
        if self.recycler.is_some() {
            return self.make_again(position).map_err(|reason| {
                format!("recording stops here: {reason}; record with a larger ring")
            });
        }
        let place = self.core.ground.place(position);
        if position + size > self.core.ground.end() {
            return Err(format!(
                "recording stops here: the journal has reached its largest size of {} MiB; \
                 record with a larger one",
                self.size_max >> 20
            ));
        }
        self.prepare(place, position).map_err(|error| {
            format!(
                "recording stops here: the journal could not grow beyond byte {place}: {error}; \
                 make room on its disk"
            )
        })?;
        self.core.raise(position + size);
        self.header.number += 1;
        self.header.previous = Some(place);
        Ok(())
    }

    fn prepare(&self, place: u64, position: u64) -> io::Result<()> {
        map::allocate(&self.file, place, u64::from(self.header.segment_size))?;
        let page = u64::from(self.header.page_size);
        self.core.ground.prepare(position, place, &self.header.encode(), page)
    }

    /// Makes the next segment of a ring, in the place of an older one where need be.
    fn make_again(&mut self, position: u64) -> Result<(), String> {
        let Some(recycler) = &mut self.recycler else { return Ok(()) };
        let ground = &self.core.ground;
        let (index, again) = recycler.place(ground, &self.file, self.ahead)?;
        let place = u64::from(index) * u64::from(self.header.segment_size);
        let page = u64::from(self.header.page_size);
        self.header.generation = if again { self.header.generation.wrapping_add(1) } else { 0 };
        ground
            .prepare_again(position, place, &self.header.encode(), page, again)
            .map_err(|error| format!("byte {place} of the ring could not be written: {error}"))?;
        if let Some(ring) = ground.ring() {
            ring.open(self.header.number, index);
        }
        recycler.taken(self.header.number, index);
        self.core.raise(position + u64::from(self.header.segment_size));
        self.header.number += 1;
        self.header.previous = Some(place);
        Ok(())
    }

    /// Runs until it is told to quit.
    pub(super) fn run(mut self) {
        process::block_signals();
        while !self.quit.load(Ordering::Acquire) {
            let drowsy = self.core.drowsy.load(Ordering::Relaxed);
            if drowsy > 0 {
                std::thread::sleep(Duration::from_micros(u64::from(drowsy)));
            }
            self.make_ready();
            self.let_go();
            if let Some(recycler) = &mut self.recycler
                && !self.failed
            {
                // What fails here fails again where the place is needed, and is told there.
                let _ = recycler.prepare(&self.core.ground, &self.file, self.ahead);
            }
            std::thread::park();
        }
    }

    /// Gives the memory of segments that are long full back to the machine.
    fn let_go(&mut self) {
        let size = u64::from(self.header.segment_size);
        let head = (self.core.ground.frontier().head() / size).min(self.header.number);
        if let Some(recycler) = &self.recycler {
            for (number, index) in recycler.live() {
                if (self.kept..head.saturating_sub(KEPT_BEHIND)).contains(&number) {
                    self.core.ground.release(u64::from(index) * size);
                }
            }
            self.kept = self.kept.max(head.saturating_sub(KEPT_BEHIND));
            return;
        }
        while self.kept + KEPT_BEHIND < head {
            self.core.ground.release(self.core.ground.place(self.kept * size));
            self.kept += 1;
        }
    }
}
