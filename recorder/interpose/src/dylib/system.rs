//! The system behind the recorder: it answers with the original calls that wait in a
//! [passage](super::passage).

use super::passage::{self, Passage};
use dextape::IoReturn;
use dextape::call::{Completion, ConnectionId, MapOptions, QueueId, ServiceId};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, Matching, MethodInput, MethodOutput,
    NoticeQueue, OtherCall, OtherReply, PostObserver, System, Value,
};
use dextape::schedule::Schedule;
use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// What nothing asks for: no passage waits.
const NOBODY: IoReturn = IoReturn::UNSUPPORTED;

/// Picks up a passage of the kind that is wanted.
macro_rules! pass {
    ($kind:ident, |$make:ident| $call:expr) => {
        passage::take(|passage| match passage {
            Passage::$kind($make) => Some($call),
            _ => None,
        })
        .flatten()
    };
}

#[derive(Debug)]
pub(super) struct Originals {
    schedule: Schedule,
    connections: AtomicU64,
    queues: AtomicU64,
    /// What tells a service, read when it was first seen: its name may be gone later.
    identities: Mutex<HashMap<ServiceId, BTreeMap<String, Value>>>,
    /// The queue that was made last.
    made: Mutex<Option<Arc<Inbox>>>,
}

impl Originals {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            schedule: Schedule::free(),
            connections: AtomicU64::new(1),
            queues: AtomicU64::new(1),
            identities: Mutex::default(),
            made: Mutex::default(),
        })
    }

    /// Keeps what tells a service, where that is not known.
    pub(super) fn seen(
        &self,
        service: ServiceId,
        identify: impl FnOnce() -> BTreeMap<String, Value>,
    ) {
        let known = |map: &HashMap<_, _>| map.contains_key(&service);
        if !known(&self.identities.lock().unwrap_or_else(PoisonError::into_inner)) {
            let identity = identify();
            let mut all = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(service).or_insert(identity);
        }
    }

    /// Makes a queue with `make` and gives the end at which completions are put in.
    pub(super) fn making<Q>(&self, make: impl FnOnce() -> Q) -> Option<(Q, Arc<Inbox>)> {
        let queue = make();
        let inbox = self.made.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some((queue, inbox))
    }
}

impl System for Originals {
    fn matching_services(&self, _matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        pass!(Services, |make| make()).unwrap_or(Err(NOBODY))
    }

    fn property(&self, _service: ServiceId, _key: &str) -> Result<Option<Value>, IoReturn> {
        pass!(Property, |make| make()).unwrap_or(Err(NOBODY))
    }

    fn properties(&self, _service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        pass!(Properties, |make| make()).unwrap_or(Err(NOBODY))
    }

    fn identify(&self, service: ServiceId) -> BTreeMap<String, Value> {
        let all = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&service).cloned().unwrap_or_default()
    }

    fn open(&self, _service: ServiceId, _type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        pass!(Plain, |make| make()).unwrap_or(NOBODY).ok()?;
        let id = ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed));
        Ok(Box::new(Original { id }))
    }

    fn watch(&self, _matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        Err(NOBODY)
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        let id = QueueId(self.queues.fetch_add(1, Ordering::Relaxed));
        let inbox = Arc::new(Inbox { id, waiting: Mutex::default() });
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&inbox));
        inbox
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }
}

#[derive(Debug)]
struct Original {
    id: ConnectionId,
}

impl Connection for Original {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn call_method(
        &self,
        _selector: u32,
        _input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        pass!(Method, |make| make(output)).unwrap_or(NOBODY)
    }

    fn call_async_method(
        &self,
        _selector: u32,
        wake: &AsyncWake<'_>,
        _input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        pass!(AsyncMethod, |make| make(wake.reference, output)).unwrap_or(NOBODY)
    }

    fn map_memory(&self, _: u32, _: MapOptions, _: u64) -> Result<Mapping, IoReturn> {
        pass!(Map, |make| make()).unwrap_or(Err(NOBODY))
    }

    fn unmap_memory(&self, _memory_type: u32, _address: u64) -> IoReturn {
        pass!(Plain, |make| make()).unwrap_or(NOBODY)
    }

    fn close(&self) -> IoReturn {
        pass!(Plain, |make| make()).unwrap_or(NOBODY)
    }

    fn other_call(&self, _call: &OtherCall<'_>) -> OtherReply {
        pass!(Other, |make| make()).unwrap_or(Err(NOBODY))
    }
}

/// Completions between the program's callback and the recorder's queue.
#[derive(Debug)]
pub(super) struct Inbox {
    id: QueueId,
    waiting: Mutex<VecDeque<Completion>>,
}

impl Inbox {
    /// A completion has come, and is about to be taken.
    pub(super) fn put(&self, completion: Completion) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(completion);
    }
}

impl CompletionQueue for Inbox {
    fn id(&self) -> QueueId {
        self.id
    }

    fn wait(&self, _timeout: Option<Duration>) -> Option<Completion> {
        self.poll()
    }

    fn poll(&self) -> Option<Completion> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn wake_when_ready(&self, waker: &Waker) {
        // Nobody sleeps here: whoever takes a completion has just put it in.
        waker.wake_by_ref();
    }

    fn observe_posts(&self, _observer: PostObserver) -> bool {
        // When a message reached the port is the kernel's knowledge.
        false
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
