//! `IOInterruptDispatchSource`: interrupts of a provider's device, as handlers on a queue.

use super::OsAction;
use super::action::HeldAction;
use super::interrupt_line::{InterruptLines, InterruptType, Receiver};
use super::object::{Object, Payload, handle};
use super::process::{Context, HandlerContext};
use super::queue::{DispatchQueue, Job, QueueCore};
use super::service::Provider;
use crate::IoReturn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// The bits of the index that are the index; the others say which clock is read
/// (`kIOInterruptSourceIndexMask`), and there is only one here.
const INDEX_MASK: u32 = 0xffff;

/// Calls an action on a queue when a device interrupts.
///
/// Interrupts that come before the handler has run are one call with their count. A source is made
/// disabled. What it is told on its queue is the number of interrupts since the last call, and the
/// schedule's time of the last one.
///
/// # Examples
///
/// ```
/// use dextape::driverkit::{
///     DextProcess, DispatchQueue, InterruptDispatchSource, InterruptLines, InterruptType, OsAction,
///     OsObject, Provider, os_log,
/// };
/// use dextape::schedule::Schedule;
///
/// let log = Schedule::simulate(1, |schedule| {
///     // The device's end of the line stays with the device.
///     let lines = InterruptLines::new(&[InterruptType::PCI_MESSAGED]);
///     let provider = Provider::new("IOPCIDevice").with_interrupts(&lines);
///
///     let process = DextProcess::new("com.example.dext", schedule);
///     let _inside = process.enter();
///     let queue = DispatchQueue::create("interrupts").unwrap();
///     let source = InterruptDispatchSource::create(&provider, 0, &queue).unwrap();
///     let action = OsAction::interrupt_occurred(|_, count, _| os_log(format!("{count} came")));
///     source.set_handler(&action);
///     source.set_enable(true);
///
///     lines.raise(0);
///     lines.raise(0);
///     queue.dispatch_sync(|| ());
///     action.release();
///     source.release();
///     queue.release();
///     assert!(process.leaks().is_empty());
///     process.log()
/// });
/// assert_eq!(log, ["2 came"]);
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "IOInterruptDispatchSource")]
pub struct InterruptDispatchSource {
    object: Arc<Object<SourcePayload>>,
}

pub(crate) struct SourcePayload {
    core: Arc<Core>,
}

/// What the line calls, and what the jobs on the queue work with.
struct Core {
    lines: InterruptLines,
    index: u32,
    queue: Arc<QueueCore>,
    context: Option<HandlerContext>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    action: Option<HeldAction>,
    /// Interrupts since the handler was called.
    count: u64,
    /// When the last one came.
    time: Duration,
    enabled: bool,
    canceled: bool,
    /// A call is on its way.
    called: bool,
}

impl Payload for SourcePayload {
    const CLASS: &'static str = "IOInterruptDispatchSource";

    fn freed(&self) {
        self.core.cancel();
        let action = self.core.state().action.take();
        // Dropped after the lock: its handler owns what may come back here.
        drop(action);
    }
}

handle!(InterruptDispatchSource, SourcePayload);

impl InterruptDispatchSource {
    /// A disabled source for the interrupts of one index of `provider`, whose action is called on
    /// `queue`. It has one reference.
    ///
    /// # Errors
    ///
    /// `kIOReturnNoInterrupt` where the provider has no interrupt of that index,
    /// `kIOReturnNoResources` where another source has it.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    #[doc(alias = "Create")]
    pub fn create(
        provider: &Provider,
        index: u32,
        queue: &DispatchQueue,
    ) -> Result<Self, IoReturn> {
        let index = index & INDEX_MASK;
        let lines = provider.interrupts().ok_or(IoReturn::NO_INTERRUPT)?.clone();
        let core = Arc::new(Core {
            lines,
            index,
            queue: queue.core(),
            context: Context::for_handler(),
            state: Mutex::default(),
        });
        let receiver = Arc::downgrade(&core) as Weak<dyn Receiver>;
        core.lines.register(index, receiver)?;
        Ok(Self { object: Object::create(SourcePayload { core }) })
    }

    /// How the interrupt of an index is signalled.
    ///
    /// # Errors
    ///
    /// `kIOReturnNoInterrupt` where the provider has none of that index.
    #[doc(alias = "GetInterruptType")]
    pub fn interrupt_type(provider: &Provider, index: u32) -> Result<InterruptType, IoReturn> {
        let lines = provider.interrupts().ok_or(IoReturn::NO_INTERRUPT)?;
        lines.interrupt_type(index).ok_or(IoReturn::NO_INTERRUPT)
    }

