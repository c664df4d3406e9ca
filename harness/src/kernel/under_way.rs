//! Completions that wait for their own call to return (D17).

use super::queue::Port;
use crate::boundary::Rules;
use crate::boundary::completion::discarded;
use crate::call::Completion;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Hands a completion to the port, if that is still there (D19).
pub(super) fn post(rules: Rules, port: &Weak<Port>, completion: Completion) {
    match port.upgrade() {
        Some(port) => port.post(completion),
        None => discarded(rules),
    }
}

/// Completions of a call that nothing overtakes, until it returns: where
/// [`OpenPoints`](crate::boundary::OpenPoints) say that it is so.
#[derive(Default)]
pub(super) struct UnderWay(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    returned: bool,
    completions: Vec<(Weak<Port>, Completion)>,
}

impl UnderWay {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn post(&self, rules: Rules, port: &Weak<Port>, completion: Completion) {
        let mut waiting = self.waiting();
        if waiting.returned {
            drop(waiting);
            post(rules, port, completion);
        } else {
            waiting.completions.push((Weak::clone(port), completion));
        }
    }
}

/// The call returns when this is dropped.
pub(super) struct Returning(pub(super) Rules, pub(super) Option<Arc<UnderWay>>);

impl Drop for Returning {
    fn drop(&mut self) {
        let Some(call) = &self.1 else { return };
        let completions = {
            let mut waiting = call.waiting();
            waiting.returned = true;
            std::mem::take(&mut waiting.completions)
        };
        for (port, completion) in completions {
            post(self.0, &port, completion);
        }
    }
}
