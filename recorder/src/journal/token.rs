//! Where a record stands.

use std::fmt;
use std::num::NonZeroU64;

/// Position of a record in its journal: later records have greater tokens, so tokens order all
/// records of a process totally. A record that was appended after another append had returned, on
/// any thread, has the greater token: an event that knows its cause's token stands after its cause.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(NonZeroU64);

impl Token {
    /// The token of a position; `None` for 0, where no record can stand.
    #[must_use]
    pub const fn new(position: u64) -> Option<Self> {
        match NonZeroU64::new(position) {
            Some(position) => Some(Self(position)),
            None => None,
        }
    }

    /// The position: a number that may travel where a pointer-sized value does, such as an entry
    /// of an asynchronous reference.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:#x})", self.get())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.get())
    }
}
