//! A connection that is served from the tape.

use super::memory::ReplayMemory;
use super::program::{
    Arena, Buffer, CallRules, Flags, Kind, MemoryIndex, Program, Step, StepIndex,
};
use super::request::{CallRequest, Request, WakeRequest};
use super::session::{Clock, Session};
use super::state::State;
use crate::IoReturn;
use crate::call::{ConnectionId, MapOptions, MemoryId};
use crate::connection::{
    AsyncWake, Connection, Mapping, MethodAnswer, MethodInput, MethodOutput, OtherCall, OtherReply,
    StructureInput, StructureOutput,
};
use crate::limits::{INLINE_STRUCTURE_MAX, SCALARS_MAX};
use crate::memory::{Memory, SharedBuffer};
use crate::tape::Body;
use std::fmt;
use std::sync::Arc;

/// A connection of a tape.
pub(super) struct ReplayConnection {
    pub(super) session: Arc<Session>,
    pub(super) clock: Arc<Clock>,
    pub(super) number: u32,
    /// Its stream under `ordered`.
    pub(super) stream: u32,
}

impl ReplayConnection {
    pub(super) fn new(session: &Arc<Session>, clock: &Arc<Clock>, number: u32) -> Self {
        let stream = Program::stream_of(&session.program.connection_streams, number);
        Self { session: Arc::clone(session), clock: Arc::clone(clock), number, stream }
    }

