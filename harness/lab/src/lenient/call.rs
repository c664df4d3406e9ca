//! External methods.

use super::connection::LenientConnection;
use super::held::Operation;
use super::key::CallKey;
use super::memory::{LenientMemory, Store};
use super::ordinary::Answer;
use super::queue::QueueHandle;
use dextape::IoReturn;
use dextape::boundary::library::{Stop, send};
use dextape::boundary::{Rules, WakePort};
use dextape::connection::{
    AsyncWake, MethodAnswer, MethodInput, MethodOutput, StructureInput, StructureOutput, call_shape,
};
use dextape::limits::INLINE_STRUCTURE_MAX;
use dextape::memory::{Memory, SharedBuffer};
use dextape::tape::{Body, Call, OutputKind, Payload, Return, Structure};
use std::sync::Arc;

impl LenientConnection {
    pub(super) fn call(
        &self,
        selector: u32,
        wake: Option<&AsyncWake<'_>>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let contents = match input.structure {
            StructureInput::Shared(buffer) => {
                let store: &dyn Memory = &**buffer.store();
                // The store is at least as long as the buffer.
                Some(store.read_vec(0, buffer.length()).unwrap_or_default())
            }
            _ => None,
        };
        let held = &self.shared.held;
        let asynchronous = wake.is_some();
        let (number, bytes) = (self.number, contents.as_deref());
        let asked = CallKey::of_client(number, asynchronous, selector, input, bytes, output);
        let operation = if held.is_vague {
            let vague = CallKey { bytes: None, ..asked };
            self.shared.enter(&[asked.key(&held.rules), vague.key(&held.rules)])
        } else {
            self.shared.enter(&[asked.key(&held.rules)])
        };
        match operation {
            Some(operation) => self.as_held(operation, wake, input, output),
            None => self.as_usual(selector, wake, input, output),
        }
    }

    /// Gives what the tape holds.
    fn as_held(
        &self,
        operation: Operation,
        wake: Option<&AsyncWake<'_>>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let events = self.shared.tape.events();
        if let Body::Call(call) | Body::AsyncCall { call, .. } = &events[operation.enter].body {
            self.watch(call, input, output);
        }
        if let Some(queue) = wake.and_then(own_queue) {
            let reference = wake.and_then(|wake| wake.reference).unwrap_or_default();
            self.shared.called(operation, &queue.0, reference);
        }
        self.shared.after(operation);
        self.shared.leave(operation);
        match operation.leave.map(|leave| &events[leave].body) {
            Some(Body::Return(Return { result, scalars, structure_size, structure })) => {
                let bytes = structure.as_ref().and_then(Payload::as_bytes).unwrap_or_default();
                let size = structure_size.unwrap_or(bytes.len() as u64);
                MethodAnswer { result: *result, scalars, bytes, structure_size: size }
                    .give(wake.is_some(), output)
            }
            // It never came back on the tape; nobody can wait for ever here.
            _ => IoReturn::ABORTED,
        }
    }

    /// Has the changes of the tape seen in buffers of the client's own.
    fn watch(&self, call: &Call, input: &MethodInput<'_>, output: &MethodOutput<'_>) {
        let given = match (&call.input, &input.structure) {
            (Structure::Shared { memory, .. }, StructureInput::Shared(buffer)) => {
                Some((*memory, *buffer))
            }
            _ => None,
        };
        let wanted = match (call.output, &output.structure) {
            (OutputKind::Shared { memory, .. }, StructureOutput::Shared(buffer)) => {
                Some((memory, *buffer))
            }
            _ => None,
        };
        let watch = |(memory, buffer): (u32, &SharedBuffer)| {
            let has_changes = self.shared.held.patches.contains_key(&memory);
            let mut state = self.shared.state();
            if !has_changes || state.stores.contains_key(&memory) {
                return;
            }
            let store = Arc::new(Store::shared(memory, buffer.length(), buffer.store()));
            state.stores.insert(memory, Arc::clone(&store));
            drop(state);
            let shared = Arc::clone(&self.shared);
            buffer.watch(|_front| Arc::new(LenientMemory { shared, store }));
        };
        given.into_iter().chain(wanted).for_each(watch);
    }

    /// Gives what is ordinary.
    fn as_usual(
        &self,
        selector: u32,
        wake: Option<&AsyncWake<'_>>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let shape = call_shape(input, output, wake.map(|wake| (wake, wake_port(wake))));
        match send(Rules::all(), &shape, self.alive()) {
            Ok(_) => {}
            Err(Stop::Refused(code)) => return code,
            Err(Stop::Fault) => return IoReturn::KERN_INVALID_ADDRESS,
        }
        let none = Answer::default();
        let known = self.shared.ordinary.answer(wake.is_some(), selector);
        let answer = known.unwrap_or(&none);
        let mut scalars = answer.scalars.clone();
        let asked = (output.scalar_count as usize).min(output.scalars.len()).min(16);
        if known.is_none() {
            scalars.resize(asked, 0);
        }
        scalars.truncate(asked);
        let mut bytes = answer.structure.clone();
        let asked = output.structure_asked();
        let size = match &output.structure {
            StructureOutput::None => 0,
            StructureOutput::Variable(_) => bytes.len() as u64,
            _ if asked > INLINE_STRUCTURE_MAX => asked,
            _ if known.is_none() => {
                bytes.resize(asked as usize, 0);
                asked
            }
            _ => asked.min(bytes.len() as u64),
        };
        bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        if let Some(queue) = wake.and_then(own_queue) {
            let reference = wake.and_then(|wake| wake.reference).unwrap_or_default();
            for completion in &answer.completions {
                let after = self.shared.delay(completion.after);
                queue.0.post(completion.status, &completion.arguments, reference, after);
            }
        }
        MethodAnswer {
            result: answer.result,
            scalars: &scalars,
            bytes: &bytes,
            structure_size: size,
        }
        .give(wake.is_some(), output)
    }
}

/// Whose queue it is that a call names.
fn wake_port(wake: &AsyncWake<'_>) -> WakePort {
    match wake.queue {
        None => WakePort::Null,
        Some(_) if own_queue(wake).is_none() => WakePort::Foreign,
        Some(_) => WakePort::Own,
    }
}

/// The queue, where it is one of this system.
fn own_queue<'a>(wake: &AsyncWake<'a>) -> Option<&'a QueueHandle> {
    wake.queue?.as_any().downcast_ref::<QueueHandle>()
}
