//! What a program that is run reads from its stdin.

use std::io::{Read as _, Write as _};
use std::process::{ChildStdin, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most that is kept of what a program reads, in bytes.
pub(crate) const KEPT_MAX: usize = 16 << 20;

/// What a program reads.
pub(crate) enum Input {
    /// What this program is given.
    Own,
    /// What this program is given, and it is kept for another run.
    Kept,
    /// These bytes.
    Given(Vec<u8>),
}

impl Input {
    /// What the program is started with.
    pub(crate) fn stdio(&self) -> Stdio {
        if matches!(self, Self::Own) { Stdio::inherit() } else { Stdio::piped() }
    }

    /// Has a program that was started read it. A program that ends before it has read everything is no
    /// failure.
    pub(crate) fn feed(self, mut stdin: ChildStdin) -> Option<Kept> {
        match self {
            Self::Own => None,
            Self::Kept => {
                let kept = Kept::default();
                let keeps = kept.clone();
                // Nobody waits for this thread: it may still ask a terminal when the program has ended.
                std::thread::spawn(move || keeps.pass_on(stdin));
                Some(kept)
            }
            Self::Given(bytes) => {
                std::thread::spawn(move || stdin.write_all(&bytes));
                None
            }
        }
    }
}

/// What was passed on so far.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// All of it; `None` where it is more than [`KEPT_MAX`].
    pub(crate) fn take(self) -> Option<Vec<u8>> {
        let bytes = std::mem::take(&mut *self.bytes());
        (bytes.len() <= KEPT_MAX).then_some(bytes)
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what comes, as it comes.
    fn pass_on(&self, mut to: ChildStdin) {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = std::io::stdin().read(&mut bytes) {
            let mut kept = self.bytes();
            kept.extend_from_slice(&bytes[..count]);
            let is_too_much = kept.len() > KEPT_MAX;
            drop(kept);
            if is_too_much || to.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
    }
}
