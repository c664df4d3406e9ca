//! Leaving a queue to others until something happens.

use super::{DispatchQueue, QueueCore, QueueOptions};
use crate::IoReturn;
use std::sync::Arc;
use std::time::Duration;

/// Somebody who has left the queue to others.
pub(super) struct Sleeper {
    ticket: u64,
    event: u64,
}

impl DispatchQueue {
    /// Leaves the queue to others until [`wakeup`](Self::wakeup) is called with the same `event`, or
    /// the schedule's time reaches `deadline`, which is never without one. `event` is any number that
    /// the dext chooses; in C++ it is an address. Either way the caller runs on the queue again when
    /// this returns, after those whose turn came before.
    ///
    /// It is how a method waits for its device without keeping every other call of the connection
    /// from coming in (K3). The kernel still counts it as running: map, unmap and close wait for it
    /// (K2).
    ///
    /// The result is success, `kIOReturnTimeout`, `kIOReturnUnsupported` at once where the queue is
    /// not [reentrant](QueueOptions::REENTRANT), or `kIOReturnAborted` where the process has died,
    /// which nobody there would live to see. DriverKit states the first two only.
    ///
    /// # Panics
    ///
    /// Where the caller does not run on this queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::IoReturn;
    /// use dextape::driverkit::{DextProcess, DispatchQueue, OsObject, QueueOptions, os_log};
    /// use dextape::schedule::Schedule;
    /// use std::time::Duration;
    ///
    /// const FRAME: u64 = 1;
    ///
    /// let log = Schedule::simulate(1, |schedule| {
    ///     let process = DextProcess::new("com.example.dext", schedule);
    ///     let _inside = process.enter();
    ///     let queue =
    ///         DispatchQueue::create_with_options("frames", QueueOptions::REENTRANT).unwrap();
    ///     let waker = queue.clone();
    ///     queue.dispatch_after(Duration::from_millis(20), move || {
    ///         os_log("a frame");
    ///         assert!(waker.wakeup(FRAME).is_success());
    ///     });
    ///     queue.dispatch_sync(|| {
    ///         assert_eq!(queue.sleep(FRAME, None), IoReturn::SUCCESS);
    ///         os_log("woken");
    ///     });
    ///     queue.release();
    ///     process.log()
    /// });
    /// assert_eq!(log, ["a frame", "woken"]);
    /// ```
    #[track_caller]
    #[doc(alias = "Sleep")]
    pub fn sleep(&self, event: u64, deadline: Option<Duration>) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        self.core().sleep(event, deadline)
    }

    /// Wakes who has slept longest on this queue for `event`. Success although nobody may.
    ///
    /// # Panics
    ///
    /// Where the caller does not run on this queue.
    #[track_caller]
    #[doc(alias = "Wakeup")]
    pub fn wakeup(&self, event: u64) -> IoReturn {
        self.wake(event, 1)
    }

    /// Wakes everybody who sleeps on this queue for `event`. Success although nobody may.
    ///
    /// # Panics
    ///
    /// Where the caller does not run on this queue.
    #[track_caller]
    #[doc(alias = "WakeupWithOptions")]
    #[doc(alias = "kIODispatchQueueWakeupAll")]
    pub fn wakeup_all(&self, event: u64) -> IoReturn {
        self.wake(event, usize::MAX)
    }

    #[track_caller]
    fn wake(&self, event: u64, most: usize) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        self.core().wake(event, most);
        IoReturn::SUCCESS
    }
}

impl QueueCore {
    #[track_caller]
    fn sleep(self: &Arc<Self>, event: u64, deadline: Option<Duration>) -> IoReturn {
        let me = std::thread::current().id();
        let mut state = self.monitor.lock();
        assert!(
            state.busy == Some(me),
            "failed to sleep on queue {}: the caller does not run on it",
            self.name
        );
        if !self.options.contains(QueueOptions::REENTRANT) {
            return IoReturn::UNSUPPORTED;
        }
        state.sequence += 1;
        let ticket = state.sequence;
        state.sleepers.push(Sleeper { ticket, event });
        state.busy = None;
        let was_server = state.server == Some(me);
        if was_server {
            // Somebody else has to run what is dispatched meanwhile.
            (state.serving, state.server) = (false, None);
        }
        if was_server && !(state.items.is_empty() && state.timed.is_empty()) {
            self.serve(state);
            state = self.monitor.lock();
        }
        self.monitor.notify_all();
        let asleep = |sleepers: &[Sleeper]| sleepers.iter().any(|each| each.ticket == ticket);
        let result = loop {
            if state.stopped {
                break IoReturn::ABORTED;
            }
            if !asleep(&state.sleepers) {
                break IoReturn::SUCCESS;
            }
            if deadline.is_some_and(|deadline| deadline <= self.now()) {
                break IoReturn::TIMEOUT;
            }
            state.wait_until(deadline);
        };
        state.sleepers.retain(|each| each.ticket != ticket);
        if !state.take_turn(me) {
            return IoReturn::ABORTED;
        }
        if was_server && !state.serving {
            (state.serving, state.server) = (true, Some(me));
        }
        result
    }

    #[track_caller]
    fn wake(&self, event: u64, most: usize) {
        let mut state = self.monitor.lock();
        assert!(
            state.busy == Some(std::thread::current().id()),
            "failed to wake who sleeps on queue {}: the caller does not run on it",
            self.name
        );
        let mut left = most;
        state.sleepers.retain(|sleeper| {
            let woken = left > 0 && sleeper.event == event;
            left -= usize::from(woken);
            !woken
        });
        drop(state);
        self.monitor.notify_all();
    }
}

#[cfg(test)]
mod tests;
