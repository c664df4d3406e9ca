//! `OSAction`: who is told when something is done.

use super::finding::Lint;
use super::object::{Object, Payload, handle, sealed};
use super::process::{Context, DextProcess, HandlerContext};
use super::queue::{DispatchQueue, Job, QueueCore};
use crate::IoReturn;
use crate::boundary::completion::ActionState;
use crate::boundary::{Rule, Rules};
use crate::call::Scalars;
use crate::limits::COMPLETION_ARGUMENTS_MAX;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where the completions of a client's action go: on the far side of it is the kernel.
pub type CompletionSink = Arc<dyn Fn(IoReturn, &[u64]) + Send + Sync>;

/// Who is told when something is done: the client of an asynchronous call, or the dext itself.
///
/// It can be fired any number of times and firing does not consume it (D11). With the last reference
/// it is aborted: what it referred to is forgotten, and firing it does nothing (D20).
#[derive(Clone, Debug)]
#[doc(alias = "OSAction")]
pub struct OsAction {
    pub(super) object: Arc<Object<ActionPayload>>,
}

pub(crate) struct ActionPayload {
    rules: Rules,
    state: Mutex<State>,
}

struct State {
    action: ActionState,
    target: Option<Target>,
}

impl ActionPayload {
    fn new(rules: Rules, target: Option<Target>) -> Self {
        Self { rules, state: Mutex::new(State { action: ActionState::default(), target }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
enum Target {
    Client(CompletionSink),
    Handler {
        queue: Arc<QueueCore>,
        context: HandlerContext,
        handler: Arc<Handler>,
    },
    /// Called by a dispatch source on the queue that this is on.
    Source {
        handler: Arc<Handler>,
    },
}

type Handler = dyn Fn(&OsAction, IoReturn, &[u64]) + Send + Sync;

impl Payload for ActionPayload {
    const CLASS: &'static str = "OSAction";

    fn freed(&self) {
        let target = {
            let mut state = self.state();
            state.action.abort();
            if self.rules.holds(Rule::D20) { state.target.take() } else { None }
        };
        // Dropped after the lock: a handler may hold the action's own pointer.
        drop(target);
    }
}

handle!(OsAction, ActionPayload);

impl OsAction {
    /// An action of the dext's own: `handler` is called on `queue` with the action, the status and
    /// the arguments each time it is fired. It has one reference.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    pub fn create(
        queue: &DispatchQueue,
        handler: impl Fn(&OsAction, IoReturn, &[u64]) + Send + Sync + 'static,
    ) -> Self {
        let rules = DextProcess::current().map_or_else(Rules::all, |process| process.rules());
        let target = Context::for_handler().map(|context| Target::Handler {
            queue: queue.core(),
            context,
            handler: Arc::new(handler),
        });
        Self { object: Object::create(ActionPayload::new(rules, target)) }
    }

    /// An action for an [`InterruptDispatchSource`](super::InterruptDispatchSource): `handler` is
    /// called on the source's queue with the action, the number of interrupts since the last call
    /// and the schedule's time of the last one. It has one reference.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    #[doc(alias = "CreateActionInterruptOccurred")]
    #[doc(alias = "InterruptOccurred")]
    pub fn interrupt_occurred(
        handler: impl Fn(&OsAction, u64, Duration) + Send + Sync + 'static,
    ) -> Self {
        Self::for_source(move |action, _, arguments| {
            if let [count, time, ..] = arguments {
                handler(action, *count, Duration::from_nanos(*time));
            }
        })
    }

    /// An action for a [`DataQueueDispatchSource`](super::DataQueueDispatchSource): `handler` is
    /// called on the source's queue when there are entries. It has one reference.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    #[doc(alias = "CreateActionDataAvailable")]
    pub fn data_available(handler: impl Fn(&OsAction) + Send + Sync + 'static) -> Self {
        Self::for_source(move |action, _, _| handler(action))
    }

    /// An action for a [`DataQueueDispatchSource`](super::DataQueueDispatchSource): `handler` is
    /// called on the source's queue when there is room again. It has one reference.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    #[doc(alias = "CreateActionDataServiced")]
    pub fn data_serviced(handler: impl Fn(&OsAction) + Send + Sync + 'static) -> Self {
        Self::for_source(move |action, _, _| handler(action))
    }

    /// An action for a [`TimerDispatchSource`](super::TimerDispatchSource): `handler` is called on the
    /// timer's queue with the action and the schedule's time. It has one reference.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[must_use = "it has a reference that somebody must release"]
    #[track_caller]
    #[doc(alias = "CreateActionTimerOccurred")]
    #[doc(alias = "TimerOccurred")]
    pub fn timer_occurred(handler: impl Fn(&OsAction, Duration) + Send + Sync + 'static) -> Self {
        Self::for_source(move |action, _, arguments| {
            if let [time, ..] = arguments {
                handler(action, Duration::from_nanos(*time));
            }
        })
    }

    /// An action that a dispatch source calls on its own queue.
    #[track_caller]
    pub(super) fn for_source(
        handler: impl Fn(&OsAction, IoReturn, &[u64]) + Send + Sync + 'static,
    ) -> Self {
        let rules = DextProcess::current().map_or_else(Rules::all, |process| process.rules());
        let target = Some(Target::Source { handler: Arc::new(handler) });
        Self { object: Object::create(ActionPayload::new(rules, target)) }
    }

    /// The client's action of an asynchronous call.
    pub(super) fn for_client(
        process: &DextProcess,
        client: Option<u64>,
        sink: CompletionSink,
    ) -> Self {
        let payload = ActionPayload::new(process.rules(), Some(Target::Client(sink)));
        Self { object: Object::create_by_system(process, client, payload) }
    }

    /// Forgets what the action refers to although it has references left: later firing does nothing.
    #[doc(alias = "Cancel")]
    pub fn cancel(&self) {
        self.object.payload.freed();
    }

    /// A reference of the system's, for as long as something is under way that will fire it.
    pub(super) fn hold(&self) -> HeldAction {
        let held = self.object.header().retain_by_system();
        HeldAction { action: self.clone(), held }
    }

    /// Whether it was ever fired.
    pub(super) fn was_fired(&self) -> bool {
        self.object.payload.state().action.fired() > 0
    }

    /// Fires the action. Nothing happens where it is aborted.
    #[track_caller]
    pub(crate) fn fire(&self, status: IoReturn, arguments: &[u64]) {
        // Only to tell of it: what happens then is for the state to say.
        let _ = self.object.alive();
        match self.fired() {
            None => {}
            Some(Target::Client(sink)) => sink(status, arguments),
            Some(Target::Handler { queue, context, handler }) => {
                let (held, arguments) = (self.hold(), Scalars::clamped(arguments));
                queue.dispatch(Job::of_dext(context, move || {
                    handler(held.action(), status, &arguments);
                }));
            }
            Some(Target::Source { handler }) => handler(self, status, arguments),
        }
    }

    /// Runs the handler on the calling thread, which is on the queue of a dispatch source.
    pub(super) fn call(&self, status: IoReturn, arguments: &[u64]) {
        match self.fired() {
            Some(Target::Handler { handler, .. } | Target::Source { handler }) => {
                handler(self, status, arguments);
            }
            Some(Target::Client(sink)) => sink(status, arguments),
            None => {}
        }
    }

    /// Counts a firing, and gives what it goes to; `None` where the action is aborted.
    fn fired(&self) -> Option<Target> {
        let payload = &self.object.payload;
        let mut state = payload.state();
        if state.action.fire(payload.rules) { state.target.clone() } else { None }
    }
}

/// An action that the system holds.
#[derive(Debug)]
pub(super) struct HeldAction {
    action: OsAction,
    /// False where it was gone already.
    held: bool,
}

impl HeldAction {
    pub(super) fn action(&self) -> &OsAction {
        &self.action
    }
}

impl Drop for HeldAction {
    fn drop(&mut self) {
        if self.held {
            sealed::Handle::managed(&self.action).release(Location::caller());
        }
    }
}

/// Completes an asynchronous call: `status` and up to 16 arguments are delivered to the client. It
/// may be done during the call or any time later, as often as the dext likes (D11).
///
/// More than 16 arguments are dropped together with the completion (D13), and an action that is
/// aborted delivers nothing (D20).
#[track_caller]
#[doc(alias = "AsyncCompletion")]
#[doc(alias = "IOUserClient::AsyncCompletion")]
pub fn async_completion(action: &OsAction, status: IoReturn, arguments: &[u64]) {
    if arguments.len() > COMPLETION_ARGUMENTS_MAX
        && let Some(process) = action.object.header().process()
    {
        let message = format!(
            "a completion with {} arguments is dropped, and the client goes on waiting for it",
            arguments.len()
        );
        let at = Some(Location::caller());
        process.report(Lint::TooManyArguments, Context::place(), message, at);
    }
    action.fire(status, arguments);
}
