//! What a client says of its own run.

use std::fmt::Display;

/// What a client gives at its end: nothing, which is fine, or a result whose error is a failure. A panic
/// is a failure, too.
///
/// Trouble that the driver makes is no failure of a client that copes with it: such a client gives `Ok`.
pub trait Verdict {
    /// Why the run failed; `None` where it did not.
    fn failure(self) -> Option<String>;
}

impl Verdict for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<T, E: Display> Verdict for Result<T, E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}
