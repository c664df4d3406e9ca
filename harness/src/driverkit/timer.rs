//! `IOTimerDispatchSource`.

use super::OsAction;
use super::object::{Object, Payload, handle};
use super::process::{HandlerContext, uptime};
use super::queue::{DispatchQueue, Job, QueueCore, TimedKey};
use crate::IoReturn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A timer that fires once on a queue each time it is armed. Its clock is the schedule's: virtual in
/// simulated mode.
///
/// # Examples
///
/// ```
/// use dextape::driverkit::{self, DextProcess, DispatchQueue, OsObject, TimerDispatchSource, os_log};
/// use dextape::schedule::Schedule;
/// use std::time::Duration;
///
/// let log = Schedule::simulate(1, |schedule| {
///     let process = DextProcess::new("com.example.dext", schedule);
///     let _inside = process.enter();
///     let queue = DispatchQueue::create("work").unwrap();
///     let timer = TimerDispatchSource::create(&queue).unwrap();
///     timer.set_handler(|time| os_log(format!("fired at {time:?}")));
///     timer.wake_at_time(driverkit::uptime() + Duration::from_secs(5));
///     schedule.sleep(Duration::from_secs(10));
///     timer.release();
///     queue.release();
///     process.log()
/// });
/// assert_eq!(log, ["fired at 5s"]);
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "IOTimerDispatchSource")]
pub struct TimerDispatchSource {
    object: Arc<Object<TimerPayload>>,
}

pub(crate) struct TimerPayload {
    queue: Arc<QueueCore>,
    state: Arc<Mutex<State>>,
}

type Handler = Arc<dyn Fn(Duration) + Send + Sync>;

struct State {
    handler: Option<Handler>,
    enabled: bool,
    /// It came due while it was disabled.
    missed: bool,
    armed: Option<TimedKey>,
    canceled: bool,
}

impl Payload for TimerPayload {
    const CLASS: &'static str = "IOTimerDispatchSource";

    fn freed(&self) {
        self.disarm();
        let handler = self.state().handler.take();
        // Dropped after the lock: it owns what may come back here.
        drop(handler);
    }
}

