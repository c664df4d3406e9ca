//! Words of shared memory that both sides change: what the device does to them, as far as it shows.
//!
//! A tape says which bytes a word became. Where the client wrote it at another place of the order than on
//! the tape, the device finds another word there than it found then, and what it makes of that depends on
//! what it does: it adds, it sets bits, or it stores. A word that changed often enough tells.

use super::script::{Deed, What};
use crate::memory::Width;
use crate::tape::{Body, Event};
use std::collections::{BTreeMap, HashMap};

/// What the device does to a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::perturb) enum Manner {
    /// It does not show.
    #[default]
    Unknown,
    /// It adds the same, whatever it finds.
    Adds,
    /// It sets bits that were not set, and leaves the others alone.
    Sets,
    /// It stores the same, whatever it finds.
    Stores,
}

/// One change of a word by the device.
#[derive(Clone, Copy, Debug)]
pub(in crate::perturb) struct WordChange {
    pub(in crate::perturb) offset: u64,
    pub(in crate::perturb) width: Width,
    pub(in crate::perturb) before: u64,
    pub(in crate::perturb) after: u64,
    pub(in crate::perturb) manner: Manner,
}

impl WordChange {
    /// What becomes of a word that holds `now`; `None` where nobody knows.
    pub(in crate::perturb) fn apply(&self, now: u64) -> Option<u64> {
        let mask = self.width.mask();
        if now == self.before {
            return Some(self.after);
        }
        match self.manner {
            Manner::Unknown => None,
            Manner::Adds => Some(now.wrapping_add(self.after.wrapping_sub(self.before)) & mask),
            Manner::Sets => Some(now | (self.after & !self.before)),
            Manner::Stores => Some(self.after),
        }
    }
}

/// A place in shared memory: its number and the offset.
type Place = (u32, u64);

/// The words that the client writes one by one.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Of each memory by offset: the width, and what the word is now.
    memories: HashMap<u32, BTreeMap<u64, (Width, u64)>>,
}

/// Changes of a word by which it shows what the device does to it.
const ADDS_MIN: usize = 3;
const SETS_MIN: usize = 2;

impl Words {
    pub(super) fn new(events: &[Event]) -> Self {
        let mut words = Self::default();
        for event in events {
            match event.body {
                Body::Write { memory, offset, width: Some(width), .. }
                | Body::Update { memory, offset, width, .. } => words.note(memory, offset, width),
                _ => {}
            }
        }
        words
    }

    /// The first width counts in which a word is written.
    fn note(&mut self, memory: u32, offset: u64, width: Width) {
        let end = offset.saturating_add(width.bytes());
        let words = self.memories.entry(memory).or_default();
        let before = words.range(..end).next_back();
        if before.is_none_or(|(at, (width, _))| *at + width.bytes() <= offset) {
            words.insert(offset, (width, 0));
        }
    }

    /// Bytes have changed: the words among them before and after.
    fn change(&mut self, memory: u32, offset: u64, bytes: &[u8]) -> Vec<WordChange> {
        let end = offset.saturating_add(bytes.len() as u64);
        let Some(words) = self.memories.get_mut(&memory) else { return Vec::new() };
        let from = offset.saturating_sub(8);
        let mut changes = Vec::new();
        for (at, (width, word)) in words.range_mut(from..end) {
            let before = *word;
            let mut held = before.to_le_bytes();
            for (place, byte) in (*at..).zip(&mut held[..width.bytes() as usize]) {
                let index = place.checked_sub(offset).and_then(|it| usize::try_from(it).ok());
                if let Some(new) = index.and_then(|index| bytes.get(index)) {
                    *byte = *new;
                }
            }
            *word = u64::from_le_bytes(held);
            if *at + width.bytes() > offset {
                let (after, manner) = (*word, Manner::Unknown);
                changes.push(WordChange { offset: *at, width: *width, before, after, manner });
            }
        }
        changes
    }

    /// An event goes by: what it changes by the device.
    pub(super) fn event(&mut self, body: &Body) -> Vec<WordChange> {
        match body {
            Body::Patch { memory, offset, data, .. } => {
                data.as_bytes().map_or_else(Vec::new, |bytes| self.change(*memory, *offset, bytes))
            }
            Body::Write { memory, offset, data, .. } => {
                let _by_client = data.as_bytes().map(|bytes| self.change(*memory, *offset, bytes));
                Vec::new()
            }
            Body::Update { memory, offset, width, update } => {
                let words = self.memories.get_mut(memory);
                if let Some((held, word)) = words.and_then(|words| words.get_mut(offset))
                    && held == width
                {
                    *word = update.apply(*word, *width);
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

/// Finds out what the device does to each word, and notes it with each of its changes.
pub(super) fn tell_manners(deeds: &mut [Deed]) -> HashMap<Place, Manner> {
    let mut changes: HashMap<Place, Vec<(u64, u64)>> = HashMap::new();
    for deed in &*deeds {
        let What::Patch { memory, words, seen, .. } = &deed.what else { continue };
        // What was never seen otherwise may be as old as the memory, and nobody's change.
        for word in words.iter().filter(|word| *seen && word.before != word.after) {
            changes.entry((*memory, word.offset)).or_default().push((word.before, word.after));
        }
    }
    let manners: HashMap<Place, Manner> =
        changes.into_iter().map(|(place, changes)| (place, manner(&changes))).collect();
    for deed in deeds {
        let What::Patch { memory, words, .. } = &mut deed.what else { continue };
        for word in words {
            word.manner = manners.get(&(*memory, word.offset)).copied().unwrap_or_default();
        }
    }
    manners
}

fn manner(changes: &[(u64, u64)]) -> Manner {
    let same =
        |of: fn(&(u64, u64)) -> u64| changes.windows(2).all(|pair| of(&pair[0]) == of(&pair[1]));
    let (same_before, same_after) = (same(|it| it.0), same(|it| it.1));
    let same_difference = same(|it| it.1.wrapping_sub(it.0));
    let only_sets = changes.iter().all(|(before, after)| before & after == *before);
    if changes.len() >= ADDS_MIN && same_difference && !same_before {
        Manner::Adds
    } else if changes.len() >= SETS_MIN && only_sets && !same_after {
        Manner::Sets
    } else if changes.len() >= SETS_MIN && same_after {
        Manner::Stores
    } else {
        Manner::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_device_does_shows_in_what_it_did() {
        assert_eq!(manner(&[(0, 20), (25, 45), (50, 70)]), Manner::Adds);
        assert_eq!(manner(&[(0, 20), (25, 45)]), Manner::Unknown, "twice may be by chance");
        assert_eq!(manner(&[(0, 1), (0, 2), (1, 9)]), Manner::Sets);
        assert_eq!(manner(&[(0, 1), (0, 1)]), Manner::Stores);
        assert_eq!(manner(&[(0, 1)]), Manner::Unknown);
        assert_eq!(manner(&[(3, 1), (1, 4)]), Manner::Unknown);
    }

    #[test]
    fn a_change_finds_another_word_than_it_found() {
        let change =
            |manner| WordChange { offset: 0, width: Width::One, before: 0b01, after: 0b11, manner };
        assert_eq!(change(Manner::Unknown).apply(0b01), Some(0b11));
        assert_eq!(change(Manner::Unknown).apply(0b100), None);
        assert_eq!(change(Manner::Adds).apply(0xff), Some(1), "it wraps at the width");
        assert_eq!(change(Manner::Sets).apply(0b100), Some(0b110));
        assert_eq!(change(Manner::Stores).apply(0b100), Some(0b11));
    }
}
