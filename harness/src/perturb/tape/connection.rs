//! A connection of a script.

use super::answer::Asked;
use super::fate::{ASTRAY, Fate};
use super::memory::PlayedMemory;
use super::queue::PlayedQueue;
use super::script::{Key, OperationIndex, is_same_other};
use super::stage::{Stage, State};
use crate::IoReturn;
use crate::call::{ConnectionId, MapOptions, MemoryId, Scalars, ServiceId};
use crate::connection::{
    self, AsyncWake, Connection, Mapping, MethodAnswer, MethodInput, MethodOutput, OtherReply,
    StructureInput, StructureOutput,
};
use crate::limits::ASYNC_RESERVED_INDEX;
use crate::memory::{Memory, SharedBuffer};
use crate::perturb::gate::Passage;
use crate::perturb::operation::Operation;
use crate::tape::{
    Body, Call, Capture, OtherCall, OutputKind, Payload, Return, Sequence, Structure,
};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Addresses of mappings begin here: far from zero and from what clients make up.
const ADDRESS_BASE: u64 = 0x1_0000_0000;
const ADDRESS_STEP: u64 = 0x1_0000_0000;

/// Stands for a shared buffer that has no number yet.
const NEW_BUFFER: u32 = u32::MAX;

/// A connection.
pub(super) struct PlayedConnection {
    pub(super) stage: Arc<Stage>,
    pub(super) number: u32,
}

impl PlayedConnection {
    pub(super) fn new(stage: &Arc<Stage>, number: u32) -> Self {
        Self { stage: Arc::clone(stage), number }
    }

    /// Begins an operation: finds it, and has it on the log with what `given` makes of it. `told` is what
    /// the client is told where it fails, as an event; then the operation is over, with that code.
    fn begin(
        &self,
        operation: Operation,
        key: &Key,
        is_same: impl Fn(&Body) -> bool,
        asked: impl FnOnce() -> Body,
        told: impl Fn(IoReturn) -> Body,
        given: impl FnOnce(&mut State, &Body) -> (Option<Sequence>, Body),
    ) -> Result<Underway, IoReturn> {
        let stage = &*self.stage;
        let passage = stage.gate.enter(operation);
        let mut fate = stage.fate(self.number, operation);
        let mut state = stage.now();
        let found = match fate {
            Fate::Refused(_) => state.peek(stage, key, is_same),
            _ => {
                let found = state.take(stage, key, is_same);
                if found.is_none() && !state.is_astray() {
                    drop(state);
                    stage.leave_tape(&operation.to_string());
                }
                found
            }
        };
        let (cause, body) = match found {
            Some(found) => {
                given(&mut state, &stage.script.event(stage.script.operations[found].enter).body)
            }
            None => {
                fate = match (fate, operation) {
                    (Fate::Refused(code), _) => Fate::Refused(code),
                    (_, Operation::Close) => Fate::Refused(IoReturn::SUCCESS),
                    (_, Operation::Map(_)) => Fate::Refused(IoReturn::BAD_ARGUMENT),
                    _ => Fate::Refused(ASTRAY),
                };
                (None, asked())
            }
        };
        let (lane, now) = (stage.lane(), stage.schedule.now());
        let enter =
            state.log.as_mut().map(|log| log.append(lane, Some(self.number), cause, now, body));
        match (fate, found) {
            (Fate::Refused(code), _) => {
                if let Some(log) = &mut state.log {
                    log.append(lane, Some(self.number), enter, now, told(code));
                }
                drop(state);
                stage.gate.leave(passage);
                Err(code)
            }
            (_, None) => stage.leave_tape(&operation.to_string()),
            (_, Some(found)) => Ok(Underway { passage, found, enter, operation, fate }),
        }
    }