impl TimerPayload {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn disarm(&self) {
        let armed = self.state().armed.take();
        if let Some(key) = armed {
            self.queue.take_back(key);
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

handle!(TimerDispatchSource, TimerPayload);

impl TimerDispatchSource {
    /// A timer on `queue`, enabled and not armed, with one reference.
    ///
    /// # Errors
    ///
    /// None that this mock brings about; the real one may lack memory.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "Create")]
    pub fn create(queue: &DispatchQueue) -> Result<Self, IoReturn> {
        let state =
            State { handler: None, enabled: true, missed: false, armed: None, canceled: false };
        let payload = TimerPayload { queue: queue.core(), state: Arc::new(Mutex::new(state)) };
        Ok(Self { object: Object::create(payload) })
    }

    /// Sets what is called on the queue when the timer fires, with the schedule's time then.
    #[track_caller]
    #[doc(alias = "SetHandler")]
    pub fn set_handler(&self, handler: impl Fn(Duration) + Send + Sync + 'static) {
        if !self.object.alive() {
            return;
        }
        let handler: Handler = Arc::new(handler);
        let mut state = self.object.payload.state();
        let old = if state.canceled { Some(handler) } else { state.handler.replace(handler) };
        drop(state);
        // Dropped after the lock: it owns what may come back here.
        drop(old);
    }

    /// Sets the action that is called on the queue when the timer fires, and retains it; it replaces
    /// what was set before.
    #[track_caller]
    #[doc(alias = "SetHandler")]
    pub fn set_action(&self, action: &OsAction) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        let held = action.hold();
        self.set_handler(move |time| {
            let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            held.action().call(IoReturn::SUCCESS, &[time]);
        });
        IoReturn::SUCCESS
    }

    /// Arms the timer: it fires once when the schedule's time reaches `deadline`, at once where that
    /// is past. Arming again replaces the deadline.
    #[track_caller]
    #[doc(alias = "WakeAtTime")]
    pub fn wake_at_time(&self, deadline: Duration) {
        if !self.object.alive() {
            return;
        }
        let Some(context) = self.own_context() else { return };
        let payload = &self.object.payload;
        payload.disarm();
        let state = Arc::downgrade(&payload.state);
        let job = Job::of_dext(context, move || {
            if let Some(state) = state.upgrade() {
                fire(&state, deadline);
            }
        });
        // Held over the dispatch, so that a timer that fires at once finds its key.
        let mut state = payload.state();
        state.missed = false;
        state.armed = Some(payload.queue.dispatch_at(deadline, job));
    }

    /// Enables or disables the timer. One that comes due while it is disabled fires when it is
    /// enabled again.
    #[track_caller]
    #[doc(alias = "SetEnable")]
    pub fn set_enable(&self, enable: bool) {
        if !self.object.alive() {
            return;
        }
        let missed = {
            let mut state = self.object.payload.state();
            state.enabled = enable;
            enable && std::mem::take(&mut state.missed)
        };
        if missed {
            self.wake_at_time(self.object.payload.queue.now());
        }
    }

    /// As [`set_enable`](Self::set_enable); `done` is called on the queue after what was dispatched
    /// before: after a disable no handler runs then.
    #[track_caller]
    #[doc(alias = "SetEnableWithCompletion")]
    pub fn set_enable_with_completion(&self, enable: bool, done: impl FnOnce() + Send + 'static) {
        self.set_enable(enable);
        if self.object.alive()
            && let Some(context) = self.own_context()
        {
            self.object.payload.queue.dispatch(Job::of_dext(context, done));
        }
    }

    /// Disarms the timer and forgets its handler for good; `done` is called on the queue after what
    /// was dispatched before.
    #[track_caller]
    #[doc(alias = "Cancel")]
    pub fn cancel(&self, done: impl FnOnce() + Send + 'static) {
        if self.object.alive()
            && let Some(context) = self.own_context()
        {
            self.object.payload.state().canceled = true;
            self.object.payload.freed();
            self.object.payload.queue.dispatch(Job::of_dext(context, done));
        }
    }

    fn own_context(&self) -> Option<HandlerContext> {
        let header = self.object.header();
        Some(HandlerContext::of(&header.process()?, header.owner()))
    }
}

/// On the queue: calls the handler of a timer that is due.
fn fire(state: &Mutex<State>, deadline: Duration) {
    let handler = {
        let mut state = lock(state);
        if state.armed.is_none_or(|(armed, _)| armed != deadline) {
            // Armed again or disarmed when it was on its way already.
            return;
        }
        state.armed = None;
        if !state.enabled {
            state.missed = true;
            return;
        }
        state.handler.clone()
    };
    if let Some(handler) = handler {
        handler(uptime());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driverkit::testing::{in_simulated_process, lints};
    use crate::driverkit::{OsObject, OsSharedPtr, os_log};
    use crate::schedule::Schedule;

    const SECOND: Duration = Duration::from_secs(1);

    /// What a timer logs while `test` runs, which may use 100 seconds.
    fn fired(test: impl Fn(&TimerDispatchSource, &Schedule)) -> Vec<String> {
        in_simulated_process(2, |process, schedule| {
            let queue = OsSharedPtr::adopt(DispatchQueue::create("work").unwrap());
            let timer = OsSharedPtr::adopt(TimerDispatchSource::create(&queue).unwrap());
            timer.set_handler(|time| os_log(format!("{time:?}")));
            test(&timer, schedule);
            schedule.sleep(100 * SECOND);
            assert!(lints(process).is_empty());
            process.log()
        })
    }

    #[test]
    fn a_timer_fires_once_each_time_it_is_armed() {
        let log = fired(|timer, schedule| {
            timer.wake_at_time(5 * SECOND);
            schedule.sleep(7 * SECOND);
            timer.wake_at_time(3 * SECOND);
            schedule.sleep(SECOND);
            timer.wake_at_time(9 * SECOND);
        });
        assert_eq!(log, ["5s", "7s", "9s"], "a deadline in the past is now");
    }

    #[test]
    fn arming_again_replaces_the_deadline() {
        let log = fired(|timer, _| {
            timer.wake_at_time(5 * SECOND);
            timer.wake_at_time(8 * SECOND);
        });
        assert_eq!(log, ["8s"]);
    }

    #[test]
    fn arming_again_replaces_a_deadline_that_has_come_but_not_fired() {
        let log = in_simulated_process(2, |process, schedule| {
            let queue = OsSharedPtr::adopt(DispatchQueue::create("work").unwrap());
            let timer = OsSharedPtr::adopt(TimerDispatchSource::create(&queue).unwrap());
            timer.set_handler(|time| os_log(format!("{time:?}")));
            queue.dispatch_sync(|| {
                timer.wake_at_time(SECOND);
                // It is due, and waits for the queue.
                schedule.sleep(2 * SECOND);
                timer.wake_at_time(5 * SECOND);
            });
            schedule.sleep(10 * SECOND);
            process.log()
        });
        assert_eq!(log, ["5s"]);
    }

    #[test]
    fn a_handler_may_arm_its_timer_again() {
        let log = in_simulated_process(2, |process, schedule| {
            let queue = OsSharedPtr::adopt(DispatchQueue::create("work").unwrap());
            let timer = OsSharedPtr::adopt(TimerDispatchSource::create(&queue).unwrap());
            let again = timer.get();
            timer.set_handler(move |time| {
                os_log(format!("{time:?}"));
                if time < 3 * SECOND {
                    again.wake_at_time(time + SECOND);
                }
            });
            timer.wake_at_time(SECOND);
            schedule.sleep(10 * SECOND);
            process.log()
        });
        assert_eq!(log, ["1s", "2s", "3s"]);
    }

    #[test]
    fn a_disabled_timer_fires_when_it_is_enabled_again() {
        let log = fired(|timer, schedule| {
            timer.set_enable(false);
            timer.wake_at_time(5 * SECOND);
            schedule.sleep(7 * SECOND);
            timer.set_enable(true);
            schedule.sleep(SECOND);
            timer.set_enable(true);
        });
        assert_eq!(log, ["7s"]);
    }

    #[test]
    fn a_cancelled_timer_never_fires_and_says_when_it_is_done() {
        let log = fired(|timer, _| {
            timer.wake_at_time(5 * SECOND);
            timer.cancel(|| os_log("done"));
        });
        assert_eq!(log, ["done"]);
    }

    #[test]
    fn a_timer_calls_its_action_and_holds_it_until_it_is_cancelled() {
        in_simulated_process(2, |process, schedule| {
            let queue = OsSharedPtr::adopt(DispatchQueue::create("work").unwrap());
            let timer = OsSharedPtr::adopt(TimerDispatchSource::create(&queue).unwrap());
            let action = OsAction::timer_occurred(|_, time| os_log(format!("{time:?}")));
            assert_eq!(timer.set_action(&action), IoReturn::SUCCESS);
            assert_eq!(action.retain_count(), 2);
            timer.wake_at_time(SECOND);
            schedule.sleep(2 * SECOND);
            timer.set_enable_with_completion(false, || os_log("disabled"));
            timer.wake_at_time(3 * SECOND);
            schedule.sleep(2 * SECOND);
            timer.cancel(|| os_log("cancelled"));
            assert_eq!(action.retain_count(), 1);
            // Nothing that is set afterwards is kept, and nothing fires.
            timer.set_action(&action).ok().unwrap();
            timer.set_enable(true);
            timer.wake_at_time(5 * SECOND);
            schedule.sleep(9 * SECOND);
            assert_eq!(action.retain_count(), 1);
            action.release();
            assert_eq!(process.log(), ["1s", "disabled", "cancelled"]);
        });
    }

    #[test]
    fn a_released_timer_takes_its_deadline_with_it() {
        in_simulated_process(2, |process, schedule| {
            let queue = OsSharedPtr::adopt(DispatchQueue::create("work").unwrap());
            let timer = TimerDispatchSource::create(&queue).unwrap();
            timer.set_handler(|_| os_log("fired"));
            timer.wake_at_time(SECOND);
            timer.release();
            schedule.sleep(2 * SECOND);
            assert!(process.log().is_empty());
            drop(queue);
            assert!(process.leaks().is_empty());
        });
    }
}
