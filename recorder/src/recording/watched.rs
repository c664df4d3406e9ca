//! What the recorder knows of one memory: its shadow, and since when the shadow is known to hold.
//!
//! This is the shadow rule as a state machine without memory, journal or lock, so that it can be tested
//! by itself. Whoever drives it applies an access to the memory, asks here whether that is an event,
//! and appends the event, all under one lock: then the journal's order is the order of effects on
//! the shadow.

use dextape::memory::Shadow;
use std::ops::Range;

/// Ranges whose last comparison is remembered. Where more are in use, the oldest is forgotten and
/// a patch there names an earlier event, or none: a wider interval, and still a true one.
const RANGES: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Equal<T> {
    start: u64,
    end: u64,
    /// The event after which the range was last equal to the shadow.
    after: T,
}

/// Shadow of one memory and the events after which ranges of it were last seen equal. `T` names an
/// event; later events are greater.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    shadow: Shadow,
    equal: [Option<Equal<T>>; RANGES],
    next: usize,
}

/// A change that the client saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change<T> {
    /// The smallest range that holds all differing bytes.
    pub(crate) range: Range<u64>,
    /// The event after which all of it was last seen equal to the shadow.
    pub(crate) last_equal: Option<T>,
}

impl<T: Copy + Ord> Watched<T> {
    /// A memory of zeros that nobody has looked at.
    pub(crate) fn new() -> Self {
        Self { shadow: Shadow::new(), equal: [None; RANGES], next: 0 }
    }

    /// What a read of `seen` at `offset` shows: a change to be recorded as a patch, or `None` where
    /// the shadow holds just that. Changes nothing.
    pub(crate) fn compare(&self, offset: u64, seen: &[u8]) -> Option<Change<T>> {
        let range = self.shadow.difference(offset, seen)?;
        let covers = |equal: &&Equal<T>| equal.start <= range.start && range.end <= equal.end;
        let last_equal = self.equal.iter().flatten().filter(covers).map(|equal| equal.after).max();
        Some(Change { range, last_equal })
    }

    /// The client knows these bytes after event `after`: it read them equal, it saw the patch, or it
    /// wrote them itself.
    pub(crate) fn known(&mut self, offset: u64, length: u64, after: T) {
        let end = offset.saturating_add(length);
        let same = self.equal.iter_mut().flatten().find(|it| it.start == offset && it.end == end);
        if let Some(equal) = same {
            equal.after = equal.after.max(after);
        } else {
            self.equal[self.next] = Some(Equal { start: offset, end, after });
            self.next = (self.next + 1) % RANGES;
        }
    }

    /// Sets the shadow: bytes of a patch, or bytes that the client wrote.
    pub(crate) fn set(&mut self, offset: u64, bytes: &[u8]) {
        self.shadow.write(offset, bytes);
    }

    /// The bytes as the client knows them.
    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) {
        self.shadow.read(offset, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_change_names_the_event_after_which_the_range_was_last_equal() {
        let mut watched = Watched::new();
        let seen = |watched: &Watched<u64>, offset, bytes: &[u8]| watched.compare(offset, bytes);
        assert_eq!(seen(&watched, 0, &[0, 0]), None);
        let change = seen(&watched, 0, &[0, 1]).unwrap();
        assert_eq!(change, Change { range: 1..2, last_equal: None });

        watched.known(0, 4, 10);
        watched.known(1, 1, 7);
        let change = seen(&watched, 0, &[0, 1]).unwrap();
        assert_eq!(change, Change { range: 1..2, last_equal: Some(10) });
        let change = seen(&watched, 2, &[1, 1, 1]).unwrap();
        assert_eq!(change.last_equal, None, "byte 4 was never seen");

        watched.known(0, 4, 3);
        let change = seen(&watched, 0, &[9]).unwrap();
        assert_eq!(change.last_equal, Some(10), "an older event does not replace a newer one");
    }

    #[test]
    fn forgotten_ranges_widen_the_interval() {
        let mut watched = Watched::new();
        for range in 0..=RANGES as u64 {
            watched.known(range * 4, 4, range);
        }
        assert_eq!(watched.compare(0, &[1]).unwrap().last_equal, None);
        assert_eq!(watched.compare(4, &[1]).unwrap().last_equal, Some(1));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Device(u64, Vec<u8>),
        Write(u64, Vec<u8>),
        Read(u64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = || proptest::collection::vec(0..3_u8, 1..12);
        prop_oneof![
            (0..52_u64, bytes()).prop_map(|(offset, bytes)| Step::Device(offset, bytes)),
            (0..52_u64, bytes()).prop_map(|(offset, bytes)| Step::Write(offset, bytes)),
            (0..52_u64, 1..12_usize).prop_map(|(offset, length)| Step::Read(offset, length)),
        ]
    }

    proptest! {
        /// Patches and the client's own writes, applied to a copy that never sees the memory, give
        /// every read just what the client saw.
        #[test]
        fn patches_and_writes_rebuild_every_read(
            steps in proptest::collection::vec(step(), 1..80),
        ) {
            let mut memory = [0_u8; 64];
            let mut copy = [0_u8; 64];
            let mut watched = Watched::new();
            // The step after which each byte was last known equal, by the rule's own words.
            let mut oracle = [None; 64];
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Device(offset, bytes) => {
                        memory[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
                    }
                    Step::Write(offset, bytes) => {
                        let range = offset as usize..offset as usize + bytes.len();
                        memory[range.clone()].copy_from_slice(&bytes);
                        copy[range.clone()].copy_from_slice(&bytes);
                        watched.set(offset, &bytes);
                        watched.known(offset, bytes.len() as u64, number);
                        oracle[range].fill(Some(number));
                    }
                    Step::Read(offset, length) => {
                        let range = offset as usize..offset as usize + length;
                        let seen = &memory[range.clone()];
                        if let Some(change) = watched.compare(offset, seen) {
                            let changed = change.range.start as usize..change.range.end as usize;
                            prop_assert!(range.start <= changed.start && changed.end <= range.end);
                            let known = oracle[changed.clone()].iter().copied().min().flatten();
                            prop_assert!(change.last_equal <= known, "never later than the truth");
                            let bytes = memory[changed.clone()].to_vec();
                            watched.set(change.range.start, &bytes);
                            copy[changed].copy_from_slice(&bytes);
                        }
                        watched.known(offset, length as u64, number);
                        oracle[range.clone()].fill(Some(number));
                        prop_assert_eq!(&copy[range.clone()], &memory[range]);
                    }
                }
            }
        }
    }
}