    /// Lets the time of an operation pass, and gives what came of it.
    fn pass<'a>(&'a self, underway: &Underway, told: impl Fn(IoReturn) -> Body) -> Cow<'a, Body> {
        let stage = &*self.stage;
        drop(stage.pass(underway.found));
        if let Some(code) = stage.fate_at_end(underway.fate, underway.operation) {
            return Cow::Owned(told(code));
        }
        match stage.script.operations[underway.found].leave {
            Some(leave) => Cow::Borrowed(&stage.script.event(leave).body),
            None => stage.leave_tape("the end of this operation"),
        }
    }

    /// Ends an operation.
    fn end(&self, underway: Underway, body: &Body) -> Option<Sequence> {
        let stage = &*self.stage;
        stage.gate.leave(underway.passage);
        let mut state = stage.now();
        let (lane, now) = (stage.lane(), stage.schedule.now());
        let log = state.log.as_mut()?;
        Some(log.append(lane, Some(self.number), underway.enter, now, body.clone()))
    }

    fn call(
        &self,
        selector: u32,
        wake: Option<&AsyncWake<'_>>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let stage = &*self.stage;
        let asynchronous = wake.is_some();
        let operation =
            if asynchronous { Operation::AsyncCall(selector) } else { Operation::Call(selector) };
        let state = stage.state();
        let buffers = Buffers::of(&state, input, output);
        drop(state);
        let call = given_call(selector, input, output, &buffers);
        let queue = wake.and_then(|wake| wake.queue).map(|queue| {
            queue.as_any().downcast_ref::<PlayedQueue>().map_or(0, PlayedQueue::number)
        });
        let reference = wake.and_then(|wake| wake.reference).map(|given| {
            let mut given = given.to_vec();
            if let Some(first) = given.get_mut(ASYNC_RESERVED_INDEX) {
                *first = 0;
            }
            given
        });
        let is_same = |held: &Body| match held {
            Body::Call(held) if !asynchronous => {
                stage.script.is_same_call(held, &call) && buffers.fit(held)
            }
            Body::AsyncCall { call: held, queue: held_queue, reference: held_reference } => {
                let length = |it: &Option<Vec<u64>>| it.as_ref().map(Vec::len);
                stage.script.is_same_call(held, &call)
                    && buffers.fit(held)
                    && *held_queue == queue
                    && length(held_reference) == length(&reference)
            }
            _ => false,
        };
        let key = Key::Call { connection: self.number, selector, asynchronous };
        let unheld =
            Asked { operation, key: &key, call: &call, queue, reference: reference.as_ref() };
        if let Some(result) = self.answer(&unheld, is_same, output) {
            return result;
        }
        let asked = || match asynchronous {
            true => Body::AsyncCall { call: call.clone(), queue, reference: reference.clone() },
            false => Body::Call(call.clone()),
        };
        let underway = self.begin(operation, &key, is_same, asked, failed, |state, held| {
            let (Body::Call(held) | Body::AsyncCall { call: held, .. }) = held else {
                return (None, held.clone());
            };
            let call = buffers.number(&call, held);
            buffers.lend(&self.stage, state, held);
            let body = match asynchronous {
                true => Body::AsyncCall { call, queue, reference: reference.clone() },
                false => Body::Call(call),
            };
            (None, body)
        });
        let underway = match underway {
            Ok(underway) => underway,
            Err(code) => {
                let Body::Return(returned) = failed(code) else { return code };
                return give(&returned, asynchronous, output);
            }
        };
        let mut state = stage.state();
        if let Some(enter) = underway.enter {
            buffers.came(&mut state, self.number, enter);
        }
        let given = reference.unwrap_or_default();
        if asynchronous {
            let enter = underway.enter.unwrap_or(0);
            state.references.insert(underway.found, (given, enter));
        }
        drop(state);
        let body = self.pass(&underway, failed);
        let Body::Return(returned) = &*body else { stage.leave_tape("what a call returned") };
        let result = give(returned, asynchronous, output);
        let leave = self.end(underway, &body);
        if let (Some(leave), Some(data)) = (leave, &returned.structure) {
            buffers.told(&mut stage.state(), data, leave);
        }
        result
    }
}

/// An operation that has begun.
struct Underway {
    passage: Passage,
    found: OperationIndex,
    /// Its enter in the log.
    enter: Option<Sequence>,
    operation: Operation,
    fate: Fate,
}

/// What a client is told of a call that failed.
pub(super) fn failed(result: IoReturn) -> Body {
    let scalars = Scalars::clamped(&[]);
    Body::Return(Return { result, scalars, structure_size: None, structure: None })
}

/// The shared buffers that a call names, and their numbers where they have one.
struct Buffers {
    input: Option<(SharedBuffer, u32)>,
    output: Option<(SharedBuffer, u32)>,
    /// Numbers that are taken; looked at only where a buffer has none.
    taken: Vec<u32>,
}

