//! Times, and work that is done later.

use super::pool::Task;
use super::queue::Queue;
use crate::raw::In;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const NOW: u64 = 0;
pub(super) const FOR_EVER: u64 = u64::MAX;

/// Nanoseconds since the machine began.
fn nanoseconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours, and the clock exists everywhere.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

fn later(base: u64, delta: i64) -> u64 {
    base.saturating_add_signed(delta).clamp(1, FOR_EVER - 1)
}

/// The instant of a time; `None` for ever.
pub(super) fn instant(time: u64) -> Option<Instant> {
    match time {
        FOR_EVER => None,
        NOW => Some(Instant::now()),
        _ => Some(Instant::now() + Duration::from_nanos(time.saturating_sub(nanoseconds()))),
    }
}

/// Work that is due later.
type Later = BTreeMap<(Instant, u64), (Arc<Queue>, Task)>;

static LATER: Mutex<(Later, u64)> = Mutex::new((BTreeMap::new(), 0));
static CHANGED: Condvar = Condvar::new();

/// Has a queue do something at that time.
pub(super) fn at(time: u64, queue: Arc<Queue>, task: Task) {
    static ONCE: Once = Once::new();
    let Some(due) = instant(time) else { return };
    let mut held = LATER.lock().unwrap_or_else(PoisonError::into_inner);
    held.1 += 1;
    let number = held.1;
    held.0.insert((due, number), (queue, task));
    drop(held);
    CHANGED.notify_all();
    ONCE.call_once(|| {
        let started = std::thread::Builder::new().name("dextape timer".to_owned()).spawn(run);
        if let Err(error) = started {
            crate::say::say(&format!("failed to start the thread of the timers: {error}"));
        }
    });
}

fn run() {
    let mut held = LATER.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let now = Instant::now();
        let due = held.0.first_key_value().map(|((due, _), _)| *due);
        match due {
            Some(due) if due <= now => {
                if let Some((_, (queue, task))) = held.0.pop_first() {
                    drop(held);
                    queue.push(task);
                    held = LATER.lock().unwrap_or_else(PoisonError::into_inner);
                }
            }
            Some(due) => {
                let waited = CHANGED.wait_timeout(held, due - now);
                held = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            None => held = CHANGED.wait(held).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

export! {
    fn dispatch_time(when: u64, delta: i64) -> u64 {
        match when {
            FOR_EVER => FOR_EVER,
            NOW => later(nanoseconds(), delta),
            _ => later(when, delta),
        }
    }

    fn dispatch_walltime(when: In<i64>, delta: i64) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = since.as_nanos() as i64;
        let asked = if when.is_null() {
            now
        } else {
            when.read_at(0).saturating_mul(1_000_000_000).saturating_add(when.read_at(1))
        };
        later(nanoseconds(), asked.saturating_sub(now).saturating_add(delta))
    }
}
