//! A value with a lock and a condition: the one way in which this crate waits.

use super::free::Free;
use super::life;
use super::task::{Kind, Schedule};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// A value that tasks share, with a condition to wait for.
///
/// In a simulated schedule a wait hands over to another task; in a free one it is a condition
/// variable. A panic of one holder does not poison the value for the next.
///
/// # Examples
///
/// ```
/// use dextape::schedule::{Monitor, Schedule};
/// use std::sync::Arc;
///
/// Schedule::simulate(1, |schedule| {
///     let flag = Arc::new(Monitor::new(schedule, "flag", false));
///     let setter = Arc::clone(&flag);
///     let task = schedule.spawn("setter", move || {
///         *setter.lock() = true;
///         setter.notify_all();
///     });
///     let mut guard = flag.lock();
///     while !*guard {
///         guard.wait_until(None);
///     }
///     drop(guard);
///     task.join();
/// });
/// ```
pub struct Monitor<T> {
    schedule: Schedule,
    what: &'static str,
    value: Mutex<T>,
    condition: Condvar,
}

impl<T> Monitor<T> {
    /// A monitor over `value`; `what` names it in the report of a deadlock.
    pub fn new(schedule: &Schedule, what: &'static str, value: T) -> Self {
        let value = Mutex::new(value);
        Self { schedule: schedule.clone(), what, value, condition: Condvar::new() }
    }

    /// Waits until no other task holds the value, and holds it.
    pub fn lock(&self) -> MonitorGuard<'_, T> {
        MonitorGuard { monitor: self, guard: Some(self.hold()) }
    }

    /// Wakes every task that waits for the condition.
    pub fn notify_all(&self) {
        match &self.schedule.kind {
            Kind::Simulated(simulation) => simulation.wake(self.condition_key()),
            Kind::Free(_) => self.condition.notify_all(),
        }
    }

    /// The schedule that the monitor's waits belong to.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn hold(&self) -> MutexGuard<'_, T> {
        let Kind::Simulated(simulation) = &self.schedule.kind else {
            return self.value.lock().unwrap_or_else(PoisonError::into_inner);
        };
        loop {
            match self.value.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                // The holder waits for something else meanwhile: let it go on. While unwinding
                // there is nobody to hand over to; the holder unwinds, too.
                Err(TryLockError::WouldBlock) => {
                    simulation.wait(self.lock_key(), self.what, None);
                }
            }
        }
    }

    /// Two keys a monitor, both inside its own storage and so unique while it lives; compared and
    /// never followed.
    fn condition_key(&self) -> usize {
        std::ptr::from_ref(&self.condition).addr()
    }

    fn lock_key(&self) -> usize {
        std::ptr::from_ref(&self.what).addr()
    }
}

impl<T: fmt::Debug> fmt::Debug for Monitor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("what", &self.what).field("value", &self.value).finish()
    }
}

/// The value of a [`Monitor`], held.
#[must_use = "the value is held as long as the guard lives"]
pub struct MonitorGuard<'a, T> {
    monitor: &'a Monitor<T>,
    guard: Option<MutexGuard<'a, T>>,
}

impl<T> MonitorGuard<'_, T> {
    /// Lets go of the value, waits to be notified or until the schedule's time reaches `deadline`,
    /// and holds the value again. False where the deadline came first.
    ///
    /// A notice may come for another reason than the one waited for: test the value in a loop.
    ///
    /// A thread that works for a [`Life`](super::Life) unwinds where that has ended.
    pub fn wait_until(&mut self, deadline: Option<Duration>) -> bool {
        let monitor = self.monitor;
        life::check();
        match &monitor.schedule.kind {
            Kind::Simulated(simulation) => {
                self.release();
                let notified = simulation.wait(monitor.condition_key(), monitor.what, deadline);
                // Before the value is held again: nobody is left to use it.
                life::check();
                self.guard = Some(monitor.hold());
                notified
            }
            Kind::Free(free) => {
                if life::key().is_some() {
                    let look_again = free.now().saturating_add(life::LOOK_AGAIN);
                    let first = deadline.map_or(look_again, |deadline| deadline.min(look_again));
                    self.wait_free(free, Some(first));
                    life::check();
                    // Testing the value once too often does no harm.
                    return deadline.is_none_or(|deadline| free.now() < deadline);
                }
                self.wait_free(free, deadline)
            }
        }
    }

    fn wait_free(&mut self, free: &Free, deadline: Option<Duration>) -> bool {
        let monitor = self.monitor;
        let Some(guard) = self.guard.take() else { return false };
        let Some(deadline) = deadline else {
            let held = monitor.condition.wait(guard);
            self.guard = Some(held.unwrap_or_else(PoisonError::into_inner));
            return true;
        };
        let left = free.real(deadline.saturating_sub(free.now()));
        let (guard, timeout) =
            monitor.condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner);
        self.guard = Some(guard);
        !timeout.timed_out()
    }

    fn release(&mut self) {
        if self.guard.take().is_some()
            && let Kind::Simulated(simulation) = &self.monitor.schedule.kind
        {
            simulation.wake(self.monitor.lock_key());
        }
    }
}

impl<T> Drop for MonitorGuard<'_, T> {
    fn drop(&mut self) {
        self.release();
    }
}

const HELD: &str = "a monitor's guard holds the value except inside its own wait";

impl<T> Deref for MonitorGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MonitorGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect(HELD)
    }
}

impl<T: fmt::Debug> fmt::Debug for MonitorGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.guard, f)
    }
}