impl Buffers {
    fn of(state: &State, input: &MethodInput<'_>, output: &MethodOutput<'_>) -> Self {
        let number = |buffer: &SharedBuffer| {
            let known = state.buffers.iter().find(|(known, _)| known.is(buffer));
            (buffer.clone(), known.map_or(NEW_BUFFER, |(_, number)| *number))
        };
        let input = match &input.structure {
            StructureInput::Shared(buffer) => Some(number(buffer)),
            _ => None,
        };
        let output = match &output.structure {
            StructureOutput::Shared(buffer) => Some(number(buffer)),
            _ => None,
        };
        let any = input.is_some() || output.is_some();
        let taken = state.buffers.iter().filter(|_| any).map(|(_, number)| *number).collect();
        Self { input, output, taken }
    }

    /// The numbers that the recorded call's buffers have.
    fn held(call: &Call) -> (Option<u32>, Option<u32>) {
        let input = match call.input {
            Structure::Shared { memory, .. } => Some(memory),
            _ => None,
        };
        let output = match call.output {
            OutputKind::Shared { memory, .. } => Some(memory),
            _ => None,
        };
        (input, output)
    }

    /// True where each buffer is the recorded one, or may become it.
    fn fit(&self, call: &Call) -> bool {
        let fits = |own: &Option<(SharedBuffer, u32)>, held: Option<u32>| match (own, held) {
            (None, None) => true,
            (Some((_, NEW_BUFFER)), Some(held)) => !self.taken.contains(&held),
            (Some((_, own)), Some(held)) => *own == held,
            _ => false,
        };
        let (input, output) = Self::held(call);
        fits(&self.input, input) && fits(&self.output, output)
    }

    /// The call with the buffers' numbers.
    fn number(&self, call: &Call, held: &Call) -> Call {
        let mut call = call.clone();
        if let (Structure::Shared { memory, .. }, Structure::Shared { memory: held, .. }) =
            (&mut call.input, &held.input)
        {
            *memory = *held;
        }
        call.output = held.output;
        call
    }

    /// The buffers that the recorded call names are these from now on.
    fn lend(&self, stage: &Arc<Stage>, state: &mut State, call: &Call) {
        let (input, output) = Self::held(call);
        for (own, number) in [(&self.input, input), (&self.output, output)] {
            let (Some((buffer, NEW_BUFFER)), Some(number)) = (own, number) else { continue };
            if state.buffers.iter().any(|(known, _)| known.is(buffer)) {
                continue;
            }
            state.buffers.push((buffer.clone(), number));
            state.memories.insert(number, Arc::clone(buffer.store()));
            let stage = Arc::clone(stage);
            buffer.watch(|front| {
                Arc::new(PlayedMemory {
                    stage,
                    number,
                    memory_type: None,
                    store: Arc::clone(buffer.store()),
                    size: front.size(),
                    read_only: false,
                    registers: false,
                })
            });
        }
    }

    /// The call that names them is on the log.
    fn came(&self, state: &mut State, connection: u32, enter: Sequence) {
        let named: Vec<(SharedBuffer, u32)> = (state.buffers.iter())
            .filter(|(known, _)| {
                [&self.input, &self.output].into_iter().flatten().any(|(own, _)| own.is(known))
            })
            .cloned()
            .collect();
        let Some(log) = &mut state.log else { return };
        for (buffer, number) in named {
            if !self.taken.contains(&number) {
                log.came(number, Some(connection), enter);
                let length = buffer.store().size();
                let store: &dyn Memory = &**buffer.store();
                let bytes = store.read_vec(0, length).unwrap_or_default();
                log.knows(number, 0, &bytes, enter);
            }
        }
    }

    /// The return told what the output holds.
    fn told(&self, state: &mut State, data: &Payload, leave: Sequence) {
        let Some((buffer, _)) = &self.output else { return };
        let known = state.buffers.iter().find(|(known, _)| known.is(buffer));
        let Some((_, number)) = known.cloned() else { return };
        if let (Some(log), Some(bytes)) = (&mut state.log, data.as_bytes()) {
            log.knows(number, 0, bytes, leave);
        }
    }
}

