//! What a session remembers of its asynchronous calls, so that completions can be counted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Calls that are remembered. The kernel never says that an action is done (D11), so the quietest ones
/// are forgotten.
const CALLS_MAX: usize = 65_536;

/// What a completion can be told about its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Number of the call's connection.
    pub(crate) connection: u32,
    /// The call's selector.
    pub(crate) selector: u32,
    /// The beginning of its structure handed in, where a redactor asks for it.
    pub(crate) input: Option<Arc<[u8]>>,
}

#[derive(Debug)]
struct Call {
    origin: Origin,
    completions: u64,
    /// It completed since the last time that it was about to be forgotten.
    recent: bool,
}

/// Asynchronous calls by the position of their enter in the journal.
///
/// A call that completed, was then quiet while 65,536 others were made, and completes again is
/// counted from 1 anew.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: HashMap<u64, Call>,
    /// Oldest first.
    order: VecDeque<u64>,
}

impl Calls {
    /// A call was made.
    pub(crate) fn made(&mut self, call: u64, origin: Origin) {
        self.insert(call, Call { origin, completions: 0, recent: false });
    }

    /// A call completed: gives which completion of it this is, from 1 on, and where it came
    /// from if that is still known.
    pub(crate) fn completed(&mut self, call: u64) -> (u64, Option<Origin>) {
        if let Some(known) = self.calls.get_mut(&call) {
            known.completions += 1;
            known.recent = true;
            return (known.completions, Some(known.origin.clone()));
        }
        (1, None)
    }

    fn insert(&mut self, call: u64, entry: Call) {
        if self.calls.insert(call, entry).is_none() {
            self.order.push_back(call);
        }
        while self.calls.len() > CALLS_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            match self.calls.get_mut(&oldest) {
                Some(known) if known.recent => {
                    known.recent = false;
                    self.order.push_back(oldest);
                }
                _ => {
                    self.calls.remove(&oldest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(selector: u32) -> Origin {
        Origin { connection: 1, selector, input: None }
    }

    #[test]
    fn completions_are_counted_by_call() {
        let mut calls = Calls::default();
        calls.made(1, origin(10));
        calls.made(2, origin(20));
        assert_eq!(calls.completed(1), (1, Some(origin(10))));
        assert_eq!(calls.completed(2), (1, Some(origin(20))));
        assert_eq!(calls.completed(1), (2, Some(origin(10))));
        assert_eq!(calls.completed(3), (1, None));
    }

    #[test]
    fn quiet_calls_are_forgotten_and_lively_ones_are_not() {
        let mut calls = Calls::default();
        calls.made(1, origin(10));
        calls.made(2, origin(20));
        for call in 3..3 * CALLS_MAX as u64 {
            calls.made(call, origin(0));
            if call % 1000 == 0 {
                calls.completed(1);
            }
        }
        assert_eq!(calls.calls.len(), CALLS_MAX);
        assert_eq!(calls.order.len(), CALLS_MAX);
        assert!(calls.completed(1).0 > 100);
        assert_eq!(calls.completed(2), (1, None));
    }
}
