//! What a device does on its own time.

use crate::schedule::{Monitor, Schedule};
use std::fmt;
use std::sync::{Arc, Weak};

/// A task of a device: it works each time that it is rung, as often as it was rung before it began.
///
/// What a register access brings about and takes time, or goes to memory, belongs here: the access
/// itself runs on the task of the program. The task ends when this is dropped, or the device.
///
/// # Examples
///
/// ```
/// use dextape::driverkit::DeviceTask;
/// use dextape::schedule::Schedule;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
///
/// struct Adder {
///     sum: AtomicU64,
///     task: DeviceTask,
/// }
///
/// let sum = Schedule::simulate(1, |schedule| {
///     let adder = Arc::new_cyclic(|adder| Adder {
///         sum: AtomicU64::new(0),
///         task: DeviceTask::spawn(schedule, "adder", adder, |adder: &Adder| {
///             adder.sum.fetch_add(5, Ordering::Relaxed);
///         }),
///     });
///     adder.task.ring();
///     schedule.sleep(Duration::from_micros(1));
///     adder.task.ring();
///     schedule.sleep(Duration::from_micros(1));
///     adder.sum.load(Ordering::Relaxed)
/// });
/// assert_eq!(sum, 10);
/// ```
pub struct DeviceTask {
    bell: Arc<Monitor<Bell>>,
}

#[derive(Debug, Default)]
struct Bell {
    rung: bool,
    ended: bool,
}

impl DeviceTask {
    /// A task that calls `work` with the device each time that it is rung.
    #[must_use]
    pub fn spawn<D: Send + Sync + 'static>(
        schedule: &Schedule,
        name: &str,
        device: &Weak<D>,
        work: impl Fn(&D) + Send + 'static,
    ) -> Self {
        let bell = Arc::new(Monitor::new(schedule, "a device to be rung", Bell::default()));
        let (own, device) = (Arc::clone(&bell), Weak::clone(device));
        schedule.spawn_daemon(name, move || {
            while wait(&own) {
                let Some(device) = device.upgrade() else { return };
                work(&device);
            }
        });
        Self { bell }
    }

    /// Has the task work; it does so once for all rings that come before it begins.
    pub fn ring(&self) {
        self.bell.lock().rung = true;
        self.bell.notify_all();
    }
}

/// Waits to be rung; false where there is nothing more to do.
fn wait(bell: &Monitor<Bell>) -> bool {
    let mut held = bell.lock();
    while !held.rung && !held.ended {
        held.wait_until(None);
    }
    held.rung = false;
    !held.ended
}

impl Drop for DeviceTask {
    fn drop(&mut self) {
        self.bell.lock().ended = true;
        self.bell.notify_all();
    }
}

impl fmt::Debug for DeviceTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceTask")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    struct Counter {
        count: AtomicU64,
        schedule: Schedule,
        task: DeviceTask,
    }

    fn counter(schedule: &Schedule) -> Arc<Counter> {
        Arc::new_cyclic(|counter| Counter {
            count: AtomicU64::new(0),
            schedule: schedule.clone(),
            task: DeviceTask::spawn(schedule, "counter", counter, |counter: &Counter| {
                counter.schedule.sleep(Duration::from_secs(1));
                counter.count.fetch_add(1, Ordering::Relaxed);
            }),
        })
    }

    #[test]
    fn rings_that_come_while_it_works_are_one_more_turn() {
        let count = Schedule::simulate(3, |schedule| {
            let counter = counter(schedule);
            counter.task.ring();
            schedule.sleep(Duration::from_millis(500));
            for _ in 0..3 {
                counter.task.ring();
            }
            schedule.sleep(Duration::from_secs(10));
            counter.count.load(Ordering::Relaxed)
        });
        assert_eq!(count, 2);
    }

    #[test]
    fn it_ends_with_its_device() {
        let ended = Schedule::simulate(3, |schedule| {
            let counter = counter(schedule);
            let device = Arc::downgrade(&counter);
            counter.task.ring();
            drop(counter);
            schedule.sleep(Duration::from_secs(10));
            device.upgrade().is_none()
        });
        assert!(ended);
    }
}
