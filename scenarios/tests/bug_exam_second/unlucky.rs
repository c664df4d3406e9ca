//! Bad luck at the client's side, made by hand: a thread stands still where it calls, reaches memory or unmaps,
//! or a wait ends for no reason.

use dextape::IoReturn;
use dextape::call::{Completion, ConnectionId, MapOptions, QueueId, ServiceId};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, EndObserver, Mapping, Matching, MethodInput,
    MethodOutput, NoticeQueue, OtherCall, OtherReply, PostObserver, System, Value,
};
use dextape::memory::{AccessError, Memory, RawReach, SharedBuffer, Update, Width};
use dextape::schedule::Schedule;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;
use std::time::Duration;

/// One piece of bad luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Luck {
    /// A thread that comes to this place as the `1`st, `2`nd and so on of all stands still so many
    /// milliseconds.
    Still(Place, u32, u64),
    /// The wait for completions of that number ends at once with nothing.
    Spurious(u32),
}

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// About to call that selector.
    Calls(u32),
    /// Back from it.
    HasCalled(u32),
    /// About to reach memory of that type at that offset.
    Reaches(u32, u64),
    /// In a wait for completions, which has just ended.
    HasWaited,
    /// At any of these.
    Any,
}

#[derive(Debug)]
struct Fate {
    schedule: Schedule,
    luck: Luck,
    met: AtomicU32,
}

impl Fate {
    fn come_to(&self, place: Place) {
        if let Luck::Still(at, nth, milliseconds) = self.luck
            && (at == place || at == Place::Any)
            && self.met.fetch_add(1, Ordering::Relaxed) + 1 == nth
        {
            self.schedule.sleep(Duration::from_millis(milliseconds));
        }
    }

    fn ends_a_wait(&self) -> bool {
        matches!(self.luck, Luck::Spurious(nth) if self.met.fetch_add(1, Ordering::Relaxed) + 1 == nth)
    }
}

/// The system under that luck.
pub(crate) fn unlucky(inner: Arc<dyn System>, luck: Luck) -> Arc<dyn System> {
    let schedule = inner.schedule().clone();
    Arc::new(Unlucky { inner, fate: Arc::new(Fate { schedule, luck, met: AtomicU32::new(0) }) })
}

#[derive(Debug)]
struct Unlucky<T> {
    inner: T,
    fate: Arc<Fate>,
}

impl<T> Unlucky<T> {
    fn also<U>(&self, inner: U) -> Unlucky<U> {
        Unlucky { inner, fate: Arc::clone(&self.fate) }
    }
}

impl System for Unlucky<Arc<dyn System>> {
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        self.inner.matching_services(matching)
    }

    fn property(&self, service: ServiceId, key: &str) -> Result<Option<Value>, IoReturn> {
        self.inner.property(service, key)
    }

    fn properties(&self, service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        self.inner.properties(service)
    }

    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        Ok(Box::new(self.also(self.inner.open(service, open_type)?)))
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        self.inner.watch(matching)
    }

    fn observe_ends(&self, observer: EndObserver) -> bool {
        self.inner.observe_ends(observer)
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        Arc::new(self.also(self.inner.completion_queue()))
    }

    fn address_of(&self, buffer: &SharedBuffer) -> u64 {
        self.inner.address_of(buffer)
    }

    fn schedule(&self) -> &Schedule {
        self.inner.schedule()
    }
}

impl Connection for Unlucky<Box<dyn Connection>> {
    fn id(&self) -> ConnectionId {
        self.inner.id()
    }

    fn call_method(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        self.fate.come_to(Place::Calls(selector));
        let result = self.inner.call_method(selector, input, output);
        self.fate.come_to(Place::HasCalled(selector));
        result
    }

    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        self.fate.come_to(Place::Calls(selector));
        // What the system takes is the queue that it made.
        let made = |queue: &dyn CompletionQueue| {
            queue
                .as_any()
                .downcast_ref::<Unlucky<Arc<dyn CompletionQueue>>>()
                .map(|ours| Arc::clone(&ours.inner))
        };
        let queue = wake.queue.and_then(made);
        let wake = AsyncWake { queue: queue.as_deref().or(wake.queue), ..*wake };
        let result = self.inner.call_async_method(selector, &wake, input, output);
        self.fate.come_to(Place::HasCalled(selector));
        result
    }

    fn map_memory(
        &self,
        memory_type: u32,
        options: MapOptions,
        address: u64,
    ) -> Result<Mapping, IoReturn> {
        let inner = self.inner.map_memory(memory_type, options, address)?;
        let (id, address, length) = (inner.id(), inner.address(), inner.length());
        Ok(Mapping::new(id, memory_type, address, length, Arc::new(self.also(inner))))
    }

    fn unmap_memory(&self, memory_type: u32, address: u64) -> IoReturn {
        self.fate.come_to(Place::Any);
        self.inner.unmap_memory(memory_type, address)
    }

    fn close(&self) -> IoReturn {
        self.inner.close()
    }

    fn other_call(&self, call: &OtherCall<'_>) -> OtherReply {
        self.inner.other_call(call)
    }
}

impl CompletionQueue for Unlucky<Arc<dyn CompletionQueue>> {
    fn id(&self) -> QueueId {
        self.inner.id()
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Completion> {
        if self.fate.ends_a_wait() {
            return None;
        }
        let came = self.inner.wait(timeout);
        self.fate.come_to(Place::HasWaited);
        came
    }

    fn poll(&self) -> Option<Completion> {
        self.inner.poll()
    }

    fn wake_when_ready(&self, waker: &Waker) {
        self.inner.wake_when_ready(waker);
    }

    fn observe_posts(&self, observer: PostObserver) -> bool {
        self.inner.observe_posts(observer)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Unlucky<Mapping> {
    fn reach(&self, offset: u64) -> &Mapping {
        self.fate.come_to(Place::Reaches(self.inner.memory_type(), offset));
        &self.inner
    }
}

impl Memory for Unlucky<Mapping> {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }

    fn is_registers(&self) -> bool {
        self.inner.is_registers()
    }

    fn raw_reach(&self) -> RawReach {
        RawReach::Never
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        self.reach(offset).load_word(offset, width)
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        self.reach(offset).store_word(offset, width, value)
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        self.reach(offset).update_word(offset, width, update)
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.reach(offset).copy_out(offset, into)
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.reach(offset).copy_in(offset, bytes)
    }
}
