//! `WATCH`: completions that come later.

use super::Bug;
use super::abi::{INTERVAL_MAX, SAMPLES_MAX};
use super::client::Core;
use dextape::IoReturn;
use dextape::driverkit::{ExternalMethodArguments, OsAction, OsSharedPtr, async_completion};
use dextape::schedule::{Monitor, Schedule};
use std::sync::Arc;
use std::time::Duration;

/// A watch that is active.
pub(super) struct Watch {
    number: u64,
    action: OsSharedPtr<OsAction>,
}

/// How many watches are active, and how many there were.
pub(super) struct Watching(Monitor<(u64, u64)>);

impl Watching {
    pub(super) fn new(schedule: &Schedule) -> Self {
        Self(Monitor::new(schedule, "the end of a sampler's watch", (0, 0)))
    }

    /// The number of the watch that begins.
    fn begins(&self) -> u64 {
        let mut counts = self.0.lock();
        counts.0 += 1;
        counts.1 += 1;
        counts.1
    }

    pub(super) fn ended(&self) {
        self.0.lock().0 -= 1;
        self.0.notify_all();
    }

    pub(super) fn wait_until_none(&self) {
        let mut counts = self.0.lock();
        while counts.0 > 0 {
            counts.wait_until(None);
        }
    }
}

/// A sample that is to be taken.
struct Sample {
    watch: u64,
    /// From 1 on.
    number: u64,
    last: u64,
    interval: Duration,
    /// A pointer without a reference: the watch has that.
    action: OsAction,
}

impl Core {
    pub(super) fn watch(self: &Arc<Self>, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let ([interval, samples], Some(completion)) =
            (arguments.scalar_input, &arguments.completion)
        else {
            return IoReturn::BAD_ARGUMENT;
        };
        let legal = (1..=INTERVAL_MAX).contains(interval) && (1..=SAMPLES_MAX).contains(samples);
        if !legal {
            return IoReturn::BAD_ARGUMENT;
        }
        let action = OsSharedPtr::retaining(completion);
        let sample = Sample {
            watch: self.watching.begins(),
            number: 1,
            last: *samples,
            interval: Duration::from_millis(*interval),
            action: action.get(),
        };
        let before = self.state().watch.replace(Watch { number: sample.watch, action });
        if let Some(before) = before {
            self.watching.ended();
            async_completion(&before.action, IoReturn::ABORTED, &[]);
            if self.has(Bug::ReplacedWatchLeaked) {
                let _ = before.action.detach();
            }
        }
        self.sample_later(sample);
        IoReturn::SUCCESS
    }

    fn sample_later(self: &Arc<Self>, sample: Sample) {
        let queue = self.state().queue.clone();
        if let Some(queue) = queue {
            let core = Arc::clone(self);
            queue.dispatch_after(sample.interval, move || core.sample(sample));
        }
    }

    fn sample(self: Arc<Self>, sample: Sample) {
        let is_last = sample.number == sample.last;
        let held = {
            let mut state = self.state();
            let watch = state.watch.take_if(|watch| watch.number == sample.watch);
            let action = watch.as_ref().map(|watch| watch.action.clone());
            let unchecked = state.stopped && self.has(Bug::SampleAfterStop);
            if action.is_none() && !unchecked {
                return;
            }
            if !is_last {
                state.watch = watch;
            }
            action
        };
        let is_current = held.is_some();
        let pointer = held.as_deref().unwrap_or(&sample.action);
        async_completion(pointer, IoReturn::SUCCESS, &[sample.number]);
        drop(held);
        if !is_last {
            self.sample_later(Sample { number: sample.number + 1, ..sample });
        } else if is_current {
            self.watching.ended();
        }
    }
}
