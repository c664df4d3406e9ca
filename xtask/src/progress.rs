//! A bar for long work: on stderr, and only where that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
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
