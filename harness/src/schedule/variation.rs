//! In what one simulated run may differ from another of the same seed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How late a wait until some time ends: of which lane, which of its waits (from 1 on), and how long it
/// would have been.
pub(crate) type Lateness = Arc<dyn Fn(u32, u64, Duration) -> Duration + Send + Sync>;

/// In what a run differs from the usual one of its seed.
#[derive(Clone, Default)]
pub(crate) struct Variation {
    /// Timers that are late.
    pub(crate) lateness: Option<Lateness>,
    /// Tasks go on by priorities of this seed instead of being drawn.
    pub(crate) priorities: Option<u64>,
    /// When it is taken to go on for ever: no task is woken later.
    pub(crate) longest: Option<Duration>,
    /// It is one run of thousands: threads are kept for the next, and panics are not printed.
    pub(crate) is_one_of_many: bool,
}

impl fmt::Debug for Variation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variation")
            .field("lateness", &self.lateness.is_some())
            .field("priorities", &self.priorities)
            .field("longest", &self.longest)
            .field("is_one_of_many", &self.is_one_of_many)
            .finish()
    }
}
