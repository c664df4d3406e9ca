//! Every rule of the user-client boundary, once, under its number in the semantics reference.
//!
//! Pure functions and the state machines of one connection; the words are all they know. Whoever
//! stands for the kernel (mock, replayer, validator) asks here. [`Rules`] says which rules are in
//! force: all of them, but in the tests that show that each one matters.

pub mod dispatch;
mod rule;

pub use rule::{Rule, RuleTest, Rules, UnknownRule, tests_by_rule};