/// The enter of a call, with numbers of shared buffers left open.
fn given_call(
    selector: u32,
    input: &MethodInput<'_>,
    output: &MethodOutput<'_>,
    buffers: &Buffers,
) -> Call {
    let structure = match &input.structure {
        StructureInput::None => Structure::None,
        StructureInput::Bytes(bytes) => Structure::Bytes(Payload::bytes(bytes)),
        StructureInput::Null { size } => Structure::Null { size: *size },
        StructureInput::Unmapped { size } => Structure::Unmapped { size: *size },
        StructureInput::Shared(buffer) => {
            let store: &dyn Memory = &**buffer.store();
            let bytes = store.read_vec(0, buffer.length()).unwrap_or_default();
            let memory = buffers.input.as_ref().map_or(NEW_BUFFER, |(_, number)| *number);
            Structure::Shared { memory, data: Payload::bytes(&bytes) }
        }
    };
    let size = output.structure_asked();
    let kind = match &output.structure {
        StructureOutput::None => OutputKind::None,
        StructureOutput::Bytes(_) => OutputKind::Bytes { size },
        StructureOutput::Shared(_) => {
            let memory = buffers.output.as_ref().map_or(NEW_BUFFER, |(_, number)| *number);
            OutputKind::Shared { memory, size }
        }
        StructureOutput::Null { size } => OutputKind::Null { size: *size },
        StructureOutput::Unmapped { size } => OutputKind::Unmapped { size: *size },
        StructureOutput::Variable(_) => OutputKind::Variable,
    };
    Call {
        selector,
        scalars: Scalars::clamped(input.scalars),
        scalar_count: u32::try_from(input.scalars.len()).unwrap_or(u32::MAX),
        input: structure,
        scalars_asked: output.scalar_count,
        output: kind,
    }
}

/// Copies what a call returned into the client's output.
pub(super) fn give(
    returned: &Return,
    asynchronous: bool,
    output: &mut MethodOutput<'_>,
) -> IoReturn {
    let bytes = returned.structure.as_ref().and_then(Payload::as_bytes).unwrap_or_default();
    let structure_size = returned.structure_size.unwrap_or(0);
    MethodAnswer { result: returned.result, scalars: &returned.scalars, bytes, structure_size }
        .give(asynchronous, output)
}

impl Connection for PlayedConnection {
    fn id(&self) -> ConnectionId {
        ConnectionId(u64::from(self.number))
    }

