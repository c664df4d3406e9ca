//! Free mode: real threads, and real time or a slower one.

use super::task::TaskId;
use std::any::Any;
use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

thread_local! {
    /// Address of the schedule that the thread belongs to, and its task.
    static CURRENT: Cell<Option<(usize, TaskId)>> = const { Cell::new(None) };
}

pub(super) struct Free {
    start: Instant,
    /// How many times slower than the machine's its time passes.
    slower: NonZeroU32,
    tasks: AtomicUsize,
}

impl Free {
    pub(super) fn new(slower: NonZeroU32) -> Self {
        Self { start: Instant::now(), slower, tasks: AtomicUsize::new(1) }
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed() / self.slower.get()
    }

    /// How long `duration` is on the machine's clock.
    pub(super) fn real(&self, duration: Duration) -> Duration {
        duration.saturating_mul(self.slower.get())
    }

    pub(super) fn current(&self) -> Option<TaskId> {
        CURRENT.get().filter(|(owner, _)| *owner == self.address()).map(|(_, task)| task)
    }

    pub(super) fn spawn(
        &self,
        name: &str,
        body: impl FnOnce() -> Option<Box<dyn Any + Send>> + Send + 'static,
    ) {
        let task = TaskId(self.tasks.fetch_add(1, Ordering::Relaxed));
        let owner = self.address();
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            CURRENT.set(Some((owner, task)));
            // The panic hook has printed it, and whoever joins is told.
            drop(body());
        });
        if let Err(error) = spawned {
            panic!("failed to start a thread for task {name}: {error}");
        }
    }

    /// Identity of the schedule, compared and never followed.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}
