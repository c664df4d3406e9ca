//! Panics that are nobody's concern: those of the runs of an exploration, each of which is caught and
//! judged.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, panics of the thread are not printed.
#[derive(Debug)]
#[must_use = "panics are printed again when it is dropped"]
pub(super) struct Quiet(bool);

impl Quiet {
    pub(super) fn begin() -> Self {
        install();
        Self(QUIET.replace(true))
    }

    /// For a thread that does nothing else.
    pub(super) fn for_ever() {
        install();
        QUIET.set(true);
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.set(self.0);
    }
}

/// Puts a hook before the one that there is.
fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                before(panic);
            }
        }));
    });
}
