//! What is left of objects when the process ends.

use super::object::{ALIVE_COUNT, OVER_RELEASED};
use crate::say::say;
use std::sync::atomic::Ordering;

/// Says how many releases were one too many; with `DEXTAPE_LEAKS=all` also how many objects are left,
/// of which most programs have some.
pub(crate) fn say_leaks() {
    let asked = std::env::var_os("DEXTAPE_LEAKS");
    if asked.as_ref().is_some_and(|value| value == "no") {
        return;
    }
    let over = OVER_RELEASED.load(Ordering::Relaxed);
    if over > 0 {
        say(&format!("released too often: CoreFoundation objects, {over} times"));
    }
    let alive = ALIVE_COUNT.load(Ordering::Relaxed);
    if alive > 0 && asked.is_some_and(|value| value == "all") {
        say(&format!("left over: {alive} CoreFoundation objects"));
    }
}
