//! Where completions of asynchronous calls arrive.

use crate::call::{Completion, QueueId};
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Called with each completion that reaches a queue. It must not wait.
pub type PostObserver = Arc<dyn Fn(&Completion) + Send + Sync>;

/// A queue of completions in the order in which the kernel handled them (D17): on a Mac the port of
/// an `IONotificationPort`. Dropping the last handle destroys the port; later completions are
/// discarded (D19).
pub trait CompletionQueue: Send + Sync + fmt::Debug {
    /// The queue's number within its system.
    fn id(&self) -> QueueId;

    /// Takes the oldest completion, waiting for it up to `timeout` of the system's time, or for ever.
    /// `None` where the timeout passed first.
    fn wait(&self, timeout: Option<Duration>) -> Option<Completion>;

    /// Takes the oldest completion if there is one.
    fn poll(&self) -> Option<Completion>;

    /// Wakes `waker` once when a completion is there to be polled; at once where one is already.
    fn wake_when_ready(&self, waker: &Waker);

    /// Has `observer` called with each completion as it reaches the queue, before a waiter can take
    /// it. False where this system cannot see that moment (a real Mac port).
    fn observe_posts(&self, observer: PostObserver) -> bool;

    /// The queue itself, for the system that made it.
    fn as_any(&self) -> &dyn Any;
}

impl dyn CompletionQueue + '_ {
    /// The next completion as a future that is bound to no runtime.
    pub fn next(&self) -> NextCompletion<'_> {
        NextCompletion { queue: self }
    }
}

/// Future of the next completion of a queue.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct NextCompletion<'a> {
    queue: &'a (dyn CompletionQueue + 'a),
}

impl Future for NextCompletion<'_> {
    type Output = Completion;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completion> {
        if let Some(completion) = self.queue.poll() {
            return Poll::Ready(completion);
        }
        self.queue.wake_when_ready(context.waker());
        // One may have come between the look and the registration.
        self.queue.poll().map_or(Poll::Pending, Poll::Ready)
    }
}