    fn call_method(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        self.call(selector, None, input, output)
    }

    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        self.call(selector, Some(wake), input, output)
    }

    fn map_memory(
        &self,
        memory_type: u32,
        options: MapOptions,
        address: u64,
    ) -> Result<Mapping, IoReturn> {
        let stage = &*self.stage;
        let address = if options.contains(MapOptions::ANYWHERE) { 0 } else { address };
        let asked = Body::Map { memory_type, options: options.0, address };
        let key = Key::Map { connection: self.number, memory_type };
        let is_same = |held: &Body| *held == asked;
        let told = |code| Body::Mapped { outcome: Err(code) };
        let given = |_: &mut State, held: &Body| (None, held.clone());
        let operation = Operation::Map(memory_type);
        let underway = self.begin(operation, &key, is_same, || asked.clone(), told, given)?;
        let body = self.pass(&underway, told);
        let Body::Mapped { outcome } = &*body else { stage.leave_tape("what a map gave") };
        let leave = self.end(underway, &body);
        let mapped = (*outcome)?;
        let mut state = stage.now();
        if let Some(fates) = &mut state.fates
            && let Some(connection) = fates.connections.get_mut(&self.number)
        {
            connection.mapped();
        }
        let store = state.memory(mapped.memory, mapped.size);
        let holders = state.holders.entry(mapped.memory).or_default();
        if !holders.contains(&self.number) {
            holders.push(self.number);
        }
        if let (Some(log), Some(leave)) = (&mut state.log, leave) {
            log.came(mapped.memory, Some(self.number), leave);
        }
        drop(state);
        let memory = PlayedMemory {
            stage: Arc::clone(&self.stage),
            number: mapped.memory,
            memory_type: Some(memory_type),
            store,
            size: mapped.size,
            read_only: mapped.read_only,
            registers: mapped.capture == Capture::Registers,
        };
        let id = MemoryId(u64::from(mapped.memory));
        let address = address_of(mapped.memory);
        Ok(Mapping::new(id, memory_type, address, mapped.length, Arc::new(memory)))
    }

    fn unmap_memory(&self, memory_type: u32, address: u64) -> IoReturn {
        let stage = &*self.stage;
        let memory =
            (stage.script.memories.keys().copied()).find(|memory| address_of(*memory) == address);
        let asked = Body::Unmap { memory_type, memory };
        let key = Key::Unmap { connection: self.number, memory_type };
        let is_same = |held: &Body| *held == asked;
        let told = |result| Body::Unmapped { result };
        let operation = Operation::Unmap(memory_type);
        let given = |state: &mut State, held: &Body| {
            let cause = state.log.as_ref().zip(memory);
            (cause.and_then(|(log, memory)| log.origin(memory).1), held.clone())
        };
        let underway = match self.begin(operation, &key, is_same, || asked.clone(), told, given) {
            Ok(underway) => underway,
            Err(code) => return code,
        };
        let body = self.pass(&underway, told);
        let result = match &*body {
            Body::Unmapped { result } => *result,
            _ => stage.leave_tape("what an unmap gave"),
        };
        if result.is_success()
            && let Some(holders) = memory.and_then(|it| stage.state().holders.get_mut(&it).cloned())
        {
            let left = holders.into_iter().filter(|holder| *holder != self.number).collect();
            if let Some(memory) = memory {
                stage.state().holders.insert(memory, left);
            }
        }
        self.end(underway, &body);
        result
    }

    fn close(&self) -> IoReturn {
        let key = Key::Close { connection: self.number };
        let told = |result| Body::Closed { result };
        let given = |_: &mut State, held: &Body| (None, held.clone());
        let begun = self.begin(Operation::Close, &key, |_| true, || Body::Close, told, given);
        let underway = match begun {
            Ok(underway) => underway,
            Err(code) => {
                self.let_go();
                return code;
            }
        };
        let body = self.pass(&underway, told);
        let result = match &*body {
            Body::Closed { result } => *result,
            _ => self.stage.leave_tape("what a close gave"),
        };
        self.let_go();
        self.end(underway, &body);
        result
    }

    fn other_call(&self, call: &connection::OtherCall<'_>) -> OtherReply {
        let asked = other_of(call);
        let key = Key::Other { connection: self.number };
        let is_same =
            |held: &Body| matches!(held, Body::OtherCall(held) if is_same_other(held, &asked));
        let told = |code| Body::OtherReturn { outcome: Err(code) };
        let given = |_: &mut State, _: &Body| (None, Body::OtherCall(asked.clone()));
        let body = || Body::OtherCall(asked.clone());
        let underway = self.begin(Operation::Other, &key, is_same, body, told, given)?;
        let body = self.pass(&underway, told);
        let Body::OtherReturn { outcome } = &*body else {
            self.stage.leave_tape("what another call gave")
        };
        self.end(underway, &body);
        outcome.map(|service| service.map(|service| ServiceId(u64::from(service))))
    }
}

impl PlayedConnection {
    /// With the last right the mappings go (F23).
    fn let_go(&self) {
        for holders in self.stage.state().holders.values_mut() {
            holders.retain(|holder| *holder != self.number);
        }
    }
}

impl Drop for PlayedConnection {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn address_of(memory: u32) -> u64 {
    ADDRESS_BASE + u64::from(memory) * ADDRESS_STEP
}

fn other_of(call: &connection::OtherCall<'_>) -> OtherCall {
    let number = |queue: &dyn crate::connection::CompletionQueue| {
        queue.as_any().downcast_ref::<PlayedQueue>().map_or(0, PlayedQueue::number)
    };
    match call {
        connection::OtherCall::SetNotificationPort { notification_type, queue, reference } => {
            OtherCall::SetNotificationPort {
                notification_type: *notification_type,
                queue: queue.map(number),
                reference: *reference,
            }
        }
        connection::OtherCall::AddClient { client } => {
            OtherCall::AddClient { client: client.and_then(|client| u32::try_from(client.0).ok()) }
        }
        connection::OtherCall::GetService => OtherCall::GetService,
        connection::OtherCall::SetProperties { properties } => {
            OtherCall::SetProperties { properties: properties.cloned() }
        }
        connection::OtherCall::Trap { index, arguments } => {
            OtherCall::Trap { index: *index, arguments: Scalars::clamped(arguments) }
        }
        connection::OtherCall::AddRef => OtherCall::AddRef,
        connection::OtherCall::Release => OtherCall::Release,
    }
}

impl fmt::Debug for PlayedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlayedConnection").field("number", &self.number).finish_non_exhaustive()
    }
}
