//! What clients know of mapped memory, rebuilt from the records that are given up.

use crate::journal::decode::{Bytes, Fault};
use crate::journal::sink::Sink;
use dextape::tape::{Capture, KeyframeMemory, MappedMemory, Payload};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Bytes of a page.
const PAGE: u64 = 1024;

/// Bytes that a page takes in a saved state, and in memory, beside its own.
const OVERHEAD: u64 = 64;

/// Bytes that a lost page takes in a saved state, and how many of one memory may be lost before all of it
/// counts as lost.
const LOST: u64 = 16;
const LOST_MAX: usize = 4096;

/// The shadows of all mapped memories, within a budget.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shadows {
    memories: BTreeMap<u32, Held>,
    /// Bytes of all pages, with their overhead, and of what is known of lost ones.
    used: u64,
    /// Counts touches, so that the pages left alone longest can be told.
    clock: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    /// Connections that have it mapped, each with the memory type.
    holders: BTreeMap<u32, u32>,
    /// Asynchronous calls that it is lent to.
    lent: BTreeSet<u64>,
    length: u64,
    /// False where the tape holds every read, or none.
    shadowed: bool,
    pages: BTreeMap<u64, Page>,
    /// Pages whose bytes are not known any more.
    lost: BTreeSet<u64>,
    all_lost: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Page {
    bytes: Vec<u8>,
    touched: u64,
}

impl Shadows {
    /// A connection has mapped a memory. Of so many `entries` no further one is followed.
    pub(super) fn map(
        &mut self,
        connection: u32,
        memory_type: u32,
        mapped: &MappedMemory,
        entries: usize,
    ) {
        if let Some((held, _)) = self.held(mapped.memory, mapped.length, entries) {
            held.holders.insert(connection, memory_type);
            held.shadowed = !matches!(mapped.capture, Capture::Registers | Capture::Uncaptured);
        }
    }

    /// A client lends a buffer to an asynchronous call. True where nothing was known of it before.
    pub(super) fn lend(&mut self, memory: u32, length: u64, call: u64, entries: usize) -> bool {
        let Some((held, is_new)) = self.held(memory, length, entries) else { return false };
        held.lent.insert(call);
        held.shadowed = true;
        is_new
    }

    /// A call has no further use for what it was lent.
    pub(super) fn give_back(&mut self, call: u64) {
        let of = |(_, held): &(&u32, &Held)| held.lent.contains(&call);
        let lent: Vec<u32> = self.memories.iter().filter(of).map(|(memory, _)| *memory).collect();
        for memory in lent {
            if let Some(held) = self.memories.get_mut(&memory) {
                held.lent.remove(&call);
            }
            self.drop_if_unheld(memory);
        }
    }

    fn held(&mut self, memory: u32, length: u64, entries: usize) -> Option<(&mut Held, bool)> {
        let is_new = !self.memories.contains_key(&memory);
        if is_new && self.memories.len() >= entries {
            return None;
        }
        let held = self.memories.entry(memory).or_default();
        held.length = held.length.max(length);
        Some((held, is_new))
    }

    /// A connection has unmapped a memory: the one it named, or else the first of the type, since the
    /// kernel ignores the address (F15). Gives its number.
    pub(super) fn unmap(
        &mut self,
        connection: u32,
        memory_type: u32,
        named: Option<u32>,
    ) -> Option<u32> {
        let is_held = |held: &Held| held.holders.get(&connection) == Some(&memory_type);
        let named = named.filter(|it| self.memories.get(it).is_some_and(is_held));
        let first = || self.memories.iter().find(|(_, held)| is_held(held)).map(|(it, _)| *it);
        let memory = named.or_else(first)?;
        self.let_go(memory, connection);
        Some(memory)
    }

    /// A connection is closed: its mappings go (F23).
    pub(super) fn close(&mut self, connection: u32) {
        let held: Vec<u32> = self.memories.keys().copied().collect();
        held.into_iter().for_each(|memory| self.let_go(memory, connection));
    }

    fn let_go(&mut self, memory: u32, connection: u32) {
        if let Some(held) = self.memories.get_mut(&memory) {
            held.holders.remove(&connection);
        }
        self.drop_if_unheld(memory);
    }

