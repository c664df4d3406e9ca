//! The sandbox filter of a client (H8).

use super::{Rule, Rules};
use crate::IoReturn;
use std::collections::BTreeMap;

/// What the sandbox of a client refuses, with the filter's own codes: a profile's
/// `iokit-external-method` and `iokit-external-trap` as data.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::boundary::{Rules, SandboxFilter};
///
/// let filter = SandboxFilter::default().refuse_method(7, IoReturn::NOT_PERMITTED);
/// assert_eq!(filter.method(Rules::all(), 7), Err(IoReturn::NOT_PERMITTED));
/// assert_eq!(filter.method(Rules::all(), 8), Ok(()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxFilter {
    methods: BTreeMap<u32, IoReturn>,
    traps: BTreeMap<u32, IoReturn>,
}

impl SandboxFilter {
    /// Refuses external methods of a selector with `code`.
    #[must_use]
    pub fn refuse_method(mut self, selector: u32, code: IoReturn) -> Self {
        self.methods.insert(selector, code);
        self
    }

    /// Refuses traps of an index with `code`.
    #[must_use]
    pub fn refuse_trap(mut self, index: u32, code: IoReturn) -> Self {
        self.traps.insert(index, code);
        self
    }

    /// Whether an external method may go on to the dext (H8).
    ///
    /// # Errors
    ///
    /// The filter's own code; the dext is not called.
    pub fn method(&self, rules: Rules, selector: u32) -> Result<(), IoReturn> {
        Self::pass(rules, self.methods.get(&selector))
    }

    /// Whether a trap may go on (H8, G20).
    ///
    /// # Errors
    ///
    /// The filter's own code.
    pub fn trap(&self, rules: Rules, index: u32) -> Result<(), IoReturn> {
        Self::pass(rules, self.traps.get(&index))
    }

    fn pass(rules: Rules, refused: Option<&IoReturn>) -> Result<(), IoReturn> {
        match refused {
            Some(code) if rules.on(Rule::H8) => Err(*code),
            _ => Ok(()),
        }
    }
}
