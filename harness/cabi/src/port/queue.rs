//! A port of the client's own: what waits there to be received.

use super::{Iterator, Signal};
use crate::start;
use dextape::call::ServiceId;
use dextape::connection::{CompletionQueue, NoticeKind, NoticeQueue};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// How long a wait lasts at most where a notice may come of a system that wakes nobody for it.
const LOOK_FOR_NOTICES: Duration = Duration::from_millis(5);

/// A receive right: messages that were sent to it, completions of the calls that it was the wake port
/// of, and notices.
pub(crate) struct Port {
    name: OnceLock<u32>,
    state: Mutex<State>,
    completions: OnceLock<Arc<dyn CompletionQueue>>,
    waker: OnceLock<Waker>,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Vec<u8>>,
    watches: Vec<Arc<Watch>>,
    listeners: Vec<Weak<Signal>>,
    /// Ports of which this is a set.
    members: Vec<Arc<Port>>,
    dead: bool,
}

/// What came of a receive.
pub(crate) enum Received {
    /// A whole message, header included, without its trailer.
    Message(Vec<u8>),
    /// Time is up.
    TimedOut,
    /// The receive right is gone.
    Died,
}

/// Wakes those who listen to a port when a completion reaches it.
struct PortWaker(Weak<Port>);

impl Wake for PortWaker {
    fn wake(self: Arc<Self>) {
        if let Some(port) = self.0.upgrade() {
            port.notify();
        }
    }
}

impl Port {
    pub(crate) fn new() -> Arc<Self> {
        let port = Arc::new(Self {
            name: OnceLock::new(),
            state: Mutex::default(),
            completions: OnceLock::new(),
            waker: OnceLock::new(),
        });
        let waker = Waker::from(Arc::new(PortWaker(Arc::downgrade(&port))));
        let _ = port.waker.set(waker);
        port
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its name, as whoever receives from it knows it.
    pub(crate) fn name(&self) -> u32 {
        self.name.get().copied().unwrap_or(0)
    }

    pub(super) fn named(&self, name: u32) {
        let _ = self.name.set(name);
    }

    /// The queue of completions behind it; made when it is first a wake port.
    pub(crate) fn completions(&self) -> &Arc<dyn CompletionQueue> {
        if let Some(made) = self.completions.get() {
            return made;
        }
        let made = self.completions.get_or_init(|| crate::start::system().completion_queue());
        // Who waits for this port already has not asked the queue to be woken.
        self.notify();
        made
    }

    /// Puts a message there. False where the port is gone.
    pub(crate) fn send(&self, message: Vec<u8>) -> bool {
        let mut state = self.state();
        if state.dead {
            return false;
        }
        state.messages.push_back(message);
        drop(state);
        self.notify();
        true
    }

    /// A message that its receiver had no room for comes first again.
    pub(crate) fn put_back(&self, message: Vec<u8>) {
        self.state().messages.push_front(message);
    }

    /// Has notices come here.
    pub(crate) fn watch(self: &Arc<Self>, watch: &Arc<Watch>) {
        watch.port.set(Arc::downgrade(self)).ok();
        self.state().watches.push(Arc::clone(watch));
        self.notify();
    }

    pub(crate) fn add_member(&self, member: &Arc<Self>) {
        let mut state = self.state();
        if !state.members.iter().any(|held| Arc::ptr_eq(held, member)) {
            state.members.push(Arc::clone(member));
        }
        drop(state);
        self.notify();
    }

    pub(crate) fn remove_member(&self, member: &Arc<Self>) {
        self.state().members.retain(|held| !Arc::ptr_eq(held, member));
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// The receive right is gone: what waits there is lost, and so is what comes (D19).
    pub(crate) fn die(&self) {
        let mut state = self.state();
        state.dead = true;
        let gone = (std::mem::take(&mut state.messages), std::mem::take(&mut state.watches));
        drop(state);
        drop(gone);
        self.notify();
    }

    fn notify(&self) {
        let listeners: Vec<_> = self.state().listeners.iter().filter_map(Weak::upgrade).collect();
        listeners.iter().for_each(|listener| listener.notify());
    }

    /// Takes what came first, if anything did.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        if state.dead {
            return None;
        }
        if let Some(message) = state.messages.pop_front() {
            return Some(message);
        }
        let (watches, members) = (state.watches.clone(), state.members.clone());
        drop(state);
        if let Some(mut completion) = self.completions.get().and_then(|queue| queue.poll()) {
            crate::io::from_numbers(&mut completion.reference);
            crate::io::show_all();
            crate::io::look_all();
            return Some(crate::mach::notification::completion(self.name(), &completion));
        }
        watches
            .iter()
            .find_map(|watch| watch.take(self.name()))
            .or_else(|| members.iter().find_map(|member| member.take()))
    }