    fn wake_request<'a>(&self, wake: &AsyncWake<'a>) -> WakeRequest<'a> {
        let queue = wake.queue.map(|queue| self.queue_number(queue));
        WakeRequest { queue, reference: wake.reference }
    }

    #[inline]
    fn call(
        &self,
        selector: u32,
        wake: Option<&AsyncWake<'_>>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        if let (StructureInput::Shared(_), _) | (_, StructureOutput::Shared(_)) =
            (&input.structure, &output.structure)
        {
            return self.call_shared(selector, wake, input, output);
        }
        let (given, bytes, length) = match input.structure {
            // A size of 0 is no structure (A7).
            StructureInput::Bytes(bytes) if !bytes.is_empty() => {
                (Buffer::Bytes, bytes, bytes.len() as u64)
            }
            StructureInput::Null { size } if size > 0 => (Buffer::Null, &[][..], size),
            StructureInput::Unmapped { size } if size > 0 => (Buffer::Unmapped, &[][..], size),
            _ => (Buffer::None, &[][..], 0),
        };
        let (asked, output_size) = asked(output);
        let request = Request::Call(CallRequest {
            connection: self.number,
            selector,
            scalars: &input.scalars[..input.scalars.len().min(SCALARS_MAX)],
            scalar_count: u32::try_from(input.scalars.len()).unwrap_or(u32::MAX),
            scalars_asked: output.scalar_count,
            input: given,
            bytes,
            length,
            input_memory: None,
            output: asked,
            output_size,
            output_memory: None,
            same_buffer: false,
            wake: wake.map(|wake| self.wake_request(wake)),
        });
        match self.session.perform(&self.clock, self.stream, &request) {
            Ok(step) => self.answer(step, &request, output),
            Err(invented) => self.answer_nothing(invented, output),
        }
    }

    /// A call that nothing of the tape answers: where it is told that it worked, it gets zeros.
    #[cold]
    fn answer_nothing(&self, invented: IoReturn, output: &mut MethodOutput<'_>) -> IoReturn {
        if self.session.program.segments.is_some() && invented.is_success() {
            let asked = output.scalars.len().min(output.scalar_count as usize);
            output.scalars[..asked].fill(0);
            output.structure_size = match &mut output.structure {
                StructureOutput::Bytes(room) => {
                    room.fill(0);
                    room.len() as u64
                }
                StructureOutput::Variable(room) => {
                    room.clear();
                    0
                }
                _ => 0,
            };
        }
        invented
    }

    /// A call with shared buffers: their numbers are found or given, and what the client does with
    /// them later is seen.
    #[cold]
    fn call_shared(
        &self,
        selector: u32,
        wake: Option<&AsyncWake<'_>>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let given = match input.structure {
            StructureInput::Shared(buffer) => Some(buffer),
            _ => None,
        };
        let wanted = match output.structure {
            StructureOutput::Shared(buffer) => Some(buffer),
            _ => None,
        };
        let program = &self.session.program;
        let contents = given.map(|buffer| {
            let store: &dyn Memory = &**buffer.store();
            // The store is at least as long as the buffer.
            store.read_vec(0, buffer.length()).unwrap_or_default()
        });
        let (kind, bytes, length) = match (input.structure, &contents) {
            (StructureInput::Shared(buffer), Some(contents)) => {
                (Buffer::Shared, &contents[..], buffer.length())
            }
            (StructureInput::Bytes(bytes), _) if !bytes.is_empty() => {
                (Buffer::Bytes, bytes, bytes.len() as u64)
            }
            (StructureInput::Null { size }, _) if size > 0 => (Buffer::Null, &[][..], size),
            (StructureInput::Unmapped { size }, _) if size > 0 => (Buffer::Unmapped, &[][..], size),
            _ => (Buffer::None, &[][..], 0),
        };
        let (asked, output_size) = asked(output);
        let (input_memory, output_memory) = {
            let state = self.session.state();
            let number = |buffer: &SharedBuffer| state.buffer_number(program, buffer);
            (given.and_then(number), wanted.and_then(number))
        };
        let request = Request::Call(CallRequest {
            connection: self.number,
            selector,
            scalars: &input.scalars[..input.scalars.len().min(SCALARS_MAX)],
            scalar_count: u32::try_from(input.scalars.len()).unwrap_or(u32::MAX),
            scalars_asked: output.scalar_count,
            input: kind,
            bytes,
            length,
            input_memory,
            output: asked,
            output_size,
            output_memory,
            same_buffer: given.zip(wanted).is_some_and(|(given, wanted)| given.is(wanted)),
            wake: wake.map(|wake| self.wake_request(wake)),
        });
        let mut watched: Vec<(&SharedBuffer, MemoryIndex)> = Vec::new();
        let entered =
            self.session.perform_with(&self.clock, self.stream, &request, |state, step| {
                let step = program.step(step);
                let numbers = [(given, step.input_memory), (wanted, step.output_memory)];
                for (buffer, number) in numbers {
                    let (Some(buffer), Some(memory)) = (buffer, program.memory(number)) else {
                        continue;
                    };
                    if state.buffer_number(program, buffer).is_none() {
                        state.bind_buffer(buffer, memory);
                        // Up to 4096 bytes are copied by the call itself (A8): what becomes of them
                        // later is nobody's business.
                        if buffer.length() <= INLINE_STRUCTURE_MAX {
                            continue;
                        }
                        // What is to come to the memory does not come to the buffer.
                        state.settle_memories(program);
                        state.memories[memory as usize].store = Some(Arc::clone(buffer.store()));
                        watched.push((buffer, memory));
                    }
                }
                Ok(())
            });
        for (buffer, memory) in watched {
            buffer.watch(|front| {
                Arc::new(ReplayMemory::of_buffer(&self.session, &self.clock, memory, front))
            });
        }
        match entered {
            Ok(step) => self.answer(step, &request, output),
            Err(invented) => self.answer_nothing(invented, output),
        }
    }

    /// Gives the client what the step holds.
    #[inline]
    fn answer(
        &self,
        index: StepIndex,
        request: &Request<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let program = &self.session.program;
        let step = program.step(index);
        if step.flags.has(Flags(Flags::OPAQUE_REPLY.0 | Flags::TIME.0 | Flags::RULES.0)) {
            return self.answer_slowly(index, request, output);
        }
        give(
            step,
            program.arena.words(step.words + u32::from(step.scalars_in), step.scalars_out),
            program.arena.bytes(step.reply_at, step.reply_length),
            output,
        )
    }

    #[cold]
    fn answer_slowly(
        &self,
        index: StepIndex,
        request: &Request<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let program = &self.session.program;
        let step = program.step(index);
        self.session.pass_time(&self.clock, index);
        if step.flags.has(Flags::OPAQUE_REPLY) {
            let reason = super::diagnose::Reason::ReplyNotKept(index);
            return self.session.diverge(self.session.state(), request, reason);
        }
        let words = program.arena.words(step.words + u32::from(step.scalars_in), step.scalars_out);
        let bytes = program.arena.bytes(step.reply_at, step.reply_length);
        if let Request::Call(call) = request {
            program.give_pointed(index, call);
        }
        match program.rules.calls(step.connection, step.selector) {
            Some(rules) if step.result.is_success() => {
                let (mut words, mut bytes) = (words.to_vec(), bytes.to_vec());
                translate(&mut self.session.state(), rules, &mut words, &mut bytes);
                give(step, &words, &bytes, output)
            }
            _ => give(step, words, bytes, output),
        }
    }
}