    /// Sets the action that is called when an interrupt came, and retains it; it replaces the one
    /// before. An interrupt that comes while there is none is lost.
    #[track_caller]
    #[doc(alias = "SetHandler")]
    pub fn set_handler(&self, action: &OsAction) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        let old = self.object.payload.core.state().action.replace(action.hold());
        // Dropped after the lock: its handler owns what may come back here.
        drop(old);
        IoReturn::SUCCESS
    }

    /// As [`set_enable_with_completion`](Self::set_enable_with_completion), with nobody to tell.
    #[track_caller]
    #[doc(alias = "SetEnable")]
    pub fn set_enable(&self, enable: bool) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        self.object.payload.core.set_enable(enable)
    }

    /// Enables or disables the device's interrupt. An interrupt that the device raises meanwhile is
    /// held by the line and comes once it is enabled. `done` is called on the queue after what was
    /// dispatched before: after a disable no call is under way then.
    ///
    /// The result is success where there is nothing to change, and `kIOReturnUnsupported` where the
    /// source is cancelled.
    #[track_caller]
    #[doc(alias = "SetEnableWithCompletion")]
    pub fn set_enable_with_completion(
        &self,
        enable: bool,
        done: impl FnOnce() + Send + 'static,
    ) -> IoReturn {
        let result = self.set_enable(enable);
        if result == IoReturn::SUCCESS {
            self.object.payload.core.dispatch(done);
        }
        result
    }

    /// Interrupts that came and were not handed to the action yet, and the time of the last.
    #[must_use]
    #[track_caller]
    #[doc(alias = "GetLastInterrupt")]
    pub fn last_interrupt(&self) -> (u64, Duration) {
        let _ = self.object.alive();
        let state = self.object.payload.core.state();
        (state.count, state.time)
    }

    /// Gives the interrupt back to the provider for good: no call begins any more. `done` is called
    /// on the queue after what was dispatched before.
    #[track_caller]
    #[doc(alias = "Cancel")]
    pub fn cancel(&self, done: impl FnOnce() + Send + 'static) -> IoReturn {
        if !self.object.alive() {
            return IoReturn::BAD_ARGUMENT;
        }
        self.object.payload.core.cancel();
        self.object.payload.core.dispatch(done);
        IoReturn::SUCCESS
    }
}

impl Core {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_enable(&self, enable: bool) -> IoReturn {
        {
            let mut state = self.state();
            if enable == state.enabled {
                return IoReturn::SUCCESS;
            }
            if state.canceled {
                return IoReturn::UNSUPPORTED;
            }
            state.enabled = enable;
        }
        self.lines.set_enabled(self.index, enable);
        IoReturn::SUCCESS
    }

    fn cancel(&self) {
        if !std::mem::replace(&mut self.state().canceled, true) {
            self.lines.unregister(self.index);
        }
    }

    fn dispatch(&self, handler: impl FnOnce() + Send + 'static) {
        if let Some(context) = self.context.clone() {
            self.queue.dispatch(Job::of_dext(context, handler));
        }
    }

    /// On the queue: hands over what came since the last time.
    fn call(&self) {
        let (count, time, action) = {
            let mut state = self.state();
            state.called = false;
            if state.canceled {
                return;
            }
            let count = std::mem::take(&mut state.count);
            (count, state.time, state.action.as_ref().map(|held| held.action().hold()))
        };
        if let Some(action) = action {
            let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            action.action().call(IoReturn::SUCCESS, &[count, time]);
        }
        // Whoever handles a level interrupt makes the device stop asserting it, so it is looked at
        // again only now.
        let enabled = {
            let state = self.state();
            state.enabled && !state.canceled
        };
        if enabled {
            self.lines.rearm(self.index);
        }
    }
}

impl Receiver for Core {
    fn interrupt(self: Arc<Self>) {
        {
            let mut state = self.state();
            state.count += 1;
            state.time = self.queue.now();
            if std::mem::replace(&mut state.called, true) {
                return;
            }
        }
        let core = Arc::downgrade(&self);
        self.dispatch(move || {
            if let Some(core) = core.upgrade() {
                core.call();
            }
        });
    }
}

#[cfg(test)]
mod tests;