    fn drop_if_unheld(&mut self, memory: u32) {
        let unheld = |held: &Held| held.holders.is_empty() && held.lent.is_empty();
        if self.memories.get(&memory).is_some_and(unheld)
            && let Some(held) = self.memories.remove(&memory)
        {
            self.used -= held.cost();
        }
    }

    /// The client knows these bytes now.
    pub(super) fn write(&mut self, memory: u32, offset: u64, bytes: &[u8], budget: u64) {
        self.clock = self.clock.saturating_add(1);
        let Some(held) = self.memories.get_mut(&memory).filter(|held| held.shadowed) else {
            return;
        };
        if held.all_lost {
            if offset > 0 || (bytes.len() as u64) < held.length {
                return;
            }
            held.all_lost = false;
        }
        let end = offset.saturating_add(bytes.len() as u64);
        for page in offset / PAGE..end.div_ceil(PAGE) {
            let start = page * PAGE;
            let (from, to) = (offset.max(start), end.min(start + PAGE));
            let part = &bytes[(from - offset) as usize..(to - offset) as usize];
            let whole = from == start && to == start + PAGE;
            if held.lost.contains(&page) {
                if !whole {
                    continue;
                }
                held.lost.remove(&page);
                self.used -= LOST;
            }
            let kept = held.pages.get_mut(&page);
            let kept = match kept {
                Some(kept) => kept,
                None if part.iter().all(|byte| *byte == 0) => continue,
                None => {
                    self.used += PAGE + OVERHEAD;
                    let new = Page { bytes: vec![0; PAGE as usize], touched: 0 };
                    held.pages.entry(page).or_insert(new)
                }
            };
            kept.touched = self.clock;
            kept.bytes[(from - start) as usize..(to - start) as usize].copy_from_slice(part);
        }
        if self.used > budget {
            self.shed(budget);
        }
    }

    /// Bytes that the client knows are not in the journal.
    pub(super) fn lose(&mut self, memory: u32, offset: u64, length: u64, budget: u64) {
        let Some(held) = self.memories.get_mut(&memory).filter(|held| held.shadowed) else {
            return;
        };
        let end = offset.saturating_add(length);
        let pages = offset / PAGE..end.div_ceil(PAGE);
        if held.all_lost {
            return;
        }
        if pages.end - pages.start > LOST_MAX as u64 {
            held.all_lost = true;
        } else {
            for page in pages {
                if held.pages.remove(&page).is_some() {
                    self.used -= PAGE + OVERHEAD;
                }
                self.used += if held.lost.insert(page) { LOST } else { 0 };
            }
        }
        self.used -= held.forget_if_much();
        if self.used > budget {
            self.shed(budget);
        }
    }

    /// Nothing is known of any memory any more.
    pub(super) fn lose_all(&mut self) {
        for held in self.memories.values_mut().filter(|held| held.shadowed) {
            held.all_lost = true;
            held.forget_if_much();
        }
        self.used = self.memories.values().map(Held::cost).sum();
    }

    /// The bytes as the client knows them; `None` where they are lost.
    pub(super) fn read(&self, memory: u32, offset: u64, into: &mut [u8]) -> Option<()> {
        let held = self.memories.get(&memory).filter(|held| held.shadowed && !held.all_lost)?;
        for (at, byte) in (offset..).zip(into) {
            if held.lost.contains(&(at / PAGE)) {
                return None;
            }
            *byte = held.pages.get(&(at / PAGE)).map_or(0, |page| page.bytes[(at % PAGE) as usize]);
        }
        Some(())
    }