    /// Has `signal` notified when there may be something to take. Gives how long to wait at most.
    pub(crate) fn listen(&self, signal: &Arc<Signal>) -> Option<Duration> {
        let mut state = self.state();
        state.listeners.retain(|held| held.strong_count() > 0);
        if !state.listeners.iter().any(|held| held.as_ptr() == Arc::as_ptr(signal)) {
            state.listeners.push(Arc::downgrade(signal));
        }
        let (watches, members) = (state.watches.clone(), state.members.clone());
        drop(state);
        let mut look = false;
        if let Some(waker) = self.waker.get() {
            if let Some(queue) = self.completions.get() {
                queue.wake_when_ready(waker);
            }
            for watch in watches.iter().filter(|watch| watch.is_armed()) {
                look |= !watch.notices.wake_when_ready(waker);
            }
        }
        let most = look.then_some(LOOK_FOR_NOTICES);
        members.iter().filter_map(|member| member.listen(signal)).chain(most).min()
    }
}

/// Receives from a port, up to `deadline` or for ever.
pub(crate) fn receive(port: &Port, deadline: Option<Instant>) -> Received {
    if let Some(message) = port.take() {
        return Received::Message(message);
    }
    let signal = Arc::new(Signal::default());
    let began = Instant::now();
    loop {
        if port.is_dead() {
            return Received::Died;
        }
        let most = port.listen(&signal);
        if let Some(message) = port.take() {
            return Received::Message(message);
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Received::TimedOut;
        }
        let look = most.map(|most| now + most);
        let check = deadline.is_none().then(|| now + start::CHECK);
        signal.wait(deadline.into_iter().chain(look).chain(check).min());
        if deadline.is_none() {
            start::check_wait(began);
        }
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// Notices that the client asked for, on their way to a port.
pub(crate) struct Watch {
    pub(crate) notices: Arc<dyn NoticeQueue>,
    pub(crate) kind: NoticeKind,
    /// The one service of an interest notification.
    pub(crate) only: Option<ServiceId>,
    /// Where the services of a matching notification go.
    pub(crate) iterator: Option<Arc<Iterator>>,
    /// What the message carries: the callback, its context, and what it is about.
    reference: OnceLock<[u64; 8]>,
    armed: AtomicBool,
    over: AtomicBool,
    /// Where its messages go.
    port: OnceLock<Weak<Port>>,
}

impl Watch {
    pub(crate) fn new(
        notices: Arc<dyn NoticeQueue>,
        kind: NoticeKind,
        only: Option<ServiceId>,
        iterator: Option<Arc<Iterator>>,
    ) -> Arc<Self> {
        // An interest is armed at once, a matching notification when its iterator is empty.
        let armed = AtomicBool::new(iterator.is_none());
        Arc::new(Self {
            notices,
            kind,
            only,
            iterator,
            reference: OnceLock::new(),
            armed,
            over: AtomicBool::new(false),
            port: OnceLock::new(),
        })
    }

    /// What its messages carry; set before the client knows of it.
    pub(crate) fn carries(&self, reference: [u64; 8]) {
        let _ = self.reference.set(reference);
    }

    pub(crate) fn reference(&self) -> [u64; 8] {
        self.reference.get().copied().unwrap_or_default()
    }

    /// The client has seen all that its iterator held.
    pub(crate) fn arm(&self) {
        if !self.armed.swap(true, Ordering::AcqRel)
            && let Some(port) = self.port.get().and_then(Weak::upgrade)
        {
            // Who waits there has passed this one by.
            port.notify();
        }
    }

    fn is_armed(&self) -> bool {
        // Where the client has released the iterator, only this holds it.
        let wanted = self.iterator.as_ref().is_none_or(|iterator| Arc::strong_count(iterator) > 1);
        wanted && self.armed.load(Ordering::Acquire) && !self.over.load(Ordering::Acquire)
    }

    /// The client wants no more of it.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Moves what is there already to the iterator, and makes no message of it.
    pub(crate) fn take_present(&self) {
        while let Some(notice) = self.notices.poll() {
            if notice.kind == self.kind
                && let Some(iterator) = &self.iterator
            {
                iterator.push(notice.service);
            }
        }
    }

    /// The message of what happened since it was armed, if anything did.
    fn take(&self, port: u32) -> Option<Vec<u8>> {
        if !self.is_armed() {
            return None;
        }
        let mut found = false;
        while let Some(notice) = self.notices.poll() {
            let wanted = self.only.is_none_or(|only| only == notice.service);
            if notice.kind != self.kind || !wanted {
                continue;
            }
            found = true;
            match &self.iterator {
                Some(iterator) => iterator.push(notice.service),
                None => break,
            }
        }
        if !found {
            return None;
        }
        if self.iterator.is_some() {
            self.armed.store(false, Ordering::Release);
        }
        Some(crate::mach::notification::notice(port, self))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("kind", &self.kind).finish_non_exhaustive()
    }
}
