//! A bar for long work: on stderr, and only where that is a terminal.

use crate::exit::{self, Failure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Redraws a second.
const REDRAWS: u8 = 10;

/// A bar over `steps` steps, labelled `what`.
pub(crate) fn bar(what: &'static str, steps: u64) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}

/// A sign of life for work of unknown length.
pub(crate) fn spinner(what: impl Into<String>) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
    let bar = ProgressBar::with_draw_target(None, target).with_message(what.into());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Ctrl-C, for work that has something to give when it is ended early. It ends the program the second time.
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on, until the program ends.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&flag);
        let listened = ctrlc::set_handler(move || {
            if seen.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(exit::USAGE));
            }
        });
        match listened {
            // Somebody who called this as a library does it in their own way.
            Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(Self(flag)),
            Err(error) => Err(Failure::environment(format!("listen for Ctrl-C: {error}"))),
        }
    }

    /// Becomes true when it was pressed.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}
