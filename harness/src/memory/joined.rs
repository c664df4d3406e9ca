//! Parts of several stores, one behind the other.

use super::access::{check_range, check_word};
use super::{AccessError, Memory, Update, Width};
use std::fmt;
use std::sync::Arc;

/// Some bytes of a store.
#[derive(Clone, Debug)]
pub struct Part {
    /// The store.
    pub store: Arc<dyn Memory>,
    /// First byte of it.
    pub start: u64,
    /// Bytes.
    pub length: u64,
}

/// Parts one behind the other. A word that lies across two of them cannot be accessed as one.
#[derive(Default)]
pub struct JoinedMemory {
    /// Each part with its first byte here, in ascending order and without gaps.
    parts: Vec<(u64, Part)>,
    size: u64,
}

impl JoinedMemory {
    /// These parts: the very memory, no copy. `None` where a part is not inside its store, or all of them are too long.
    #[must_use]
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Option<Self> {
        let (mut kept, mut size) = (Vec::new(), 0_u64);
        for part in parts {
            check_range(part.start, part.length, part.store.size()).ok()?;
            let at = size;
            size = size.checked_add(part.length)?;
            if part.length > 0 {
                kept.push((at, part));
            }
        }
        Some(Self { parts: kept, size })
    }

    /// The part that holds the byte at `offset`, and where it is in the part's store.
    fn locate(&self, offset: u64) -> Option<(&Part, u64)> {
        let index = self.parts.partition_point(|(at, _)| *at <= offset).checked_sub(1)?;
        let (at, part) = self.parts.get(index)?;
        Some((part, offset - at))
    }

    /// The store of a word, and where it is in it.
    fn word(&self, offset: u64, width: Width) -> Result<(&dyn Memory, u64), AccessError> {
        check_word(offset, width, self.size)?;
        let unaligned = AccessError::Unaligned { offset, width: width.bytes() };
        let (part, within) = self.locate(offset).ok_or(unaligned)?;
        if within + width.bytes() > part.length {
            return Err(unaligned);
        }
        Ok((&*part.store, part.start + within))
    }

    /// Calls `each` with the store, the place in it, and the range of the copy that is there.
    fn for_each(
        &self,
        offset: u64,
        length: u64,
        mut each: impl FnMut(&dyn Memory, u64, std::ops::Range<usize>) -> Result<(), AccessError>,
    ) -> Result<(), AccessError> {
        check_range(offset, length, self.size)?;
        let mut done = 0;
        while done < length {
            let out_of_range = AccessError::OutOfRange { offset, length, size: self.size };
            let (part, within) = self.locate(offset + done).ok_or(out_of_range)?;
            let count = (part.length - within).min(length - done);
            each(&*part.store, part.start + within, done as usize..(done + count) as usize)?;
            done += count;
        }
        Ok(())
    }
}

/// An error of a part's store, with the offset that was asked for.
fn seen_from(offset: u64) -> impl Fn(AccessError) -> AccessError {
    move |error| match error {
        AccessError::Unaligned { width, .. } => AccessError::Unaligned { offset, width },
        other => other,
    }
}

impl Memory for JoinedMemory {
    fn size(&self) -> u64 {
        self.size
    }

    fn is_registers(&self) -> bool {
        self.parts.iter().any(|(_, part)| part.store.is_registers())
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        let (store, at) = self.word(offset, width)?;
        store.load_word(at, width).map_err(seen_from(offset))
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let (store, at) = self.word(offset, width)?;
        store.store_word(at, width, value).map_err(seen_from(offset))
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        let (store, at) = self.word(offset, width)?;
        store.update_word(at, width, update).map_err(seen_from(offset))
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.for_each(offset, into.len() as u64, |store, at, range| {
            store.copy_out(at, &mut into[range])
        })
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.for_each(offset, bytes.len() as u64, |store, at, range| {
            store.copy_in(at, &bytes[range])
        })
    }
}

impl fmt::Debug for JoinedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinedMemory").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Backing;

    fn counted(from: u8) -> Arc<Backing> {
        let store = Backing::new(64);
        let bytes: Vec<u8> = (from..from + 64).collect();
        store.copy_in(0, &bytes).unwrap();
        store
    }

    fn part(store: &Arc<Backing>, start: u64, length: u64) -> Part {
        Part { store: Arc::<Backing>::clone(store), start, length }
    }

    #[test]
    fn bytes_come_in_the_order_of_the_parts_and_writes_reach_the_stores() {
        let (low, high) = (counted(0), counted(100));
        let parts = [part(&high, 8, 4), part(&low, 0, 0), part(&low, 60, 3), part(&high, 0, 8)];
        let joined = JoinedMemory::new(parts).unwrap();
        let mut bytes = [0; 15];
        joined.copy_out(0, &mut bytes).unwrap();
        assert_eq!(bytes, [108, 109, 110, 111, 60, 61, 62, 100, 101, 102, 103, 104, 105, 106, 107]);
        joined.copy_in(3, &[1, 2, 3, 4, 5]).unwrap();
        assert_eq!(high.load_word(11, Width::One), Ok(1));
        assert_eq!(low.load_word(62, Width::One), Ok(4));
        assert_eq!(high.load_word(0, Width::One), Ok(5));
        let outside = AccessError::OutOfRange { offset: 14, length: 2, size: 15 };
        assert_eq!(joined.copy_in(14, &[0, 0]), Err(outside));
        assert_eq!(joined.copy_in(15, &[]), Ok(()));
    }

    #[test]
    fn a_word_lies_in_one_part() {
        let (low, high) = (counted(0), counted(100));
        let joined = JoinedMemory::new([part(&low, 2, 2), part(&high, 4, 6)]).unwrap();
        assert_eq!(joined.load_word(0, Width::Two), Ok(0x0302));
        let unaligned = |offset, width| Err(AccessError::Unaligned { offset, width });
        assert_eq!(joined.load_word(0, Width::Four), unaligned(0, 4), "across the seam");
        // Bytes 6 to 9 of the second store: aligned here, and not there.
        assert_eq!(joined.load_word(4, Width::Four), unaligned(4, 4));
        joined.store_word(4, Width::Two, 0x0807).unwrap();
        assert_eq!(high.load_word(6, Width::Two), Ok(0x0807));
        assert_eq!(joined.update_word(4, Width::Two, Update::Add(1)), Ok(0x0807));
    }

    #[test]
    fn a_part_is_inside_its_store() {
        let store = Backing::new(64);
        assert!(JoinedMemory::new([part(&store, store.size() - 1, 2)]).is_none());
        assert!(JoinedMemory::new([part(&store, u64::MAX, 2)]).is_none());
        assert_eq!(JoinedMemory::new([]).unwrap().size(), 0);
    }
}