    /// Gives up the pages that were left alone longest, an eighth more than need be, so that this is rare;
    /// where the lost ones alone are too many, whole memories.
    fn shed(&mut self, budget: u64) {
        let most = budget - budget / 8;
        let mut pages: Vec<(u64, u32, u64)> = Vec::new();
        for (memory, held) in &self.memories {
            pages.extend(held.pages.iter().map(|(page, kept)| (kept.touched, *memory, *page)));
        }
        pages.sort_unstable();
        for (_, memory, page) in pages {
            if self.used <= most {
                return;
            }
            let Some(held) = self.memories.get_mut(&memory) else { continue };
            if held.pages.remove(&page).is_some() {
                self.used -= PAGE + OVERHEAD;
                self.used += if held.lost.insert(page) { LOST } else { 0 };
                self.used -= held.forget_if_much();
            }
        }
        while self.used > most
            && let Some(held) = self.memories.values_mut().max_by_key(|held| held.lost.len())
            && !held.lost.is_empty()
        {
            held.all_lost = true;
            self.used -= held.forget_if_much();
        }
    }

    /// For a keyframe: each memory, and how many bytes of it are lost.
    pub(super) fn keyframe(&self) -> Vec<(KeyframeMemory, u64)> {
        let mut memories = Vec::new();
        for (number, held) in &self.memories {
            let mut shadow = held.ranges();
            let mut lost = 0;
            if held.all_lost {
                shadow.push((0, Payload::Redacted { length: held.length }));
                lost = held.length;
            } else {
                for range in runs(held.lost.iter().copied()) {
                    let end = (range.end * PAGE).min(held.length.max(range.start * PAGE + 1));
                    let length = end - range.start * PAGE;
                    shadow.push((range.start * PAGE, Payload::Redacted { length }));
                    lost += length;
                }
            }
            shadow.sort_by_key(|(offset, _)| *offset);
            let holder = held.holders.first_key_value();
            let memory = KeyframeMemory {
                memory: *number,
                connection: holder.map(|(connection, _)| *connection),
                memory_type: holder.map_or(0, |(_, memory_type)| *memory_type),
                length: held.length,
                shadow,
            };
            memories.push((memory, lost));
        }
        memories
    }

    pub(super) fn encode(&self, sink: &mut impl Sink) {
        sink.long(self.clock);
        sink.long(self.memories.len() as u64);
        for (number, held) in &self.memories {
            sink.number(*number);
            sink.long(held.length);
            sink.byte(u8::from(held.shadowed) | u8::from(held.all_lost) << 1);
            sink.long(held.holders.len() as u64);
            for (connection, memory_type) in &held.holders {
                sink.number(*connection);
                sink.number(*memory_type);
            }
            sink.long(held.lost.len() as u64);
            held.lost.iter().for_each(|page| sink.long(*page));
            sink.long(held.lent.len() as u64);
            held.lent.iter().for_each(|call| sink.long(*call));
            sink.long(held.pages.len() as u64);
            for (page, kept) in &held.pages {
                sink.long(*page);
                sink.long(kept.touched);
                sink.put(&kept.bytes);
            }
        }
    }

    pub(super) fn decode(bytes: &mut Bytes<'_>) -> Result<Self, Fault> {
        let mut shadows = Self { clock: bytes.long()?, ..Self::default() };
        for _ in 0..bytes.long()? {
            let number = bytes.number()?;
            let length = bytes.long()?;
            let flags = bytes.byte()?;
            let holders = bytes.list(|bytes| Ok((bytes.number()?, bytes.number()?)))?;
            let lost = bytes.list(Bytes::long)?;
            let lent = bytes.list(Bytes::long)?;
            let pages = bytes.list(|bytes| {
                let (page, touched) = (bytes.long()?, bytes.long()?);
                if page > u64::MAX / PAGE - 1 {
                    return Err(Fault("a page beyond all memory"));
                }
                Ok((page, Page { touched, bytes: bytes.take(PAGE)?.to_vec() }))
            })?;
            if lost.iter().any(|page| *page > u64::MAX / PAGE - 1) {
                return Err(Fault("a page beyond all memory"));
            }
            let held = Held {
                holders: holders.into_iter().collect(),
                lent: lent.into_iter().collect(),
                length,
                shadowed: flags & 1 != 0,
                pages: pages.into_iter().collect(),
                lost: lost.into_iter().collect(),
                all_lost: flags & 2 != 0,
            };
            shadows.memories.insert(number, held);
        }
        shadows.used = shadows.memories.values().map(Held::cost).sum();
        Ok(shadows)
    }
}

