//! A set of rules.

use super::Rule;
use std::fmt;

/// A set of rules, in a bit each.
///
/// # Examples
///
/// ```
/// use dextape::boundary::{Rule, RuleSet};
///
/// let set: RuleSet = [Rule::F5, Rule::A2].into_iter().collect();
/// assert!(set.has(Rule::A2) && !set.has(Rule::A3));
/// assert_eq!(set.to_string(), "A2, F5");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RuleSet([u64; Self::WORDS]);

impl RuleSet {
    pub(super) const WORDS: usize = Rule::ALL.len().div_ceil(u64::BITS as usize);

    /// None of them.
    pub const EMPTY: Self = Self([0; Self::WORDS]);

    pub(super) const fn of_words(words: [u64; Self::WORDS]) -> Self {
        Self(words)
    }

    /// Word and bit of a rule.
    pub(super) const fn place(rule: Rule) -> (usize, u64) {
        let number = rule as usize;
        (number / u64::BITS as usize, 1 << (number % u64::BITS as usize))
    }

    /// This set with `rule` in it.
    #[must_use]
    pub const fn with(self, rule: Rule) -> Self {
        let mut words = self.0;
        let (word, bit) = Self::place(rule);
        words[word] |= bit;
        Self(words)
    }

    /// True where `rule` is in it.
    #[must_use]
    pub const fn has(self, rule: Rule) -> bool {
        let (word, bit) = Self::place(rule);
        self.0[word] & bit != 0
    }

    /// The rules in it, in order of number.
    pub fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.iter().copied().filter(move |rule| self.has(*rule))
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// True where there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }
}

impl FromIterator<Rule> for RuleSet {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        rules.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Display for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{rule}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
