//! The set of the rules that are in force.

use super::{OpenPoints, Rule};
use std::fmt;

const WORDS: usize = Rule::ALL.len().div_ceil(u64::BITS as usize);

/// Word and bit of a rule.
const fn place(rule: Rule) -> (usize, u64) {
    let number = rule as usize;
    (number / u64::BITS as usize, 1 << (number % u64::BITS as usize))
}

/// The rules in force. Carried along explicitly; there is no global.
///
/// # Examples
///
/// ```
/// use dextape::boundary::{Rule, Rules};
///
/// assert!(Rules::all().on(Rule::A2));
/// assert_eq!("f11".parse(), Ok(Rule::F11));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rules {
    /// A bit for each rule, in order of number.
    off: [u64; WORDS],
    open: OpenPoints,
}

impl Rules {
    /// All rules: what the kernel does.
    #[must_use]
    pub const fn all() -> Self {
        Self { off: [0; WORDS], open: OpenPoints::SUGGESTED }
    }

    /// All rules but `rule`: where it would decide, what a plausible imitation would do happens
    /// instead. For tests, which must notice.
    #[doc(hidden)]
    #[must_use]
    pub const fn without(self, rule: Rule) -> Self {
        let mut off = self.off;
        let (word, bit) = place(rule);
        off[word] |= bit;
        Self { off, ..self }
    }

    /// These rules, with these answers to what they leave open.
    #[must_use]
    pub const fn with_open_points(self, open: OpenPoints) -> Self {
        Self { open, ..self }
    }

    /// The answers to what the rules leave open.
    #[must_use]
    pub const fn open(self) -> OpenPoints {
        self.open
    }

    /// True where `rule` is in force.
    #[must_use]
    pub const fn on(self, rule: Rule) -> bool {
        let (word, bit) = place(rule);
        self.off[word] & bit == 0
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::all()
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let off: Vec<_> = Rule::ALL.iter().filter(|rule| !self.on(**rule)).collect();
        match off.is_empty() {
            true => f.write_str("Rules(all")?,
            false => write!(f, "Rules(without {off:?}")?,
        }
        match self.open == OpenPoints::SUGGESTED {
            true => f.write_str(")"),
            false => write!(f, "; {:?})", self.open),
        }
    }
}