impl Held {
    /// Bytes that count against the budget.
    fn cost(&self) -> u64 {
        self.pages.len() as u64 * (PAGE + OVERHEAD) + self.lost.len() as u64 * LOST
    }

    /// Forgets all where too much is lost to be told page by page; gives the bytes that this frees.
    fn forget_if_much(&mut self) -> u64 {
        self.all_lost |= self.lost.len() > LOST_MAX;
        if !self.all_lost {
            return 0;
        }
        let cost = self.cost();
        self.lost.clear();
        self.pages.clear();
        cost
    }

    /// Each range that is not zero.
    fn ranges(&self) -> Vec<(u64, Payload)> {
        let mut ranges = Vec::new();
        for run in runs(self.pages.keys().copied()) {
            let bytes: Vec<u8> =
                self.pages.range(run.clone()).flat_map(|(_, page)| &page.bytes).copied().collect();
            let Some(first) = bytes.iter().position(|byte| *byte != 0) else { continue };
            let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(first);
            let offset = run.start * PAGE + first as u64;
            ranges.push((offset, Payload::bytes(&bytes[first..=last])));
        }
        ranges
    }
}

/// Runs of numbers that follow one on the other.
fn runs(numbers: impl Iterator<Item = u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.end == number => run.end += 1,
            _ => runs.push(number..number + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: u64 = 4 * (PAGE + OVERHEAD);

    fn mapped(shadows: &mut Shadows, memory: u32, length: u64) {
        let capture = Capture::Accessor;
        let memory = MappedMemory { memory, length, size: length, capture, read_only: false };
        shadows.map(1, 0, &memory, 16);
    }

    fn told(shadows: &Shadows) -> Vec<(u64, Payload)> {
        shadows.keyframe().remove(0).0.shadow
    }

    #[test]
    fn a_keyframe_holds_what_is_not_zero() {
        let mut shadows = Shadows::default();
        mapped(&mut shadows, 7, 64 << 10);
        shadows.write(7, 1020, &[1, 2, 3, 4, 5, 6, 7, 8], BUDGET);
        shadows.write(7, 5000, &[0; 8], BUDGET);
        shadows.write(7, 9000, &[9], BUDGET);
        shadows.write(8, 0, &[1], BUDGET);
        let whole = Payload::bytes(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(told(&shadows), [(1020, whole), (9000, Payload::bytes(&[9]))]);
        let mut bytes = Vec::new();
        shadows.encode(&mut bytes);
        assert_eq!(Shadows::decode(&mut Bytes(&bytes)), Ok(shadows.clone()));
        assert_eq!(shadows.unmap(1, 0, Some(9)), Some(7), "the kernel ignores the address");
        assert_eq!((shadows.used, shadows.keyframe().len()), (0, 0));
    }

    #[test]
    fn pages_over_the_budget_are_lost_oldest_first_until_they_are_written_whole() {
        let mut shadows = Shadows::default();
        mapped(&mut shadows, 7, 16 * PAGE);
        for page in 0..5 {
            shadows.write(7, page * PAGE, &[page as u8 + 1], BUDGET);
        }
        assert!(shadows.used <= BUDGET);
        let lost = Payload::Redacted { length: 2 * PAGE };
        let kept = |byte| Payload::bytes(&[byte]);
        let held = Payload::bytes(
            &[&[3][..], &[0; PAGE as usize - 1], &[4], &[0; PAGE as usize - 1], &[5]].concat(),
        );
        assert_eq!(told(&shadows), [(0, lost), (2 * PAGE, held)]);
        shadows.write(7, 0, &[1; 9], BUDGET);
        assert_eq!(shadows.read(7, 0, &mut [0; 4]), None, "the rest of the page is not known");
        shadows.write(7, 0, &[6; PAGE as usize], BUDGET);
        assert_eq!(shadows.read(7, 0, &mut [0; 4]), Some(()));
        shadows.lose(7, 2 * PAGE, 3 * PAGE, BUDGET);
        shadows.write(7, 8 * PAGE, &[8], BUDGET);
        assert_eq!(told(&shadows)[2], (8 * PAGE, kept(8)));
    }
}
