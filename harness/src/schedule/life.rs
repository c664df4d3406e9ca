//! Work that ends in the middle: what threads do for a process that dies.

use super::Schedule;
use super::task::Kind;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

thread_local! {
    /// The life that the thread works for: its key and whether it has ended.
    static CURRENT: Cell<Option<Arc<Inner>>> = const { Cell::new(None) };
}

/// How long a free thread that works for somebody waits before it looks whether that one is still
/// alive: nobody tells the condition that it waits for.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The life of whoever threads work for, such as a dext's process. When it ends, those of them that
/// wait (or come to wait) for something unwind to where they began to work for it: what they hold
/// there is dropped, what they would have done is not done.
///
/// # Examples
///
/// ```
/// use dextape::schedule::{Life, Schedule};
/// use std::time::Duration;
///
/// Schedule::simulate(1, |schedule| {
///     let life = Life::new(schedule);
///     let (ending, clock) = (life.clone(), schedule.clone());
///     let killer = schedule.spawn("killer", move || {
///         clock.sleep(Duration::from_secs(1));
///         ending.end();
///     });
///     let worked = life.work(|| schedule.sleep(Duration::from_secs(60)));
///     assert_eq!(worked, None);
///     assert_eq!(schedule.now(), Duration::from_secs(1));
///     killer.join();
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Life {
    schedule: Schedule,
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    ended: AtomicBool,
}

/// Carried by the unwinding of work for somebody who has died.
struct Died(usize);

impl Life {
    /// A life whose work waits on `schedule`.
    #[must_use]
    pub fn new(schedule: &Schedule) -> Self {
        Self { schedule: schedule.clone(), inner: Arc::default() }
    }

    /// Runs `work`. `None` where the life ended while it waited, or had ended before.
    pub fn work<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        if self.has_ended() {
            return None;
        }
        let outer = CURRENT.replace(Some(Arc::clone(&self.inner)));
        let outcome = catch_unwind(AssertUnwindSafe(work));
        CURRENT.set(outer);
        match outcome {
            Ok(value) => Some(value),
            Err(panic) => match panic.downcast_ref::<Died>() {
                Some(Died(key)) if *key == key_of(&self.inner) => None,
                _ => resume_unwind(panic),
            },
        }
    }

    /// Ends it. Threads that wait for something on its behalf wait no longer.
    pub fn end(&self) {
        self.inner.ended.store(true, Ordering::Release);
        if let Kind::Simulated(simulation) = &self.schedule.kind {
            simulation.end_waits(key_of(&self.inner));
        }
    }

    /// True once it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.inner.ended.load(Ordering::Acquire)
    }
}

fn key_of(inner: &Arc<Inner>) -> usize {
    Arc::as_ptr(inner).addr()
}

fn current<R>(look: impl FnOnce(Option<&Arc<Inner>>) -> R) -> R {
    let current = CURRENT.take();
    let seen = look(current.as_ref());
    CURRENT.set(current);
    seen
}

/// Key of the life that the thread works for; `None` where it works for itself.
pub(super) fn key() -> Option<usize> {
    current(|current| current.map(key_of))
}

/// Unwinds where the one that the thread works for has died.
pub(super) fn check() {
    let died =
        current(|current| current.filter(|inner| inner.ended.load(Ordering::Acquire)).map(key_of));
    if let Some(key) = died
        && !std::thread::panicking()
    {
        resume_unwind(Box::new(Died(key)));
    }
}
