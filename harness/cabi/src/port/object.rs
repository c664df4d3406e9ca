//! What a name can stand for.

use super::Port;
use dextape::call::ServiceId;
use dextape::connection::Connection;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// The task itself.
    Task,
    /// The port that clients get from `IOMainPort`.
    Main,
    /// A service.
    Service(ServiceId),
    /// The root of the registry, of which nothing but its name is known.
    Root,
    /// An iterator.
    Iterator(Arc<Iterator>),
    /// A connection.
    Connection(Arc<Connect>),
    /// A port of the client's own.
    Port(Arc<Port>),
    /// What was a port before its receive right was destroyed.
    Dead,
}

impl Kind {
    /// What it is, for people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Main => "main port",
            Self::Service(_) => "service",
            Self::Root => "registry root",
            Self::Iterator(_) => "iterator",
            Self::Connection(_) => "connection",
            Self::Port(_) => "port",
            Self::Dead => "dead name",
        }
    }
}

/// An open connection.
pub(crate) struct Connect {
    pub(crate) connection: Box<dyn Connection>,
    /// Memory of it was mapped.
    mapped: AtomicBool,
}

impl Connect {
    pub(crate) fn new(connection: Box<dyn Connection>) -> Self {
        Self { connection, mapped: AtomicBool::new(false) }
    }

    /// Memory of it is mapped from now on.
    pub(crate) fn map(&self) {
        self.mapped.store(true, Ordering::Release);
    }

    /// True where memory of it was ever mapped: who has none has nothing to look at.
    #[inline(always)]
    pub(crate) fn has_mapped(&self) -> bool {
        self.mapped.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

/// The services that a client has still to be shown.
#[derive(Debug, Default)]
pub(crate) struct Iterator {
    state: Mutex<IteratorState>,
}

#[derive(Debug, Default)]
struct IteratorState {
    all: Vec<ServiceId>,
    left: VecDeque<ServiceId>,
    /// It belongs to a notification, which is armed once the iterator was found empty.
    watch: Option<std::sync::Weak<super::Watch>>,
    /// It stands for an interest notification, which ends with it.
    kept: Option<Kept>,
}

/// A notification that ends with the object that the client has of it.
#[derive(Debug)]
struct Kept(Arc<super::Watch>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Iterator {
    pub(crate) fn of(services: Vec<ServiceId>) -> Arc<Self> {
        let left = services.iter().copied().collect();
        let state = IteratorState { all: services, left, watch: None, kept: None };
        Arc::new(Self { state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, IteratorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn watch(&self, watch: &Arc<super::Watch>) {
        self.state().watch = Some(Arc::downgrade(watch));
    }

    /// Ends `watch` when this is gone.
    pub(crate) fn keep(&self, watch: &Arc<super::Watch>) {
        self.state().kept = Some(Kept(Arc::clone(watch)));
    }

    pub(crate) fn push(&self, service: ServiceId) {
        self.state().left.push_back(service);
    }

    pub(crate) fn next(&self) -> Option<ServiceId> {
        let mut state = self.state();
        let next = state.left.pop_front();
        let watch = if next.is_none() { state.watch.clone() } else { None };
        drop(state);
        if let Some(watch) = watch.and_then(|watch| watch.upgrade()) {
            watch.arm();
        }
        next
    }

    pub(crate) fn reset(&self) {
        let mut state = self.state();
        state.left = state.all.iter().copied().collect();
    }
}
