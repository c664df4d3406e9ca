//! How a completion finds its call: by a mark in the last entry of the asynchronous reference.
//!
//! The kernel hands back entries 1 to 7 of a reference as the client gave them, and 0 for entries
//! that it did not give (D7, D8). Where the last entry is free, the recorder puts the call's mark
//! there, and takes it out before the client sees the completion. Where the client uses all 8, its
//! own last entry waits in a table meanwhile.

use dextape::call::AsyncReference;
use dextape::limits::ASYNC_REFERENCE_MAX;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const LAST: usize = ASYNC_REFERENCE_MAX - 1;

/// Bits of an entry that name the call; those above tell a mark from a client's value.
const CALL_BITS: u32 = 48;

/// Calls with 8 entries that are remembered. An action may fire at any later time (D11), so none is
/// ever forgotten; a call beyond them goes on unmarked, and its completions name no call.
const FULL_REFERENCES_MAX: usize = 65_536;

/// A reference that goes to the kernel in place of the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// The client's own goes, since it means something that a mark would change, or since there is
    /// no room.
    AsIs,
    /// This one goes.
    Marked(AsyncReference),
}

/// The marks of one session.
#[derive(Debug)]
pub(crate) struct Marks {
    /// High bits of every mark. No address of a Mac's process and no small number has them, and
    /// sessions inside one another differ.
    tag: u64,
    /// Last entries of references that were full, by call.
    full: Mutex<HashMap<u64, u64>>,
}

impl Marks {
    /// Marks of a session with this number.
    pub(crate) fn new(session: u64) -> Self {
        // 0xa400 to 0xa7ff: neither a low nor a high canonical address.
        let tag = (0xa400 | (session & 0x3ff)) << CALL_BITS;
        Self { tag, full: Mutex::default() }
    }

    /// The reference to send for `call` in place of `reference`.
    ///
    /// No reference at all stands for one entry of zero (D2), so a marked one is the same to the
    /// client. A pointer with a count of 0 (D3) and more than 8 entries (D1) are refused, and must
    /// be refused in the same way.
    pub(crate) fn mark(&self, reference: Option<&[u64]>, call: u64) -> Marked {
        let entries = reference.unwrap_or(&[0]);
        if entries.is_empty() || entries.len() > ASYNC_REFERENCE_MAX || call >> CALL_BITS != 0 {
            return Marked::AsIs;
        }
        if let Some(last) = entries.get(LAST) {
            let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
            // A value that looks like a mark must not go through as it is: it would be taken for one.
            if full.len() >= FULL_REFERENCES_MAX && !self.is_mark(*last) {
                return Marked::AsIs;
            }
            full.insert(call, *last);
        }
        let mut marked = [0; ASYNC_REFERENCE_MAX];
        marked[..entries.len()].copy_from_slice(entries);
        marked[LAST] = self.tag | call;
        Marked::Marked(marked)
    }

    /// Takes the mark out of a completion's reference: gives the client's reference and the call.
    pub(crate) fn unmark(&self, mut reference: AsyncReference) -> (AsyncReference, Option<u64>) {
        let mark = reference[LAST];
        if !self.is_mark(mark) {
            return (reference, None);
        }
        let call = mark & !(u64::MAX << CALL_BITS);
        let full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        reference[LAST] = full.get(&call).copied().unwrap_or(0);
        (reference, Some(call))
    }

    fn is_mark(&self, entry: u64) -> bool {
        entry & (u64::MAX << CALL_BITS) == self.tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel hands back for a reference that it accepted (D2, D7, D8).
    fn delivered(reference: Option<&[u64]>) -> AsyncReference {
        let entries = reference.unwrap_or(&[0]);
        let mut back = [0; ASYNC_REFERENCE_MAX];
        back[..entries.len()].copy_from_slice(entries);
        back[0] = 0;
        back
    }

    #[test]
    fn a_marked_reference_comes_back_as_the_client_gave_it() {
        let marks = Marks::new(5);
        let entries: Vec<u64> = (100..108).collect();
        let given = (1..=8).map(|count| Some(&entries[..count])).chain([None]);
        for (call, reference) in given.enumerate() {
            let call = call as u64 + 1;
            let Marked::Marked(sent) = marks.mark(reference, call) else {
                panic!("{reference:?} was not marked");
            };
            assert_ne!(sent[LAST], delivered(reference)[LAST]);
            let (restored, found) = marks.unmark(delivered(Some(&sent)));
            assert_eq!(restored, delivered(reference));
            assert_eq!(found, Some(call));
        }
    }

    #[test]
    fn refused_references_go_as_they_are() {
        let marks = Marks::new(5);
        assert_eq!(marks.mark(Some(&[]), 1), Marked::AsIs, "D3");
        assert_eq!(marks.mark(Some(&[0; 9]), 1), Marked::AsIs, "D1");
    }

    #[test]
    fn a_full_table_lets_references_through_but_for_those_that_look_marked() {
        let marks = Marks::new(5);
        for call in 0..FULL_REFERENCES_MAX as u64 {
            assert_ne!(marks.mark(Some(&[7; 8]), call), Marked::AsIs);
        }
        assert_eq!(marks.mark(Some(&[7; 8]), 70_000), Marked::AsIs);
        assert_eq!(marks.unmark([7; 8]), ([7; 8], None));
        let looks_marked = [marks.tag | 3; 8];
        let Marked::Marked(sent) = marks.mark(Some(&looks_marked), 70_001) else {
            panic!("would be taken for call 3");
        };
        let (restored, found) = marks.unmark(delivered(Some(&sent)));
        assert_eq!((restored[LAST], found), (looks_marked[LAST], Some(70_001)));
    }

    #[test]
    fn sessions_inside_one_another_do_not_mix() {
        let (outer, inner) = (Marks::new(1), Marks::new(2));
        let Marked::Marked(first) = outer.mark(Some(&[0, 9]), 11) else { panic!("not marked") };
        let Marked::Marked(second) = inner.mark(Some(&first), 22) else { panic!("not marked") };
        let (back, call) = inner.unmark(second);
        assert_eq!(call, Some(22));
        assert_eq!(outer.unmark(back), ([0, 9, 0, 0, 0, 0, 0, 0], Some(11)));
    }
}
