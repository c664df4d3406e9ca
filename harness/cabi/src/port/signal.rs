//! One flag that a thread waits for.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Set by whoever has news, taken by the one who waits for them.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    set: Mutex<bool>,
    condition: Condvar,
}

impl Signal {
    pub(crate) fn notify(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.condition.notify_all();
    }

    /// Waits until it is set, or until `deadline`, and takes it.
    pub(crate) fn wait(&self, deadline: Option<Instant>) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while !*set {
            let Some(deadline) = deadline else {
                set = self.condition.wait(set).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.condition.wait_timeout(set, left);
            set = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *set = false;
    }
}
