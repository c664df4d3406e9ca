//! The schedule itself: what tasks are spawned on and what tells the time.

use super::free::Free;
use super::simulation::Simulation;
use super::variation::Variation;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Which of the two modes of time a schedule has; named on every tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeMode {
    /// Virtual time and a seeded order of tasks: the same seed gives the same run.
    Simulated,
    /// Real threads and real time: order is promised within one thread only.
    Free,
}

/// A task of a schedule: 0 is the task that the schedule was made by, then in order of spawning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub usize);

/// Where tasks run and what time it is. Cheap to clone; clones are the same schedule.
///
/// # Examples
///
/// ```
/// use dextape::schedule::Schedule;
/// use std::time::Duration;
///
/// // An hour of virtual time passes at once, because nothing else has work to do.
/// let passed = Schedule::simulate(1, |schedule| {
///     schedule.sleep(Duration::from_secs(3600));
///     schedule.now()
/// });
/// assert_eq!(passed, Duration::from_secs(3600));
/// ```
#[derive(Clone)]
pub struct Schedule {
    pub(super) kind: Kind,
}

#[derive(Clone)]
pub(super) enum Kind {
    Simulated(Arc<Simulation>),
    Free(Arc<Free>),
}

impl Schedule {
    /// Runs `body` as task 0 of a simulated schedule, then every task that it left behind, and
    /// gives what `body` gave. Daemons are stopped at the end.
    ///
    /// # Panics
    ///
    /// Where a task panics, with that panic; where every task waits for something that none of
    /// them can bring about, with a list of the tasks and what each waits for.
    pub fn simulate<R>(seed: u64, body: impl FnOnce(&Self) -> R) -> R {
        Self::simulate_varied(seed, Variation::default(), body)
    }

    /// As [`simulate`](Self::simulate), in a run that differs from the usual one.
    pub(crate) fn simulate_varied<R>(
        seed: u64,
        variation: Variation,
        body: impl FnOnce(&Self) -> R,
    ) -> R {
        let _quiet = variation.is_one_of_many.then(super::quiet::Quiet::begin);
        let simulation = Simulation::new(seed, variation);
        let schedule = Self { kind: Kind::Simulated(Arc::clone(&simulation)) };
        simulation.run(|| body(&schedule))
    }

    /// A schedule of ordinary threads and real time.
    #[must_use]
    pub fn free() -> Self {
        Self::free_slower(NonZeroU32::MIN)
    }

    /// A schedule of ordinary threads, whose time passes so many times slower than real time: on a busy
    /// machine, what has to keep up with a mock gets as much more time.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape::schedule::Schedule;
    /// use std::num::NonZeroU32;
    /// use std::time::{Duration, Instant};
    ///
    /// let (schedule, began) = (Schedule::free_slower(NonZeroU32::new(10).unwrap()), Instant::now());
    /// schedule.sleep(Duration::from_millis(1));
    /// assert!(began.elapsed() >= Duration::from_millis(10));
    /// ```
    #[must_use]
    pub fn free_slower(slower: NonZeroU32) -> Self {
        Self { kind: Kind::Free(Arc::new(Free::new(slower))) }
    }

    /// Which mode of time this is.
    #[must_use]
    pub fn mode(&self) -> TimeMode {
        match self.kind {
            Kind::Simulated(_) => TimeMode::Simulated,
            Kind::Free(_) => TimeMode::Free,
        }
    }

    /// The seed of a simulated schedule.
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        match &self.kind {
            Kind::Simulated(simulation) => Some(simulation.seed()),
            Kind::Free(_) => None,
        }
    }

    /// Time since the schedule began.
    #[must_use]
    pub fn now(&self) -> Duration {
        match &self.kind {
            Kind::Simulated(simulation) => simulation.now(),
            Kind::Free(free) => free.now(),
        }
    }

    /// The task that the calling thread is, if it is one of this schedule. In a free schedule only
    /// spawned threads are tasks.
    #[must_use]
    pub fn current(&self) -> Option<TaskId> {
        match &self.kind {
            Kind::Simulated(simulation) => simulation.current(),
            Kind::Free(free) => free.current(),
        }
    }

    /// The lane of the calling thread where it is a task of a simulated schedule: 1 is the task that
    /// the schedule was made by, then in order of spawning, whatever order they run in. Daemons have
    /// lanes of their own, far above. `None` elsewhere: free threads come in no certain order.
    #[must_use]
    pub fn lane_of_thread() -> Option<u32> {
        Simulation::lane_of_thread()
    }

    /// Starts a task. In a simulated schedule it first runs when the caller waits or yields.
    pub fn spawn<R: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce() -> R + Send + 'static,
    ) -> TaskHandle<R> {
        self.start(name, false, body)
    }

    /// Starts a task that serves others: a run is over, and a deadlock is one, although a daemon
    /// still waits. What it is doing when the run ends is unwound.
    pub fn spawn_daemon(&self, name: &str, body: impl FnOnce() + Send + 'static) {
        drop(self.start(name, true, body));
    }

    fn start<R: Send + 'static>(
        &self,
        name: &str,
        daemon: bool,
        body: impl FnOnce() -> R + Send + 'static,
    ) -> TaskHandle<R> {
        let result = Arc::new(super::Monitor::new(self, "join", None));
        let sender = Arc::clone(&result);
        let body = move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            let panic = match outcome {
                Ok(value) => {
                    *sender.lock() = Some(Ok(value));
                    None
                }
                Err(panic) => {
                    *sender.lock() = Some(Err(()));
                    Some(panic)
                }
            };
            sender.notify_all();
            panic
        };
        match &self.kind {
            Kind::Simulated(simulation) => simulation.spawn(name, daemon, body),
            Kind::Free(free) => free.spawn(name, body),
        }
        TaskHandle { result, name: name.to_owned() }
    }

    /// Waits until `duration` has passed.
    pub fn sleep(&self, duration: Duration) {
        let deadline = self.now().saturating_add(duration);
        let never = super::Monitor::new(self, "sleep", ());
        let mut guard = never.lock();
        while self.now() < deadline {
            guard.wait_until(Some(deadline));
        }
    }

    /// A place where another task may be chosen to go on. In a free schedule it does nothing:
    /// the machine preempts where it likes.
    pub fn yield_now(&self) {
        if let Kind::Simulated(simulation) = &self.kind {
            simulation.yield_now();
        }
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule").field("mode", &self.mode()).field("seed", &self.seed()).finish()
    }
}

/// A spawned task, to be waited for.
#[derive(Debug)]
#[must_use = "a task that nobody joins has a result that nobody sees"]
pub struct TaskHandle<R> {
    result: Arc<super::Monitor<Option<Result<R, ()>>>>,
    name: String,
}

impl<R> TaskHandle<R> {
    /// Waits until the task is over, and gives its result.
    ///
    /// # Panics
    ///
    /// Where the task panicked.
    #[track_caller]
    pub fn join(self) -> R {
        let mut guard = self.result.lock();
        loop {
            match guard.take() {
                Some(Ok(result)) => return result,
                Some(Err(())) => {
                    drop(guard);
                    panic!("task {} panicked", self.name);
                }
                None => {
                    guard.wait_until(None);
                }
            }
        }
    }
}
