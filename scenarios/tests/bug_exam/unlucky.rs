//! Hand-made bad luck at the client's side of the boundary: a thread that is not run for a while, a
//! word whose change is seen late, a wait that ends for no reason. All happen on every machine.

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
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// One piece of bad luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Luck {
    /// The thread stands still so many milliseconds when it comes to this place that often, from 1 on.
    Pause(Place, u32, u64),
    /// The first loads of that word, so many, give what the client stored there before them.
    Late(u32, u64, u32),
    /// The wait for completions of that number, from 1 on, ends at once with nothing.
    Spurious(u32),
}

/// Where a thread stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before a call of this selector.
    BeforeCall(u32),
    /// After it has returned.
    AfterCall(u32),
    /// Before an access to memory of this type that begins at this offset.
    Before(u32, u64),
    /// After it.
    After(u32, u64),
    /// Halfway in a copy out of it.
    Within(u32, u64),
    /// Any of these, whatever it is of.
    Anywhere,
}

/// What has happened so far.
#[derive(Debug)]
struct Fate {
    schedule: Schedule,
    luck: Vec<Luck>,
    /// How often each piece has been met, and what a late word held.
    met: Mutex<Vec<(u32, Option<u64>)>>,
}

impl Fate {
    fn meet(&self, place: Place) {
        let mut pause = 0;
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        for (luck, (count, _)) in self.luck.iter().zip(met.iter_mut()) {
            if let Luck::Pause(at, nth, milliseconds) = *luck
                && (at == place || at == Place::Anywhere)
            {
                *count += 1;
                pause += if *count == nth { milliseconds } else { 0 };
            }
        }
        drop(met);
        if pause > 0 {
            self.schedule.sleep(Duration::from_millis(pause));
        }
    }

    /// What a load sees.
    fn see(&self, memory_type: u32, offset: u64, now: u64) -> u64 {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        for (luck, (count, held)) in self.luck.iter().zip(met.iter_mut()) {
            if let (Luck::Late(of, at, loads), Some(held)) = (*luck, *held)
                && (of, at) == (memory_type, offset)
            {
                *count += 1;
                if *count <= loads {
                    return held;
                }
            }
        }
        now
    }

    /// Whether a wait ends for no reason.
    fn ends_early(&self) -> bool {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ends = false;
        for (luck, (count, _)) in self.luck.iter().zip(met.iter_mut()) {
            if let Luck::Spurious(nth) = *luck {
                *count += 1;
                ends |= *count == nth;
            }
        }
        ends
    }

    fn stored(&self, memory_type: u32, offset: u64, value: u64) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        for (luck, (_, held)) in self.luck.iter().zip(met.iter_mut()) {
            if matches!(luck, Luck::Late(of, at, _) if (*of, *at) == (memory_type, offset)) {
                *held = Some(value);
            }
        }
    }
}

/// The system under that luck.
pub(crate) fn unlucky(inner: Arc<dyn System>, luck: &[Luck]) -> Arc<dyn System> {
    let schedule = inner.schedule().clone();
    let met = Mutex::new(vec![(0, None); luck.len()]);
    Arc::new(Unlucky { inner, fate: Arc::new(Fate { schedule, luck: luck.to_vec(), met }) })
}

#[derive(Debug)]
struct Unlucky<T> {
    inner: T,
    fate: Arc<Fate>,
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
        let inner = self.inner.open(service, open_type)?;
        Ok(Box::new(Unlucky { inner, fate: Arc::clone(&self.fate) }))
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        self.inner.watch(matching)
    }

    fn observe_ends(&self, observer: EndObserver) -> bool {
        self.inner.observe_ends(observer)
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        let (inner, fate) = (self.inner.completion_queue(), Arc::clone(&self.fate));
        Arc::new(Unlucky { inner, fate })
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
        self.fate.meet(Place::BeforeCall(selector));
        let result = self.inner.call_method(selector, input, output);
        self.fate.meet(Place::AfterCall(selector));
        result
    }

    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        self.fate.meet(Place::BeforeCall(selector));
        // The system knows its own queues only.
        let queue = wake.queue.map(|queue| {
            let ours = queue.as_any().downcast_ref::<Unlucky<Arc<dyn CompletionQueue>>>();
            ours.map_or(queue, |ours| &*ours.inner)
        });
        let wake = AsyncWake { queue, ..*wake };
        let result = self.inner.call_async_method(selector, &wake, input, output);
        self.fate.meet(Place::AfterCall(selector));
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
        let memory = Unlucky { inner, fate: Arc::clone(&self.fate) };
        Ok(Mapping::new(id, memory_type, address, length, Arc::new(memory)))
    }

    fn unmap_memory(&self, memory_type: u32, address: u64) -> IoReturn {
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
        if self.fate.ends_early() { None } else { self.inner.wait(timeout) }
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
    /// Runs an access with what lies before and after it.
    fn access<R>(&self, offset: u64, access: impl FnOnce() -> R) -> R {
        let memory_type = self.inner.memory_type();
        self.fate.meet(Place::Before(memory_type, offset));
        let result = access();
        self.fate.meet(Place::After(memory_type, offset));
        result
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
        let now = self.access(offset, || self.inner.load_word(offset, width))?;
        Ok(self.fate.see(self.inner.memory_type(), offset, now))
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        self.fate.stored(self.inner.memory_type(), offset, value);
        self.access(offset, || self.inner.store_word(offset, width, value))
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        self.access(offset, || self.inner.update_word(offset, width, update))
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.access(offset, || {
            let (first, second) = into.split_at_mut(into.len() / 2);
            let half = first.len() as u64;
            self.inner.copy_out(offset, first)?;
            self.fate.meet(Place::Within(self.inner.memory_type(), offset));
            self.inner.copy_out(offset + half, second)
        })
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.access(offset, || self.inner.copy_in(offset, bytes))
    }
}
