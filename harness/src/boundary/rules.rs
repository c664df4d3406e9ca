//! The set of the rules that are in force.

use super::{OpenPoints, Rule, RuleSet, RuleTrace};
use std::fmt;

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
#[derive(Clone, Copy)]
pub struct Rules {
    off: RuleSet,
    open: OpenPoints,
    /// Where it is noted which of them something hung on.
    trace: Option<&'static RuleTrace>,
}

impl Rules {
    /// All rules: what the kernel does.
    #[must_use]
    pub const fn all() -> Self {
        Self { off: RuleSet::EMPTY, open: OpenPoints::SUGGESTED, trace: None }
    }

    /// All rules but `rule`: where it would decide, what a plausible imitation would do happens
    /// instead. For tests, which must notice.
    #[doc(hidden)]
    #[must_use]
    pub const fn without(self, rule: Rule) -> Self {
        Self { off: self.off.with(rule), ..self }
    }

    /// These rules, with these answers to what they leave open.
    #[must_use]
    pub const fn with_open_points(self, open: OpenPoints) -> Self {
        Self { open, ..self }
    }

    /// These rules, with a place where it is noted which of them were touched.
    #[must_use]
    pub const fn with_trace(self, trace: &'static RuleTrace) -> Self {
        Self { trace: Some(trace), ..self }
    }

    /// The place where it is noted which of them were touched.
    #[must_use]
    pub const fn trace(self) -> Option<&'static RuleTrace> {
        self.trace
    }

    /// The answers to what the rules leave open.
    #[must_use]
    pub const fn open(self) -> OpenPoints {
        self.open
    }

    /// True where `rule` is in force. It is asked where the rule's situation has come up, which a
    /// [`RuleTrace`] notes; what has nothing to do with the rule is looked at before.
    #[inline]
    #[must_use]
    pub fn on(self, rule: Rule) -> bool {
        self.note(rule);
        self.holds(rule)
    }

    /// True where `rule` is in force; nothing is noted.
    #[inline]
    #[must_use]
    pub const fn holds(self, rule: Rule) -> bool {
        !self.off.has(rule)
    }

    /// Notes that a rule's situation has come up.
    #[inline]
    pub fn note(self, rule: Rule) {
        if let Some(trace) = self.trace {
            trace.note(rule);
        }
    }

    /// False where nothing hangs on whether the situation of `rule` has come up: it is in force, and
    /// nobody notes it. What would cost something to find out is left out then.
    #[inline]
    #[must_use]
    pub const fn is_watched(self, rule: Rule) -> bool {
        self.trace.is_some() || !self.holds(rule)
    }

    /// What the rule says, or what happens without it. It is touched where these differ.
    #[inline]
    #[must_use]
    pub fn choose<T: PartialEq>(self, rule: Rule, kept: T, naive: T) -> T {
        if self.is_watched(rule) && kept != naive && !self.on(rule) { naive } else { kept }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::all()
    }
}

impl PartialEq for Rules {
    /// Equal rules decide equally, whoever notes it.
    fn eq(&self, other: &Self) -> bool {
        (self.off, self.open) == (other.off, other.open)
    }
}

impl Eq for Rules {}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.off.is_empty() {
            true => f.write_str("Rules(all")?,
            false => write!(f, "Rules(without {:?}", self.off.iter().collect::<Vec<_>>())?,
        }
        match self.open == OpenPoints::SUGGESTED {
            true => f.write_str(")"),
            false => write!(f, "; {:?})", self.open),
        }
    }
}