/// Puts the client's symbols into what is returned.
fn translate(state: &mut State, rules: &CallRules, words: &mut [u64], bytes: &mut [u8]) {
    for (word, set) in words.iter_mut().zip(&rules.scalars_out) {
        if let Some(set) = set {
            let mut field = word.to_le_bytes();
            state.symbols.translate(*set, &mut field);
            *word = u64::from_le_bytes(field);
        }
    }
    let end = bytes.len() as u64;
    for (offset, length, set) in &rules.structure_out {
        let (from, to) = ((*offset).min(end), offset.saturating_add(*length).min(end));
        if from < to {
            state.symbols.translate(*set, &mut bytes[from as usize..to as usize]);
        }
    }
}

/// Copies what a step returns into the client's output.
#[inline]
fn give(step: &Step, scalars: &[u64], bytes: &[u8], output: &mut MethodOutput<'_>) -> IoReturn {
    // A structure that the tape has as a whole instead of as patches goes to a shared buffer, too.
    let answer =
        MethodAnswer { result: step.result, scalars, bytes, structure_size: step.reply_size };
    answer.give(step.kind == Kind::AsyncCall, output)
}

/// What a call that failed changes all the same: memory out of line (B8).
#[cold]
pub(super) fn give_failed(step: &Step, arena: &Arena, output: &mut MethodOutput<'_>) {
    let bytes = arena.bytes(step.reply_at, step.reply_length);
    let _result = give(step, &[], bytes, output);
}

/// How a structure is asked for, and how many bytes.
#[inline]
fn asked(output: &MethodOutput<'_>) -> (Buffer, u64) {
    match &output.structure {
        StructureOutput::Bytes(bytes) if !bytes.is_empty() => (Buffer::Bytes, bytes.len() as u64),
        StructureOutput::Null { size } if *size > 0 => (Buffer::Null, *size),
        StructureOutput::Unmapped { size } if *size > 0 => (Buffer::Unmapped, *size),
        StructureOutput::None
        | StructureOutput::Bytes(_)
        | StructureOutput::Null { .. }
        | StructureOutput::Unmapped { .. } => (Buffer::None, 0),
        StructureOutput::Shared(buffer) => (Buffer::Shared, buffer.length()),
        StructureOutput::Variable(_) => (Buffer::Variable, output.structure.size()),
    }
}

impl ReplayConnection {
    /// Maps what only a keyframe tells of.
    #[cold]
    fn map_across(&self, memory_type: u32) -> Result<Mapping, IoReturn> {
        let program = &self.session.program;
        let held = program.memory_of_type(self.number, memory_type);
        let (memory, length) = held.ok_or(IoReturn::BAD_ARGUMENT)?;
        let holders = &mut self.session.state().memories[memory as usize].holders;
        if !holders.contains(&self.number) {
            holders.push(self.number);
        }
        let info = &program.memories[memory as usize];
        let (number, address) = (MemoryId(u64::from(info.number)), info.address);
        let memory = Arc::new(ReplayMemory::of_mapping(&self.session, &self.clock, memory));
        Ok(Mapping::new(number, memory_type, address, length, memory))
    }
}

impl Connection for ReplayConnection {
    fn id(&self) -> ConnectionId {
        ConnectionId(u64::from(self.number))
    }

