//! A system of its own, such as a mock, with what differs put between it and its client.

use super::gate::Gate;
use super::operation::{Operation, Place};
use crate::IoReturn;
use crate::call::{Completion, ConnectionId, MapOptions, QueueId, ServiceId};
use crate::connection::{
    AsyncWake, CompletionQueue, Connection, EndObserver, Mapping, Matching, MethodInput,
    MethodOutput, Notice, NoticeQueue, OtherCall, OtherReply, PostObserver, System, Value,
};
use crate::memory::{AccessError, Memory, RawReach, SharedBuffer, Update, Width, check_range};
use crate::schedule::Schedule;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// Puts a gate in front of a system.
pub(super) fn gated(inner: Arc<dyn System>, gate: &Arc<Gate>) -> Arc<dyn System> {
    Arc::new(Gated { inner, gate: Arc::clone(gate) })
}

#[derive(Debug)]
struct Gated<T> {
    inner: T,
    gate: Arc<Gate>,
}

impl<T> Gated<T> {
    fn pass<R>(&self, operation: Operation, make: impl FnOnce() -> R) -> R {
        let passage = self.gate.enter(operation);
        let result = make();
        self.gate.leave(passage);
        result
    }
}

impl System for Gated<Arc<dyn System>> {
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        self.pass(Operation::Registry, || self.inner.matching_services(matching))
    }

    fn property(&self, service: ServiceId, key: &str) -> Result<Option<Value>, IoReturn> {
        self.pass(Operation::Registry, || self.inner.property(service, key))
    }

    fn properties(&self, service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        self.pass(Operation::Registry, || self.inner.properties(service))
    }

    fn identify(&self, service: ServiceId) -> BTreeMap<String, Value> {
        self.inner.identify(service)
    }

    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        let inner = self.pass(Operation::Open, || self.inner.open(service, open_type))?;
        Ok(Box::new(Gated { inner, gate: Arc::clone(&self.gate) }))
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        let inner = self.pass(Operation::Registry, || self.inner.watch(matching))?;
        Ok(Arc::new(Gated { inner, gate: Arc::clone(&self.gate) }))
    }

    fn observe_ends(&self, observer: EndObserver) -> bool {
        self.inner.observe_ends(observer)
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        let (inner, gate) = (self.inner.completion_queue(), Arc::clone(&self.gate));
        let noted = Arc::clone(&gate);
        // Where nobody can tell when one is posted, its moment is not known.
        let _shown = inner.observe_posts(Arc::new(move |_: &Completion| {
            noted.note_moment(noted.schedule().now());
        }));
        Arc::new(Gated { inner, gate })
    }

    fn address_of(&self, buffer: &SharedBuffer) -> u64 {
        self.inner.address_of(buffer)
    }

    fn check_wait(&self, waited: Duration) {
        self.inner.check_wait(waited);
    }

    fn schedule(&self) -> &Schedule {
        self.inner.schedule()
    }
}

impl Connection for Gated<Box<dyn Connection>> {
    fn id(&self) -> ConnectionId {
        self.inner.id()
    }

    fn check(&self) -> Result<(), IoReturn> {
        self.inner.check()
    }

