//! A completion queue that records what reaches it and what its client takes from it.

use super::context::Context;
use super::redact::FieldPlace;
use super::session::nanoseconds;
use crate::journal::{Record, Token};
use dextape::call::{Completion, QueueId};
use dextape::connection::{CompletionQueue, PostObserver};
use dextape::limits::WAKE_PORT_QUEUE_MAX;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct RecordingQueue {
    inner: Arc<dyn CompletionQueue>,
    posts: Arc<Posts>,
    number: u32,
    /// False where the inner system cannot show when a completion reaches the queue.
    shows_posts: bool,
}

impl RecordingQueue {
    pub(crate) fn new(context: Arc<Context>, inner: Arc<dyn CompletionQueue>, number: u32) -> Self {
        let posts =
            Arc::new(Posts { context, waiting: Mutex::default(), observers: Mutex::default() });
        let observed = Arc::clone(&posts);
        let shows_posts = inner.observe_posts(Arc::new(move |completion: &Completion| {
            observed.post(completion);
        }));
        Self { inner, posts, number, shows_posts }
    }

    /// Number on the tape.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The queue as the inner system knows it, if it is one of the system with this context.
    pub(crate) fn inner_of(&self, context: &Arc<Context>) -> Option<&dyn CompletionQueue> {
        Arc::ptr_eq(&self.posts.context, context).then_some(&*self.inner)
    }

    /// The client took `completion`: gives it as the client should see it.
    fn took(&self, completion: Completion, polls: u64) -> Completion {
        let post = if self.shows_posts {
            self.posts.take(&completion)
        } else {
            Some(self.posts.record(&completion))
        };
        if let Some(post) = post {
            let record = Record::Delivered { queue: self.number, polls };
            // Where what was posted is not on the tape, neither is this.
            self.posts.context.leave(post.connection, post.posted, &record);
        }
        self.posts.restored(&completion)
    }
}

impl CompletionQueue for RecordingQueue {
    fn id(&self) -> QueueId {
        self.inner.id()
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Completion> {
        let context = &self.posts.context;
        let record = Record::Wait { queue: self.number, timeout: timeout.map(nanoseconds) };
        let enter = context.append(None, None, &record);
        let completion = self.inner.wait(timeout).map(|completion| self.took(completion, 0));
        context.leave(None, enter, &Record::Woke { timed_out: completion.is_none() });
        completion
    }

    fn poll(&self) -> Option<Completion> {
        let lanes = &self.posts.context.session.lanes;
        match self.inner.poll() {
            Some(completion) => {
                let polls = lanes.with(|lane| lane.polls.overlapping(self.number, &(0..1)));
                Some(self.took(completion, polls))
            }
            None => {
                lanes.with(|lane| lane.polls.count(self.number, 0, 1));
                None
            }
        }
    }

    fn wake_when_ready(&self, waker: &Waker) {
        self.inner.wake_when_ready(waker);
    }

    fn observe_posts(&self, observer: PostObserver) -> bool {
        if self.shows_posts {
            self.posts.observers.lock().unwrap_or_else(PoisonError::into_inner).push(observer);
        }
        self.shows_posts
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Completions that reached a queue. The inner queue holds this for as long as it lives, so it holds
/// nothing of the inner system.
struct Posts {
    context: Arc<Context>,
    /// Those that nobody has taken, in order. As long as the kernel's own queue at most (D18).
    waiting: Mutex<VecDeque<Post>>,
    observers: Mutex<Vec<PostObserver>>,
}

/// A completion as it came from the inner system, and its event.
struct Post {
    completion: Completion,
    posted: Option<Token>,
    /// The call's connection.
    connection: Option<u32>,
}

impl Posts {
    fn post(&self, completion: &Completion) {
        // One lock over both, so that the journal has them in the order of the queue.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let post = self.record(completion);
        if waiting.len() >= WAKE_PORT_QUEUE_MAX {
            waiting.pop_front();
        }
        waiting.push_back(post);
        drop(waiting);
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !observers.is_empty() {
            let restored = self.restored(completion);
            observers.iter().for_each(|observer| observer(&restored));
        }
    }

    /// Takes the first post of just this completion. Two that look alike are posts of one call
    /// with the same result: they come in order.
    fn take(&self, completion: &Completion) -> Option<Post> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let index = waiting.iter().position(|post| post.completion == *completion)?;
        waiting.remove(index)
    }

    /// Writes the posted event.
    fn record(&self, completion: &Completion) -> Post {
        let session = &self.context.session;
        let completion = *completion;
        let (reference, call) = session.marks.unmark(completion.reference);
        if !session.is_recording() {
            return Post { completion, posted: None, connection: None };
        }
        let Some(call) = call else {
            // It could not be marked, or is not on the tape itself.
            let reason = "a completion could not be traced to its call";
            self.context.append_device(None, None, &Record::Gap { events: Some(2), reason });
            return Post { completion, posted: None, connection: None };
        };
        let (ordinal, origin) =
            session.calls.lock().unwrap_or_else(PoisonError::into_inner).completed(call);
        let connection = origin.as_ref().map(|origin| origin.connection);
        let place =
            FieldPlace::CompletionArguments { selector: origin.as_ref().map(|it| it.selector) };
        let input = origin.and_then(|origin| origin.input).unwrap_or_default();
        let arguments = session.hook.scalars(&place, &input, &completion.arguments);
        let record = Record::Posted {
            ordinal,
            status: completion.status,
            arguments: arguments.as_slice(),
            reference: &reference,
        };
        let posted = self.context.append_device(connection, Token::new(call), &record);
        Post { completion, posted, connection }
    }

    fn restored(&self, completion: &Completion) -> Completion {
        let (reference, _) = self.context.session.marks.unmark(completion.reference);
        Completion { reference, ..*completion }
    }
}

impl std::fmt::Debug for Posts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Posts").field("context", &self.context).finish_non_exhaustive()
    }
}
