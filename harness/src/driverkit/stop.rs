//! Passing `Stop` to the base, at once or later (H9).

use crate::schedule::{Life, Monitor, Schedule};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

thread_local! {
    /// The `Stop` that the thread is in.
    static CURRENT: RefCell<Option<Arc<SuperStop>>> = const { RefCell::new(None) };
}

/// Whether a `Stop` has been passed to its base.
#[derive(Debug)]
pub(crate) struct SuperStop {
    /// Those who keep it from that.
    deferred: Monitor<u32>,
}

impl SuperStop {
    /// Runs a `Stop`, and gives what tells whether it was passed on.
    pub(crate) fn run(schedule: &Schedule, stop: impl FnOnce()) -> Arc<Self> {
        let what = "a dext to pass Stop to its base (H9)";
        let this = Arc::new(Self { deferred: Monitor::new(schedule, what, 0) });
        let outer = CURRENT.replace(Some(Arc::clone(&this)));
        let restore = Restore(outer);
        stop();
        drop(restore);
        this
    }

    /// True where somebody still keeps it from being passed on.
    pub(crate) fn is_deferred(&self) -> bool {
        *self.deferred.lock() > 0
    }

    /// Waits until it has been passed on, nobody is left to do so, or it is `deadline`.
    pub(crate) fn wait(&self, life: &Life, deadline: Option<Duration>) {
        let _died = life.work(|| {
            let mut deferred = self.deferred.lock();
            let now = || self.deferred.schedule().now();
            while *deferred > 0 && deadline.is_none_or(|deadline| now() < deadline) {
                deferred.wait_until(deadline);
            }
        });
    }
}

/// Puts back the `Stop` around this one, also where it unwinds.
struct Restore(Option<Arc<SuperStop>>);

impl Drop for Restore {
    fn drop(&mut self) {
        let inner = CURRENT.replace(self.0.take());
        drop(inner);
    }
}

/// A `Stop` that is to be passed to its base later, as by a dext that waits for its cancel handlers.
/// Dropping it is never passing it on.
#[derive(Debug)]
#[must_use = "a Stop that is never passed to its base keeps the object from being torn down"]
pub struct DeferredStop(Arc<SuperStop>);

impl DeferredStop {
    /// Passes `Stop` to the base: the object can be torn down.
    #[doc(alias = "SUPERDISPATCH")]
    pub fn super_stop(self) {
        *self.0.deferred.lock() -= 1;
        self.0.deferred.notify_all();
    }
}

/// Keeps the `Stop` that the thread is in from being passed to the base when it returns: whoever
/// returns from [`UserClient::stop`](super::UserClient::stop) or [`Service::stop`](super::Service::stop)
/// without asking for this has passed it on.
///
/// Where the provider is still active the teardown waits until [`DeferredStop::super_stop`]; where it
/// is gone, the kernel does not wait (H9). `None` outside of a `Stop`.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::driverkit::{DispatchQueue, Provider, UserClient, defer_super_stop};
///
/// struct Client {
///     queue: DispatchQueue,
/// }
///
/// impl UserClient for Client {
///     fn stop(&self, _: &Provider) -> IoReturn {
///         if let Some(stop) = defer_super_stop() {
///             self.queue.dispatch_async(move || stop.super_stop());
///         }
///         IoReturn::SUCCESS
///     }
/// }
/// ```
#[must_use]
pub fn defer_super_stop() -> Option<DeferredStop> {
    let stop = CURRENT.with_borrow(Clone::clone)?;
    *stop.deferred.lock() += 1;
    Some(DeferredStop(stop))
}
