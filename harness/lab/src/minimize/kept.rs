//! Which units are kept.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A set of units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    words: Vec<u64>,
}

impl Kept {
    pub(super) fn all(count: usize) -> Self {
        let mut kept = Self { words: vec![0; count.div_ceil(64)] };
        (0..count as u32).for_each(|unit| kept.insert(unit));
        kept
    }

    pub(super) fn has(&self, unit: u32) -> bool {
        self.words[unit as usize / 64] >> (unit % 64) & 1 == 1
    }

    pub(super) fn insert(&mut self, unit: u32) {
        self.words[unit as usize / 64] |= 1 << (unit % 64);
    }

    pub(super) fn remove(&mut self, unit: u32) {
        self.words[unit as usize / 64] &= !(1 << (unit % 64));
    }

    pub(super) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// In ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index as u32 * 64 + bit)
        })
    }

    /// Two hashes, which no two sets that are met share.
    pub(super) fn hashes(&self) -> (u64, u64) {
        let hash = |seed: u64| {
            let mut hasher = DefaultHasher::new();
            seed.hash(&mut hasher);
            self.words.hash(&mut hasher);
            hasher.finish()
        };
        (hash(1), hash(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_and_go() {
        let mut kept = Kept::all(130);
        assert_eq!((kept.len(), kept.iter().last()), (130, Some(129)));
        kept.remove(64);
        assert!(!kept.has(64) && kept.has(65));
        assert_eq!(kept.iter().nth(64), Some(65));
        assert_ne!(kept.hashes(), Kept::all(130).hashes());
        kept.insert(64);
        assert_eq!(kept, Kept::all(130));
    }
}
