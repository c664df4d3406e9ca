//! Calls, and what is mapped.

use super::super::key::{CallKey, Simple};
use super::queue::ImposedQueue;
use super::state::{Entered, Shared};
use dextape::IoReturn;
use dextape::call::{ConnectionId, MapOptions};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, MethodAnswer, MethodInput, MethodOutput,
    OtherCall, OtherReply, StructureInput, System,
};
use dextape::memory::Memory;
use dextape::tape::{Body, Payload, Return};
use std::sync::{Arc, OnceLock};

#[derive(Debug)]
pub(super) struct ImposedConnection {
    mock: Box<dyn Connection>,
    system: Arc<dyn System>,
    shared: Arc<Shared>,
    number: u32,
    /// Where the mock's own completions of held calls go: nobody takes them there.
    nowhere: OnceLock<Arc<dyn CompletionQueue>>,
}

impl ImposedConnection {
    pub(super) fn new(
        mock: Box<dyn Connection>,
        system: Arc<dyn System>,
        shared: &Arc<Shared>,
        number: u32,
    ) -> Self {
        Self { mock, system, shared: Arc::clone(shared), number, nowhere: OnceLock::new() }
    }

    fn entered(
        &self,
        selector: u32,
        asynchronous: bool,
        input: &MethodInput<'_>,
        output: &MethodOutput<'_>,
    ) -> Option<Entered> {
        let contents = match input.structure {
            StructureInput::Shared(buffer) => {
                let store: &dyn Memory = &**buffer.store();
                // The store is at least as long as the buffer.
                Some(store.read_vec(0, buffer.length()).unwrap_or_default())
            }
            _ => None,
        };
        let (number, bytes) = (self.number, contents.as_deref());
        let asked = CallKey::of_client(number, asynchronous, selector, input, bytes, output);
        let rules = &self.shared.held.rules;
        let vague = CallKey { bytes: None, ..asked };
        let keys = [asked.key(rules), vague.key(rules)];
        self.shared.enter(if self.shared.held.is_vague { &keys } else { &keys[..1] })
    }

    /// What the tape says that a call came to: its answer is to be given in any case.
    fn returned(&self, held: &Entered) -> Option<&Return> {
        match held.operation.leave.map(|leave| &self.shared.tape.events()[leave].body) {
            Some(Body::Return(returned)) => Some(returned),
            _ => None,
        }
    }

    fn give(&self, held: &Entered, asynchronous: bool, output: &mut MethodOutput<'_>) -> IoReturn {
        let Some(Body::Return(returned)) = self.shared.answer(held) else {
            // It never came back on the tape; nobody can wait for ever here.
            return IoReturn::ABORTED;
        };
        let Return { result, scalars, structure_size, structure } = returned;
        let bytes = structure.as_ref().and_then(Payload::as_bytes).unwrap_or_default();
        let structure_size = structure_size.unwrap_or(bytes.len() as u64);
        MethodAnswer { result: *result, scalars, bytes, structure_size }.give(asynchronous, output)
    }

    /// Sends the completions on their way that the tape holds of a call.
    fn complete(&self, held: &Entered, queue: &ImposedQueue, reference: &[u64]) {
        let events = self.shared.tape.events();
        let call = events[held.operation.enter].sequence;
        for (after, place) in self.shared.posts.get(&call).into_iter().flatten() {
            if let Body::Posted { status, arguments, .. } = &events[*place].body {
                queue.post(*status, arguments, reference, *after);
            }
        }
    }
}

impl Connection for ImposedConnection {
    fn id(&self) -> ConnectionId {
        self.mock.id()
    }

    fn check(&self) -> Result<(), IoReturn> {
        self.mock.check()
    }

    fn call_method(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let Some(held) = self.entered(selector, false, input, output) else {
            return self.mock.call_method(selector, input, output);
        };
        if self.returned(&held).is_some_and(|it| it.result.is_success()) {
            // What the mock says to it is not what the client hears.
            let _other = self.mock.call_method(selector, input, output);
        }
        self.give(&held, false, output)
    }

    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let held = self.entered(selector, true, input, output);
        let own = wake.queue.and_then(|it| it.as_any().downcast_ref::<ImposedQueue>());
        let Some(held) = held else {
            // The mock knows its own queues only.
            let queue = own.map(|own| &**own.mock()).or(wake.queue);
            return self.mock.call_async_method(
                selector,
                &AsyncWake { queue, ..*wake },
                input,
                output,
            );
        };
        if self.returned(&held).is_some_and(|it| it.result.is_success()) {
            let nowhere = &**self.nowhere.get_or_init(|| self.system.completion_queue());
            let queue = wake.queue.map(|_| nowhere);
            let _other =
                self.mock.call_async_method(selector, &AsyncWake { queue, ..*wake }, input, output);
        }
        if let Some(own) = own {
            self.complete(&held, own, wake.reference.unwrap_or_default());
        }
        self.give(&held, true, output)
    }

    fn map_memory(
        &self,
        memory_type: u32,
        options: MapOptions,
        address: u64,
    ) -> Result<Mapping, IoReturn> {
        let held = self.shared.enter(&[Simple::Map { connection: self.number, memory_type }.key()]);
        match held.and_then(|held| self.shared.answer(&held)) {
            Some(Body::Mapped { outcome: Err(result) }) => Err(*result),
            _ => self.mock.map_memory(memory_type, options, address),
        }
    }

    fn unmap_memory(&self, memory_type: u32, address: u64) -> IoReturn {
        let key = Simple::Unmap { connection: self.number, memory_type }.key();
        match self.shared.enter(&[key]).and_then(|held| self.shared.answer(&held)) {
            Some(Body::Unmapped { result }) if !result.is_success() => *result,
            _ => self.mock.unmap_memory(memory_type, address),
        }
    }

    fn close(&self) -> IoReturn {
        let held = self.shared.enter(&[Simple::Close { connection: self.number }.key()]);
        let result = self.mock.close();
        match held.and_then(|held| self.shared.answer(&held)) {
            Some(Body::Closed { result }) => *result,
            _ => result,
        }
    }

    fn other_call(&self, call: &OtherCall<'_>) -> OtherReply {
        self.mock.other_call(call)
    }
}