    #[inline]
    fn call_method(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let (connection, stream) = (self.number, self.stream);
        match self.session.call_plain(connection, stream, selector, input, output) {
            Some(result) => result,
            None => self.call(selector, None, input, output),
        }
    }

    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        let borrowed = match (&input.structure, &output.structure) {
            (StructureInput::Bytes(bytes), _) if bytes.len() as u64 > INLINE_STRUCTURE_MAX => true,
            (_, StructureOutput::Bytes(bytes)) => bytes.len() as u64 > INLINE_STRUCTURE_MAX,
            _ => false,
        };
        assert!(
            !borrowed,
            "an asynchronous call hands over a structure of more than {INLINE_STRUCTURE_MAX} bytes as \
             a borrowed slice; such memory must outlive the call, so it has to be a SharedBuffer"
        );
        self.call(selector, Some(wake), input, output)
    }

    fn map_memory(
        &self,
        memory_type: u32,
        options: MapOptions,
        address: u64,
    ) -> Result<Mapping, IoReturn> {
        let (session, program) = (&self.session, &self.session.program);
        // With kIOMapAnywhere the address is not looked at (F8).
        let address = if options.contains(MapOptions::ANYWHERE) { 0 } else { address };
        let connection = self.number;
        let request = Request::Map { connection, memory_type, options: options.0, address };
        let step = session.perform_with(&self.clock, self.stream, &request, |state, step| {
            let step = program.step(step);
            if step.result.is_success()
                && let Some(memory) = state.memories.get_mut(step.outcome as usize)
                && !memory.holders.contains(&connection)
            {
                // Maps of one mapping do not nest (F16).
                memory.holders.push(connection);
            }
            Ok(())
        });
        let step = match step {
            Err(IoReturn::SUCCESS) => return self.map_across(memory_type),
            step => step?,
        };
        session.pass_time(&self.clock, step);
        let step = program.step(step);
        let Some(info) = program.memories.get(step.outcome as usize) else {
            return Err(step.result);
        };
        let length = match &program.event(step.leave).body {
            Body::Mapped { outcome: Ok(mapped) } => mapped.length,
            _ => info.size,
        };
        let memory: Arc<dyn Memory> =
            Arc::new(ReplayMemory::of_mapping(session, &self.clock, step.outcome));
        let id = MemoryId(u64::from(info.number));
        Ok(Mapping::new(id, memory_type, info.address, length, memory))
    }

    fn unmap_memory(&self, memory_type: u32, address: u64) -> IoReturn {
        let (session, program) = (&self.session, &self.session.program);
        let connection = self.number;
        let given = program
            .memories
            .iter()
            .find(|memory| memory.memory_type.is_some() && memory.address == address)
            .map(|memory| memory.number);
        let request = Request::Unmap { connection, memory_type, memory: given };
        let entered = session.perform_with(&self.clock, self.stream, &request, |state, step| {
            if program.step(step).result.is_success() {
                state.undo_map(program, connection, memory_type, given);
            }
            Ok(())
        });
        match entered {
            Ok(step) => {
                session.pass_time(&self.clock, step);
                program.step(step).result
            }
            Err(invented) => invented,
        }
    }

    fn close(&self) -> IoReturn {
        let (session, program) = (&self.session, &self.session.program);
        let connection = self.number;
        let request = Request::Close { connection };
        let entered = session.perform_with(&self.clock, self.stream, &request, |state, _| {
            // Dropped whatever the kernel's result is (G12).
            state.closed.insert(connection);
            state.drop_right(connection);
            Ok(())
        });
        match entered {
            Ok(step) => {
                session.pass_time(&self.clock, step);
                program.step(step).result
            }
            Err(invented) => invented,
        }
    }

    fn other_call(&self, call: &OtherCall<'_>) -> OtherReply {
        self.other(call)
    }
}

impl Drop for ReplayConnection {
    fn drop(&mut self) {
        // With the last right the mappings go (G15).
        self.session.state().let_go(self.number);
    }
}

impl fmt::Debug for ReplayConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayConnection").field("number", &self.number).finish_non_exhaustive()
    }
}
