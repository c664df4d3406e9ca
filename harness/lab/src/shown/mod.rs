//! Which rules of the boundary a tape shows at work.
//!
//! A tape holds what the client could see. Some of that only a rule can have brought about: seventeen
//! scalars refused by the library, a mapping that comes back under its own number, a code that no part
//! of the system makes. Such a rule is *shown*. Where several rules, or the driver itself, come to the
//! same, the tape shows *one of* them. What leaves no trace on a tape is not guessed.

mod call;
mod codes;
mod connection;
mod shown_rules;

pub use shown_rules::{Shown, ShownRules};