    fn call_method(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let make = || self.inner.call_method(selector, input, output);
        self.pass(Operation::Call(selector), make)
    }

    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        // The system knows its own queues only.
        let queue = wake.queue.map(|queue| {
            let ours = queue.as_any().downcast_ref::<Gated<Arc<dyn CompletionQueue>>>();
            ours.map_or(queue, |ours| &*ours.inner)
        });
        let wake = AsyncWake { queue, ..*wake };
        let make = || self.inner.call_async_method(selector, &wake, input, output);
        self.pass(Operation::AsyncCall(selector), make)
    }

    fn map_memory(
        &self,
        memory_type: u32,
        options: MapOptions,
        address: u64,
    ) -> Result<Mapping, IoReturn> {
        let make = || self.inner.map_memory(memory_type, options, address);
        let inner = self.pass(Operation::Map(memory_type), make)?;
        let (id, address, length) = (inner.id(), inner.address(), inner.length());
        let memory = Gated { inner, gate: Arc::clone(&self.gate) };
        Ok(Mapping::new(id, memory_type, address, length, Arc::new(memory)))
    }

    fn unmap_memory(&self, memory_type: u32, address: u64) -> IoReturn {
        let make = || self.inner.unmap_memory(memory_type, address);
        self.pass(Operation::Unmap(memory_type), make)
    }

    fn close(&self) -> IoReturn {
        self.pass(Operation::Close, || self.inner.close())
    }

    fn other_call(&self, call: &OtherCall<'_>) -> OtherReply {
        self.pass(Operation::Other, || self.inner.other_call(call))
    }
}

impl CompletionQueue for Gated<Arc<dyn CompletionQueue>> {
    fn id(&self) -> QueueId {
        self.inner.id()
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Completion> {
        let passage = self.gate.enter(Operation::Wait);
        let came = if passage.wakes { None } else { self.inner.wait(timeout) };
        self.gate.leave(passage);
        came
    }

    fn poll(&self) -> Option<Completion> {
        self.pass(Operation::Poll, || self.inner.poll())
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

impl NoticeQueue for Gated<Arc<dyn NoticeQueue>> {
    fn id(&self) -> QueueId {
        self.inner.id()
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Notice> {
        let passage = self.gate.enter(Operation::WaitForNotice);
        let came = if passage.wakes { None } else { self.inner.wait(timeout) };
        self.gate.leave(passage);
        came
    }

    fn poll(&self) -> Option<Notice> {
        self.pass(Operation::Poll, || self.inner.poll())
    }

    fn wake_when_ready(&self, waker: &Waker) -> bool {
        self.inner.wake_when_ready(waker)
    }
}

impl Gated<Mapping> {
    fn at(&self, offset: u64) -> Place {
        Place { memory_type: Some(self.inner.memory_type()), offset }
    }
}

impl Memory for Gated<Mapping> {
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
        self.pass(Operation::Load(self.at(offset)), || self.inner.load_word(offset, width))
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let store = || self.inner.store_word(offset, width, value);
        self.pass(Operation::Store(self.at(offset)), store)
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        let make = || self.inner.update_word(offset, width, update);
        self.pass(Operation::Update(self.at(offset)), make)
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let passage = self.gate.enter(Operation::CopyOut(self.at(offset), into.len() as u64));
        let half = half_of(into.len());
        let whole = half == 0
            || self.inner.is_registers()
            || check_range(offset, into.len() as u64, self.inner.size()).is_err();
        let copied = if whole {
            self.inner.copy_out(offset, into)
        } else {
            let (first, second) = into.split_at_mut(half);
            self.inner.copy_out(offset, first).and_then(|()| {
                self.gate.within(passage);
                self.inner.copy_out(offset + half as u64, second)
            })
        };
        self.gate.leave(passage);
        copied
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        let passage = self.gate.enter(Operation::CopyIn(self.at(offset), bytes.len() as u64));
        let half = half_of(bytes.len());
        let whole = half == 0
            || self.inner.is_registers()
            || check_range(offset, bytes.len() as u64, self.inner.size()).is_err();
        let copied = if whole {
            self.inner.copy_in(offset, bytes)
        } else {
            let (first, second) = bytes.split_at(half);
            self.inner.copy_in(offset, first).and_then(|()| {
                self.gate.within(passage);
                self.inner.copy_in(offset + half as u64, second)
            })
        };
        self.gate.leave(passage);
        copied
    }
}

/// Where a copy of so many bytes is halfway, on the border of a word; 0 where it is one word or less.
pub(super) fn half_of(length: usize) -> usize {
    const WORD: usize = 8;
    if length <= WORD { 0 } else { (length / 2).next_multiple_of(WORD).min(length - 1) }
}
